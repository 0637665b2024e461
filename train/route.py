"""Stage 1, route: fit the router on groups of paraphrases, so that a query depends on what is asked, not on how.

Shapes: B texts, T tokens, E features, C key width, K stored facts of a step, N tokens that must stay silent.

Three losses for the three things that a query must do. Its subject part finds the facts of its subject, and its
relation part those of its relation, among all facts of a step. And the gate, which the mention check leaves only with
facts of the mentioned subject to tell apart: the end of a question finds the key of its fact, and every other token, or
question without a fact, the null key. The backbone is frozen, so it is run once over a pool of texts and its whitened
features are kept; the steps read the pool alone.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable
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
from mome.router import NUM_BACKGROUND, Router
from train.calibrate import measure_gate
from train.fitting import fit
from train.observe import batches_of, observed
from train.progress import bar
from train.route_texts import NOT_USED, Group, Neighbourhood, Text, TextMaker, split_groups
from train.settings import RouteSettings

# A step is padded in this many parts of like length: pooling costs the square of the padded length.
NUM_PARTS = 4
NUM_WHITENING_TEXTS = 512
# Similarity of a key whose subject is not mentioned: next to no weight, yet finite, as gradients need it.
NOT_MENTIONED = -4.0


@dataclass
class Part:
    """Texts of like length of one step."""

    features: Tensor  # [B, T, E]
    mask: Tensor  # [B, T] bool
    end: Tensor  # [B] position of the prompt's last token, or NOT_USED
    number: Tensor  # [B] which of the step's texts each is
    mentioned: Tensor  # [B] position of the last token of the subject, 0 where it is not found
    in_subject: Tensor  # [B, T] of a key text 1 in its subject and 0 elsewhere; NOT_USED where that is not known


@dataclass
class RouteBatch:
    """One step: a key text for every stored fact, a query text for every fact, stored ones first, and mention texts."""

    parts: list[Part]
    subject: Tensor  # [texts] int64, the same for texts with the same subject
    relation: Tensor  # [facts] int64, the same for facts with the same relation
    num_keys: int

    @property
    def num_ends(self) -> int:
        """How many of the texts, the first ones, have a prompt that ends."""
        return self.num_keys + len(self.relation)


class Pool(IterableDataset):
    """Texts with their features, and an endless row of steps over them that is fixed by the seed."""

    def __init__(
        self,
        keys: list[list[Text]],
        queries: list[list[Text]],
        mentions: list[Text],
        seed: int,
    ):
        self.keys, self.queries = keys, queries  # [group][variant]
        self.mentions = mentions  # [group]
        self.seed, self.start = seed, 0
        self.features: dict[int, Tensor] = {}  # id of the text object -> [T, E] bf16
        self.settings: RouteSettings
        self.neighbourhood: Neighbourhood

    def texts(self) -> list[Text]:
        """All texts."""
        return [text for texts in (*self.keys, *self.queries, self.mentions) for text in texts]

    def sample(self, seed: int) -> list[list[int]]:
        """Token ids of some of the texts."""
        texts = self.texts()
        return [text.ids for text in random.Random(seed).sample(texts, min(NUM_WHITENING_TEXTS, len(texts)))]

    def __iter__(self):
        step = self.start
        while True:
            yield self.batch(random.Random(f"{self.seed}-{step}"))
            step += 1

    def batch(self, rng: random.Random) -> RouteBatch:
        """Draw one step."""
        numbers = self.neighbourhood.draw(self.settings.num_facts_per_step, rng)
        num_keys = max(1, round(len(numbers) * self.settings.stored_share))
        texts = self.draw(numbers, num_keys, rng)
        order = sorted(range(len(texts)), key=lambda i: len(texts[i].ids))
        size = -(-len(order) // NUM_PARTS)
        parts = [self._part(texts, order[start : start + size], num_keys) for start in range(0, len(order), size)]
        groups = self.neighbourhood.groups
        subject = _codes(groups[text.group].subject for text in texts)
        return RouteBatch(parts, subject, _codes(groups[number].relation for number in numbers), num_keys)

    def draw(self, numbers: list[int], num_keys: int, rng: random.Random) -> list[Text]:
        """The texts of a step about groups with these numbers, of which the first have a key."""
        texts = [rng.choice(self.keys[number]) for number in numbers[:num_keys]]
        texts += [rng.choice(self.queries[number]) for number in numbers]
        return texts + [self.mentions[number] for number in numbers[:num_keys]]

    def _part(self, texts: list[Text], numbers: list[int], num_keys: int) -> Part:
        rows = [self.features[id(texts[number])] for number in numbers]
        features = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True).float()
        lengths = torch.tensor([len(row) for row in rows])
        mask = torch.arange(features.shape[1]) < lengths[:, None]
        in_subject = torch.full(mask.shape, float(NOT_USED))
        for row, number in enumerate(numbers):
            if (span := texts[number].subject) is not None and number < num_keys:
                in_subject[row, : lengths[row]] = 0.0
                in_subject[row, slice(*span)] = 1.0
        ends = torch.tensor([texts[number].end for number in numbers])
        spans = [texts[number].subject for number in numbers]
        mentioned = torch.tensor([span[1] - 1 if span else 0 for span in spans])
        return Part(features, mask, ends, torch.tensor(numbers), mentioned, in_subject)


def _codes(names: Iterable[str]) -> Tensor:
    """int64, the same number for the same name."""
    codes: dict[str, int] = {}
    return torch.tensor([codes.setdefault(name, len(codes)) for name in names])


def make_pool(groups: list[Group], maker: TextMaker, settings: RouteSettings, seed: int) -> Pool:
    """Draw the texts of a pool; their features are still to be observed."""
    rng = random.Random(seed)
    variants = range(settings.num_variants)
    keys = [[maker.key_text(number, rng) for _ in variants] for number in range(len(groups))]
    queries = [[maker.query_text(number, rng) for _ in variants] for number in range(len(groups))]
    mentions = [maker.mention_text(number, rng) for number in range(len(groups))]
    pool = Pool(keys, queries, mentions, seed)
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
        # Of the two losses over all facts of a step; only the gate's temperature is of use afterwards.
        self.log_temperatures = torch.nn.Parameter(torch.tensor([0.07, 0.1]).log())

    def training_step(self, batch: RouteBatch, _index: int) -> Tensor:
        # Drawn for this step alone, so that a resumed run drops what an uninterrupted one drops.
        torch.manual_seed(self.global_step)
        for part in batch.parts:
            part.features = functional.dropout(part.features, self.settings.feature_dropout)
        losses = self.losses(batch)
        self.log_dict(losses, prog_bar=True)
        return torch.stack(list(losses.values())).sum()

    def losses(self, batch: RouteBatch) -> dict[str, Tensor]:
        """What is minimised, by name."""
        ends, silent = queries_of(self.router, batch)
        of_subject, of_relation = self.log_temperatures.exp()
        subject, relation = self.router.widths
        return {
            "subject": alike_loss(ends[:, :subject], batch.subject[: len(ends)], batch.num_keys, of_subject),
            "relation": alike_loss(ends[:, subject:], _relations(batch), batch.num_keys, of_relation),
            "gate": gate_loss(self.router, batch, ends[:, -relation:], silent),
            "mention": subject_loss(self.router, batch),
        }

    def transfer_batch_to_device(self, batch: RouteBatch, device: torch.device, dataloader_idx: int) -> RouteBatch:
        parts = [Part(**{name: table.to(device) for name, table in vars(part).items()}) for part in batch.parts]
        return RouteBatch(parts, batch.subject.to(device), batch.relation.to(device), batch.num_keys)

    def configure_optimizers(self):  # type: ignore[override]
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.settings.learning_rate, weight_decay=0.01)
        warm = max(1, self.settings.steps // 20)
        steps: list[torch.optim.lr_scheduler.LRScheduler] = [
            torch.optim.lr_scheduler.LinearLR(optimizer, 0.05, 1.0, warm),
            torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, self.settings.steps - warm)),
        ]
        schedule = torch.optim.lr_scheduler.SequentialLR(optimizer, steps, [warm])
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


@dataclass
class Silent:
    """Tokens behind a mention of a subject that must not find any key."""

    relation: Tensor  # [N, R] relation parts of their queries
    text: Tensor  # [N] which of the step's texts each belongs to


def queries_of(router: Router, batch: RouteBatch) -> tuple[Tensor, Silent]:
    """Queries `[texts, C]` at the ends of the prompts, by number of text, and the tokens that must stay silent."""
    ends, numbers, relations, owners = [], [], [], []
    for part in batch.parts:
        query, _ = router.query(part.features, part.mask, None)  # [B, T, C]
        has_end = part.end != NOT_USED
        rows = torch.arange(len(query), device=query.device)
        ends.append(query[rows[has_end], part.end[has_end]])
        numbers.append(part.number[has_end])
        place = torch.arange(query.shape[1], device=query.device)
        # The token before an end often looks like an end itself ("born" and "born in"), so it is left out.
        distance = part.end[:, None] - place
        near_end = has_end[:, None] & (distance >= 0) & (distance <= 1)
        is_key = part.number[:, None] < batch.num_keys
        silent = part.mask & ~near_end & ~is_key & (place >= part.mentioned[:, None])
        relations.append(query[silent][:, -router.widths[1] :])
        owners.append(part.number[:, None].expand_as(silent)[silent])
    return torch.cat(ends)[torch.cat(numbers).argsort()], Silent(torch.cat(relations), torch.cat(owners))


def _relations(batch: RouteBatch) -> Tensor:
    """int64 of the texts with an end: keys, then queries."""
    return torch.cat([batch.relation[: batch.num_keys], batch.relation])


def alike_loss(ends: Tensor, name: Tensor, num_keys: int, temperature: Tensor) -> Tensor:
    """Cross-entropy of finding any key of the same name among all keys, over the queries for which there is one.

    The loss of supervised contrastive learning (arXiv 2004.11362, eq. 3, the sum inside the logarithm).

    Args:
        ends: unit rows `[keys + queries, C]`.
        name: int64 of each, the same for those that are alike.
    """
    alike = name[num_keys:, None] == name[:num_keys]  # [queries, keys]
    known = alike.any(1)
    logits = ends[num_keys:][known] @ ends[:num_keys].T / temperature
    found = logits.masked_fill(~alike[known], -torch.inf).logsumexp(1)
    return (logits.logsumexp(1) - found).mean()


def gate_loss(router: Router, batch: RouteBatch, ends: Tensor, silent: Silent) -> Tensor:
    """Cross-entropy over the null key and the keys whose subject is the text's own, as the mention check leaves them.

    Ends of stored questions, ends of other questions, other tokens of questions and mentions weigh the same, however
    many there are.

    Args:
        ends: relation parts at the prompts' ends, `[keys + queries, R]`.
    """
    num_keys = batch.num_keys
    text = torch.cat([torch.arange(num_keys, batch.num_ends, device=ends.device), silent.text])
    similarity = torch.cat([ends[num_keys:], silent.relation]) @ ends[:num_keys].T
    similarity = similarity.masked_fill(batch.subject[text][:, None] != batch.subject[:num_keys], NOT_MENTIONED)
    similarity = torch.cat([similarity, router.null_similarity.expand(len(text), 1)], dim=1)
    target = torch.full_like(text, num_keys)
    target[:num_keys] = torch.arange(num_keys, device=ends.device)
    loss = functional.cross_entropy(similarity / router.log_temperature.exp(), target, reduction="none")
    stored, unstored, other = loss[:num_keys], loss[num_keys : len(batch.relation)], loss[len(batch.relation) :]
    # Most other tokens are plainly no question; those near the null key's similarity are the ones that matter.
    near, in_mention = other > 0.05, silent.text >= batch.num_ends
    parts = [stored, unstored, other, other[near], other[near & in_mention]]
    return torch.stack([part.mean() for part in parts if len(part)]).sum()


def subject_loss(router: Router, batch: RouteBatch) -> Tensor:
    """Cross-entropy of telling the tokens of a subject from the rest of its prompt, over the key texts."""
    logits = torch.cat([router.subject_logits(part.features).flatten() for part in batch.parts])
    target = torch.cat([part.in_subject.flatten() for part in batch.parts])
    known = target != NOT_USED
    if not known.any():
        return logits.sum() * 0.0
    return functional.binary_cross_entropy_with_logits(logits[known], target[known])


@torch.no_grad()
def fill_background(router: Router, pool: Pool, seed: int) -> None:
    """Keep the relation parts of some key texts, as evenly over the relations as can be."""
    rng = random.Random(seed)
    by_relation = [rng.sample(numbers, len(numbers)) for numbers in pool.neighbourhood.by_relation.values()]
    rounds = itertools.chain.from_iterable(itertools.zip_longest(*by_relation))
    numbers = list(itertools.islice((number for number in rounds if number is not None), NUM_BACKGROUND))
    for row, number in enumerate(numbers):
        features = pool.features[id(rng.choice(pool.keys[number]))][None].float().to(router.mean.device)
        router.background[row] = router.query(features, None, None)[0][0, -1, -router.widths[1] :]


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
        groups: paraphrase groups; some, by subject, are held out for the calibration.
        unrelated: unrelated texts, to stand before a question or around a mention.
        work: folder for the log and for the checkpoint that an interrupted run resumes from.

    Returns:
        The frozen router, and a report with the gate's `curve` on the held-out groups.
    """
    lightning.seed_everything(seed, verbose=False)
    train, held_out = split_groups(groups, settings.held_out, seed)
    joins = dict.fromkeys(("plain", "qa", config.join))
    joiners = [Joiner(tokenizer=tokenizer, join=join, end=config.end) for join in joins]
    torch.nn.Module.to(backbone, "cuda" if torch.cuda.is_available() else "cpu")
    router = new_router(config).to(next(backbone.parameters()).device)
    pool = make_pool(train, TextMaker(train, unrelated, joiners, settings), settings, seed)
    fit_whitening(router, backbone, config.feature_layers, pool.sample(seed))
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
    fill_background(router, pool, seed)
    joiner = Joiner(tokenizer=tokenizer, join=config.join, end=config.end)
    report = measure_gate(router, backbone, config, held_out, joiner, seed)
    backbone.cpu()
    return router.cpu(), report
