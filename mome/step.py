"""One token more of every row, as in a cached decoding step: what `mome.attention` and `mome.memory` decide of many
tokens in tensors, decided of one in Python's own numbers.

Shapes: B batch, C key width, R width of its relation part, A candidates, M background rows, S tokens seen so far.

Behind a backbone's layers nothing of the memory's code is left in the processor's caches, and a kind of tensor
operation that the backbone does not use itself costs 20 to 50 microseconds, however little it computes. The interpreter
and matrix products are in use all the time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from mome.attention import Attention, Gate, attend
from mome.bank import Bank
from mome.continuation import CLOSED, Past, Read, read_token
from mome.lookup import Candidates
from mome.memory import MemoryState, Routing
from mome.router import SAME_RELATION, PoolState
from mome.tables import Table

MAX_NUMBERS = 512  # candidates of all rows, above which tensors are the faster ones


@dataclass
class Step:
    """Which expert the one token of every row reads, and why; see `Routing` and `Read`. Every list is `[B]`."""

    expert: list[int]
    continued: list[bool]
    similarity: list[float]
    confidence: list[float]
    said: list[int]
    clearness: list[float]

    @staticmethod
    def silent(similarity: list[float]) -> Step:
        """No row reads an expert, for similarities `[B]` of the nearest keys."""
        num_rows = len(similarity)
        nothing = [[CLOSED] * num_rows for _ in range(2)]
        zeros = [[0.0] * num_rows for _ in range(2)]
        return Step(nothing[0], [False] * num_rows, list(similarity), zeros[0], nothing[1], zeros[1])

    @property
    def is_silent(self) -> bool:
        """Whether no row reads an expert."""
        return all(expert == CLOSED for expert in self.expert)

    def routing(self) -> Routing:
        """The same in tables `[B, 1]`."""
        columns = self.expert, self.continued, self.said, self.clearness, self.similarity, self.confidence
        expert, continued, said, clearness, similarity, confidence = (
            torch.tensor(column)[:, None] for column in columns
        )
        return Routing(similarity, confidence, Read(expert, continued, said, clearness), self.is_silent)

    def state_after(self, pool: PoolState, tokens: Tensor, before: MemoryState) -> MemoryState:
        """What the next token needs to know, behind these (int64 `[B, 1]`); see `Routing.state_after`."""
        past = before.past
        if self.is_silent and past.is_silent:
            return MemoryState(pool, past.in_silence(tokens), before.confidence)
        (seen, newer), said, clearness = past.growing(tokens), past.said, past.clearness
        if any(fact != CLOSED for fact in self.said):
            whole, newer = past.whole(), ()
            seen = whole.with_seen(tokens)
            said = torch.cat([whole.said, said.new_tensor(self.said)[:, None]], dim=1)
            clearness = torch.cat([whole.clearness, clearness.new_tensor(self.clearness)[:, None]], dim=1)
        last = past.expert.new_tensor(self.expert), past.similarity.new_tensor(self.similarity)
        confidence = before.confidence.new_tensor(self.confidence)
        return MemoryState(pool, Past(seen, said, clearness, *last, self.is_silent, newer), confidence)


@dataclass
class Winner:
    """What cross-attention found for the one token of every row, see `Attention`; every list is `[B]`."""

    key: list[int]
    similarity: list[float]
    confidence: list[float]

    @staticmethod
    def of(attention: Attention) -> Winner:
        """From tables `[B, 1]`."""
        tables = attention.key, attention.similarity, attention.confidence
        return Winner(*(table[:, 0].tolist() for table in tables))


def attend_step(query: Tensor, candidates: Candidates, keys: Table, gate: Gate) -> Winner:
    """`attend` of one token of every row over the candidates of its prompt.

    Args:
        query: fp32 `[B, C]`.
        keys: `[K, C]`.
    """
    num_rows = len(candidates.key)
    if candidates.is_none:
        return Winner([CLOSED] * num_rows, [-math.inf] * num_rows, [0.0] * num_rows)
    if candidates.key.numel() > MAX_NUMBERS:
        query = query[:, None]
        return Winner.of(attend(query, candidates.neighbours(query), keys, gate))
    width = candidates.subject.shape[-1]
    subject, relation = query[:, :width], query[:, width:]
    similarity = _products(relation, candidates.relation)  # [B][A]
    if candidates.is_ragged:
        key = candidates.key.tolist()
        for row in range(num_rows):
            similarity[row] = [-math.inf if k == CLOSED else s for k, s in zip(key[row], similarity[row], strict=True)]
    nearest = [max(row) for row in similarity]
    if max(nearest) <= gate.null_similarity:
        return Winner([CLOSED] * num_rows, nearest, [0.0] * num_rows)
    nearness = _products(subject, candidates.subject)
    place = [_best(*row, gate.null_similarity) for row in zip(similarity, nearness, strict=True)]
    rival = _rivals(relation, candidates, place, gate)
    found = Winner([], [], [])
    for row in range(num_rows):
        seen, best = similarity[row], place[row]
        null = max(rival[row] - gate.rival_margin, gate.null_similarity)
        is_open, top = seen[best] > null, max(nearest[row], null)
        weights = [math.exp((other - top) / gate.temperature) for other in (*seen, null)]
        found.key.append(int(candidates.key[row, best]) if is_open else CLOSED)
        found.similarity.append(seen[best])
        found.confidence.append(weights[best] / sum(weights) if is_open else 0.0)
    return found


def _products(query: Tensor, of_keys: Tensor) -> list[list[float]]:
    """Products of queries `[B, X]` with keys `[B, A, X]`, `[B][A]`."""
    if len(query) == 1:
        return functional.linear(query, of_keys[0]).tolist()  # as the backbone's layers
    return (of_keys @ query[..., None])[..., 0].tolist()


def _best(similarity: list[float], nearness: list[float], bound: float) -> int:
    """See `Neighbours.best`."""
    of_each = [s + n + 8 if s > bound else s for s, n in zip(similarity, nearness, strict=True)]
    return of_each.index(max(of_each))


def _rivals(relation: Tensor, candidates: Candidates, place: list[int], gate: Gate) -> list[float]:
    """`rival_similarity` of queries `[B, R]` and one candidate of each row."""
    background = gate.background.to(relation.device)
    if candidates.handicap is None:
        # What asks for the same is no rival: it is taken below all others.
        same = candidates.relation @ background.T >= SAME_RELATION
        candidates.handicap = torch.where(same, -4.0, 0.0)
    products = functional.linear(relation, background)  # [B, M]
    handicap = candidates.handicap
    chosen = handicap[:, place[0]] if len(place) == 1 else handicap[torch.arange(len(place)), place]
    return [max(-1.0, similarity) for similarity in (products + chosen).amax(1).tolist()]


def take_step(tokens: Tensor, found: Winner, before: MemoryState, bank: Bank, num_asked: int | None = None) -> Step:
    """`mome.memory.route` for one token of every row, none of them padding.

    Args:
        tokens: int64 `[B]`.
        found: the keys that won.
        num_asked: see `mome.mention.Mentions`.
    """
    past = before.past
    step = Step.silent(found.similarity)
    if past.is_silent and all(key == CLOSED for key in found.key):
        return step
    entered, confidence = past.similarity.tolist(), before.confidence.tolist()
    for row, (token, last) in enumerate(zip(tokens.tolist(), past.expert.tolist(), strict=True)):
        given = token, found.key[row], found.similarity[row], last, entered[row]
        step.expert[row], step.continued[row], step.said[row] = read_token(*given, row, past, bank, num_asked)
        step.confidence[row] = found.confidence[row]
        if step.continued[row]:
            step.similarity[row], step.confidence[row] = entered[row], confidence[row]
        if step.said[row] != CLOSED:
            step.clearness[row] = entered[row]
    return step
