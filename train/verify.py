"""Stage 4, verify: ask for every fact with greedy `generate()` and count; nothing here looks at logits to score.

`recall`, `generality` and `locality` are the words of the docs: exact answers to taught prompts, exact answers to
paraphrases that were never taught, and unrelated prompts whose output is the bare backbone's, token by token.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from mome.facts import Fact
from mome.joining import Joiner, right_pad
from mome.memory import CLOSED
from mome.modeling import MoMEForCausalLM
from train.answers import Advance, Generate, generate_with
from train.progress import bar

UNRELATED = Path(__file__).parent / "unrelated.txt"
NUM_LOCALITY_TOKENS = 12
# Room for an answer that goes on although it should have ended, so that it is seen to be wrong.
NUM_SPARE_TOKENS = 4


@dataclass
class Questions:
    """What is asked of a model that was taught some facts."""

    prompts: list[tuple[Fact, str]]
    paraphrases: list[tuple[Fact, str]]
    locality: list[str]  # about subjects of which nothing was taught
    same_subject: list[str]  # about a taught subject, but another question
    num_paraphrases_left_out: int = 0  # taught as prompts, or asked of two facts with different answers
    num_locality_left_out: int = 0  # taught or asked themselves


@dataclass
class Evaluation:
    """Metrics of one model over one set of facts; a metric is None where there was nothing to measure."""

    facts: int
    recall: float | None
    generality: float | None
    locality: float | None
    locality_same_subject: float | None
    experts: int
    seconds: float
    num_paraphrases: int = 0
    num_paraphrases_left_out: int = 0
    num_locality: int = 0
    num_same_subject: int = 0
    num_locality_left_out: int = 0
    failures: list[dict] = field(default_factory=list)

    def summary(self) -> dict:
        """Every field but the list of failures, ready for JSON."""
        numbers = {name: value for name, value in self.__dict__.items() if name != "failures"}
        return {**numbers, "num_failures": len(self.failures)}


def questions_for(facts: Sequence[Fact]) -> Questions:
    """Prompts, paraphrases and locality prompts of facts, without those that ask for what was taught, or for two
    different things."""
    prompts = {fact.prompt for fact in facts}
    answers: dict[str, set[str]] = {}
    for fact in facts:
        for text in fact.paraphrases:
            answers.setdefault(text, set()).add(fact.answer)
    paraphrases = [(fact, text) for fact in facts for text in fact.paraphrases]
    kept = [(fact, text) for fact, text in paraphrases if text not in prompts and len(answers[text]) == 1]
    locality = list(dict.fromkeys(text for fact in facts for text in fact.locality))
    unasked = [text for text in locality if text not in prompts and text not in answers]
    mentions = taught_subjects(facts)
    return Questions(
        prompts=[(fact, fact.prompt) for fact in facts],
        paraphrases=kept,
        locality=[text for text in unasked if not mentions(text)]
        if locality
        else UNRELATED.read_text(encoding="utf-8").splitlines(),
        same_subject=[text for text in unasked if mentions(text)],
        num_paraphrases_left_out=len(paraphrases) - len(kept),
        num_locality_left_out=len(locality) - len(unasked),
    )


def taught_subjects(facts: Sequence[Fact]) -> Callable[[str], bool]:
    """A test whether a text names the subject of one of these facts, in whole words."""
    by_first_word: dict[str, set[tuple[str, ...]]] = {}
    for fact in facts:
        if words := _words(fact.subject or ""):
            by_first_word.setdefault(words[0], set()).add(words)

    def mentions(text: str) -> bool:
        words = _words(text)
        return any(
            words[start : start + len(subject)] == subject
            for start, word in enumerate(words)
            for subject in by_first_word.get(word, ())
        )

    return mentions


def _words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\w+", text.casefold()))


@dataclass
class Outcome:
    """What a method said to the questions, one entry for each."""

    recalled: list[str | None]  # None where the answer was exact, else what was said
    general: list[str | None]
    local: list[bool]  # whether the output is the bare backbone's; locality prompts, then those of the same subject

    def shares(self, asked: Questions) -> dict[str, float | None]:
        """The four metrics; None where nothing was asked."""
        num_local = len(asked.locality)
        return {
            "recall": _share(said is None for said in self.recalled),
            "generality": _share(said is None for said in self.general),
            "locality": _share(self.local[:num_local]),
            "locality_same_subject": _share(self.local[num_local:]),
        }


def examine(generate: Generate, bare: Generate | None, joiner: Joiner, asked: Questions, label: str) -> Outcome:
    """Ask a method all questions.

    Args:
        generate: the method's greedy answers.
        bare: the bare backbone's, to compare with; None if the method is the bare backbone, local by definition.
        label: stands before the progress bar.
    """
    unrelated = asked.locality + asked.same_subject
    total = len(asked.prompts) + len(asked.paraphrases) + (2 * len(unrelated) if bare else 0)
    with bar(label, total) as advance:
        recalled = _answers_right(generate, joiner, asked.prompts, advance)
        general = _answers_right(generate, joiner, asked.paraphrases, advance)
        local = [True] * len(unrelated)
        if bare is not None:
            num_new = [NUM_LOCALITY_TOKENS] * len(unrelated)
            pairs = zip(generate(unrelated, num_new, advance), bare(unrelated, num_new, advance), strict=True)
            local = [ours == theirs for ours, theirs in pairs]
    return Outcome(recalled, general, local)


def evaluate(model: MoMEForCausalLM, joiner: Joiner, facts: Sequence[Fact], label: str = "verify") -> Evaluation:
    """Measure recall, generality and locality of a model, with its memory as it is (disabled: the bare backbone).

    Args:
        facts: what was taught, with paraphrases and locality prompts.
        label: stands before the progress bar.
    """
    start = time.monotonic()
    asked = questions_for(facts)
    generate = generate_with(model, joiner)

    def bare(prompts: list[str], num_new: list[int], advance: Advance) -> list[list[int]]:
        with model.memory_disabled():
            return generate(prompts, num_new, advance)

    outcome = examine(generate, bare if model.enabled else None, joiner, asked, label)
    failures = name_failures(asked, outcome)
    if model.enabled:
        _name_causes(model, joiner, failures)
    return Evaluation(
        facts=len(facts),
        **outcome.shares(asked),
        experts=model.bank.num_experts,
        seconds=round(time.monotonic() - start, 2),
        num_paraphrases=len(asked.paraphrases),
        num_paraphrases_left_out=asked.num_paraphrases_left_out,
        num_locality=len(asked.locality),
        num_same_subject=len(asked.same_subject),
        num_locality_left_out=asked.num_locality_left_out,
        failures=failures,
    )


def _share(values) -> float | None:
    values = list(values)
    return round(sum(values) / len(values), 4) if values else None


def _answers_right(generate: Generate, joiner: Joiner, asked: list[tuple[Fact, str]], advance) -> list[str | None]:
    """For every question None where the greedy answer is exact, else what was said."""
    spare = 0 if joiner.end == "none" else NUM_SPARE_TOKENS
    num_new = [len(joiner.encode_answer(text, fact.answer)) + spare for fact, text in asked]
    said = generate([text for _, text in asked], num_new, advance)
    texts = [joiner.decode(ids) for ids in said]
    return [None if text == fact.answer else text for text, (fact, _) in zip(texts, asked, strict=True)]


def name_failures(asked: Questions, outcome: Outcome) -> list[dict]:
    """Every question that was not answered as it should be."""
    failures = _wrong("recall", asked.prompts, outcome.recalled) + _wrong(
        "generality", asked.paraphrases, outcome.general
    )
    kinds = ["locality"] * len(asked.locality) + ["locality_same_subject"] * len(asked.same_subject)
    unrelated = zip(kinds, asked.locality + asked.same_subject, outcome.local, strict=True)
    return failures + [{"kind": kind, "prompt": text} for kind, text, same in unrelated if not same]


def _wrong(kind: str, asked: list[tuple[Fact, str]], said: list[str | None]) -> list[dict]:
    return [
        {"kind": kind, "fact_id": fact.id, "prompt": prompt, "expected": fact.answer, "said": text}
        for (fact, prompt), text in zip(asked, said, strict=True)
        if text is not None
    ]


@torch.no_grad()
def _name_causes(model: MoMEForCausalLM, joiner: Joiner, failures: list[dict], batch_size: int = 64) -> None:
    """Add to every failed answer why: the gate stayed closed, another key was nearer, or an expert is at fault."""
    failed = [failure for failure in failures if "fact_id" in failure]
    for start in range(0, len(failed), batch_size):
        batch = failed[start : start + batch_size]
        prompts = [joiner.encode_prompt(failure["prompt"]) for failure in batch]
        tokens, mask = right_pad(prompts)
        device = next(model.backbone.parameters()).device
        routing = model.routing(tokens.to(device), mask.to(device))
        for row, (failure, prompt) in enumerate(zip(batch, prompts, strict=True)):
            expert, similarity = int(routing.expert[row, len(prompt) - 1]), routing.similarity[row, len(prompt) - 1]
            owner = None if expert == CLOSED else model.ledger.facts[int(model.bank.fact[expert])].id
            causes = {None: "gate closed", failure["fact_id"]: "expert not learned"}
            failure |= {"cause": causes.get(owner, "wrong key nearest"), "similarity": round(float(similarity), 4)}
