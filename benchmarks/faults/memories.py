"""The memories that are put to the test, and what they must say."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from pathlib import Path

from mome import checkpoint
from mome.decoder import load_tokenizer
from mome.errors import SettingsError
from mome.facts import Fact, read_facts, write_facts
from mome.joining import Joiner
from mome.modeling import MoMEForCausalLM
from train.answers import generate_answers
from train.settings import BackboneSettings, TrainSettings
from train.teach import teach
from train.verify import taught_subjects

NUM_SMALL = 48
INDEX = "IVF4,Flat"  # so that there is a file of FAISS even for so few facts


@dataclass(kw_only=True)
class Small:
    """A small memory on disk, facts that it does not hold, and what each prompt must get."""

    folder: Path
    taught: list[Fact]
    spare: list[Fact]
    bare: dict[str, str]  # by prompt, the backbone's own answer

    def prompts(self) -> list[str]:
        """Of all facts, taught or spare."""
        return [fact.prompt for fact in (*self.taught, *self.spare)]

    def expected(self, facts: dict[str, Fact]) -> list[str]:
        """The right answers to all prompts, of a memory that holds these facts by id."""
        all_facts = *self.taught, *self.spare
        return [facts[fact.id].answer if fact.id in facts else self.bare[fact.prompt] for fact in all_facts]


def train_settings(settings: BackboneSettings, **given) -> TrainSettings:
    """Settings of `mome train` with the backbone and router of a benchmark's."""
    shared = {name: getattr(settings, name) for name in BackboneSettings.__dataclass_fields__}
    return TrainSettings(**{**shared, "before": False, **given})


def make_small(settings: BackboneSettings, facts: Path, work: Path) -> Small:
    """Teach a few facts of a file, about subjects that no other one's prompt names; kept in `work`."""
    chosen = apart(read_facts(facts, on_conflict="first").facts, 2 * NUM_SMALL, settings.seed)
    taught, spare = chosen[:NUM_SMALL], chosen[NUM_SMALL:]
    write_facts(work / "small.jsonl", taught)
    folder = work / "small"
    if not folder.exists():
        resume = (work / "small.work" / "settings.json").exists()
        teach(train_settings(settings, facts=work / "small.jsonl", out=folder, index=INDEX, resume=resume))
    model, joiner = open_memory(folder)
    with model.memory_disabled():
        prompts = [fact.prompt for fact in chosen]
        bare = dict(zip(prompts, generate_answers(model, joiner, prompts), strict=True))
    return Small(folder=folder, taught=taught, spare=spare, bare=bare)


def apart(facts: list[Fact], num: int, seed: int) -> list[Fact]:
    """Facts drawn at random of which none names the subject of another, so that none brings up another.

    Raises:
        SettingsError: there are fewer.
    """
    drawn: list[Fact] = []
    for fact in random.Random(seed).sample(facts, len(facts)):
        if not fact.subject or fact.subject not in fact.prompt:
            continue
        is_named = taught_subjects([fact])
        if not taught_subjects(drawn)(fact.prompt) and not any(is_named(other.prompt) for other in drawn):
            drawn.append(fact)
        if len(drawn) == num:
            return drawn
    raise SettingsError(
        f"--facts: expected {num} facts with a subject that no other's prompt names, got {len(drawn)}; choose "
        "another file"
    )


def corrected(fact: Fact, others: list[Fact], rng: random.Random) -> Fact:
    """The fact with another one's answer."""
    return replace(fact, answers=(rng.choice([other.answer for other in others if other.answer != fact.answer]),))


def open_memory(folder: Path) -> tuple[MoMEForCausalLM, Joiner]:
    """A checkpoint, around a backbone of its own, and the joiner for its prompts."""
    model = MoMEForCausalLM.from_pretrained(folder)
    tokenizer = load_tokenizer(model.config.backbone, model.config.revision)
    return model, Joiner(tokenizer=tokenizer, join=model.config.join, end=model.config.end)


def answers_of(facts: dict[str, Fact]) -> dict[str, str]:
    """What each fact says, by its id."""
    return {fact_id: fact.answer for fact_id, fact in facts.items()}


def stored_answers(folder: Path) -> dict[str, str]:
    """What each fact of a checkpoint says, by its id."""
    return {fact.id: fact.answer for fact in checkpoint.load(folder).ledger}
