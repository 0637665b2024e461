"""`mome bench random-labels`: are random answers learned as fast as true ones, and does what else a model knows tell?

The experiment of arXiv 2406.17642, appendix A, with the numbers that it leaves out: every method is taught the same
questions with their true answers, with random strings and with each other's answers, and what it still does on
everything else is measured item by item.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, astuple, dataclass, field
from pathlib import Path

import torch
from rich.table import Table
from torch import Tensor

from benchmarks.memorizing.answer_losses import fact_losses
from benchmarks.memorizing.generalization import HeldOut, Outcome, generalize, load_held_out, perplexity, say_known
from benchmarks.memorizing.intervals import bootstrap
from benchmarks.memorizing.labels import LABELS, NUM_CHARACTERS, load_facts, num_bits, relabel
from benchmarks.memorizing.trainings import (
    METHODS,
    Stage,
    TrainingSettings,
    check_methods,
    set_stage,
    teach,
    teach_memory,
)
from benchmarks.plots import plot_differences, plot_epochs
from benchmarks.record import RESULTS, check_sizes, keep, record, write_rows
from mome.cli import settings_from
from mome.errors import SettingsError
from mome.facts import Fact
from mome.modeling import MoMEForCausalLM
from mome.tables import parts_of
from train.answers import generate_with
from train.baselines.method import Method
from train.progress import console
from train.verify import Questions, evaluate, examine
from train.work import open_folder

MEASURES: dict[str, Callable[[Tensor], Tensor]] = {
    **{name: lambda drawn: drawn.mean((-2, -1)) for name in ("known", "agreement", "mc1", "mc2")},
    "log_perplexity": perplexity,
}


@dataclass(kw_only=True)
class RandomLabelsSettings(TrainingSettings):
    """Settings of `mome bench random-labels`."""

    data: str = "truthfulqa"
    """What is taught: truthfulqa, counterfact, zsre, pararel, or a file of facts."""
    facts: int = 24
    """How many facts, another sample for every seed."""
    labels: list[str] = field(default_factory=lambda: list(LABELS))
    """Answers that are taught, of: correct, random (strings of characters), shuffled (another fact's answer)."""
    characters: int = NUM_CHARACTERS
    """Length of the random strings, which are of A-Z and 0-9."""
    num_seeds: int = 3
    """How often everything is repeated: with other facts, other random answers and another order."""
    stop_loss: float = 0.03
    """LoRA and full fine-tuning have converged when all answers are exact and a token's mean loss is below this."""
    held_out: int = 100
    """Items of each kind on which the rest is measured: known questions, questions of TruthfulQA, unrelated texts."""
    large: int = 1000
    """Facts of CounterFact that are taught to the memory alone in the end, with random answers."""
    work: Path = Path("runs/random_labels")
    """Folder of what is done so far, for --resume; it is removed at the end."""


@dataclass(frozen=True)
class Epoch:
    """What is known of the taught answers after so many passes over them; see `AnswerLosses`."""

    epoch: int
    cpu_seconds: float
    loss: float  # mean over all tokens
    recall: float  # share of the answers whose margin is above 0
    max_loss: float
    margin: float


@dataclass
class Run:
    """One method, taught one labelling with one seed."""

    method: str
    labels: str
    seed: int
    epochs: list[Epoch]
    recall: float  # by greedy `generate()`, at the end
    cpu_seconds: float
    outcome: Outcome


def main(argv: list[str]) -> None:
    """Teach all; print a table, plot it, record the result, and print it as one JSON line."""
    settings = settings_from("bench random-labels", RandomLabelsSettings, argv)
    check_sizes(settings, "facts", "characters", "num_seeds", "held_out")
    if unknown := set(settings.labels) - set(LABELS):
        raise SettingsError(f"--labels {sorted(unknown)}: expected some of {', '.join(LABELS)}")
    check_methods(settings.methods, list(METHODS))
    seeds = range(settings.seed, settings.seed + settings.num_seeds)
    taught = {seed: load_facts(settings.data, settings.facts, settings.folder, seed) for seed in seeds}
    work = open_folder(settings.work, settings, [])
    stage = set_stage(settings, work)
    asked = {fact.prompt for facts in taught.values() for fact in facts}
    held_out = load_held_out(
        settings.backbone, stage.prepared.joiner, asked, settings.held_out, settings.folder, settings.seed
    )
    bare = run_bare(stage, held_out)
    runs = []
    for seed in seeds:
        for labels in settings.labels:
            for name in settings.methods:
                console.print(f"seed {seed}, {labels} answers: {METHODS[name]}")
                facts = relabel(taught[seed], labels, seed, settings.characters)
                runs.append(run_method(stage, name, labels, facts, seed, settings, held_out, bare, work))
    result = summarize(bare, runs, settings)
    if settings.large:
        result |= teach_large(stage, settings)
    print_table(result, settings)
    epochs = ((run.method, run.labels, run.seed, *astuple(epoch)) for run in runs for epoch in run.epochs)
    columns = "method", "labels", "seed", *Epoch.__dataclass_fields__
    write_rows(RESULTS / "random_labels_epochs.csv", columns, epochs)
    for suffix in (".png", ".svg"):
        plot_epochs(runs, METHODS, (RESULTS / "random_labels_epochs").with_suffix(suffix))
        plot_differences(result, settings.methods, METHODS, (RESULTS / "random_labels_rest").with_suffix(suffix))
    record("random_labels", f"mome bench random-labels {' '.join(argv)}", result)
    shutil.rmtree(work)
    print(json.dumps(result))


def run_bare(stage: Stage, held_out: HeldOut) -> tuple[list[list[int]], Outcome]:
    """The bare backbone: what it says to the known questions, and its results."""
    joiner, model = stage.prepared.joiner, stage.prepared.backbone
    alone = Method(name="bare", generate=generate_with(model, joiner), model=model)
    said = say_known(alone.generate, held_out)
    return said, generalize(alone, said, joiner, held_out)


def run_method(
    stage: Stage,
    name: str,
    labels: str,
    facts: list[Fact],
    seed: int,
    settings: RandomLabelsSettings,
    held_out: HeldOut,
    bare: tuple[list[list[int]], Outcome],
    work: Path,
) -> Run:
    """Teach and measure once, or take up what an interrupted command has measured."""
    done = work / f"{name}_{labels}_{seed}.json"
    if done.exists():
        stored = json.loads(done.read_text(encoding="utf-8"))
        epochs = [Epoch(**row) for row in stored.pop("epochs")]
        return Run(epochs=epochs, outcome=Outcome(**stored.pop("outcome")), **stored)
    training = work / f"{name}_{labels}_{seed}"
    shutil.rmtree(training, ignore_errors=True)  # the epochs that an interrupted training was watched for are lost
    joiner, epochs = stage.prepared.joiner, []

    def watch(epoch: int, cpu_seconds: float, model) -> bool:
        epochs.append(observe_epoch(epoch, cpu_seconds, model, stage, facts))
        return epochs[-1].recall == 1 and epochs[-1].loss < settings.stop_loss

    method = teach(stage, name, facts, settings, seed, training, watch)
    asked = Questions(prompts=[(fact, fact.prompt) for fact in facts], paraphrases=[], locality=[], same_subject=[])
    recall = examine(method.generate, None, joiner, asked, f"ask {METHODS[name]}").shares(asked)["recall"]
    assert recall is not None
    outcome = generalize(method, bare[0], joiner, held_out)
    run = Run(name, labels, seed, epochs, recall, round(method.cpu_seconds, 2), outcome)
    keep(done, asdict(run))
    return run


def observe_epoch(epoch: int, cpu_seconds: float, model, stage: Stage, facts: list[Fact]) -> Epoch:
    """Statistics of all taught answers at this moment."""
    figures = fact_losses(model, stage.prepared.joiner, facts)
    return Epoch(
        epoch=epoch,
        cpu_seconds=round(cpu_seconds, 3),
        loss=float(figures.nll.sum() / figures.num_tokens.sum()),
        recall=float((figures.margin > 0).float().mean()),
        max_loss=float(figures.max_loss.max()),
        margin=float(figures.margin.min()),
    )


def teach_large(stage: Stage, settings: RandomLabelsSettings) -> dict[str, float | int | None]:
    """Many facts with random answers, to the memory alone: recall and locality as `mome train` measures them, and the
    loss that it begins with, beside the bare backbone's."""
    facts = load_facts("counterfact", settings.large, settings.folder, settings.seed)
    facts = relabel(facts, "random", settings.seed, settings.characters)
    console.print(f"{len(facts):,} facts with random answers: memory")
    method = teach_memory(stage, facts, settings, settings.seed)
    model, joiner = stage.model, stage.prepared.joiner
    after = evaluate(model, joiner, facts, "verify").summary()
    taught_loss = _mean_loss(model, stage, facts)
    with model.memory_disabled():
        bare_loss = _mean_loss(model, stage, facts)
    model.bank.up = torch.zeros_like(torch.cat(parts_of(model.bank.up)))
    found = {name: after[name] for name in ("recall", "generality", "locality", "locality_same_subject", "experts")}
    found |= {"first_loss": _mean_loss(model, stage, facts), "bare_loss": bare_loss, "last_loss": taught_loss}
    found |= {"cpu_seconds": round(method.cpu_seconds, 1), "epochs": method.num_steps}
    return {f"large_{name}": value for name, value in found.items()}


def _mean_loss(model: MoMEForCausalLM, stage: Stage, facts: list[Fact]) -> float:
    figures = fact_losses(model, stage.prepared.joiner, facts)
    return round(float(figures.nll.sum() / figures.num_tokens.sum()), 6)


def summarize(bare: tuple[list[list[int]], Outcome], runs: list[Run], settings: RandomLabelsSettings) -> dict:
    """The flat result: means over the seeds, with 95% intervals where single items were measured, and the paired
    differences to correct answers."""
    result: dict = {"bits": round(num_bits(settings.characters), 1)}
    for measure in MEASURES:
        result |= _with_interval(f"bare_{measure}", _table([bare[1]], measure), measure)
    for name in settings.methods:
        for labels in settings.labels:
            same = [run for run in runs if (run.method, run.labels) == (name, labels)]
            prefix = f"{name}_{labels}"
            result[f"{prefix}_recall"] = _mean([run.recall for run in same])
            result[f"{prefix}_cpu_seconds"] = _mean([run.cpu_seconds for run in same])
            result |= _of_epochs(prefix, same)
            for measure in MEASURES:
                result |= _with_interval(f"{prefix}_{measure}", _table([run.outcome for run in same], measure), measure)
        for labels in settings.labels:
            if labels != "correct" and "correct" in settings.labels:
                result |= _differences(name, labels, runs)
    return result


def _of_epochs(prefix: str, runs: list[Run]) -> dict[str, float | None]:
    """Epochs until every answer was exact (None where some run never got there), all epochs, and where they end."""
    if not runs[0].epochs:
        return {}
    first = [next((row.epoch for row in run.epochs if row.recall == 1), None) for run in runs]
    last = [run.epochs[-1] for run in runs]
    reached = [epoch for epoch in first if epoch is not None]
    result: dict[str, float | None] = {
        f"{prefix}_epochs_to_recall": _mean(reached) if len(reached) == len(first) else None,
        f"{prefix}_epochs": _mean([row.epoch for row in last]),
        f"{prefix}_first_loss": _mean([run.epochs[0].loss for run in runs]),
    }
    for name in ("loss", "max_loss", "margin"):
        result[f"{prefix}_{name}"] = _mean([getattr(row, name) for row in last])
    return result


def _differences(name: str, labels: str, runs: list[Run]) -> dict[str, float]:
    """What other answers did less what correct ones did, to the same method, seed and item."""
    pair = [[run.outcome for run in runs if (run.method, run.labels) == (name, each)] for each in (labels, "correct")]
    result = {}
    for measure in MEASURES:
        other, correct = (_table(outcomes, measure) for outcomes in pair)
        if other.numel():
            result |= _named(f"{name}_{labels}_minus_correct_{measure}", bootstrap(other - correct))
    return result


def _table(outcomes: list[Outcome], measure: str) -> Tensor:
    return torch.tensor([getattr(outcome, measure) for outcome in outcomes])  # [S, Q]


def _with_interval(name: str, table: Tensor, measure: str) -> dict[str, float]:
    if not table.numel():
        return {}
    return _named(name.replace("log_perplexity", "perplexity"), bootstrap(table, MEASURES[measure]))


def _named(name: str, found: tuple[float, float, float]) -> dict[str, float]:
    return dict(zip((name, f"{name}_low", f"{name}_high"), found, strict=True))


def _mean(values: list) -> float:
    return round(sum(values) / len(values), 4)


def print_table(result: dict, settings: RandomLabelsSettings) -> None:
    """What was taught, and the rest: methods and labellings, line by line."""
    taught = ("recall", "epochs_to_recall", "loss", "max_loss", "margin", "cpu_seconds")
    rest = ("known", "agreement", "mc1", "mc2", "perplexity")
    names = [(METHODS[name], labels, f"{name}_{labels}") for name in settings.methods for labels in settings.labels]
    for measures, rows in ((taught, names), (rest, [("bare backbone", "", "bare"), *names])):
        table = Table("method", "answers", *(measure.replace("_", " ") for measure in measures))
        for method, labels, prefix in rows:
            cells = [result.get(f"{prefix}_{measure}") for measure in measures]
            table.add_row(method, labels, *("–" if value is None else f"{value:.3g}" for value in cells))
        console.print(table)
