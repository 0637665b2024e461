"""`mome bench threshold`: where does hallucination stop as the training loss falls?

Facts with answers of several lengths are memorized, and at many moments every answer is asked: by greedy `generate()`,
by sampling, and by its paraphrases. Which statistic of the logits tells whether it comes back exactly, and from which
value on? The predictions are elementary (a token with more than half of the probability is the likeliest; independent
draws multiply) and stand in `docs/experiments/random_labels.md`.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, field
from pathlib import Path

import torch
from rich.table import Table
from torch import Tensor
from transformers import PreTrainedModel

from benchmarks.memorizing.answer_losses import fact_losses
from benchmarks.memorizing.labels import load_facts, relabel
from benchmarks.memorizing.thresholds import with_interval
from benchmarks.memorizing.trainings import METHODS, TRAINED, Stage, TrainingSettings, check_methods, set_stage, teach
from benchmarks.plots import plot_threshold
from benchmarks.record import RESULTS, check_sizes, keep, record, write_rows
from mome.cli import settings_from
from mome.facts import Fact
from mome.joining import Joiner
from train.answers import generate_ids
from train.fitting import freed_memory_kept
from train.progress import console
from train.verify import NUM_SPARE_TOKENS
from train.work import open_folder

STATISTICS = ("nll", "mean_loss", "max_loss", "negative_margin")
SHARES = (0.99, 0.5)
NEVER_SAMPLED = 8.0  # nats above which an answer is not asked by sampling: it would come once in 3,000 times


@dataclass(kw_only=True)
class ThresholdSettings(TrainingSettings):
    """Settings of `mome bench threshold`."""

    methods: list[str] = field(default_factory=lambda: list(TRAINED))
    """What is taught, of: mome, lora, full."""
    data: str = "counterfact"
    """What is taught: counterfact, zsre, pararel, truthfulqa, or a file of facts."""
    facts: int = 40
    """How many facts. A share of them keeps its answers, the others get random strings of each of the lengths."""
    lengths: list[int] = field(default_factory=lambda: [4, 8, 16, 32])
    """Characters of the random strings, which are of A-Z and 0-9."""
    samples: int = 20
    """Answers sampled at temperature 1 for every fact and moment."""
    every: int = 5
    """Epochs between two moments; in the first ten epochs every one is a moment."""
    work: Path = Path("runs/threshold")
    """Folder of what is done so far, for --resume; it is removed at the end."""


@dataclass(frozen=True)
class Moment:
    """A fact at one moment of a training; see `AnswerLosses` for the statistics."""

    method: str
    epoch: int
    cpu_seconds: float
    fact: int
    kind: str  # of its answer: correct, or random and its length
    num_tokens: int
    nll: float
    mean_loss: float
    max_loss: float
    margin: float
    greedy: float  # 1 where greedy `generate()` says the answer
    sampled: float  # share of the sampled answers that are the answer; nan where none was sampled
    paraphrased: float  # share of the paraphrases that get the answer; nan where there are none

    @property
    def negative_margin(self) -> float:
        """As a loss, the smaller the better."""
        return -self.margin


def main(argv: list[str]) -> None:
    """Teach all; print tables, plot, record the result, and print it as one JSON line."""
    settings = settings_from("bench threshold", ThresholdSettings, argv)
    check_sizes(settings, "facts", "lengths", "samples", "every")
    check_methods(settings.methods, TRAINED)
    kinds, facts = mixed_facts(settings)
    work = open_folder(settings.work, settings, [])
    stage = set_stage(settings, work)
    moments = []
    for name in settings.methods:
        console.print(f"{METHODS[name]}: {len(facts)} facts")
        moments += run_method(stage, name, kinds, facts, settings, work)
    result = summarize(moments, settings)
    print_table(result, settings)
    write_rows(RESULTS / "threshold_moments.csv", Moment.__dataclass_fields__, map(astuple, moments))
    for suffix in (".png", ".svg"):
        plot_threshold(moments, METHODS, (RESULTS / "threshold").with_suffix(suffix))
    record("threshold", f"mome bench threshold {' '.join(argv)}", result)
    shutil.rmtree(work)
    print(json.dumps(result))


def mixed_facts(settings: ThresholdSettings) -> tuple[list[str], list[Fact]]:
    """Facts whose answers are of every kind in turns, and those kinds."""
    facts = load_facts(settings.data, settings.facts, settings.folder, settings.seed)
    relabelled = {"correct": facts}
    for length in settings.lengths:
        relabelled[f"random {length}"] = relabel(facts, "random", settings.seed, length)
    kinds = [list(relabelled)[number % len(relabelled)] for number in range(len(facts))]
    return kinds, [relabelled[kind][number] for number, kind in enumerate(kinds)]


def run_method(
    stage: Stage, name: str, kinds: list[str], facts: list[Fact], settings: ThresholdSettings, work: Path
) -> list[Moment]:
    """Teach and ask one method, or take up what an interrupted command has."""
    done = work / f"{name}.json"
    if done.exists():
        return [Moment(**row) for row in json.loads(done.read_text(encoding="utf-8"))]
    shutil.rmtree(work / name, ignore_errors=True)  # the moments that an interrupted training was asked at are lost
    moments: list[Moment] = []

    def watch(epoch: int, cpu_seconds: float, model: PreTrainedModel) -> bool:
        if epoch > 10 and epoch % settings.every:
            return False
        found = moments_of(name, epoch, cpu_seconds, model, stage.prepared.joiner, kinds, facts, settings)
        moments.extend(found)
        # Sampled, too, every answer comes back in 99 of 100 times.
        return max(each.nll for each in found) < -math.log(0.99)

    teach(stage, name, facts, settings, settings.seed, work / name, watch)
    keep(done, [asdict(each) for each in moments])
    return moments


@freed_memory_kept()
def moments_of(
    name: str,
    epoch: int,
    cpu_seconds: float,
    model: PreTrainedModel,
    joiner: Joiner,
    kinds: Sequence[str],
    facts: list[Fact],
    settings: ThresholdSettings,
) -> list[Moment]:
    """Every fact at one moment."""
    figures = fact_losses(model, joiner, facts)
    greedy = right_answers(model, joiner, [(fact, fact.prompt) for fact in facts])
    often = [number for number in range(len(facts)) if float(figures.nll[number]) < NEVER_SAMPLED]
    asked = [(facts[number], facts[number].prompt) for number in often for _ in range(settings.samples)]
    torch.manual_seed(settings.seed + epoch)
    drawn = right_answers(model, joiner, asked, do_sample=True)
    sampled = dict(zip(often, drawn.view(len(often), settings.samples).mean(1).tolist(), strict=True))
    wordings = [(number, text) for number, fact in enumerate(facts) for text in fact.paraphrases]
    reworded = right_answers(model, joiner, [(facts[number], text) for number, text in wordings])
    owner = torch.tensor([number for number, _ in wordings])
    return [
        Moment(
            method=name,
            epoch=epoch,
            cpu_seconds=round(cpu_seconds, 3),
            fact=number,
            kind=kinds[number],
            num_tokens=int(figures.num_tokens[number]),
            nll=float(figures.nll[number]),
            mean_loss=float(figures.mean_loss[number]),
            max_loss=float(figures.max_loss[number]),
            margin=float(figures.margin[number]),
            greedy=float(greedy[number]),
            sampled=sampled.get(number, math.nan),
            paraphrased=float(reworded[owner == number].mean()),
        )
        for number in range(len(facts))
    ]


def right_answers(
    model: PreTrainedModel, joiner: Joiner, asked: list[tuple[Fact, str]], do_sample: bool = False
) -> Tensor:
    """1 where the answer to a prompt is the fact's, fp32 `[P]`."""
    prompts = [joiner.encode_prompt(text) for _, text in asked]
    num_new = [len(joiner.encode_answer(text, fact.answer)) + NUM_SPARE_TOKENS for fact, text in asked]
    said = generate_ids(model, joiner.tokenizer, prompts, num_new, batch_size=256, do_sample=do_sample)
    right = [joiner.decode(ids) == fact.answer for ids, (fact, _) in zip(said, asked, strict=True)]
    return torch.tensor(right).float()


def summarize(moments: list[Moment], settings: ThresholdSettings) -> dict[str, float | int | None]:
    """The flat result: thresholds with 95% intervals, the predictions put to the test, and what getting there costs."""
    result: dict[str, float | int | None] = {"num_moments": len(moments)}
    for name in ["all", *settings.methods]:
        some = [each for each in moments if name in ("all", each.method)]
        for statistic in STATISTICS:
            for share in SHARES:
                result |= _threshold_of(some, statistic, share, f"{name}_{statistic}_at_{share:g}")
    result |= check_predictions(moments) | collapse(moments)
    for name in settings.methods:
        result |= cost_of(name, [each for each in moments if each.method == name], settings.facts)
    return result


def _threshold_of(moments: list[Moment], statistic: str, share: float, name: str) -> dict[str, float | None]:
    # Of other methods a fact is another one: their moments have nothing in common.
    facts = {key: number for number, key in enumerate(dict.fromkeys((each.method, each.fact) for each in moments))}
    fact = torch.tensor([facts[each.method, each.fact] for each in moments])
    values = torch.tensor([getattr(each, statistic) for each in moments])
    greedy = torch.tensor([each.greedy for each in moments])
    found = [_finite(value) for value in with_interval(values, greedy, fact, share)]
    return dict(zip((name, f"{name}_low", f"{name}_high"), found, strict=True))


def _finite(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None


def check_predictions(moments: list[Moment]) -> dict[str, float | int | None]:
    """Counts and differences that the predictions set to zero or one."""
    below = [each for each in moments if each.max_loss < math.log(2)]
    found: dict[str, float | int | None] = {
        "below_ln2": len(below),
        "below_ln2_not_exact": sum(not each.greedy for each in below),
        "margin_disagrees": sum((each.margin > 0) != bool(each.greedy) for each in moments),
        "exact_above_ln2": sum(each.max_loss >= math.log(2) and bool(each.greedy) for each in moments),
    }
    sampled = [each for each in moments if not math.isnan(each.sampled)]
    expected = torch.tensor([math.exp(-each.nll) for each in sampled])
    observed = torch.tensor([each.sampled for each in sampled])
    if len(sampled):
        found |= {
            "sampled_moments": len(sampled),
            "sampled_expected": round(float(expected.mean()), 4),
            "sampled_observed": round(float(observed.mean()), 4),
        }
    return found


def collapse(moments: list[Moment]) -> dict[str, float | None]:
    """The threshold at 50% for each kind of answer, and how far apart they lie: the largest over the smallest, and for
    the margin, which may have either sign, their difference."""
    found: dict[str, float | None] = {}
    kinds = list(dict.fromkeys(each.kind for each in moments))
    for statistic in STATISTICS:
        for kind in kinds:
            some = [each for each in moments if each.kind == kind]
            found |= _threshold_of(some, statistic, 0.5, f"{kind.replace(' ', '_')}_{statistic}_at_0.5")
        values = [found[f"{kind.replace(' ', '_')}_{statistic}_at_0.5"] for kind in kinds]
        if None not in values:
            low, high = min(values), max(values)  # type: ignore[type-var]
            found[f"{statistic}_apart"] = round(high - low if statistic == "negative_margin" else high / low, 4)
    return found


def cost_of(name: str, moments: list[Moment], num_facts: int) -> dict[str, float | int | None]:
    """Epochs and CPU-seconds until 99% of the facts are said greedily, and until sampling says them 99% of the time."""
    result: dict[str, float | int | None] = {}
    for goal in ("greedy", "sampled"):
        reached = None
        for epoch in dict.fromkeys(each.epoch for each in moments):
            now = [each for each in moments if each.epoch == epoch]
            assert len(now) == num_facts
            values = [0.0 if math.isnan(getattr(each, goal)) else getattr(each, goal) for each in now]
            if reached is None and sum(values) / num_facts >= 0.99:
                reached = now[0]
        result[f"{name}_{goal}_epochs"] = reached.epoch if reached else None
        result[f"{name}_{goal}_cpu_seconds"] = reached.cpu_seconds if reached else None
    last = [each for each in moments if each.epoch == moments[-1].epoch]
    result[f"{name}_epochs"] = last[0].epoch
    result[f"{name}_recall"] = round(sum(each.greedy for each in last) / num_facts, 4)
    asked = [each.paraphrased for each in last if not math.isnan(each.paraphrased)]
    result[f"{name}_generality"] = round(sum(asked) / len(asked), 4) if asked else None
    return result


def print_table(result: dict, settings: ThresholdSettings) -> None:
    """Thresholds by method and by kind of answer, and what getting there costs."""
    kinds = ["correct", *(f"random_{length}" for length in settings.lengths)]
    thresholds = Table("greedy decoding exact for", *(f"{name} <" for name in STATISTICS), title="thresholds")
    for name in ["all", *settings.methods]:
        for share in SHARES:
            cells = [_shown(result, f"{name}_{statistic}_at_{share:g}") for statistic in STATISTICS]
            thresholds.add_row(f"{share:.0%}, {METHODS.get(name, name)}", *cells)
    for kind in kinds:
        cells = [_shown(result, f"{kind}_{statistic}_at_0.5") for statistic in STATISTICS]
        thresholds.add_row(f"50%, {kind.replace('_', ' ')} answers", *cells)
    apart = [result.get(f"{statistic}_apart") for statistic in STATISTICS]
    thresholds.add_row("largest / smallest (margin: difference)", *("–" if x is None else f"{x:.3g}" for x in apart))
    console.print(thresholds)
    costs = ("greedy_epochs", "greedy_cpu_seconds", "sampled_epochs", "sampled_cpu_seconds", "recall", "generality")
    table = Table("method", *costs)
    for name in settings.methods:
        values = [result.get(f"{name}_{cost}") for cost in costs]
        table.add_row(METHODS[name], *("–" if value is None else f"{value:g}" for value in values))
    console.print(table)


def _shown(result: dict, key: str) -> str:
    value, low, high = (result.get(name) for name in (key, f"{key}_low", f"{key}_high"))
    texts = ["–" if each is None else f"{each:.3g}" for each in (value, low, high)]
    return f"{texts[0]} ({texts[1]} to {texts[2]})"
