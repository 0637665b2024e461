"""Processes killed at random moments while they teach, change and save: what is left, and does it still answer?"""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

from benchmarks.faults.memories import (
    INDEX,
    Small,
    answers_of,
    corrected,
    open_memory,
    stored_answers,
    train_settings,
)
from benchmarks.faults.processes import KILLED, Journal, Lines, start, wait_for
from mome.errors import MomeError
from mome.manifest import FILE, read_manifest, sha256_of
from mome.saving import UNFINISHED
from train.answers import generate_answers
from train.progress import bar, console
from train.settings import BackboneSettings, TrainSettings
from train.teach import teach

# Seconds within which a change is mostly over: the moment of a kill is drawn from them, and may be behind its end.
# "save" writes a copy; the others change the checkpoint, "compact" once a corrected fact's old rows are given back.
CHANGES = {"add": 0.1, "update": 0.1, "compact": 0.1, "forget": 0.05, "save": 0.05}
MIN_FACTS = 8
# What tells when and how long a training ran differs from one to the next.
NOT_COMPARED = ("report.json", "report.html", "manifest.json", ".lock")


def kill_changes(small: Small, num: int, seed: int, work: Path) -> dict[str, int]:
    """Kill processes that change a memory on disk; it must hold the facts from before or from after the change that
    was under way, and answer so."""
    rng = random.Random(seed)
    folder, journal = work / "changed", work / "changes.jsonl"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(small.folder, folder)
    facts = {fact.id: fact for fact in small.taught}
    found: Counter[str] = Counter(kills=num)
    with bar("kill changes", num) as advance:
        for number in range(num):
            journal.unlink(missing_ok=True)
            process = start(change_for_ever, folder, small, seed + number, journal)
            aim = list(CHANGES)[number % len(CHANGES)]
            wait_for(process, journal, lambda line, aim=aim: line["change"] == aim)
            time.sleep(rng.uniform(0, CHANGES[aim]))
            process.kill()
            process.join()
            assert process.exitcode == KILLED, f"the process ended by itself: {process.exitcode}"
            facts = check_changes(found, folder, small, facts, journal)
            advance(1)
    return {**{f"kills_in_{name}": found[f"in_{name}"] for name in CHANGES}, **_losses("kills", found)}


def _losses(prefix: str, found: Counter[str]) -> dict[str, int]:
    names = "while_writing", "committed", "not_opening", "lost", "wrong_answers"
    return {prefix: found["kills"], **{f"{prefix}_{name}": found[name] for name in names}}


def change_for_ever(folder: Path, small: Small, seed: int, journal: Path) -> None:
    """Change a memory at random and save it, over and over, and tell what is under way."""
    rng, told = random.Random(seed), Journal(journal)
    model, joiner = open_memory(folder)
    told.tell({"change": "open"})
    number = 0
    while True:
        facts = {fact.id: fact for fact in model.facts}
        absent = [fact for fact in (*small.taught, *small.spare) if fact.id not in facts]
        change = rng.choice([*CHANGES])
        if len(facts) < MIN_FACTS or (change == "add" and not absent):
            change = "add" if absent else "forget"
        number += 1
        if change == "save":
            saved = folder.with_name(f"saved-{number}")
            told.tell({"change": change, "after": answers_of(facts), "folder": str(saved)})
            model.save_pretrained(saved)
        elif change == "forget":
            gone = rng.choice(sorted(facts))
            told.tell({"change": change, "after": answers_of({k: v for k, v in facts.items() if k != gone})})
            model.forget([gone])
            model.save_changes()
        else:
            fact = rng.choice(absent) if change == "add" else corrected(rng.choice([*facts.values()]), small.spare, rng)
            told.tell({"change": change, "after": answers_of({**facts, fact.id: fact})})
            model.memorize([fact], joiner.tokenizer, update=change != "add")
            if change == "compact":
                model.compact()
            model.save_changes()
        told.tell({"change": "done"})


def check_changes(found: Counter[str], folder: Path, small: Small, before: dict, journal: Path) -> dict:
    """Compare what a killed process left with what it told; returns the facts that the memory holds now."""
    lines = Lines(journal).new()
    under_way = lines[-1] if lines[-1]["change"] in CHANGES else None
    done = [line["after"] for line, behind in pairwise(lines) if behind["change"] == "done"]
    allowed = [done[-1] if done else answers_of(before)]
    if under_way is not None:
        found[f"in_{under_way['change']}"] += 1
        allowed.append(under_way["after"])
    unfinished = [*folder.parent.glob(f".saved-*{UNFINISHED}")]
    for line in lines:
        if line.get("folder"):
            _check_saved(found, line, is_done=line is not under_way)
    for left in unfinished:
        shutil.rmtree(left)
    try:
        found["while_writing"] += bool(unfinished) or has_unnamed(folder)
        model, joiner = open_memory(folder)
    except Exception as error:  # whatever it is, it is counted, and the others go on with a whole one
        console.print(f"{folder}: {type(error).__name__}: {error}", markup=False)
        found["not_opening"] += 1
        shutil.rmtree(folder)
        shutil.copytree(small.folder, folder)
        return {fact.id: fact for fact in small.taught}
    facts = {fact.id: fact for fact in model.facts}
    found["lost"] += answers_of(facts) not in allowed
    found["committed"] += under_way is not None and answers_of(facts) == allowed[-1] != allowed[0]
    said = generate_answers(model, joiner, small.prompts())
    found["wrong_answers"] += sum(a != b for a, b in zip(said, small.expected(facts), strict=True))
    return facts


def has_unnamed(folder: Path) -> bool:
    """Whether there are files that no manifest names: a process was killed while it wrote them."""
    named = {entry.get("file", name) for name, entry in read_manifest(folder).files.items()}
    return bool({path.name for path in folder.iterdir()} - named - {FILE, ".lock"})


def _check_saved(found: Counter[str], line: dict, is_done: bool) -> None:
    """A memory saved to a folder of its own is there whole, or if it was under way perhaps not at all."""
    folder = Path(line["folder"])
    if not folder.exists():
        found["lost"] += is_done
        return
    try:
        found["lost"] += stored_answers(folder) != line["after"]
    except MomeError:
        found["not_opening"] += 1
    shutil.rmtree(folder)


def kill_trainings(settings: BackboneSettings, small: Small, num: int, seed: int, work: Path) -> dict[str, int]:
    """Kill trainings and go on with them; in the end each must have written what one that was left alone writes."""
    rng = random.Random(seed)
    shutil.rmtree(work / "alone", ignore_errors=True)
    given = {"facts": work / "small.jsonl", "index": INDEX, "chunk_facts": 8}
    start_time = time.monotonic()
    process = start(teach, train_settings(settings, out=work / "alone", **given))
    process.join()
    seconds = time.monotonic() - start_time
    expected = digests(work / "alone")
    found: Counter[str] = Counter()
    with bar("kill trainings", num) as advance:
        while found["kills"] < num:
            out = work / f"trained-{found['trained']}"
            while not out.exists():
                is_killed = train_until(train_settings(settings, out=out, **given), rng.uniform(0.2, seconds))
                found["kills"] += is_killed
                advance(is_killed)
            found["trained"] += 1
            found["not_identical"] += digests(out) != expected
            shutil.rmtree(out)
            shutil.rmtree(out.with_name(out.name + ".work"), ignore_errors=True)
    names = "kills", "trained", "not_identical"
    return {f"training_{name}": found[name] for name in names}


def train_until(settings: TrainSettings, seconds: float) -> bool:
    """Begin a training, or go on with it, and kill it after some time; returns whether it was."""
    settings.resume = (settings.out.with_name(settings.out.name + ".work") / "settings.json").exists()
    process = start(teach, settings)
    process.join(seconds)
    process.kill()
    process.join()
    assert process.exitcode in (0, KILLED), f"the training failed: {process.exitcode}"
    return process.exitcode == KILLED


def digests(folder: Path) -> dict[str, str]:
    """The digests of a checkpoint's files, but for those that hold times."""
    return {path.name: sha256_of(path) for path in sorted(folder.iterdir()) if path.name not in NOT_COMPARED}
