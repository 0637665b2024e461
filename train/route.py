"""Stage 1, route: fit the router on groups of paraphrases, so that a query depends on what is asked, not on how.

Shapes: B prompts, T tokens, E features, C key width, K stored facts of a batch.

The loss is the read itself: cross-entropy of the attention over the stored keys and the null key. The key of a fact is
the query at the end of one wording; the query is taken at the end of another, behind other text; questions whose fact
is not stored, tokens inside prompts and answers, and unrelated text must choose the null key.
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

from mome.config import MoMEConfig
from mome.decoder import find_layers, hidden_of
from mome.joining import Joiner
from mome.router import Router
from train.fitting import fit
from train.settings import RouteSettings

IGNORED, NULL = -2, -1


@dataclass(frozen=True, slots=True)
class Group:
    """Prompts that ask for one fact."""

    subject: str
    relation: str
    answer: str
    prompts: tuple[str, ...]


def split_groups(groups: list[Group], held_out: float, seed: int) -> tuple[list[Group], list[Group]]:
    """Training and held-out groups, no subject in both."""
    subjects = sorted({group.subject for group in groups})
    random.Random(seed).shuffle(subjects)
    away = set(subjects[: round(held_out * len(subjects))])
    return [g for g in groups if g.subject not in away], [g for g in groups if g.subject in away]


@dataclass
class RouteBatch:
    """Texts of one step: the keys' texts first, then the queries'."""

    tokens: Tensor  # [B, T] int64, padded on the right
    mask: Tensor  # [B, T] bool
    key_position: Tensor  # [K] position of each stored key in its text; key i is taken from text i
    label: Tensor  # [B - K, T] stored key that each token's query must choose, NULL, or IGNORED


class RouteBatches(IterableDataset):
    """Endless batches: facts that lie near one another, each in two wordings, half of the second ones behind text."""

    def __init__(
        self, groups: list[Group], texts: list[str], joiners: list[Joiner], settings: RouteSettings, seed: int
    ):
        self.groups, self.texts, self.joiners, self.settings = groups, texts, joiners, settings
        self.seed, self.start = seed, 0
        self.by_relation, self.by_subject = _numbers_by(groups, "relation"), _numbers_by(groups, "subject")

    def __iter__(self):
        step = self.start
        while True:
            yield self.batch(random.Random(f"{self.seed}-{step}"))
            step += 1

    def _draw(self, rng: random.Random) -> list[int]:
        """Numbers of facts: seeds, each with a fact of its relation and of its subject, and names alike."""
        chosen: dict[int, None] = {}
        while len(chosen) < self.settings.num_facts_per_step:
            seed = rng.randrange(len(self.groups))
            group = self.groups[seed]
            alike = self.by_relation[group.relation], self.by_subject[group.subject]
            for number in (seed, *(rng.choice(numbers) for numbers in alike), *self._near_names(seed, rng)):
                chosen[number] = None
        return list(chosen)[: self.settings.num_facts_per_step]

    def _near_names(self, seed: int, rng: random.Random) -> list[int]:
        """A fact of the same relation whose subject shares a word with the seed's."""
        group = self.groups[seed]
        words = set(group.subject.split())
        candidates = rng.sample(self.by_relation[group.relation], min(40, len(self.by_relation[group.relation])))
        near = [n for n in candidates if n != seed and words & set(self.groups[n].subject.split())]
        return near[:1]

    def batch(self, rng: random.Random) -> RouteBatch:
        """One step's texts and labels."""
        facts = [self.groups[number] for number in self._draw(rng)]
        num_stored = round(len(facts) * self.settings.stored_share)
        keys = [self._key_text(fact, rng) for fact in facts[:num_stored]]
        queries = [self._query_text(fact, number, number < num_stored, rng) for number, fact in enumerate(facts)]
        queries += [self._plain_text(rng) for _ in range(len(facts) // 4)]
        texts = [ids for ids, _ in keys] + [ids for ids, _ in queries]
        longest = max(map(len, texts))
        pad = self.joiners[0].tokenizer.pad_token_id
        label = torch.full((len(queries), longest), IGNORED)
        for row, (_, labels) in enumerate(queries):
            label[row, : len(labels)] = torch.tensor(labels)
        return RouteBatch(
            torch.tensor([ids + [pad] * (longest - len(ids)) for ids in texts]),
            torch.tensor([[True] * len(ids) + [False] * (longest - len(ids)) for ids in texts]),
            torch.tensor([position for _, position in keys]),
            label,
        )

    def _key_text(self, fact: Group, rng: random.Random) -> tuple[list[int], int]:
        ids = rng.choice(self.joiners).encode_prompt(rng.choice(fact.prompts))
        return ids, len(ids) - 1

    def _query_text(self, fact: Group, number: int, stored: bool, rng: random.Random) -> tuple[list[int], list[int]]:
        """Earlier text, prompt and answer; the prompt's end must choose its key, every other token the null key."""
        joiner, prompt = rng.choice(self.joiners), rng.choice(fact.prompts)
        asked = joiner.encode_prompt(prompt)
        before = self._earlier(joiner, rng) if rng.random() < self.settings.distracted_share else []
        if before and asked[0] == joiner.tokenizer.bos_token_id:
            asked = asked[1:]
        answer = joiner.encode_answer(prompt, fact.answer)
        ids = (before + asked + answer)[-self.settings.max_tokens :]
        labels = [NULL] * len(ids)
        end = len(ids) - len(answer) - 1
        labels[end] = number if stored else NULL
        # The token before the end often cannot be told from the end ("born" and "born in"), so it is left out.
        labels[max(0, end - 1)] = IGNORED if stored else NULL
        return ids, labels

    def _earlier(self, joiner: Joiner, rng: random.Random) -> list[int]:
        """Unrelated text or earlier questions with their answers."""
        if rng.random() < 0.4:
            return self._snippet(rng, 40) + joiner.tokenizer("\n\n", add_special_tokens=False).input_ids
        ids: list[int] = []
        for _ in range(rng.randint(1, 3)):
            fact = rng.choice(self.groups)
            prompt = rng.choice(fact.prompts)
            asked = joiner.encode_prompt(prompt)
            ids += asked[1:] if ids and asked[0] == joiner.tokenizer.bos_token_id else asked
            ids += [t for t in joiner.encode_answer(prompt, fact.answer) if t != joiner.tokenizer.eos_token_id]
            ids += joiner.tokenizer(rng.choice(["\n\n", "\n", ". "]), add_special_tokens=False).input_ids
        return ids

    def _snippet(self, rng: random.Random, num_words: int) -> list[int]:
        words = rng.choice(self.texts).split(" ")
        start = rng.randrange(max(1, len(words) - num_words))
        return self.joiners[0].tokenizer(" ".join(words[start : start + rng.randint(5, num_words)])).input_ids

    def _plain_text(self, rng: random.Random) -> tuple[list[int], list[int]]:
        ids = self._snippet(rng, 60)[: self.settings.max_tokens]
        return ids, [NULL] * len(ids)


def _numbers_by(groups: list[Group], name: str) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for number, group in enumerate(groups):
        found.setdefault(getattr(group, name), []).append(number)
    return found


@torch.no_grad()
def feature_states(backbone: PreTrainedModel, layers: list[int], tokens: Tensor, mask: Tensor) -> list[Tensor]:
    """Outputs `[B, T, D]` of the given decoder layers; layers above the last one needed are run all the same."""
    seen: dict[int, Tensor] = {}
    modules = find_layers(backbone)

    def keep(number: int):
        return lambda _module, _args, output: seen.__setitem__(number, hidden_of(output))

    hooks = [modules[number].register_forward_hook(keep(number)) for number in layers]
    try:
        backbone(input_ids=tokens, attention_mask=mask.long(), use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
    return [seen[number] for number in layers]


def fit_whitening(router: Router, states: list[Tensor], mask: Tensor) -> None:
    """Set the router's whitening from states `[B, T, D]` of each feature layer: principal components, unit variance."""
    for number, state in enumerate(states):
        rows = state[mask].double()
        mean = rows.mean(0)
        covariance = (rows - mean).T @ (rows - mean) / len(rows)
        values, vectors = torch.linalg.eigh(covariance)
        width = router.whitening.shape[-1]
        values, vectors = values[-width:], vectors[:, -width:]
        # Directions with next to no variance are noise; dividing by their spread would make them dominate.
        scale = (values + values.mean() * 1e-2).rsqrt()
        router.mean[number], router.whitening[number] = mean.float(), (vectors * scale).float()


class RouteModule(lightning.LightningModule):
    """Trains the router; the frozen backbone is held outside the module, so no checkpoint contains it."""

    def __init__(self, router: Router, backbone: PreTrainedModel, config: MoMEConfig, settings: RouteSettings):
        super().__init__()
        self.router, self.config, self.settings = router, config, settings
        self.frozen = [backbone]

    def training_step(self, batch: RouteBatch, _index: int) -> Tensor:
        loss, hits = route_loss(self.router, self._states(batch), batch)
        self.log_dict({"loss": loss, "hits": hits}, prog_bar=True)
        return loss

    def _states(self, batch: RouteBatch) -> list[Tensor]:
        return feature_states(self.frozen[0], self.config.feature_layers, batch.tokens, batch.mask)

    def transfer_batch_to_device(self, batch: RouteBatch, device: torch.device, _index: int) -> RouteBatch:
        return RouteBatch(*(getattr(batch, name).to(device) for name in ("tokens", "mask", "key_position", "label")))

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.router.parameters(), lr=self.settings.learning_rate, weight_decay=0.01)
        warm = max(1, self.settings.steps // 20)
        steps = [
            torch.optim.lr_scheduler.LinearLR(optimizer, 0.05, 1.0, warm),
            torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, self.settings.steps - warm)),
        ]
        schedule = torch.optim.lr_scheduler.SequentialLR(optimizer, steps, [warm])
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


def route_loss(router: Router, states: list[Tensor], batch: RouteBatch) -> tuple[Tensor, Tensor]:
    """Cross-entropy over stored keys and the null key, and the share of stored questions that find their key.

    Three kinds of token weigh the same: ends of stored questions, ends of others, and all the rest.
    """
    query, _ = router(states, batch.mask)  # [B, T, C]
    num_keys = len(batch.key_position)
    keys = query[torch.arange(num_keys, device=query.device), batch.key_position]  # [K, C]
    asked, label = query[num_keys:], batch.label
    used = label != IGNORED
    similarity = torch.cat([asked[used] @ keys.T, router.null_similarity.expand(int(used.sum()), 1)], dim=1)
    target = torch.where(label[used] == NULL, num_keys, label[used])
    loss = functional.cross_entropy(similarity / router.log_temperature.exp(), target, reduction="none")
    stored = target != num_keys
    hits = (similarity[stored].argmax(1) == target[stored]).float().mean()
    # Most tokens are plainly unrelated; the few near the null key's similarity are those that matter.
    hard = similarity[~stored, :-1].detach().amax(1) > router.null_similarity.detach() - 0.3
    silent = loss[~stored]
    loss = loss[stored].mean() + silent.mean() + (silent[hard].mean() if hard.any() else 0)
    return loss, hits


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

    Half of the held-out groups are stored by their first wording and asked in their others; the other half is asked
    only. Both halves ask the same kinds of question, so these are the hardest negatives.

    Returns:
        The threshold, the share of unstored questions that pass it, and of stored ones that pass and find their key.
    """
    groups = random.Random(seed).sample(groups, min(len(groups), 2000))
    stored, unstored = groups[::2], groups[1::2]
    keys = end_queries(router, backbone, config, [joiner.encode_prompt(g.prompts[0]) for g in stored])
    asked = [(number, p) for number, g in enumerate(stored) for p in g.prompts[1:4]]
    right = torch.tensor([number for number, _ in asked], device=keys.device)
    found = end_queries(router, backbone, config, [joiner.encode_prompt(p) for _, p in asked]) @ keys.T
    others = end_queries(router, backbone, config, [joiner.encode_prompt(g.prompts[-1]) for g in unstored]) @ keys.T
    threshold = float(torch.quantile(others.amax(1), 1 - max_false_fire))
    router.null_similarity.fill_(threshold)
    best = found.max(1)
    return {
        "threshold": threshold,
        "false_fire": float((others.amax(1) > threshold).float().mean()),
        "nearest_right": float((best.indices == right).float().mean()),
        "open_and_right": float(((best.indices == right) & (best.values > threshold)).float().mean()),
    }


@torch.no_grad()
def end_queries(
    router: Router, backbone: PreTrainedModel, config: MoMEConfig, prompts: list[list[int]], batch_size: int = 128
) -> Tensor:
    """Queries `[B, C]` at the last token of token-id prompts."""
    device = next(backbone.parameters()).device
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    queries = torch.empty(len(prompts), config.d_key, device=device)
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        longest = max(len(prompts[i]) for i in rows)
        tokens = torch.tensor([prompts[i] + [0] * (longest - len(prompts[i])) for i in rows], device=device)
        ends = torch.tensor([len(prompts[i]) - 1 for i in rows], device=device)
        mask = torch.arange(longest, device=device) <= ends[:, None]
        query, _ = router(feature_states(backbone, config.feature_layers, tokens, mask), mask)
        queries[torch.tensor(rows, device=device)] = query[torch.arange(len(rows), device=device), ends]
    return queries


def train_router(
    backbone: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    config: MoMEConfig,
    groups: list[Group],
    texts: list[str],
    settings: RouteSettings,
    work: Path,
    seed: int,
) -> tuple[Router, dict]:
    """Train and calibrate a router.

    Args:
        groups: paraphrase groups; a tenth, by subject, is held out for the calibration.
        texts: unrelated text, for earlier turns and as negatives.
        work: folder for the log and for the checkpoint that an interrupted run resumes from.

    Returns:
        The frozen router, and what calibration measured on the held-out groups.
    """
    lightning.seed_everything(seed, verbose=False)
    train, held_out = split_groups(groups, 0.1, seed)
    joins = dict.fromkeys(("plain", "qa", config.join))
    joiners = [Joiner(tokenizer=tokenizer, join=join, end=config.end) for join in joins]
    batches = RouteBatches(train, texts, joiners, settings, seed)
    router = Router(len(config.feature_layers), config.d_model, config.d_feature, config.num_heads, config.d_head)
    if torch.cuda.is_available():
        backbone.cuda()
    device = next(backbone.parameters()).device
    router.to(device)
    sample = batches.batch(random.Random(seed))
    fit_whitening(
        router,
        feature_states(backbone, config.feature_layers, sample.tokens.to(device), sample.mask.to(device)),
        sample.mask.to(device),
    )
    fit(
        RouteModule(router, backbone, config, settings),
        batches,
        num_steps=settings.steps,
        work=work,
        name="route",
        checkpoint_every=settings.checkpoint_every,
    )
    router.to(device).eval().requires_grad_(False)
    joiner = Joiner(tokenizer=tokenizer, join=config.join, end=config.end)
    report = calibrate(router, backbone, config, held_out, joiner, settings.max_false_fire, seed)
    backbone.cpu()
    return router.cpu(), report
