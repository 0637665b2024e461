"""Stage 1, route: fit the router on groups of paraphrases, so that a query depends on what is asked, not on how.

Shapes: B texts, T tokens, E features, C key width, K stored facts of a step.

The loss is the read itself: cross-entropy of the attention over the stored keys and the null key. The backbone is
frozen, so it is run once over a pool of texts and its whitened features are kept; the steps read the pool alone.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import lightning
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import IterableDataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mome.checkpoint import new_router
from mome.config import MoMEConfig
from mome.decoder import find_layers, hidden_of
from mome.joining import Joiner
from mome.router import Router
from train.allocate import right_pad
from train.fitting import fit
from train.progress import bar
from train.route_texts import NOT_USED, Group, Neighbourhood, Text, TextMaker, split_groups
from train.settings import RouteSettings

BATCH_TOKENS = 8192
# A step is padded in this many parts of like length: pooling costs the square of the padded length.
NUM_PARTS = 4
NUM_WHITENING_TEXTS = 512


@dataclass
class Part:
    """Texts of like length of one step."""

    features: Tensor  # [B, T, E]
    mask: Tensor  # [B, T] bool
    end: Tensor  # [B] position of the prompt's last token, or NOT_USED
    number: Tensor  # [B] which of the step's texts each is


@dataclass
class RouteBatch:
    """One step: key texts first, then a query text for every fact, then unrelated ones; the first facts are stored."""

    parts: list[Part]
    num_keys: int
    num_facts: int


class Pool(IterableDataset):
    """Texts with their features, and an endless row of steps over them that is fixed by the seed."""

    def __init__(self, keys: list[list[Text]], queries: list[list[Text]], unrelated: list[Text], seed: int):
        self.keys, self.queries, self.unrelated = keys, queries, unrelated  # [group][variant]
        self.seed, self.start = seed, 0
        self.features: dict[int, Tensor] = {}  # id of the text object -> [T, E] bf16
        self.settings: RouteSettings
        self.neighbourhood: Neighbourhood

    def texts(self) -> list[Text]:
        """All texts."""
        return [text for variants in (*self.keys, *self.queries, self.unrelated) for text in variants]

    def __iter__(self):
        step = self.start
        while True:
            yield self.batch(random.Random(f"{self.seed}-{step}"))
            step += 1

    def batch(self, rng: random.Random) -> RouteBatch:
        """Draw one step."""
        numbers = self.neighbourhood.draw(self.settings.num_facts_per_step, rng)
        num_keys = max(1, round(len(numbers) * self.settings.stored_share))
        texts = [rng.choice(self.keys[number]) for number in numbers[:num_keys]]
        texts += [rng.choice(self.queries[number]) for number in numbers]
        texts += rng.choices(self.unrelated, k=len(numbers) // 4)
        order = sorted(range(len(texts)), key=lambda i: len(texts[i].ids))
        size = -(-len(order) // NUM_PARTS)
        parts = [self._part(texts, order[start : start + size]) for start in range(0, len(order), size)]
        return RouteBatch(parts, num_keys, len(numbers))

    def _part(self, texts: list[Text], numbers: list[int]) -> Part:
        rows = [self.features[id(texts[number])] for number in numbers]
        features = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True).float()
        lengths = torch.tensor([len(row) for row in rows])
        mask = torch.arange(features.shape[1]) < lengths[:, None]
        return Part(features, mask, torch.tensor([texts[n].end for n in numbers]), torch.tensor(numbers))


def make_pool(groups: list[Group], maker: TextMaker, settings: RouteSettings, seed: int) -> Pool:
    """Draw the texts of a pool; their features are still to be observed."""
    rng = random.Random(seed)
    variants = range(settings.num_variants)
    keys = [[maker.key_text(number, rng) for _ in variants] for number in range(len(groups))]
    queries = [[maker.query_text(number, rng) for _ in variants] for number in range(len(groups))]
    pool = Pool(keys, queries, [maker.unrelated_text(rng) for _ in range(max(100, len(groups) // 4))], seed)
    pool.settings, pool.neighbourhood = settings, Neighbourhood(groups)
    return pool


@torch.no_grad()
def feature_states(backbone: PreTrainedModel, layers: list[int], tokens: Tensor, mask: Tensor) -> list[Tensor]:
    """Outputs `[B, T, D]` of the given decoder layers."""
    seen: dict[int, Tensor] = {}
    modules = find_layers(backbone)

    def keep(number: int):
        return lambda _module, _args, output: seen.__setitem__(number, hidden_of(output))

    hooks = [modules[number].register_forward_hook(keep(number)) for number in layers]
    try:
        # Without the head, whose logits nobody reads here.
        backbone.base_model(input_ids=tokens, attention_mask=mask.long(), use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
    return [seen[number] for number in layers]


def batches_of(texts: Sequence[list[int]]) -> list[list[int]]:
    """Numbers of texts in batches of like length and at most `BATCH_TOKENS` tokens."""
    batches: list[list[int]] = [[]]
    for number in sorted(range(len(texts)), key=lambda i: len(texts[i])):
        if (len(batches[-1]) + 1) * len(texts[number]) > BATCH_TOKENS and batches[-1]:
            batches.append([])
        batches[-1].append(number)
    return batches


def _observed(backbone: PreTrainedModel, layers: list[int], texts: list[list[int]], numbers: list[int]):
    device = next(backbone.parameters()).device
    tokens, mask = right_pad([texts[number] for number in numbers])
    return feature_states(backbone, layers, tokens.to(device), mask.to(device)), mask.bool().to(device)


@torch.no_grad()
def fit_whitening(router: Router, backbone: PreTrainedModel, layers: list[int], texts: list[list[int]]) -> None:
    """Set the router's whitening from the tokens of some texts: principal components with unit variance."""
    seen: list[list[Tensor]] = [[] for _ in layers]
    for numbers in batches_of(texts):
        states, mask = _observed(backbone, layers, texts, numbers)
        for kept, state in zip(seen, states, strict=True):
            kept.append(state[mask].float())
    for layer, kept in enumerate(seen):
        rows = torch.cat(kept).double()
        mean = rows.mean(0)
        values, vectors = torch.linalg.eigh((rows - mean).T @ (rows - mean) / len(rows))
        width = router.whitening.shape[-1]
        values, vectors = values[-width:], vectors[:, -width:]
        # Directions with next to no variance are noise; divided by their spread they would drown the rest.
        scale = (values + values.mean() * 1e-2).rsqrt()
        router.mean[layer], router.whitening[layer] = mean.float(), (vectors * scale).float()


@torch.no_grad()
def observe_pool(router: Router, backbone: PreTrainedModel, layers: list[int], pool: Pool) -> None:
    """Run the backbone once over all texts of a pool and keep their whitened features."""
    texts = pool.texts()
    ids = [text.ids for text in texts]
    with bar("route: observe texts", len(texts)) as advance:
        for numbers in batches_of(ids):
            states, _ = _observed(backbone, layers, ids, numbers)
            features = router.features(states).bfloat16().cpu()
            for row, number in enumerate(numbers):
                pool.features[id(texts[number])] = features[row, : len(ids[number])].clone()
            advance(len(numbers))


class RouteModule(lightning.LightningModule):
    """Trains the router over a pool; holds nothing of the backbone, so no training checkpoint does."""

    def __init__(self, router: Router, settings: RouteSettings):
        super().__init__()
        self.router, self.settings = router, settings

    def training_step(self, batch: RouteBatch, _index: int) -> Tensor:
        # Drawn for this step alone, so that a resumed run drops what an uninterrupted one drops.
        torch.manual_seed(self.global_step)
        for part in batch.parts:
            part.features = functional.dropout(part.features, self.settings.feature_dropout)
        loss, hits = route_loss(self.router, batch)
        self.log_dict({"loss": loss, "hits": hits}, prog_bar=True)
        return loss

    def transfer_batch_to_device(self, batch: RouteBatch, device: torch.device, dataloader_idx: int) -> RouteBatch:
        parts = [
            Part(part.features.to(device), part.mask.to(device), part.end.to(device), part.number.to(device))
            for part in batch.parts
        ]
        return RouteBatch(parts, batch.num_keys, batch.num_facts)

    def configure_optimizers(self):  # type: ignore[override]
        optimizer = torch.optim.AdamW(self.router.parameters(), lr=self.settings.learning_rate, weight_decay=0.01)
        warm = max(1, self.settings.steps // 20)
        steps: list[torch.optim.lr_scheduler.LRScheduler] = [
            torch.optim.lr_scheduler.LinearLR(optimizer, 0.05, 1.0, warm),
            torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, self.settings.steps - warm)),
        ]
        schedule = torch.optim.lr_scheduler.SequentialLR(optimizer, steps, [warm])
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


def route_loss(router: Router, batch: RouteBatch) -> tuple[Tensor, Tensor]:
    """Cross-entropy over stored keys and the null key, and the share of stored questions that find their key.

    Ends of stored questions, ends of other questions and all other tokens weigh the same, however many there are.
    """
    ends, other = _end_and_other_queries(router, batch)
    num_keys = batch.num_keys
    keys, asked = ends[:num_keys], ends[num_keys : num_keys + batch.num_facts]
    null = torch.full((len(asked) + len(other),), num_keys, device=ends.device)
    target = torch.cat([torch.arange(num_keys, device=ends.device), null[num_keys:]])
    similarity = torch.cat([torch.cat([asked, other]) @ keys.T, router.null_similarity.expand(len(null), 1)], dim=1)
    loss = functional.cross_entropy(similarity / router.log_temperature.exp(), target, reduction="none")
    hits = (similarity[:num_keys].argmax(1) == target[:num_keys]).float().mean()
    stored, unstored, silent = loss[:num_keys], loss[num_keys : len(asked)], loss[len(asked) :]
    # Most other tokens are plainly unrelated; those near the null key's similarity are the ones that matter.
    near = silent > 0.05
    parts = [stored.mean(), silent.mean(), *(part.mean() for part in (unstored, silent[near]) if len(part))]
    return torch.stack(parts).sum(), hits


def _end_and_other_queries(router: Router, batch: RouteBatch) -> tuple[Tensor, Tensor]:
    """Queries `[B, C]` at the prompts' ends, by number of text, and `[N, C]` at the tokens that must stay silent."""
    ends, numbers, others = [], [], []
    for part in batch.parts:
        query, _ = router.query(part.features, part.mask, None)  # [B, T, C]
        ends.append(query[torch.arange(len(query), device=query.device), part.end.clamp_min(0)])
        numbers.append(part.number)
        distance = part.end[:, None] - torch.arange(query.shape[1], device=query.device)
        # The token before an end often looks like an end itself ("born" and "born in"), so it is left out.
        near_end = (part.end[:, None] != NOT_USED) & (distance >= 0) & (distance <= 1)
        silent = part.mask & ~near_end & (part.number[:, None] >= batch.num_keys)
        others.append(query[silent])
    order = torch.cat(numbers).argsort()
    return torch.cat(ends)[order], torch.cat(others)


@torch.no_grad()
def calibrate(
    router: Router,
    backbone: PreTrainedModel,
    config: MoMEConfig,
    groups: list[Group],
    joiner: Joiner,
    max_false_fire: float,
    seed: int,
) -> dict[str, float]:
    """Set the null key's similarity so that at most a given share of unstored questions passes the gate.

    Half of the held-out groups are stored by one wording, drawn at random, and asked in up to three others; the other
    half is asked only. Both halves ask the same kinds of question, so these are hard negatives.

    Returns:
        The threshold, the share of unstored questions that pass it, and of stored ones that pass and find their key.
    """
    rng = random.Random(seed)
    drawn = [rng.sample(g.prompts, len(g.prompts)) for g in rng.sample(groups, min(len(groups), 2000))]
    stored, unstored = drawn[::2], drawn[1::2]
    keys = end_queries(router, backbone, config, [joiner.encode_prompt(wordings[0]) for wordings in stored])
    asked = [(number, prompt) for number, wordings in enumerate(stored) for prompt in wordings[1:4]]
    right = torch.tensor([number for number, _ in asked], device=keys.device)
    found = end_queries(router, backbone, config, [joiner.encode_prompt(prompt) for _, prompt in asked]) @ keys.T
    others = (
        end_queries(router, backbone, config, [joiner.encode_prompt(wordings[0]) for wordings in unstored]) @ keys.T
    )
    threshold = float(torch.quantile(others.amax(1), 1 - max_false_fire))
    router.null_similarity.fill_(threshold)
    best = found.max(1)
    measured = {
        "threshold": threshold,
        "false_fire": float((others.amax(1) > threshold).float().mean()),
        "nearest_right": float((best.indices == right).float().mean()),
        "open_and_right": float(((best.indices == right) & (best.values > threshold)).float().mean()),
    }
    return {name: round(value, 4) for name, value in measured.items()}


@torch.no_grad()
def end_queries(router: Router, backbone: PreTrainedModel, config: MoMEConfig, prompts: list[list[int]]) -> Tensor:
    """Queries `[B, C]` at the last token of token-id prompts."""
    device = next(backbone.parameters()).device
    queries = torch.empty(len(prompts), config.d_key, device=device)
    for numbers in batches_of(prompts):
        states, mask = _observed(backbone, config.feature_layers, prompts, numbers)
        query, _ = router(states, mask)
        rows = torch.arange(len(numbers), device=device)
        queries[torch.tensor(numbers, device=device)] = query[rows, mask.sum(1) - 1]
    return queries


def train_router(
    backbone: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    config: MoMEConfig,
    groups: list[Group],
    unrelated: list[str],
    settings: RouteSettings,
    work: Path,
    seed: int,
) -> tuple[Router, dict]:
    """Train and calibrate a router.

    Args:
        groups: paraphrase groups; a tenth, by subject, is held out for the calibration.
        unrelated: unrelated texts, for earlier turns and as negatives.
        work: folder for the log and for the checkpoint that an interrupted run resumes from.

    Returns:
        The frozen router, and what calibration measured on the held-out groups.
    """
    lightning.seed_everything(seed, verbose=False)
    train, held_out = split_groups(groups, 0.1, seed)
    joins = dict.fromkeys(("plain", "qa", config.join))
    joiners = [Joiner(tokenizer=tokenizer, join=join, end=config.end) for join in joins]
    torch.nn.Module.to(backbone, "cuda" if torch.cuda.is_available() else "cpu")
    router = new_router(config).to(next(backbone.parameters()).device)
    pool = make_pool(train, TextMaker(train, unrelated, joiners, settings), settings, seed)
    sample = random.Random(seed).sample(
        [text.ids for text in pool.texts()], min(NUM_WHITENING_TEXTS, len(pool.texts()))
    )
    fit_whitening(router, backbone, config.feature_layers, sample)
    observe_pool(router, backbone, config.feature_layers, pool)
    fit(
        RouteModule(router, settings),
        pool,
        num_steps=settings.steps,
        work=work,
        name="route",
        checkpoint_every=settings.checkpoint_every,
    )
    router.to(next(backbone.parameters()).device).eval().requires_grad_(False)
    joiner = Joiner(tokenizer=tokenizer, join=config.join, end=config.end)
    report = calibrate(router, backbone, config, held_out, joiner, settings.max_false_fire, seed)
    backbone.cpu()
    return router.cpu(), report
