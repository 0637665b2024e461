"""A loss for `mome bench routing`: the language model's own, through the experts, which trains a router end to end.

Shapes: P tokens that are predicted, K keys of a step, G groups, D hidden width, C key width, V vocabulary.

Every training fact has an expert, written beforehand. A query reads a mixture of the step's experts and of nothing, by
the similarity of both its parts, and what is minimised is the loss of the next token: behind a question the answer's
first, elsewhere what the text says. Published systems train their selection so (the "generalization epoch" of
arXiv 2406.17642).
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from mome.decoder import Tail, find_layers
from mome.router import Router
from mome.settings import WriteSettings
from mome.write import cached_logits, write
from train.observe import batches_of, observed
from train.route import Pool, RouteBatch, queries_of
from train.route_texts import NOT_USED, Text

NAME = "through experts"
NUM_OTHERS = 2  # tokens of each text, beside a question's last, whose successor is predicted


@dataclass
class ExpertBatch(RouteBatch):
    """A step that knows its texts."""

    texts: list[Text]


class ExpertPool(Pool):
    """A pool whose steps know their texts."""

    drawn: list[Text]

    def draw(self, numbers: list[int], num_keys: int, rng: random.Random) -> list[Text]:
        self.drawn = super().draw(numbers, num_keys, rng)
        return self.drawn

    def batch(self, rng: random.Random) -> ExpertBatch:
        return ExpertBatch(**vars(super().batch(rng)), texts=self.drawn)


@dataclass
class Predicted:
    """Tokens of one text whose successors are predicted."""

    place: Tensor  # [P] int64
    state: Tensor  # [P, D] at the last layer
    target: Tensor  # [P] int64


@dataclass
class Experts:
    """What the loss reads beside the pool's features."""

    tail: Tail
    up: Tensor  # [G, D], in units of a state's rms
    predicted: dict[int, Predicted]  # by id of the text object


def write_experts(pool: Pool, backbone: PreTrainedModel, seed: int) -> Experts:
    """Give every group an expert that says its answer's first token at the end of a key text."""
    queries, keys = [texts[0] for texts in pool.queries], [texts[0] for texts in pool.keys]
    predicted = _predict(pool.texts(), backbone, random.Random(seed))
    hidden = torch.stack([predicted[id(text)].state[0] for text in keys])
    target = torch.tensor([text.ids[text.end + 1] for text in queries])
    tail, settings, num = Tail(backbone), WriteSettings(), len(keys)
    down, up = hidden.new_zeros(num, 1, 0, hidden.shape[1]), hidden.new_zeros(num, 1, hidden.shape[1], 1)
    logits_of = cached_logits(hidden, tail, settings, torch.Generator().manual_seed(seed))
    written = write(logits_of, target, torch.arange(num), down, up, settings)
    return Experts(tail, written.up[:, 0, :, 0], predicted)


@torch.no_grad()
def _predict(texts: list[Text], backbone: PreTrainedModel, rng: random.Random) -> dict[int, Predicted]:
    """States at the end of every text's prompt, which comes first, and at some of its other tokens."""
    ids, last = [text.ids for text in texts], len(find_layers(backbone)) - 1
    predicted = {}
    for numbers in batches_of(ids):
        (states,), _ = observed(backbone, [last], ids, numbers)
        for row, number in enumerate(numbers):
            text = texts[number]
            others = [place for place in range(len(text.ids) - 1) if place != text.end]
            places = [text.end] * (text.end != NOT_USED) + rng.sample(others, min(NUM_OTHERS, len(others)))
            # A key text ends with its prompt, and nothing of it is predicted.
            targets = [text.ids[place + 1] if place + 1 < len(text.ids) else 0 for place in places]
            predicted[id(text)] = Predicted(torch.tensor(places), states[row, places].float(), torch.tensor(targets))
    return predicted


def expert_loss(router: Router, batch: ExpertBatch, experts: Experts) -> Tensor:
    """Cross-entropy of the next token with the mixture that the router's queries read: ends of stored questions and all
    other tokens weigh the same."""
    num_keys, width = batch.num_keys, router.widths[0]
    keys, _ = queries_of(router, batch)
    queries, read, is_end = [], [], []
    for part in batch.parts:
        query, _ = router.query(part.features, part.mask, None)  # [B, T, C]
        for row, number in enumerate(part.number.tolist()):
            if number < num_keys:
                continue
            tokens, is_question = experts.predicted[id(batch.texts[number])], number < batch.num_ends
            # The answer to a question whose fact is not stored cannot be known.
            kept = slice(1 if is_question and number >= 2 * num_keys else 0, None)
            queries.append(query[row, tokens.place[kept]])
            read.append(Predicted(tokens.place[kept], tokens.state[kept], tokens.target[kept]))
            is_end.append(torch.arange(len(tokens.place))[kept] < int(is_question))
    query, state = torch.cat(queries), torch.cat([tokens.state for tokens in read])  # [P, C], [P, D]
    of_key = keys[:num_keys]
    score = query[:, :width] @ of_key[:, :width].T + query[:, width:] @ of_key[:, width:].T  # [P, K]
    # A key of the very subject is as near as can be in the subject part: the null key is given that much.
    null = (router.null_similarity + 1).expand(len(query), 1)
    weight = (torch.cat([score, null], dim=1) / router.log_temperature.exp()).softmax(1)[:, :-1]
    up = experts.up[[text.group for text in batch.texts[:num_keys]]]  # [K, D]
    changed = state + state.pow(2).mean(-1, keepdim=True).sqrt() * (weight @ up)
    target = torch.cat([tokens.target for tokens in read])
    loss = functional.cross_entropy(experts.tail(changed).float(), target, reduction="none")
    ends = torch.cat(is_end)
    return loss[ends].mean() + loss[~ends].mean()
