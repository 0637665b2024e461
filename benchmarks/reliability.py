"""`mome bench reliability`: what happens to a memory on a bad day, and what else changes when one fact does.

Processes are killed, files damaged, facts changed at random and asked for by many readers beside a writer; and one
fact among very many is added, corrected and forgotten. What a memory says is taken from greedy
`generate()`; the facts beside that one are compared by their logits.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.table import Table

from benchmarks.faults.kills import kill_changes, kill_trainings
from benchmarks.faults.memories import Small, make_small
from benchmarks.faults.mutations import fuzz, make_targets
from benchmarks.faults.one_fact import change_one_fact
from benchmarks.faults.readers import read_beside_a_writer
from benchmarks.faults.sequences import run_sequences
from benchmarks.record import RESULTS, check_sizes, commit, keep, record, recorded
from mome.cli import settings_from
from mome.errors import SettingsError
from train.progress import console
from train.settings import BackboneSettings
from train.work import open_folder

Part = Callable[["ReliabilitySettings", Small, Path], dict]
PARTS: dict[str, Part] = {
    "kills": lambda given, small, work: kill_changes(small, given.kills, given.seed, work),
    "training": lambda given, small, work: kill_trainings(given, small, given.training_kills, given.seed, work),
    "readers": lambda given, small, work: read_beside_a_writer(small, given.readers, given.seconds, given.seed, work),
    "sequences": lambda given, small, work: run_sequences(small, given.sequences, given.operations, given.seed, work),
    "mutations": lambda given, small, work: fuzz(small, given.mutations, given.seed, work, given.damaged),
    "one_fact": lambda given, _small, work: change_one_fact(
        given, given.facts, given.large, given.compared, given.changes, work
    ),
}


@dataclass(kw_only=True)
class ReliabilitySettings(BackboneSettings):
    """Settings of `mome bench reliability`."""

    facts: Path = Path("../shared/data/entity_questions/train.jsonl.gz")
    """File of facts with subjects, from which all memories are taught."""
    kills: int = 160
    """Processes killed while they add, update, forget and save."""
    training_kills: int = 40
    """Processes killed while they train."""
    mutations: int = 10_000
    """Damaged inputs for each reader."""
    damaged: list[str] = field(default_factory=list)
    """Readers that get them, such as `checkpoint index.faiss` or `table.parquet`; all by default."""
    sequences: int = 1_000
    """Sequences of random changes that are compared with a dictionary."""
    operations: int = 50
    """Changes in each of them."""
    large: int = 100_000
    """Facts beside which one is added, corrected or forgotten."""
    compared: int = 100_000
    """How many of these are compared, before and behind the changes."""
    changes: int = 20
    """Facts that are added, and as many that are corrected, and forgotten, one at a time."""
    readers: int = 8
    """Processes that read beside one that writes."""
    seconds: int = 60
    """How long they do."""
    parts: list[str] = field(default_factory=lambda: list(PARTS))
    """What is done now, of: kills, training, readers, sequences, mutations, one_fact. What was recorded of the others
    stays, each with the commit at which it was measured."""
    work: Path = Path("runs/reliability")
    """Folder of what is done so far, for --resume; it is removed at the end."""


def main(argv: list[str]) -> None:
    """Run all; print a table, record the result, and print it as one JSON line."""
    settings = settings_from("bench reliability", ReliabilitySettings, argv)
    sizes = "kills", "training_kills", "mutations", "sequences", "operations", "large", "compared", "changes"
    check_sizes(settings, *sizes, "readers", "seconds")
    unknown = set(settings.parts) - set(PARTS)
    if unknown or not settings.parts:
        raise SettingsError(f"--parts {settings.parts}: expected some of {', '.join(PARTS)}")
    readers = make_targets()
    if set(settings.damaged) - readers.keys():
        raise SettingsError(f"--damaged {settings.damaged}: expected some of {', '.join(readers)}")
    work = open_folder(settings.work, replace(settings, parts=list(PARTS)), [])
    small = make_small(settings, settings.facts, work)
    for name in settings.parts:
        if not (work / f"{name}.json").exists():
            console.print(f"[bold]{name.replace('_', ' ')}[/bold]")
            # What damaged inputs did is told reader by reader, since some may be measured anew without the others.
            when = {} if name == "mutations" else {f"{name}_commit": commit()}
            keep(work / f"{name}.json", {**when, **PARTS[name](settings, small, work)})
    done = [work / f"{name}.json" for name in PARTS if (work / f"{name}.json").exists()]
    result = {key: value for path in done for key, value in json.loads(path.read_text(encoding="utf-8")).items()}
    print_table(result)
    is_whole = len(done) == len(PARTS)
    if is_whole or (RESULTS / "reliability.json").exists():
        rest = {} if is_whole else recorded("reliability")
        record("reliability", f"mome bench reliability {' '.join(argv)}".strip(), {**rest, **result})
    if is_whole:
        shutil.rmtree(work)
    else:
        console.print(f"what is left to do is done by --resume; {work} holds what was done")
    print(json.dumps(result))


def print_table(result: dict[str, float | str]) -> None:
    """What was measured, line by line."""
    table = Table("measure", "value")
    for name, value in result.items():
        table.add_row(name, f"{value:.5g}" if isinstance(value, float) else str(value))
    console.print(table)
