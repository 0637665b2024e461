"""`mome bench capacity`: how much is memorized with how many parameters?

Random strings hold a known number of bits. The memory is taught more and more of them at several ranks of its experts,
LoRA at several ranks of its adapters; what counts as memorized are whole answers, and bits: those of the answers less
those that the model still lacks, which is its loss on them (arXiv 2505.24832, section 3, for texts of known entropy).
"""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from rich.table import Table

from benchmarks.memorizing.answer_losses import fact_losses
from benchmarks.memorizing.labels import NUM_CHARACTERS, load_facts, num_bits, relabel
from benchmarks.memorizing.trainings import Stage, TrainingSettings, check_methods, set_stage, teach
from benchmarks.plots import plot_capacity
from benchmarks.record import RESULTS, check_sizes, keep, record
from mome.cli import settings_from
from mome.facts import Fact
from train.progress import console
from train.work import open_folder


@dataclass(kw_only=True)
class CapacitySettings(TrainingSettings):
    """Settings of `mome bench capacity`."""

    methods: list[str] = field(default_factory=lambda: ["mome", "lora"])
    """What is taught, of: mome, lora."""
    data: str = "counterfact"
    """Whose prompts are taught: counterfact, zsre, pararel, truthfulqa, or a file of facts."""
    mome_ranks: list[int] = field(default_factory=lambda: [0, 1, 4])
    """Ranks of the memory's experts; 0 is a bare residual."""
    lora_ranks: list[int] = field(default_factory=lambda: [1, 4])
    """Ranks of the adapters."""
    mome_facts: list[int] = field(default_factory=lambda: [32, 128, 256])
    """How many facts the memory is taught."""
    lora_facts: list[int] = field(default_factory=lambda: [32, 128])
    """How many facts LoRA is taught."""
    characters: int = NUM_CHARACTERS
    """Length of the random strings, which are of A-Z and 0-9."""
    work: Path = Path("runs/capacity")
    """Folder of what is done so far, for --resume; it is removed at the end."""


@dataclass(frozen=True)
class Held:
    """What one training came to."""

    method: str
    rank: int
    num_facts: int
    num_parameters: int
    exact: int  # facts said exactly
    bits: float  # memorized, of all answers together
    epochs: int
    cpu_seconds: float

    @property
    def bits_per_parameter(self) -> float:
        """Of the parameters that were trained."""
        return self.bits / self.num_parameters


def main(argv: list[str]) -> None:
    """Teach all; print a table, plot it, record the result, and print it as one JSON line."""
    settings = settings_from("bench capacity", CapacitySettings, argv)
    check_sizes(settings, "lora_ranks", "mome_facts", "lora_facts", "characters")
    check_methods(settings.methods, ("mome", "lora"))
    num_largest = max(settings.mome_facts + settings.lora_facts)
    facts = load_facts(settings.data, num_largest, settings.folder, settings.seed)
    facts = relabel(facts, "random", settings.seed, settings.characters)
    work = open_folder(settings.work, settings, [])
    ranks = {"mome": settings.mome_ranks, "lora": settings.lora_ranks}
    sizes = {"mome": settings.mome_facts, "lora": settings.lora_facts}
    held = []
    for name in settings.methods:
        for rank in ranks[name]:
            ranked = replace(settings, rank=rank) if name == "mome" else settings
            ranked = replace(ranked, lora=replace(settings.lora, rank=rank)) if name == "lora" else ranked
            stage = set_stage(ranked, work)
            for num in sizes[name]:
                held.append(fill(stage, ranked, name, rank, facts[:num], work))
                print_table(held)
    for suffix in (".png", ".svg"):
        plot_capacity(held, (RESULTS / "capacity").with_suffix(suffix))
    result = summarize(held, settings)
    record("capacity", f"mome bench capacity {' '.join(argv)}", result)
    shutil.rmtree(work)
    print(json.dumps(result))


def fill(stage: Stage, settings: CapacitySettings, name: str, rank: int, facts: list[Fact], work: Path) -> Held:
    """Teach random answers to one method of one rank, or take up what an interrupted command has measured."""
    done = work / f"{name}_{rank}_{len(facts)}.json"
    if done.exists():
        return Held(**json.loads(done.read_text(encoding="utf-8")))
    num_epochs = 0

    def watch(epoch: int, _cpu_seconds: float, model) -> bool:
        nonlocal num_epochs
        num_epochs = epoch
        return name == "lora" and epoch % 10 == 0 and _exact(model, stage, facts) == len(facts)

    training = work / done.stem
    shutil.rmtree(training, ignore_errors=True)
    console.print(f"{name}, rank {rank}: {len(facts):,} facts")
    method = teach(stage, name, facts, settings, settings.seed, training, watch)
    assert method.model is not None
    figures = fact_losses(method.model, stage.prepared.joiner, facts)
    lacking = (figures.nll / math.log(2)).clamp_max(num_bits(settings.characters))
    held = Held(
        method=name,
        rank=rank,
        num_facts=len(facts),
        num_parameters=method.num_trainable,
        exact=int((figures.margin > 0).sum()),
        bits=float((num_bits(settings.characters) - lacking).sum()),
        epochs=num_epochs,
        cpu_seconds=round(method.cpu_seconds, 2),
    )
    keep(done, asdict(held))
    return held


def _exact(model, stage, facts: list[Fact]) -> int:
    return int((fact_losses(model, stage.prepared.joiner, facts).margin > 0).sum())


def summarize(held: list[Held], settings: CapacitySettings) -> dict[str, float | int]:
    """The flat result."""
    result: dict[str, float | int] = {"bits_of_an_answer": round(num_bits(settings.characters), 1)}
    for each in held:
        prefix = f"{each.method}_rank_{each.rank}_{each.num_facts}"
        for name in ("num_parameters", "exact", "epochs", "cpu_seconds"):
            result[f"{prefix}_{name}"] = getattr(each, name)
        result[f"{prefix}_bits_per_parameter"] = round(each.bits_per_parameter, 4)
    return result


def print_table(held: list[Held]) -> None:
    """Every training so far."""
    table = Table("method", "rank", "facts", "exact", "parameters", "bits each", "epochs", "CPU-seconds")
    for each in held:
        counts = (f"{number:,}" for number in (each.num_facts, each.exact, each.num_parameters))
        cost = f"{each.epochs}", f"{each.cpu_seconds:.1f}"
        table.add_row(each.method, str(each.rank), *counts, f"{each.bits_per_parameter:.4f}", *cost)
    console.print(table)
