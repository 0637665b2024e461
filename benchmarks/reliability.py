"""`mome bench reliability`: what happens to a memory on a bad day, and what else changes when one fact does.

Processes are killed, files damaged, facts changed at random and asked for by many readers beside a writer; and one
fact among very many is added, corrected and forgotten. What a memory says is always taken from greedy `generate()`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from benchmarks.faults.kills import kill_changes, kill_trainings
from benchmarks.faults.memories import make_small
from benchmarks.faults.mutations import fuzz
from benchmarks.faults.one_fact import change_one_fact
from benchmarks.faults.readers import read_beside_a_writer
from benchmarks.faults.sequences import run_sequences
from benchmarks.record import check_sizes, keep, record
from mome.cli import settings_from
from train.progress import console
from train.settings import BackboneSettings
from train.work import open_folder


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
    sequences: int = 1_000
    """Sequences of random changes that are compared with a dictionary."""
    operations: int = 50
    """Changes in each of them."""
    large: int = 100_000
    """Facts beside which one is added, corrected or forgotten."""
    changes: int = 20
    """Facts that are added, and as many that are corrected, and forgotten, one at a time."""
    readers: int = 8
    """Processes that read beside one that writes."""
    seconds: int = 60
    """How long they do."""
    work: Path = Path("runs/reliability")
    """Folder of what is done so far, for --resume; it is removed at the end."""


def main(argv: list[str]) -> None:
    """Run all; print a table, record the result, and print it as one JSON line."""
    settings = settings_from("bench reliability", ReliabilitySettings, argv)
    sizes = "kills", "training_kills", "mutations", "sequences", "operations", "large", "changes", "readers", "seconds"
    check_sizes(settings, *sizes)
    work = open_folder(settings.work, settings, [])
    small = make_small(settings, settings.facts, work)
    seed = settings.seed
    parts: dict[str, Callable[[], dict]] = {
        "kills": lambda: kill_changes(small, settings.kills, seed, work),
        "training": lambda: kill_trainings(settings, small, settings.training_kills, seed, work),
        "readers": lambda: read_beside_a_writer(small, settings.readers, settings.seconds, seed, work),
        "sequences": lambda: run_sequences(small, settings.sequences, settings.operations, seed, work),
        "mutations": lambda: fuzz(small, settings.mutations, seed, work),
        "one_fact": lambda: change_one_fact(settings, settings.facts, settings.large, settings.changes, work),
    }
    result: dict[str, float] = {}
    for name, run in parts.items():
        done = work / f"{name}.json"
        if not done.exists():
            console.print(f"[bold]{name.replace('_', ' ')}[/bold]")
            keep(done, run())
        result |= json.loads(done.read_text(encoding="utf-8"))
    table = Table("measure", "value")
    for name, value in result.items():
        table.add_row(name, f"{value:.5g}" if isinstance(value, float) else f"{value:,}")
    console.print(table)
    record("reliability", f"mome bench reliability {' '.join(argv)}".strip(), result)
    shutil.rmtree(work)
    print(json.dumps(result))
