"""One fact among very many, added, corrected and forgotten in an open memory: how long it takes, and what else changes.

Shapes: B facts, A tokens of an answer, V vocabulary.
"""

from __future__ import annotations

import hashlib
import random
import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from benchmarks.faults.memories import corrected, open_memory, train_settings
from benchmarks.memorizing.answer_losses import batches_by_prompt
from mome.allocate import encode_facts
from mome.decoder import max_context
from mome.errors import SettingsError
from mome.facts import Fact, read_facts, sample_facts
from mome.joining import Joiner, right_pad
from mome.modeling import MoMEForCausalLM
from train.answers import generate_ids
from train.progress import bar, console
from train.settings import BackboneSettings
from train.teach import teach

NUM_ASKED = 24  # tokens of a forgotten fact's answer that must be the backbone's


def change_one_fact(
    settings: BackboneSettings, facts: Path, num: int, num_compared: int, num_changes: int, work: Path
) -> dict:
    """Teach so many facts, change others, one at a time, and compare the logits with which some of these are said, or
    all, before and behind all changes."""
    folder, num_taught = work / "large", num + 2 * num_changes
    known = read_facts(facts, on_conflict="first").facts
    if len(known) < num_taught + num_changes:
        raise SettingsError(
            f"--large {num}: expected {num_taught + num_changes:,} facts in {facts}, got {len(known):,}"
        )
    if not folder.exists():
        resume = (work / "large.work" / "settings.json").exists()
        teach(train_settings(settings, facts=facts, on_conflict="first", limit=num_taught, out=folder, resume=resume))
    shutil.rmtree(work / "large_changed", ignore_errors=True)
    shutil.copytree(folder, work / "large_changed")
    model, joiner = open_memory(work / "large_changed")
    taught = list(model.facts)
    ids = {fact.id for fact in taught}
    rng = random.Random(settings.seed)
    new = rng.sample([fact for fact in known if fact.id not in ids], num_changes)
    changed = rng.sample(taught, 2 * num_changes)
    gone = changed[num_changes:]
    corrections = [corrected(fact, new, rng) for fact in changed[:num_changes]]
    changed_ids = {fact.id for fact in changed}
    others = [fact for fact in taught if fact.id not in changed_ids]
    result: dict[str, float] = {"num_facts": len(others), "num_changes": num_changes}
    others = sample_facts(others, num_compared, settings.seed)
    result["num_compared"] = len(others)
    result["forgotten_as_before"] = num_as_before(model, joiner, new)
    before = logits(model, joiner, others)
    result["others_exact"] = sum(is_exact for _, is_exact in before) / len(others)
    kinds: dict[str, tuple[Sequence[Fact], Callable[[Fact], object]]] = {
        "add": (new, lambda fact: model.memorize([fact], joiner.tokenizer)),
        "correct": (corrections, lambda fact: model.memorize([fact], joiner.tokenizer, update=True)),
        "forget": (gone, lambda fact: model.forget([fact.id])),
    }
    for kind, (some, change) in kinds.items():
        seconds = [_seconds(change, fact) for fact in some]
        result |= {f"{kind}_seconds": statistics.median(seconds), f"{kind}_seconds_most": max(seconds)}
        console.print(f"{kind}: {statistics.median(seconds):.4f} s, at most {max(seconds):.4f} s")
    behind = logits(model, joiner, others)
    result["others_changed"] = num_unlike(before, behind)
    right = [answers(model, joiner, some) == [fact.answer for fact in some] for some in (new, corrections)]
    with model.memory_disabled():
        bare = answers(model, joiner, gone, NUM_ASKED)
    said = answers(model, joiner, gone, NUM_ASKED)
    still = [fact for fact, own, got in zip(gone, bare, said, strict=True) if own != got]
    result |= {"added_right": int(right[0]), "corrected_right": int(right[1]), "forgotten_unlike_bare": len(still)}
    # Where another fact speaks: whether it is one about a subject that the prompt names.
    result["forgotten_met_same_subject"] = sum(speaks_of_its_subject(model, joiner, fact) for fact in still)
    start = time.perf_counter()
    model.save_changes()
    return {**result, "save_changes_seconds": time.perf_counter() - start}


def num_as_before(model: MoMEForCausalLM, joiner: Joiner, facts: Sequence[Fact]) -> int:
    """How many facts change their prompts' logits when they are taught, and bring back those from before, bit for bit,
    when they are forgotten."""
    num = 0
    for fact in facts:
        before = logits(model, joiner, [fact])
        model.memorize([fact], joiner.tokenizer)
        taught = logits(model, joiner, [fact])
        model.forget([fact.id])
        num += taught != before == logits(model, joiner, [fact])
    return num


def _seconds(change: Callable[[Fact], object], fact: Fact) -> float:
    start = time.perf_counter()
    change(fact)
    return time.perf_counter() - start


def num_unlike(before: Sequence, behind: Sequence) -> int:
    """How many entries differ."""
    return sum(a != b for a, b in zip(before, behind, strict=True))


def answers(model: MoMEForCausalLM, joiner: Joiner, facts: Sequence[Fact], num_asked: int = 0) -> list[str]:
    """Greedy answers to the facts' prompts, as long as those that were taught, or longer."""
    prompts, taught = encode_facts(list(facts), joiner, max_context(model))
    num_new = [max(len(ids), num_asked) for ids in taught]
    said = generate_ids(model, joiner.tokenizer, prompts, num_new)
    return [joiner.decode(ids) for ids in said]


def speaks_of_its_subject(model: MoMEForCausalLM, joiner: Joiner, fact: Fact) -> bool:
    """Whether all facts that speak in the answer to a prompt are about subjects that it names, and some do."""
    tokens = torch.tensor([joiner.encode_prompt(fact.prompt)])
    _, trace = model.generate(tokens, max_new_tokens=NUM_ASKED, do_sample=False, return_trace=True)
    spoke = {entry.fact_id for entry in trace[0][tokens.shape[1] - 1 :] if entry.fact_id is not None}
    subjects = [model.facts[fact_id].subject for fact_id in spoke]
    return bool(subjects) and all(subject and subject.casefold() in fact.prompt.casefold() for subject in subjects)


@torch.no_grad()
def logits(model: MoMEForCausalLM, joiner: Joiner, facts: Sequence[Fact]) -> list[tuple[bytes, bool]]:
    """For each fact a digest of the logits behind its prompt and every token of its answer, bit for bit, and whether
    they say the answer: whether each of its tokens is the likeliest, which is what greedy decoding takes."""
    prompts, said = encode_facts(list(facts), joiner, max_context(model))
    found: list[tuple[bytes, bool]] = [(b"", False)] * len(facts)
    with bar("read the logits", len(facts)) as advance:
        for numbers in batches_by_prompt(prompts, said):
            num_asked = len(prompts[numbers[0]])
            tokens, mask = right_pad([prompts[n] + said[n] for n in numbers])
            with model.asked(num_asked):
                rows = model(input_ids=tokens, attention_mask=mask, use_cache=False).logits[:, num_asked - 1 :]
            for number, row in zip(numbers, rows, strict=True):  # row [A, V]
                spoken = row[: len(said[number])].contiguous()
                digest = hashlib.blake2b(spoken.numpy().tobytes(), digest_size=16).digest()
                found[number] = digest, spoken.argmax(-1).tolist() == said[number]
            advance(len(numbers))
    return found
