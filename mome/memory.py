"""The memory layer: cross-attention over the nearest keys and the null key, continuation, and the gate.

Shapes: B batch, T tokens, S tokens seen so far, N neighbours, K keys, C key width, R width of its relation part,
P tokens whose gate may open.

The read is hard: the nearest key wins or the null key does, and the winner's expert is added with weight one. A soft
mixture would let a fact's logits depend on its neighbours', so that no fact could be corrected or forgotten without
moving others. The attention weights remain as the measure of how sure the read was.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from mome.bank import Bank
from mome.continuation import CLOSED, Past, Read, read
from mome.index import FaissIndex, TorchIndex
from mome.lookup import Candidates, Neighbours, retrieve
from mome.mention import Mentions
from mome.router import PoolState, Router, rival_similarity
from mome.tables import Table


@dataclass
class Routing:
    """Which expert every token reads, and why."""

    similarity: Tensor  # [B, T] of the key through which the expert's fact was entered; of the nearest key where closed
    confidence: Tensor  # [B, T] attention weight of the key that was read among its neighbours and the null key, else 0
    read: Read
    is_silent: bool = False  # no token reads an expert, as is known without a look at them

    @property
    def expert(self) -> Tensor:
        """int64 `[B, T]`, CLOSED where the null key won."""
        return self.read.expert

    @property
    def continued(self) -> Tensor:
        """bool `[B, T]`, True where the expert followed its predecessor rather than a key."""
        return self.read.continued

    @staticmethod
    def silent(like: Tensor) -> Routing:
        """No token reads an expert, and no key was looked at: for tokens int64 `[B, T]`."""
        nothing = torch.zeros(like.shape, device=like.device)
        return Routing(nothing - torch.inf, nothing, Read.nothing(torch.full_like(like, CLOSED), nothing), True)

    def state_after(
        self, pool: PoolState, seen: Tensor, mask: Tensor | None, before: MemoryState | None = None
    ) -> MemoryState:
        """What the next token needs to know; padding on the right is passed over, and a row of padding alone keeps
        what it knew `before`.

        Args:
            seen: int64 `[B, S + T]`, all tokens so far, NO_TOKEN at padding.
        """
        past = before.past if before is not None else Past.none(len(seen), seen.device)
        if self.is_silent:
            confidence = before.confidence if before is not None else past.similarity
            return MemoryState(pool, replace(past, seen=seen, is_silent=True), confidence)
        tables = self.expert, self.similarity, self.confidence
        if mask is None:
            after = [table[:, -1] for table in tables]
        else:
            rows, last = torch.arange(len(mask), device=mask.device), mask.int().cumsum(1).argmax(1)
            after = [table[rows, last] for table in tables]
        if before is not None and mask is not None:
            kept = before.past.expert, before.past.similarity, before.confidence
            after = [torch.where(mask.any(1), new, old) for new, old in zip(after, kept, strict=True)]
        is_silent = not bool((after[0] != CLOSED).any())
        said, clearness = past.said, past.clearness
        if not self.read.is_entry:
            past = past.whole()
            said = torch.cat([past.said, self.read.said], dim=1)
            clearness = torch.cat([past.clearness, self.read.clearness], dim=1)
        if said.shape[1] and not bool((said != CLOSED).any()):
            said, clearness = said[:, :0], clearness[:, :0]
        return MemoryState(pool, Past(seen, said, clearness, after[0], after[1], is_silent), after[2])


@dataclass
class MemoryState:
    """What the memory carries from one cached decoding step to the next; it rides on the backbone's cache."""

    pool: PoolState
    past: Past
    confidence: Tensor  # [B] of the last token
    candidates: Candidates | None = None  # None where the index is searched for every token
    unread: tuple[Features, ...] = ()  # of tokens at the end that the router has not read

    def take(self, rows: Tensor) -> MemoryState:
        """The state of a batch made of the given rows of this one (int64 `[B']`)."""
        rows = rows.to(self.past.expert.device)
        candidates = self.candidates.take(rows) if self.candidates is not None else None
        unread = tuple(features.take(rows) for features in self.unread)
        return MemoryState(self.pool.take(rows), self.past.take(rows), self.confidence[rows], candidates, unread)

    def is_idle(self, num_asked: int | None) -> bool:
        """Whether no token can read an expert before the end of this `generate`."""
        candidates = self.candidates
        return candidates is not None and candidates.serve(num_asked) and candidates.is_none and self.past.is_silent


@dataclass
class Call:
    """One forward in flight."""

    tokens: Tensor  # [B, T]
    mask: Tensor | None  # [B, T] bool
    before: MemoryState | None
    features: dict[int, Tensor] = field(default_factory=dict)  # layer -> [B, T, D], before any residual
    query: Tensor | None = None  # [B, T, C]
    routing: Routing | None = None
    after: MemoryState | None = None


@dataclass
class Features:
    """What the router reads of some tokens."""

    hidden: list[Tensor]  # [B, T, D] of each feature layer
    mask: Tensor | None  # [B, T] bool, False at padding

    def take(self, rows: Tensor) -> Features:
        """Those of a batch made of the given rows of this one (int64 `[B']`)."""
        return Features([layer[rows] for layer in self.hidden], self.mask[rows] if self.mask is not None else None)

    @staticmethod
    def cat(parts: list[Features]) -> Features:
        """Those of tokens that follow one another."""
        if len(parts) == 1:
            return parts[0]
        hidden = [torch.cat(layers, dim=1) for layers in zip(*(part.hidden for part in parts), strict=True)]
        if all(part.mask is None for part in parts):
            return Features(hidden, None)
        ones = (torch.ones(part.hidden[0].shape[:2], dtype=torch.bool, device=hidden[0].device) for part in parts)
        masks = [one if part.mask is None else part.mask for one, part in zip(ones, parts, strict=True)]
        return Features(hidden, torch.cat(masks, dim=1))


@dataclass
class Gate:
    """When a key may be entered."""

    null_similarity: float
    rival_margin: float
    temperature: float
    background: Tensor  # [M, R]

    @staticmethod
    def of(router: Router) -> Gate:
        """The gate that a router was given by its calibration."""
        return Gate(
            null_similarity=router.null_similarity.item(),
            rival_margin=router.rival_margin.item(),
            temperature=router.log_temperature.exp().item(),
            background=router.background,
        )


@dataclass
class Attention:
    """What cross-attention over the keys found for every token."""

    key: Tensor  # [B, T] int64, the key that won, or CLOSED
    similarity: Tensor  # [B, T] of that key, or of the nearest
    confidence: Tensor  # [B, T] its weight among its neighbours and the null key, 0 where closed
    is_closed: bool = False  # no key has won, as is known without a look at them

    def to(self, device: torch.device) -> Attention:
        """The same on a device."""
        key, similarity, confidence = self.key.to(device), self.similarity.to(device), self.confidence.to(device)
        return Attention(key, similarity, confidence, self.is_closed)

    @staticmethod
    def cat(first: Attention, second: Attention) -> Attention:
        """Of tokens and those that follow them."""
        key = torch.cat([first.key, second.key], dim=1)
        similarity = torch.cat([first.similarity, second.similarity], dim=1)
        confidence = torch.cat([first.confidence, second.confidence], dim=1)
        return Attention(key, similarity, confidence, first.is_closed and second.is_closed)


def attend(query: Tensor, found: Neighbours, keys: Table, gate: Gate, mentions: Mentions | None = None) -> Attention:
    """Cross-attention of queries over their neighbours and the null key.

    The gate opens for the nearest key if it is nearer than the null key, whose similarity is `gate.null_similarity`, or
    that of the key's nearest rival less `gate.rival_margin`, whichever is more.

    Args:
        query: fp32 `[B, T, C]`.
        found: their neighbours among keys `[K, C]`.
        mentions: lowers the similarity of keys whose subject the text does not mention.
    """
    d_relation = gate.background.shape[1]
    similarity = found.similarity.amax(-1)  # [B, T]
    if float(similarity.amax()) <= gate.null_similarity:
        closed = torch.full_like(found.key[..., 0], CLOSED)
        return Attention(closed, similarity, torch.zeros_like(similarity), is_closed=True)
    row, column = (similarity > gate.null_similarity).nonzero(as_tuple=True)  # [P] each
    query, found = query[row, column], found.at(row, column)  # [P, C], [P, N] each
    if mentions is not None:
        position = column + mentions.num_before
        found.similarity = mentions.lower(found.similarity, found.key, row, position, gate.null_similarity)
    place = found.best(gate.null_similarity)
    nearest, number = found.similarity.gather(-1, place), found.key.gather(-1, place)  # [P, 1] each
    of_key = keys[number[:, 0].to(keys.device), -d_relation:].to(query.device)
    rival = rival_similarity(query[:, -d_relation:], of_key, gate.background.to(query.device))
    null = (rival - gate.rival_margin).clamp_min(gate.null_similarity)[:, None]  # [P, 1]
    weight = (torch.cat([found.similarity, null], dim=-1) / gate.temperature).softmax(-1).gather(-1, place)
    is_open = nearest > null
    key, confidence = torch.where(is_open, number, CLOSED)[:, 0], torch.where(is_open, weight, 0.0)[:, 0]
    if len(row) == similarity.numel():
        return Attention(key.view_as(similarity), nearest.view_as(similarity), confidence.view_as(similarity))
    closed, unsure = torch.full_like(similarity, CLOSED, dtype=torch.int64), torch.zeros_like(similarity)
    place = row, column
    similarity = similarity.index_put(place, nearest[:, 0])
    return Attention(closed.index_put_(place, key), similarity, unsure.index_put_(place, confidence))


def attend_text(
    query: Tensor,
    mentions: Mentions,
    before: MemoryState | None,
    index: TorchIndex | FaissIndex,
    keys: Table,
    gate: Gate,
    num_neighbours: int,
) -> tuple[Attention, Candidates | None]:
    """`attend` for tokens of a text: over the neighbours that the index finds, or, behind the prompt of a `generate`,
    over the prompt's candidates.

    Args:
        query: fp32 `[B, T, C]`.
        mentions: of the text up to the last of these tokens.

    Returns:
        Also the candidates for the tokens that follow; None where they are to be searched for one by one.
    """
    d_relation, num_asked = gate.background.shape[1], mentions.num_asked
    candidates = before.candidates if before is not None else None
    if candidates is not None and not candidates.serve(num_asked):
        candidates = None
    if candidates is not None:
        return attend(query, candidates.neighbours(query), keys, gate), candidates
    # All of the prompt must lie in this forward, or some of its tokens' neighbours are not known any more.
    if num_asked is None or mentions.num_before or num_asked > query.shape[1] or not mentions.is_strict:
        found = retrieve(query, index, keys, d_relation, num_neighbours)
        return attend(query, found, keys, gate, mentions), None
    asked, said = query[:, :num_asked], query[:, num_asked:]
    found = retrieve(asked, index, keys, d_relation, num_neighbours)
    candidates = Candidates.of_prompt(found.key, keys, mentions, d_relation)
    attention = attend(asked, found, keys, gate, mentions)
    if said.shape[1]:
        attention = Attention.cat(attention, attend(said, candidates.neighbours(said), keys, gate))
    return attention, candidates


def route(
    tokens: Tensor,
    mask: Tensor | None,
    before: MemoryState | None,
    bank: Bank,
    attention: Attention,
    num_asked: int | None = None,
) -> Routing:
    """Decide for every token which expert it reads, see `mome.continuation`.

    Args:
        tokens: int64 `[B, T]`.
        mask: bool `[B, T]`, False at padding, or None.
        before: the state after the tokens before these.
        attention: what `attend` returned.
        num_asked: see `mome.mention.Mentions`.
    """
    key, similarity, confidence = attention.key, attention.similarity, attention.confidence
    if attention.is_closed and (before is None or before.past.is_silent):
        return Routing(similarity, confidence, Read.nothing(key, similarity), is_silent=True)
    if mask is not None:
        key = key.masked_fill(~mask, CLOSED)
    past = before.past if before is not None else Past.none(len(key), key.device)
    routing = Routing(similarity, confidence, read(tokens, mask, key, similarity, past, bank, num_asked))
    return _carry_similarity(routing, before, mask) if routing.read.goes_on else routing


def _carry_similarity(routing: Routing, before: MemoryState | None, mask: Tensor | None) -> Routing:
    """Give continued tokens, and padding, the similarity and confidence with which their fact was entered."""
    num_tokens = routing.expert.shape[1]
    place = torch.arange(num_tokens, device=routing.expert.device).expand_as(routing.expert)
    carried = routing.continued if mask is None else routing.continued | ~mask
    source = torch.where(carried, -1, place).cummax(1).values  # [B, T], -1: entered before these tokens
    for name in ("similarity", "confidence"):
        here = getattr(routing, name)
        earlier = getattr(before.past if name == "similarity" else before, name) if before is not None else here[:, 0]
        setattr(routing, name, torch.where(source >= 0, here.gather(1, source.clamp_min(0)), earlier[:, None]))
    return routing
