"""What `mome bench editing` teaches and asks: CounterFact, zsRE and ParaRel, and what a router may see beside them.

No router sees a subject that is taught. For ParaRel it sees no relation that is taught either, and no other corpus
that shares these relations: the generated world alone stands beside ParaRel's other relations.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from pathlib import Path

from mome.errors import SettingsError
from mome.facts import Fact, read_facts, sample_facts

MAX_UNSEEN = 1000
NAMES = ("counterfact", "zsre", "pararel")


@dataclass(frozen=True)
class Corpus:
    """Facts to teach, facts of the same kind that are never taught, and the router's training material: sources as in
    `--paraphrases`, and facts of its own."""

    facts: list[Fact]
    unseen: list[Fact]
    sources: list[str]
    router_facts: list[Fact]


def load_corpus(name: str, num_facts: int, data: Path, seed: int) -> Corpus:
    """The facts of a benchmark and what its router is trained on.

    Args:
        name: counterfact, zsre or pararel.
        num_facts: how many facts are taught, a seeded sample.
        data: the folder of published fact data.

    Raises:
        SettingsError: no such benchmark, or fewer facts than asked for.
    """
    if name not in NAMES:
        raise SettingsError(f"--data {name}: expected one of {', '.join(NAMES)}")
    corpus = {"counterfact": _counterfact, "zsre": _zsre, "pararel": _pararel}[name](num_facts, data, seed)
    if len(corpus.facts) < num_facts:
        raise SettingsError(f"--facts {num_facts}: {name} has {len(corpus.facts):,} that can be taught; ask for fewer")
    return corpus


def _read(data: Path, *names: str) -> list[Fact]:
    """Facts of several files, one for each prompt: the first answer counts."""
    facts = [fact for name in names for fact in read_facts(data / name, on_conflict="first").facts]
    return list({fact.prompt: fact for fact in reversed(facts)}.values())[::-1]


def _counterfact(num_facts: int, data: Path, seed: int) -> Corpus:
    """Facts of `val`, and a router trained on `train`; where `val` is too small a sample of both is taught, and the
    router is trained on what is left of them but for the unseen questions."""
    val = _read(data, "counterfact/val.jsonl.gz")
    if num_facts <= len(val):
        facts = sample_facts(val, num_facts, seed)
        return Corpus(facts, about_others(val, facts), [str(data / "counterfact/train.jsonl.gz")], [])
    both = _read(data, "counterfact/val.jsonl.gz", "counterfact/train.jsonl.gz")
    facts = sample_facts(both, num_facts, seed)
    left = about_others(both, facts, len(both))
    unseen = left[: min(MAX_UNSEEN, len(left) // 3)]
    return Corpus(facts, unseen, [], about_others(left, unseen, len(left)))


def _zsre(num_facts: int, data: Path, seed: int) -> Corpus:
    facts = sample_facts(_read(data, "zsre/facts.jsonl.gz"), num_facts, seed)
    # All of zsRE is taught, so the questions without a fact are another corpus's.
    return Corpus(facts, about_others(other_questions(data), facts), [str(data / "counterfact/train.jsonl.gz")], [])


def _pararel(num_facts: int, data: Path, seed: int) -> Corpus:
    """Facts of half of the relations; the router sees the other half.

    ParaRel has no locality prompts: each fact gets the prompt of another subject of its relation that is not taught,
    and one about its own subject where there is one.
    """
    facts = _read(data, "pararel/facts.jsonl.gz")
    relations = sorted({str(fact.relation) for fact in facts})
    taught_relations = set(random.Random(seed).sample(relations, len(relations) // 2))
    held_out = [fact for fact in facts if fact.relation in taught_relations]
    taught = sample_facts([fact for fact in held_out if fact.paraphrases], num_facts, seed)
    seen = [fact for fact in facts if fact.relation not in taught_relations and fact.paraphrases]
    unseen = about_others(sample_facts(held_out, 2 * num_facts, seed + 1), taught)
    return Corpus(with_locality(taught, facts, seed), unseen, [], seen)


def about_others(facts: list[Fact], taught: list[Fact], limit: int = MAX_UNSEEN) -> list[Fact]:
    """The facts about subjects of which nothing is taught, at most `limit`."""
    subjects = {fact.subject for fact in taught}
    return [fact for fact in facts if fact.subject not in subjects][:limit]


def with_locality(taught: list[Fact], facts: list[Fact], seed: int) -> list[Fact]:
    """Taught facts with locality prompts from those that are not: one of the same relation about another subject of
    which nothing is taught, and one of another relation about the same subject."""
    rng = random.Random(seed)
    prompts, subjects = {fact.prompt for fact in taught}, {fact.subject for fact in taught}
    left = [fact for fact in facts if fact.prompt not in prompts]
    same_relation: dict[str | None, list[str]] = {}
    same_subject: dict[str | None, list[Fact]] = {}
    for fact in left:
        if fact.subject in subjects:
            same_subject.setdefault(fact.subject, []).append(fact)
        else:
            same_relation.setdefault(fact.relation, []).append(fact.prompt)
    found = []
    for fact in taught:
        others = [other.prompt for other in same_subject.get(fact.subject, []) if other.relation != fact.relation]
        drawn = [rng.choice(texts) for texts in (same_relation.get(fact.relation, []), others) if texts]
        found.append(replace(fact, locality=tuple(drawn)))
    return found


def other_questions(data: Path) -> list[Fact]:
    """Questions about other things, to stand before a question as earlier turns."""
    return read_facts(data / "entity_questions/dev.jsonl.gz", on_conflict="first", limit=2000).facts


def behind_turns(facts: list[Fact], others: list[Fact], num_turns: int, seed: int) -> list[Fact]:
    """The same facts, with every prompt, paraphrase and locality prompt behind other questions and their answers."""
    rng = random.Random(seed)

    def behind(text: str) -> str:
        turns = rng.sample(others, num_turns)
        return "".join(f"{fact.prompt} {fact.answer}\n\n" for fact in turns) + text

    return [
        replace(
            fact,
            prompt=behind(fact.prompt),
            paraphrases=tuple(map(behind, fact.paraphrases)),
            locality=tuple(map(behind, fact.locality)),
        )
        for fact in facts
    ]
