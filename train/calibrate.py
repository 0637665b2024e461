"""The gate's calibration: how often stored facts are found, and the gate opens wrongly, at every setting of the gate.

Shapes: B queries, N neighbours, K keys, C key width, V spellings, M tokens of a spelling, W tokens
of the vocabulary.

Held-out facts are dealt into three parts: stored ones, asked in other wordings; unstored ones about other subjects; and
unstored ones about a stored subject. All are questions of the taught kind, so both rates of false fires are those of
hard negatives; unrelated text lies far below them. Names of stored subjects of which nothing is asked are a fourth.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from mome.config import MoMEConfig
from mome.errors import SettingsError
from mome.index import EXACT, build_index
from mome.joining import Joiner, right_pad
from mome.lookup import Neighbours, retrieve
from mome.mention import NO_TOKEN, Mentions, subject_rows, word_edges
from mome.router import Router, rival_similarity
from train.observe import batches_of, observed
from train.route_texts import Group

MAX_GROUPS = 4000
NUM_ASKED = 3
# Share of unstored questions that must be recognised as questions of the taught kind.
KIND_SHARE = 0.99
# Share of all stored facts that a stricter gate may cost: a little generality buys much silence.
MAX_LOST = 0.005
THRESHOLDS = [round(step / 20, 2) for step in range(20)]
MARGINS = [round(step / 20, 2) for step in range(21)] + [2.0]  # at 2 no rival counts
SHARES = ("open_and_right", "false_fire", "same_subject_fire", "mention_fire")


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
    """How the memory would answer held-out questions at every threshold and rival margin.

    Args:
        groups: held-out groups of paraphrases; at least one must have two wordings.

    Returns:
        `curve`, with `threshold` and `margin` and, for every pair of them (a row for each threshold), the shares
        `open_and_right`, of stored facts that are found by another wording; `false_fire` and `same_subject_fire`, of
        unstored questions that pass the gate; and `mention_fire`, of texts in which it opens behind the name of a
        stored subject of which nothing is asked. And `kind_similarity`: the relations of 99% of the unstored questions
        come this near to a key's.
    """
    dealt = deal(groups, seed)
    first = [joiner.encode_prompt(prompts[0]) for prompts in dealt.stored]
    keys = queries_at_ends(router, backbone, config, first)
    word_edge = word_edges(joiner.tokenizer)
    subject = subject_rows(joiner.tokenizer, dealt.subjects, word_edge)
    reader = _Reader(router, config, keys, subject.to(keys.device), word_edge.to(keys.device))

    def ends(prompts: list[str]) -> tuple[Tensor, list[list[int]]]:
        ids = [joiner.encode_prompt(prompt) for prompt in prompts]
        return queries_at_ends(router, backbone, config, ids), ids

    asked = [(number, prompt) for number, prompts in enumerate(dealt.stored) for prompt in prompts[1 : 1 + NUM_ASKED]]
    right = torch.tensor([number for number, _ in asked], device=keys.device)
    curve: dict = {"threshold": THRESHOLDS, "margin": MARGINS}
    curve["open_and_right"] = reader.shares(*ends([prompt for _, prompt in asked]), right)
    kinds = []
    for name, prompts in (("false_fire", dealt.other_subject), ("same_subject_fire", dealt.same_subject)):
        curve[name] = [[0.0] * len(MARGINS)] * len(THRESHOLDS)
        if prompts:
            queries, ids = ends(prompts)
            curve[name] = reader.shares(queries, ids)
            kinds.append(reader.kinds(queries))
    texts, places = mention_texts(dealt, joiner, random.Random(seed))
    queries, owner = queries_from(router, backbone, config, texts, places)
    prefixes = [
        text[: place + 1] for text, start in zip(texts, places, strict=True) for place in range(start, len(text))
    ]
    curve["mention_fire"] = reader.shares(queries, prefixes, owner=owner)
    kind = torch.cat(kinds).quantile(1 - KIND_SHARE) if kinds else torch.tensor(1.0)
    return {"curve": curve, "kind_similarity": round(float(kind), 4)}


def mention_texts(dealt: Dealt, joiner: Joiner, rng: random.Random) -> tuple[list[list[int]], list[int]]:
    """Texts in which stored subjects are named as answers to questions about others, and where the names end."""
    texts, places = [], []
    for subject in sorted(set(dealt.subjects)):
        before = joiner.encode_prompt(rng.choice(dealt.other_subject)) if dealt.other_subject else []
        named = joiner.tokenizer(f" {subject}", add_special_tokens=False).input_ids
        after = joiner.tokenizer(rng.choice((".", ", and so", "\n\n")), add_special_tokens=False).input_ids
        texts.append(before + named + after)
        places.append(len(before) + len(named) - 1)
    return texts, places


@dataclass
class _Reader:
    """Reads keys as the memory does, at every threshold and margin at once."""

    router: Router
    config: MoMEConfig
    keys: Tensor  # [K, C]
    subject: Tensor  # [K, V, M]
    word_edge: Tensor  # [W + 1, 2]

    def retrieve(self, queries: Tensor) -> Neighbours:
        index = build_index(self.keys[:, : self.config.d_subject], EXACT)
        return retrieve(queries[:, None], index, self.keys, self.config.d_relation, self.config.num_neighbours)

    def kinds(self, queries: Tensor) -> Tensor:
        """How near each query's relation comes to any key's, fp32 `[B]`."""
        relation, of_keys = (table[:, -self.config.d_relation :] for table in (queries, self.keys))
        return (relation @ of_keys.T).amax(1)

    def shares(
        self, queries: Tensor, ids: list[list[int]], right: Tensor | None = None, owner: Tensor | None = None
    ) -> list[list[float]]:
        """Share of the queries that pass the gate, for every threshold and, within it, margin.

        Args:
            queries: `[B, C]`, each at the end of its text.
            ids: token ids of the texts.
            right: number of the key that must win, `[B]`.
            owner: instead of queries count the texts to which they belong, `[B]`, that hold one that passes.
        """
        tokens, mask = right_pad(ids)
        seen = tokens.masked_fill(mask == 0, NO_TOKEN).to(queries.device)
        mentions = Mentions(self.subject, self.word_edge, seen, self.config.subject_weight)
        row = torch.arange(len(queries), device=queries.device)
        found, last = self.retrieve(queries).at(row, torch.zeros_like(row)), torch.full_like(row, seen.shape[1] - 1)
        found.similarity = mentions.lower(found.similarity, found.key, row, last, THRESHOLDS[0])
        d_relation = self.config.d_relation
        table = []
        for threshold in THRESHOLDS:
            place = found.best(threshold)
            key, similarity = (part.gather(-1, place).flatten() for part in (found.key, found.similarity))
            of_key = self.keys[key, -d_relation:]
            rival = rival_similarity(queries[:, -d_relation:], of_key, self.router.background)
            opens = similarity > threshold
            opens = opens if right is None else opens & (key == right)
            lead = (similarity - rival).masked_fill(~opens, -torch.inf)
            if owner is not None:
                lead = lead.new_full((int(owner[-1]) + 1,), -torch.inf).scatter_reduce(0, owner, lead, "amax")
            table.append([round(float((lead > -margin).float().mean()), 4) for margin in MARGINS])
        return table


def set_gate(
    router: Router, curve: dict[str, list], max_false_fire: float, max_same_subject_fire: float
) -> dict[str, float]:
    """Set the null key's similarity and the rival margin.

    Of the pairs at which both rates of false fires hold, and that cost next to none of the stored facts which can be
    found within them, the one that fires least behind names, and of these the one with the widest margin, which serves
    wordings unlike any of the router's training; if the rates hold nowhere, the strictest.

    Returns:
        The curve's values at that pair.

    Raises:
        SettingsError: a rate is not between 0 and 1.
    """
    for name, rate in (("max_false_fire", max_false_fire), ("max_same_subject_fire", max_same_subject_fire)):
        if not 0 <= rate <= 1:
            raise SettingsError(f"{name}: expected a share between 0 and 1, got {rate}")
    pairs = [(row, column) for row in range(len(curve["threshold"])) for column in range(len(curve["margin"]))]

    def at(name: str, pair: tuple[int, int]) -> float:
        return curve[name][pair[0]][pair[1]]

    limits = {"false_fire": max_false_fire, "same_subject_fire": max_same_subject_fire}
    holds = [pair for pair in pairs if all(at(name, pair) <= limit for name, limit in limits.items())]
    best = max((at("open_and_right", pair) for pair in holds), default=0.0)
    kept = [pair for pair in holds if at("open_and_right", pair) >= best - MAX_LOST]
    strictest = (len(curve["threshold"]) - 1, 0)
    row, column = min(kept, key=lambda pair: (at("mention_fire", pair), -pair[0], -pair[1]), default=strictest)
    router.null_similarity.data.fill_(curve["threshold"][row])
    router.rival_margin.fill_(curve["margin"][column])
    return {
        "threshold": curve["threshold"][row],
        "margin": curve["margin"][column],
        **{name: at(name, (row, column)) for name in SHARES},
    }


@torch.no_grad()
def queries_from(
    router: Router, backbone: PreTrainedModel, config: MoMEConfig, texts: list[list[int]], starts: list[int]
) -> tuple[Tensor, Tensor]:
    """Queries `[B, C]` at every token of token-id texts from a position of each on, in order, and the text of each."""
    device = next(backbone.parameters()).device
    queries: list[Tensor] = [torch.empty(0)] * len(texts)
    for numbers in batches_of(texts):
        states, mask = observed(backbone, config.feature_layers, texts, numbers)
        query, _ = router(states, mask)
        for row, number in enumerate(numbers):
            queries[number] = query[row, starts[number] : len(texts[number])]
    counts = torch.tensor([len(rows) for rows in queries])
    return torch.cat(queries).to(device), torch.arange(len(texts)).repeat_interleave(counts).to(device)


def queries_at_ends(router: Router, backbone: PreTrainedModel, config: MoMEConfig, prompts: list[list[int]]) -> Tensor:
    """Queries `[B, C]` at the last token of token-id prompts."""
    return queries_from(router, backbone, config, prompts, [len(prompt) - 1 for prompt in prompts])[0]
