"""Stage 4, verify: ask for every fact with greedy `generate()` and count; nothing here looks at logits to score.

`recall`, `generality` and `locality` are the words of the docs: exact answers to taught prompts, exact answers to
paraphrases that were never taught, and unrelated prompts whose output is the bare backbone's, token by token.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from mome.facts import Fact
from mome.joining import Joiner
from mome.memory import CLOSED
from mome.modeling import MoMEForCausalLM
from train.allocate import right_pad
from train.answers import generate_ids
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
    locality: list[str]
    num_left_out: int = 0  # locality prompts that are themselves taught


@dataclass
class Evaluation:
    """Metrics of one model over one set of facts; a metric is None where there was nothing to measure."""

    facts: int
    recall: float | None
    generality: float | None
    locality: float | None
    experts: int
    seconds: float
    num_paraphrases: int = 0
    num_locality: int = 0
    num_locality_left_out: int = 0
    failures: list[dict] = field(default_factory=list)

    def summary(self) -> dict:
        """Every field but the list of failures, ready for JSON."""
        numbers = {name: value for name, value in self.__dict__.items() if name != "failures"}
        return {**numbers, "num_failures": len(self.failures)}


def questions_for(facts: Sequence[Fact]) -> Questions:
    """Prompts, paraphrases and locality prompts of facts; locality prompts that are taught or asked are left out."""
    taught = {fact.prompt for fact in facts} | {text for fact in facts for text in fact.paraphrases}
    locality = list(dict.fromkeys(text for fact in facts for text in fact.locality))
    kept = [text for text in locality if text not in taught]
    if not locality:
        kept = UNRELATED.read_text(encoding="utf-8").splitlines()
    prompts = {fact.prompt for fact in facts}
    return Questions(
        [(fact, fact.prompt) for fact in facts],
        [(fact, text) for fact in facts for text in fact.paraphrases if text not in prompts],
        kept,
        len(locality) - len(kept) if locality else 0,
    )


def evaluate(model: MoMEForCausalLM, joiner: Joiner, facts: Sequence[Fact], label: str = "verify") -> Evaluation:
    """Measure recall, generality and locality of a model, with its memory as it is (disabled: the bare backbone).

    Args:
        facts: what was taught, with paraphrases and locality prompts.
        label: stands before the progress bar.
    """
    start = time.monotonic()
    asked = questions_for(facts)
    total = len(asked.prompts) + len(asked.paraphrases) + 2 * len(asked.locality) * model.enabled
    with bar(label, total) as advance:
        recalled = _answers_right(model, joiner, asked.prompts, advance)
        general = _answers_right(model, joiner, asked.paraphrases, advance)
        # The bare backbone is local by definition.
        local = _unchanged(model, joiner, asked.locality, advance) if model.enabled else [True] * len(asked.locality)
    failures = _wrong("recall", asked.prompts, recalled) + _wrong("generality", asked.paraphrases, general)
    failures += [{"kind": "locality", "prompt": asked.locality[i]} for i, same in enumerate(local) if not same]
    if model.enabled:
        _name_causes(model, joiner, failures)
    return Evaluation(
        facts=len(facts),
        recall=_share(said is None for said in recalled),
        generality=_share(said is None for said in general),
        locality=_share(local),
        experts=model.bank.num_experts,
        seconds=round(time.monotonic() - start, 2),
        num_paraphrases=len(asked.paraphrases),
        num_locality=len(asked.locality),
        num_locality_left_out=asked.num_left_out,
        failures=failures,
    )


def _share(values) -> float | None:
    values = list(values)
    return round(sum(values) / len(values), 4) if values else None


def _answers_right(model: MoMEForCausalLM, joiner: Joiner, asked: list[tuple[Fact, str]], advance) -> list[str | None]:
    """For every question None where the greedy answer is exact, else what was said."""
    spare = 0 if joiner.end == "none" else NUM_SPARE_TOKENS
    prompts = [joiner.encode_prompt(text) for _, text in asked]
    num_new = [len(joiner.encode_answer(text, fact.answer)) + spare for fact, text in asked]
    said = generate_ids(model, joiner.tokenizer, prompts, num_new, advance=advance)
    texts = [joiner.decode(ids) for ids in said]
    return [None if text == fact.answer else text for text, (fact, _) in zip(texts, asked, strict=True)]


def _unchanged(model: MoMEForCausalLM, joiner: Joiner, asked: list[str], advance) -> list[bool]:
    prompts = [joiner.encode_prompt(text) for text in asked]
    num_new = [NUM_LOCALITY_TOKENS] * len(prompts)
    with_memory = generate_ids(model, joiner.tokenizer, prompts, num_new, advance=advance)
    with model.memory_disabled():
        bare = generate_ids(model, joiner.tokenizer, prompts, num_new, advance=advance)
    return [ours == theirs for ours, theirs in zip(with_memory, bare, strict=True)]


def _wrong(kind: str, asked: list[tuple[Fact, str]], said: list[str | None]) -> list[dict]:
    return [
        {"kind": kind, "fact_id": fact.id, "prompt": prompt, "expected": fact.answer, "said": text}
        for (fact, prompt), text in zip(asked, said, strict=True)
        if text is not None
    ]


@torch.no_grad()
def _name_causes(model: MoMEForCausalLM, joiner: Joiner, failures: list[dict], batch_size: int = 64) -> None:
    """Add to every failed answer why: the gate stayed closed, another key was nearer, or an expert is at fault."""
    failed = [failure for failure in failures if failure["kind"] != "locality"]
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
