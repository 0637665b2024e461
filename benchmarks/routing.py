"""`mome bench routing`: what each ingredient of the router contributes. Each is left out, or changed, once.

Every variant is trained briefly on the same generated groups, and its gate is set by its own calibration. At that gate
it is measured on generated subjects that it has not seen, and on facts of CounterFact's training split, whose wordings
and relations no generated text has.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import lightning
import torch
from rich.table import Table
from torch import Tensor

from benchmarks import routing_end_to_end
from benchmarks.record import record
from benchmarks.routing_end_to_end import ExpertBatch, Experts, expert_loss, write_experts
from mome.checkpoint import new_router
from mome.cli import settings_from
from mome.config import MoMEConfig
from mome.errors import SettingsError
from mome.joining import Joiner
from mome.router import PoolState, Router
from train.calibrate import SHARES, measure_gate, set_gate
from train.corpus import read_texts
from train.fitting import fit
from train.prepare import Prepared, prepare, read_groups, sample_subjects
from train.progress import console
from train.route import RouteBatch, RouteModule, fill_background, fit_whitening, make_pool, observe_pool
from train.route_texts import Group, TextMaker, split_groups
from train.settings import BackboneSettings, RouteSettings


@dataclass(kw_only=True)
class RoutingSettings:
    """Settings of `mome bench routing`."""

    backbone: str = "embedded"
    """Folder or Hugging Face id of any decoder-only model."""
    steps: int = 300
    """Gradient steps of each variant."""
    groups: int = 2500
    """Generated groups of paraphrases that each variant is trained and calibrated on."""
    unseen: int = 1000
    """Facts of CounterFact's training split that each variant is measured on."""
    folder: Path = Path("../shared/data")
    """Folder of the published fact data."""
    work: Path = Path("runs/routing")
    """Folder for the logs."""
    variants: list[str] = field(default_factory=list)
    """Names of the variants to run; all by default."""
    seeds: list[int] = field(default_factory=lambda: [0])
    """Seeds of training, one run of every variant each; a table shows their means."""


# Heads of the table's columns: questions that are stored, about others, about a stored subject, and names alone.
SHORT: dict[str, str] = dict(zip(SHARES, ("found", "other", "same", "named"), strict=True))


class LastState(Router):
    """A router that reads the token's own state alone, without pooling over the prefix."""

    def forward(
        self, hidden: list[Tensor], mask: Tensor | None = None, state: PoolState | None = None
    ) -> tuple[Tensor, PoolState]:
        return self.query(self.features(hidden), mask, state)

    def query(self, features: Tensor, mask: Tensor | None, state: PoolState | None) -> tuple[Tensor, PoolState]:
        parts = self.value(features).split(self.widths, dim=-1)
        mixed = [torch.nn.functional.normalize(p + mix(p), dim=-1) for p, mix in zip(parts, self.mix, strict=True)]
        return torch.cat(mixed, dim=-1), state or PoolState.empty(len(features), 1, 1, features.device)


@dataclass(frozen=True)
class Variant:
    """One change to the default."""

    config: dict = field(default_factory=dict)  # fields of MoMEConfig
    settings: dict = field(default_factory=dict)  # fields of RouteSettings
    pooled: bool = True
    whitened: bool = True
    hard: bool = True  # facts of one subject stand together in a step
    mentions: bool = True
    rivals: bool = True
    losses: tuple[str, ...] = ("subject", "relation", "gate", "mention")


VARIANTS = {
    "default": Variant(),
    "last state, not pooled": Variant(pooled=False),
    "layer 0 alone": Variant({"feature_layers": [0]}),
    "last layer alone": Variant({"feature_layers": [5]}),
    "layers 0 and 1": Variant({"feature_layers": [0, 1]}),
    "2 + 1 heads, as wide": Variant({"num_heads": 2, "num_relation_heads": 1, "d_head": 64}),
    "half as wide": Variant({"d_head": 8}),
    "twice as wide": Variant({"d_head": 32}),
    "no whitening": Variant(whitened=False),
    "no hard negatives": Variant(hard=False),
    "no distractors": Variant(settings={"distracted_share": 0.0}),
    "no loose wordings": Variant(settings={"loose_share": 0.0}),
    "no feature dropout": Variant(settings={"feature_dropout": 0.0}),
    "no mention texts": Variant(mentions=False),
    "no relation loss": Variant(losses=("subject", "gate", "mention")),
    "no rivals": Variant(rivals=False),
    "no mention check": Variant({"subject_weight": 0.0}),
    "language-model loss instead": Variant(losses=("mention", routing_end_to_end.NAME)),
    "language-model loss as well": Variant(losses=("subject", "relation", "gate", "mention", routing_end_to_end.NAME)),
}


class ChosenLosses(RouteModule):
    """Trains with some of the losses alone, and with the language model's where there are experts."""

    kept: tuple[str, ...] = ()
    experts: Experts | None = None

    def losses(self, batch) -> dict[str, Tensor]:
        losses = super().losses(batch)
        if self.experts is not None:
            assert isinstance(batch, ExpertBatch)
            losses[routing_end_to_end.NAME] = expert_loss(self.router, batch, self.experts)
        return {name: loss for name, loss in losses.items() if name in self.kept}

    def transfer_batch_to_device(self, batch: RouteBatch, device: torch.device, dataloader_idx: int) -> RouteBatch:
        moved = super().transfer_batch_to_device(batch, device, dataloader_idx)
        return ExpertBatch(**vars(moved), texts=batch.texts) if isinstance(batch, ExpertBatch) else moved


def main(argv: list[str]) -> None:
    """Train and measure every variant; print a table, record the result, and print it as one JSON line."""
    settings = settings_from("bench routing", RoutingSettings, argv)
    unknown = set(settings.variants) - VARIANTS.keys()
    if unknown:
        raise SettingsError(f"--variants {sorted(unknown)}: expected some of {', '.join(VARIANTS)}")
    path = settings.folder / "counterfact/train.jsonl.gz"
    unseen = sample_subjects(read_groups([str(path)], []), settings.unseen, 0) if path.is_file() else []
    texts = read_texts(settings.folder / "retention") if path.is_file() else ["The sea is never full."]
    groups = read_groups(["world"], [], max_groups=settings.groups)
    names = settings.variants or list(VARIANTS)
    result: dict[str, dict[str, float]] = {}
    for name in names:
        runs = [run_variant(VARIANTS[name], settings, groups, unseen, texts, seed) for seed in settings.seeds]
        result[name] = {key: round(sum(run[key] for run in runs) / len(runs), 4) for key in runs[0]}
        print_table(result)
        record("routing_selected" if settings.variants else "routing", f"mome bench routing {' '.join(argv)}", result)
    flat = {f"{name.replace(' ', '_')}_{key}": value for name, row in result.items() for key, value in row.items()}
    print(json.dumps(flat))


def run_variant(
    variant: Variant, settings: RoutingSettings, groups: list[Group], unseen: list[Group], texts: list[str], seed: int
) -> dict[str, float]:
    """Train one variant and measure it at its own gate, on held-out generated groups and on unseen ones."""
    layers = variant.config.get("feature_layers")
    prepared = prepare(BackboneSettings(backbone=settings.backbone, feature_layers=layers))
    config = MoMEConfig.from_dict({**prepared.config.to_dict(), **variant.config})
    train, held_out = split_groups(groups, 0.2, seed)
    router = train_variant(variant, prepared, config, train, texts, settings, seed)
    measured = measure_gate(router, prepared.backbone, config, held_out, prepared.joiner, seed)["curve"]
    chosen = measured if variant.rivals else _without_rivals(measured)
    gate = set_gate(router, chosen, max_false_fire=1.0, max_same_subject_fire=0.8)
    row = {"threshold": gate["threshold"], "margin": gate["margin"], **{name: gate[name] for name in SHARES}}
    if unseen:
        curve = measure_gate(router, prepared.backbone, config, unseen, prepared.joiner, seed)["curve"]
        place = curve["threshold"].index(gate["threshold"]), curve["margin"].index(gate["margin"])
        row |= {f"counterfact_{name}": curve[name][place[0]][place[1]] for name in SHARES}
    return row


def train_variant(
    variant: Variant,
    prepared: Prepared,
    config: MoMEConfig,
    groups: list[Group],
    texts: list[str],
    settings: RoutingSettings,
    seed: int,
) -> Router:
    """A trained router, as `train.route.train_router` makes it but for the variant's change."""
    lightning.seed_everything(seed, verbose=False)
    route = replace(RouteSettings(steps=settings.steps), **variant.settings)
    joiners = [Joiner(tokenizer=prepared.tokenizer, join=join) for join in ("plain", "qa")]
    router = new_router(config)
    if not variant.pooled:
        router.__class__ = LastState
    pool = make_pool(groups, TextMaker(groups, texts, joiners, route), route, seed)
    if not variant.hard:
        pool.neighbourhood.draw = lambda num, rng: rng.sample(range(len(groups)), min(num, len(groups)))
    if not variant.mentions:
        draw = pool.draw
        pool.draw = lambda numbers, num_keys, rng: draw(numbers, num_keys, rng)[: num_keys + len(numbers)]
    if variant.whitened:
        fit_whitening(router, prepared.backbone, config.feature_layers, pool.sample(seed))
    observe_pool(router, prepared.backbone, config.feature_layers, pool)
    module = ChosenLosses(router, route)
    module.kept = variant.losses
    if routing_end_to_end.NAME in variant.losses:
        pool.__class__ = routing_end_to_end.ExpertPool
        module.experts = write_experts(pool, prepared.backbone, seed)
    shutil.rmtree(settings.work, ignore_errors=True)
    fit(module, pool, num_steps=route.steps, work=settings.work, name="route", checkpoint_every=route.steps + 1)
    router.eval().requires_grad_(False)
    fill_background(router, pool, seed)
    return router


def _without_rivals(curve: dict[str, list]) -> dict[str, list]:
    """The part of a curve where no rival counts."""
    return {
        "threshold": curve["threshold"],
        "margin": curve["margin"][-1:],
        **{name: [row[-1:] for row in curve[name]] for name in SHARES},
    }


def print_table(rows: dict[str, dict[str, float]]) -> None:
    """Variants by the shares that were measured, narrow enough for a terminal of 80 columns."""
    keys = [key for key in next(iter(rows.values())) if key.endswith(SHARES)]
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("variant", no_wrap=True)
    for key in keys:
        share = key.removeprefix("counterfact_")
        table.add_column(f"{'world' if key == share else 'cf'}\n{SHORT[share]}", justify="right")
    for name, row in rows.items():
        table.add_row(name, *(f"{row[key]:.3f}" for key in keys))
    console.print(table)
