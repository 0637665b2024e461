"""The gate's calibration: how often stored facts are found, and the gate opens wrongly, at every threshold.

Shapes: B texts, N neighbours, K keys, C key width.

Held-out facts are dealt into three parts: stored ones, asked in other wordings; unstored ones about other subjects; and
unstored ones about a stored subject. All are questions of the taught kind, so both rates of false fires are those of
hard negatives; unrelated text lies far below them.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from mome.config import MoMEConfig
from mome.errors import SettingsError
from mome.joining import Joiner
from mome.mention import NO_TOKEN, Mentions, subject_rows
from mome.router import Router
from train.allocate import right_pad
from train.observe import batches_of, observed
from train.route_texts import Group

MAX_GROUPS = 4000
NUM_ASKED = 3
# Share of unstored questions that must be recognised as questions of the taught kind.
KIND_SHARE = 0.95
# Share of all stored facts that a stricter gate may cost: a little generality buys much silence.
MAX_LOST = 0.005
THRESHOLDS = [round(step / 100, 2) for step in range(100)]


@dataclass
class Dealt:
    """Held-out groups, each with its wordings in random order."""

    stored: list[list[str]]
    subjects: list[str]  # of the stored ones
    other_subject: list[str]
    same_subject: list[str]


def deal(groups: list[Group], seed: int) -> Dealt:
    """A third of the subjects is left out; of the others every second fact is stored."""
    rng = random.Random(seed)
    groups = rng.sample(groups, min(len(groups), MAX_GROUPS))
    subjects = sorted({group.subject for group in groups})
    away = set(rng.sample(subjects, len(subjects) // 3))
    dealt = Dealt([], [], [], [])
    num_of: dict[str, int] = {}
    for group in groups:
        stored = rng.choice(group.prompts)
        others = [prompt for prompt in (*group.prompts, *group.loose) if prompt != stored]
        prompts = [stored, *rng.sample(others, len(others))]
        nth = num_of[group.subject] = num_of.get(group.subject, -1) + 1
        if group.subject in away:
            dealt.other_subject.append(prompts[0])
        elif nth % 2:
            dealt.same_subject.append(prompts[0])
        else:
            dealt.stored.append(prompts)
            dealt.subjects.append(group.subject)
    return dealt


@torch.no_grad()
def measure_gate(
    router: Router,
    backbone: PreTrainedModel,
    config: MoMEConfig,
    groups: list[Group],
    joiner: Joiner,
    seed: int,
) -> dict:
    """How the memory would answer held-out questions at every threshold.

    Args:
        groups: held-out groups of paraphrases; at least one must have two wordings.

    Returns:
        `curve`, for every `threshold`: `open_and_right`, the share of stored facts that are found by another wording,
        and `false_fire` and `same_subject_fire`, the shares of unstored questions that pass the gate. And
        `kind_similarity`: 95% of the unstored questions come this near to a key before their subject is looked for.
    """
    dealt = deal(groups, seed)
    first = [joiner.encode_prompt(prompts[0]) for prompts in dealt.stored]
    keys = end_queries(router, backbone, config, first)
    table = subject_rows(joiner.tokenizer, dealt.subjects).to(keys.device)

    def nearest(prompts: list[str]) -> tuple[Tensor, Tensor, Tensor]:
        ids = [joiner.encode_prompt(prompt) for prompt in prompts]
        return _nearest(end_queries(router, backbone, config, ids), ids, keys, table, config)

    asked = [(number, prompt) for number, prompts in enumerate(dealt.stored) for prompt in prompts[1 : 1 + NUM_ASKED]]
    right = torch.tensor([number for number, _ in asked], device=keys.device)
    found, key, _ = nearest([prompt for _, prompt in asked])
    curve: dict[str, list[float]] = {"threshold": THRESHOLDS}
    curve["open_and_right"] = _share_above(found.masked_fill(key != right, -torch.inf))
    unstored = []
    for name, prompts in (("false_fire", dealt.other_subject), ("same_subject_fire", dealt.same_subject)):
        curve[name] = [0.0] * len(THRESHOLDS)
        if prompts:
            lowered, _, raw = nearest(prompts)
            curve[name] = _share_above(lowered)
            unstored.append(raw)
    kind = torch.cat(unstored).quantile(1 - KIND_SHARE) if unstored else torch.tensor(1.0)
    return {"curve": curve, "kind_similarity": round(float(kind), 4)}


def _nearest(query: Tensor, ids: list[list[int]], keys: Tensor, subject: Tensor, config: MoMEConfig):
    """Similarity and number `[B]` of the nearest key, as the memory reads them, and the similarity of the nearest one
    before their subjects are looked for."""
    tokens, mask = right_pad(ids)
    seen = tokens.masked_fill(mask == 0, NO_TOKEN).to(query.device)
    similarity, key = (query @ keys.T).topk(min(config.num_neighbours, len(keys)), dim=1)  # [B, N]
    mentions = Mentions(subject, seen, config.subject_weight)
    lowered = mentions.lower(similarity[:, None], key[:, None], 0.0)[:, 0]
    best, place = lowered.max(1)
    return best, key.gather(1, place[:, None])[:, 0], similarity[:, 0]


def _share_above(values: Tensor) -> list[float]:
    return [round(float((values > threshold).float().mean()), 4) for threshold in THRESHOLDS]


def set_gate(
    router: Router, curve: dict[str, list[float]], max_false_fire: float, max_same_subject_fire: float
) -> dict[str, float]:
    """Set the null key's similarity: of the thresholds at which both rates of false fires hold, the highest that costs
    next to none of the stored facts; if the rates hold at no threshold, the highest of all.

    Returns:
        The curve's values at that threshold.

    Raises:
        SettingsError: a rate is not between 0 and 1.
    """
    for name, rate in (("max_false_fire", max_false_fire), ("max_same_subject_fire", max_same_subject_fire)):
        if not 0 <= rate <= 1:
            raise SettingsError(f"{name}: expected a share between 0 and 1, got {rate}")
    rates = zip(curve["false_fire"], curve["same_subject_fire"], strict=True)
    holds = [other <= max_false_fire and same <= max_same_subject_fire for other, same in rates]
    kept = [share if held else -1.0 for share, held in zip(curve["open_and_right"], holds, strict=True)]
    row = max(place for place, share in enumerate(kept) if share >= max(kept) - MAX_LOST)
    router.null_similarity.data.fill_(curve["threshold"][row])
    return {name: values[row] for name, values in curve.items()}


@torch.no_grad()
def end_queries(router: Router, backbone: PreTrainedModel, config: MoMEConfig, prompts: list[list[int]]) -> Tensor:
    """Queries `[B, C]` at the last token of token-id prompts."""
    device = next(backbone.parameters()).device
    queries = torch.empty(len(prompts), config.d_key, device=device)
    for numbers in batches_of(prompts):
        states, mask = observed(backbone, config.feature_layers, prompts, numbers)
        query, _ = router(states, mask)
        rows = torch.arange(len(numbers), device=device)
        queries[torch.tensor(numbers, device=device)] = query[rows, mask.sum(1) - 1]
    return queries
