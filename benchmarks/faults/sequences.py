"""Random changes of a memory beside a plain dictionary, which is the model of truth."""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from benchmarks.faults.memories import Small, corrected, open_memory
from benchmarks.faults.processes import Journal, Lines, start
from mome.bank import Bank
from mome.facts import Fact
from mome.joining import Joiner
from mome.memorize import memorize
from mome.modeling import MoMEForCausalLM
from mome.settings import WriteSettings
from train.answers import generate_answers
from train.progress import bar

NUM_WORKERS = 2
# How often each is drawn; "save" puts the changes in place of the checkpoint that was opened, "copy" writes a new one
# and goes on with that, "open" drops what was not saved.
OPERATIONS = {"add": 6, "update": 4, "forget": 5, "compact": 2, "save": 3, "copy": 1, "open": 1}
NUM_FACTS = 16


@dataclass
class Learned:
    """A fact with the rows that say it. They are learned once: where they come from is nothing to storage."""

    fact: Fact
    rows: Bank


def run_sequences(small: Small, num: int, num_operations: int, seed: int, work: Path) -> dict[str, int]:
    """Run so many sequences, each of so many operations, in two processes."""
    found: Counter[str] = Counter()
    processes, journals = [], []
    for first in range(min(NUM_WORKERS, num)):
        folder, share = work / f"sequences-{first}", range(first, num, NUM_WORKERS)
        folder.with_suffix(".jsonl").unlink(missing_ok=True)
        processes.append(start(_run_share, small, num_operations, seed, share, folder))
        journals.append(Lines(folder.with_suffix(".jsonl")))
    with bar("random sequences", num) as advance:
        while found["sequences"] < num:
            is_over = not any(process.is_alive() for process in processes)
            lines = [line for journal in journals for line in journal.new()]
            found.update(Counter(sequences=len(lines)))
            for line in lines:
                found.update(line)
            advance(len(lines))
            assert lines or not is_over, "a process that ran sequences has ended"
            time.sleep(0.2)
    names = "sequences", "sequences_of_other_facts", "sequences_with_wrong_answers", "sequences_failed"
    return {name: found[name] for name in names} | {f"sequence_operations_{name}": found[name] for name in OPERATIONS}


def _run_share(small: Small, num_operations: int, seed: int, share: range, work: Path) -> None:
    learned, told = learn(small, seed), Journal(work.with_suffix(".jsonl"))
    for number in share:
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(small.folder, work / "memory")
        try:
            found = run_sequence(small, learned, work / "memory", num_operations, random.Random(f"{seed} {number}"))
        except Exception as error:  # whatever goes wrong is counted
            print(f"sequence {number}: {type(error).__name__}: {error}", flush=True)
            found = Counter(sequences_failed=1)
        told.tell(found)
    shutil.rmtree(work, ignore_errors=True)


def learn(small: Small, seed: int) -> dict[str, list[Learned]]:
    """For some facts, taught and spare, the rows of two answers each, by id."""
    rng = random.Random(seed)
    model, joiner = open_memory(small.folder)
    facts = small.taught[: NUM_FACTS // 2] + small.spare[: NUM_FACTS // 2]
    learned = {}
    for fact in facts:
        both = fact, corrected(fact, facts, rng)
        learned[fact.id] = [Learned(each, _rows(model, joiner, each)) for each in both]
    return learned


def _rows(model: MoMEForCausalLM, joiner: Joiner, fact: Fact) -> Bank:
    return memorize(model, joiner, [fact], model.bank.word_edge, WriteSettings(), seed=0).bank


def run_sequence(
    small: Small, learned: dict[str, list[Learned]], folder: Path, num_operations: int, rng: random.Random
) -> Counter[str]:
    """One sequence; tells which operations there were and what differed, if anything did."""
    model, joiner = open_memory(folder)
    now = {fact.id: fact for fact in small.taught}
    saved, found = dict(now), Counter()
    for _ in range(num_operations):
        name = rng.choices([*OPERATIONS], [*OPERATIONS.values()])[0]
        held, absent = [key for key in learned if key in now], [key for key in learned if key not in now]
        if (name == "add" and not absent) or (name in ("update", "forget") and not held):
            name = "save"
        found[name] += 1
        if name == "save":
            model.save_changes()
            saved = dict(now)
        elif name == "copy":
            folder = folder.with_name(f"copy-{found['copy']}")
            model.save_pretrained(folder)
            model, saved = open_memory(folder)[0], dict(now)
        elif name == "compact":
            model.compact()
        elif name == "open":
            model, now = open_memory(folder)[0], dict(saved)
        else:
            _change(model, now, name, learned[rng.choice(absent if name == "add" else held)], rng)
        if list(model.facts) != list(now.values()):
            return found + Counter(sequences_of_other_facts=1)
    said = generate_answers(model, joiner, small.prompts())
    return found + Counter(sequences_with_wrong_answers=int(said != small.expected(now)))


def _change(
    model: MoMEForCausalLM, now: dict[str, Fact], name: str, versions: list[Learned], rng: random.Random
) -> None:
    """Add, update or forget a fact in the memory, and in the dictionary."""
    chosen = rng.choice(versions)
    if name != "add":
        model.forget([chosen.fact.id])
        del now[chosen.fact.id]
    if name != "forget":
        model.extend(chosen.rows, [chosen.fact])
        now[chosen.fact.id] = chosen.fact
