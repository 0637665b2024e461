"""Stage 1, route: fit the router on groups of paraphrases, so that a query depends on what is asked, not on how.

Shapes: B texts, T tokens, E features, C key width, K stored facts of a step.

The loss is the read itself: cross-entropy of the attention over the stored keys and the null key. The backbone is
frozen, so it is run once over a pool of texts and its whitened features are kept; the steps read the pool alone.
"""

from __future__ import annotations

import random
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
from mome.joining import Joiner
from mome.router import Router
from train.calibrate import measure_gate
from train.fitting import fit
from train.observe import batches_of, observed
from train.progress import bar
from train.route_texts import NOT_USED, Group, Neighbourhood, Text, TextMaker, split_groups
from train.settings import RouteSettings

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
    in_subject: Tensor  # [B, T] 1 in the prompt's subject, 0 elsewhere, NOT_USED where the subject is not known


@dataclass
class RouteBatch:
    """One step: key texts first, then a query text for every fact, then unrelated ones; the first facts are stored."""

    parts: list[Part]
    num_keys: int
    num_facts: int


class Pool(IterableDataset):
    """Texts with their features, and an endless row of steps over them that is fixed by the seed."""

    def __init__(
        self,
        keys: list[list[Text]],
        queries: list[list[Text]],
        mentions: list[Text],
        unrelated: list[Text],
        seed: int,
    ):
        self.keys, self.queries = keys, queries  # [group][variant]
        self.mentions, self.unrelated = mentions, unrelated  # [group], and any number
        self.seed, self.start = seed, 0
        self.features: dict[int, Tensor] = {}  # id of the text object -> [T, E] bf16
        self.settings: RouteSettings
        self.neighbourhood: Neighbourhood

    def texts(self) -> list[Text]:
        """All texts."""
        return [text for texts in (*self.keys, *self.queries, self.mentions, self.unrelated) for text in texts]

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
        texts += [self.mentions[number] for number in rng.sample(numbers[:num_keys], num_keys // 3)]
        texts += rng.choices(self.unrelated, k=len(numbers) // 6)
        order = sorted(range(len(texts)), key=lambda i: len(texts[i].ids))
        size = -(-len(order) // NUM_PARTS)
        parts = [self._part(texts, order[start : start + size]) for start in range(0, len(order), size)]
        return RouteBatch(parts, num_keys, len(numbers))

    def _part(self, texts: list[Text], numbers: list[int]) -> Part:
        rows = [self.features[id(texts[number])] for number in numbers]
        features = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True).float()
        lengths = torch.tensor([len(row) for row in rows])
        mask = torch.arange(features.shape[1]) < lengths[:, None]
        in_subject = torch.full(mask.shape, float(NOT_USED))
        for row, number in enumerate(numbers):
            if (span := texts[number].subject) is not None:
                in_subject[row, : lengths[row]] = 0.0
                in_subject[row, slice(*span)] = 1.0
        ends = torch.tensor([texts[number].end for number in numbers])
        return Part(features, mask, ends, torch.tensor(numbers), in_subject)


def make_pool(groups: list[Group], maker: TextMaker, settings: RouteSettings, seed: int) -> Pool:
    """Draw the texts of a pool; their features are still to be observed."""
    rng = random.Random(seed)
    variants = range(settings.num_variants)
    keys = [[maker.key_text(number, rng) for _ in variants] for number in range(len(groups))]
    queries = [[maker.query_text(number, rng) for _ in variants] for number in range(len(groups))]
    mentions = [maker.mention_text(number, rng) for number in range(len(groups))]
    unrelated = [maker.unrelated_text(rng) for _ in range(max(100, len(groups) // 4))]
    pool = Pool(keys, queries, mentions, unrelated, seed)
    pool.settings, pool.neighbourhood = settings, Neighbourhood(groups)
    return pool


@torch.no_grad()
def fit_whitening(router: Router, backbone: PreTrainedModel, layers: list[int], texts: list[list[int]]) -> None:
    """Set the router's whitening from the tokens of some texts: principal components with unit variance."""
    seen: list[list[Tensor]] = [[] for _ in layers]
    for numbers in batches_of(texts):
        states, mask = observed(backbone, layers, texts, numbers)
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
            states, _ = observed(backbone, layers, ids, numbers)
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
        subject = subject_loss(self.router, batch)
        self.log_dict({"loss": loss, "hits": hits, "subject": subject}, prog_bar=True)
        return loss + subject

    def transfer_batch_to_device(self, batch: RouteBatch, device: torch.device, dataloader_idx: int) -> RouteBatch:
        parts = [Part(**{name: table.to(device) for name, table in vars(part).items()}) for part in batch.parts]
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


def subject_loss(router: Router, batch: RouteBatch) -> Tensor:
    """Cross-entropy of telling the tokens of a subject from the rest of its prompt, over the key texts."""
    logits = torch.cat([router.subject_logits(part.features).flatten() for part in batch.parts])
    target = torch.cat([part.in_subject.flatten() for part in batch.parts])
    known = target != NOT_USED
    if not known.any():
        return logits.sum() * 0.0
    return functional.binary_cross_entropy_with_logits(logits[known], target[known])


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
    """Train a router and measure its gate; the gate itself is set by `train.calibrate.set_gate`.

    Args:
        groups: paraphrase groups; a tenth, by subject, is held out for the calibration.
        unrelated: unrelated texts, for earlier turns and as negatives.
        work: folder for the log and for the checkpoint that an interrupted run resumes from.

    Returns:
        The frozen router, and a report with the gate's `curve` on the held-out groups.
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
    report = measure_gate(router, backbone, config, held_out, joiner, seed)
    backbone.cpu()
    return router.cpu(), report
