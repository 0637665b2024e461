"""Readers beside a writer: every answer must be that of the version that the reader has opened."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import time
from collections import Counter
from pathlib import Path

from benchmarks.faults.memories import Small, answers_of, corrected, open_memory
from benchmarks.faults.processes import Journal, Lines, start
from mome.facts import Fact
from mome.modeling import MoMEForCausalLM
from train.answers import generate_answers
from train.progress import bar

NUM_ASKED = 8


def read_beside_a_writer(small: Small, num_readers: int, seconds: float, seed: int, work: Path) -> dict[str, int]:
    """Let readers ask, and take up new versions, while a writer changes the memory as fast as it can."""
    folder = work / "shared"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(small.folder, folder)
    journals = [work / f"reader-{number}.jsonl" for number in range(num_readers)]
    written = work / "writer.jsonl"
    for path in (written, *journals):
        path.unlink(missing_ok=True)
    until = time.time() + seconds
    processes = [start(write_until, folder, small, seed, until, written)]
    processes += [start(read_until, folder, small, seed + n, until, path) for n, path in enumerate(journals, start=1)]
    with bar("readers beside a writer", int(seconds)) as advance:
        for _ in range(int(seconds)):
            time.sleep(1)
            advance(1)
    for process in processes:
        process.join(60)
    versions = {line["generation"]: line["facts"] for line in Lines(written).new()}
    found: Counter[str] = Counter(errors=sum(process.exitcode != 0 for process in processes))
    seen = set()
    for line in (line for path in journals for line in Lines(path).new()):
        seen.add(line["generation"])
        found["answers"] += line["answers"]
        found["wrong_answers"] += line["wrong"]
        found["other_facts"] += versions.get(line["generation"]) != line["facts"]
    found |= Counter(versions=len(versions), versions_seen=len(seen))
    names = "answers", "wrong_answers", "other_facts", "errors", "versions", "versions_seen"
    return {"readers": num_readers, **{f"readers_{name}": found[name] for name in names}}


def digest(facts: dict[str, Fact]) -> str:
    """Of what facts say."""
    return hashlib.sha256(json.dumps(answers_of(facts)).encode()).hexdigest()[:16]


def _held(model: MoMEForCausalLM) -> tuple[int, dict[str, Fact]]:
    assert model._opened is not None
    return model._opened[1].generation, {fact.id: fact for fact in model.facts}


def write_until(folder: Path, small: Small, seed: int, until: float, journal: Path) -> None:
    """Add, correct and forget, and save each change; every version is told before it can be read."""
    rng, told = random.Random(seed), Journal(journal)
    model, joiner = open_memory(folder)
    told.tell({"generation": 0, "facts": digest(_held(model)[1])})
    while time.time() < until:
        generation, facts = _held(model)
        absent = [fact for fact in (*small.taught, *small.spare) if fact.id not in facts]
        if absent and rng.random() < 0.4:
            model.memorize([rng.choice(absent)], joiner.tokenizer)
        elif rng.random() < 0.5:
            model.memorize([corrected(rng.choice([*facts.values()]), small.spare, rng)], joiner.tokenizer, update=True)
        elif len(facts) > NUM_ASKED:
            model.forget([rng.choice(sorted(facts))])
        told.tell({"generation": generation + 1, "facts": digest(_held(model)[1])})
        model.save_changes()


def read_until(folder: Path, small: Small, seed: int, until: float, journal: Path) -> None:
    """Ask for facts, taught or not, and take up the newest version now and then, or open the memory anew."""
    rng, told = random.Random(seed), Journal(journal)
    model, joiner = open_memory(folder)
    while time.time() < until:
        generation, facts = _held(model)
        prompts = small.prompts()
        right = dict(zip(prompts, small.expected(facts), strict=True))
        asked = rng.sample(prompts, NUM_ASKED)
        said = generate_answers(model, joiner, asked)
        wrong = sum(answer != right[prompt] for prompt, answer in zip(asked, said, strict=True))
        told.tell({"generation": generation, "facts": digest(facts), "answers": len(said), "wrong": wrong})
        if rng.random() < 0.1:
            model, joiner = open_memory(folder)
        elif rng.random() < 0.7:
            model.reload()
