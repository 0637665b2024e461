"""`mome bench teach`: what it costs to teach facts exactly, beside LoRA and full fine-tuning.

Every method is taught the same facts on the same backbone until it recalls all of them by greedy `generate()`, or has
spent many times what the memory took. The rivals are given several learning rates each, and the best one counts. The
router is trained once for a backbone, on other facts, and does not count.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from rich.table import Table

from benchmarks.editing_data import load_corpus
from benchmarks.plots import plot_teach
from benchmarks.record import RESULTS, check_sizes, record
from mome.cli import settings_from
from mome.errors import SettingsError
from mome.facts import Fact, write_facts
from train.baselines.finetune import fine_tune
from train.baselines.lora import lora
from train.baselines.method import Method
from train.baselines.settings import FineTuneSettings, LoRASettings
from train.prepare import EMBEDDED_ROUTER, prepare
from train.progress import console
from train.settings import BackboneSettings, TrainSettings
from train.teach import teach
from train.verify import Questions, examine


@dataclass(kw_only=True)
class TeachSettings(BackboneSettings):
    """Settings of `mome bench teach`."""

    data: str = "counterfact"
    """What is taught: counterfact, zsre or pararel."""
    facts: int = 2000
    """How many facts, a seeded sample."""
    folder: Path = Path("../shared/data")
    """Folder of the published fact data."""
    router: Path = EMBEDDED_ROUTER
    """Router of the backbone, made by `mome route`."""
    lora_learning_rates: list[float] = field(default_factory=lambda: [1e-3, 5e-4, 2e-3])
    """Learning rates of LoRA."""
    full_learning_rates: list[float] = field(default_factory=lambda: [2e-4, 1e-4, 4e-4])
    """Learning rates of full fine-tuning."""
    max_ratio: float = 30.0
    """A rival stops when it has spent so many times the memory's processor time."""
    lora: LoRASettings = field(default_factory=LoRASettings)
    full: FineTuneSettings = field(default_factory=FineTuneSettings)
    work: Path = Path("runs/teach")
    """Folder for what is taught; it is emptied."""


@dataclass(kw_only=True)
class Taught:
    """What one training came to."""

    method: str
    learning_rate: float | None
    recall: float
    cpu_seconds: float
    num_steps: int


def main(argv: list[str]) -> None:
    """Teach every method; print a table, plot it, record the result, and print it as one JSON line."""
    settings = settings_from("bench teach", TeachSettings, argv)
    check_sizes(settings, "facts")
    if settings.max_ratio <= 0:
        raise SettingsError(f"--max-ratio {settings.max_ratio}: expected a number above 0")
    corpus = load_corpus(settings.data, settings.facts, settings.folder, settings.seed)
    facts = [replace(fact, paraphrases=(), locality=()) for fact in corpus.facts]
    shutil.rmtree(settings.work, ignore_errors=True)
    settings.work.mkdir(parents=True)
    torch.set_num_threads(1)  # threads that wait for others would count as processor time
    trained = [teach_memory(settings, facts)]
    print_table(trained)
    rates = {"lora": settings.lora_learning_rates, "full": settings.full_learning_rates}
    for method in rates:
        for rate in rates[method]:
            trained.append(teach_rival(settings, facts, trained, method, rate))
            print_table(trained)
    shutil.rmtree(settings.work)
    result = summarize(trained)
    plot_teach([(name_of(run), run.cpu_seconds, run.recall) for run in trained], RESULTS / "teach.png")
    record("teach", f"mome bench teach {' '.join(argv)}", result)
    print(json.dumps(result))


def teach_memory(settings: TeachSettings, facts: list[Fact]) -> Taught:
    """The memory, as `mome train` teaches it."""
    write_facts(settings.work / "facts.jsonl", facts)
    shared = {name: getattr(settings, name) for name in BackboneSettings.__dataclass_fields__}
    taught, out = settings.work / "facts.jsonl", settings.work / "memory"
    report = teach(TrainSettings(**shared, facts=taught, out=out, router=settings.router, before=False))
    return Taught(
        method="mome",
        learning_rate=None,
        recall=report["after"]["recall"],
        cpu_seconds=report["cpu_seconds"]["memorize"],
        num_steps=len(report["steps"]) - 1,
    )


def teach_rival(settings: TeachSettings, facts: list[Fact], trained: list[Taught], method: str, rate: float) -> Taught:
    """A rival at one learning rate. It stops where it can no more be the best of its kind, or at `max_ratio`."""
    complete = [run.cpu_seconds for run in trained if run.method == method and run.recall == 1]
    limit = min(complete, default=settings.max_ratio * trained[0].cpu_seconds)
    console.print(f"teaching {method} at learning rate {rate:g} for at most {limit:,.0f} CPU-seconds")
    prepared = prepare(settings)
    parts, work = (prepared.backbone, prepared.joiner, facts), settings.work / f"{method}_{rate:g}"
    runs: dict[str, Callable[[], Method]] = {
        "lora": lambda: lora(*parts, replace(settings.lora, learning_rate=rate, max_cpu_seconds=limit), work),
        "full": lambda: fine_tune(*parts, replace(settings.full, learning_rate=rate, max_cpu_seconds=limit), work),
    }
    model = runs[method]()
    asked = Questions(prompts=[(fact, fact.prompt) for fact in facts], paraphrases=[], locality=[], same_subject=[])
    recall = examine(model.generate, None, prepared.joiner, asked, f"ask {method}").shares(asked)["recall"]
    assert recall is not None
    return Taught(
        method=method,
        learning_rate=rate,
        recall=recall,
        cpu_seconds=round(model.cpu_seconds, 2),
        num_steps=model.num_steps,
    )


def best_of(runs: list[Taught]) -> Taught:
    """Of runs that recall most, the one that cost least."""
    return min(runs, key=lambda run: (-run.recall, run.cpu_seconds))


def summarize(trained: list[Taught]) -> dict[str, float | None]:
    """The flat result: of every rival its best run, and how many times the memory's processor time that took. Where it
    does not recall everything, it would have taken more."""
    result: dict[str, float | None] = {}
    for method in dict.fromkeys(run.method for run in trained):
        best = best_of([run for run in trained if run.method == method])
        result |= {f"{method}_{name}": getattr(best, name) for name in ("recall", "cpu_seconds", "num_steps")}
        if method != "mome":
            result[f"{method}_learning_rate"] = best.learning_rate
            result[f"{method}_over_mome_ratio"] = round(best.cpu_seconds / trained[0].cpu_seconds, 2)
    for run in trained[1:]:
        result |= {
            f"{run.method}_{run.learning_rate:g}_{name}": getattr(run, name) for name in ("recall", "cpu_seconds")
        }
    return result


def name_of(run: Taught) -> str:
    """A run in words."""
    words = {"mome": "memory", "lora": "LoRA", "full": "full fine-tuning"}
    return words[run.method] if run.learning_rate is None else f"{words[run.method]}, {run.learning_rate:g}"


def print_table(trained: list[Taught]) -> None:
    """Every run so far."""
    table = Table("method, learning rate", "recall", "CPU-seconds", "times the memory's", "steps")
    for run in trained:
        ratio = f"{run.cpu_seconds / trained[0].cpu_seconds:.1f}"
        table.add_row(name_of(run), f"{run.recall:.4f}", f"{run.cpu_seconds:,.1f}", ratio, f"{run.num_steps:,}")
    console.print(table)
