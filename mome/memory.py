"""The memory layer: from queries, by way of the keys they come near to, to the expert that every token reads.

Shapes: B batch, T tokens, S tokens seen so far, K keys, C key width.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mome.attention import Attention, Gate, attend
from mome.bank import Bank
from mome.continuation import CLOSED, MAX_NEWER, Past, Read, read
from mome.index import FaissIndex, TorchIndex
from mome.lookup import Candidates, retrieve
from mome.mention import Mentions
from mome.router import PoolState
from mome.tables import Table

if TYPE_CHECKING:
    from mome.step import Step


@dataclass
class Routing:
    """Which expert every token reads, and why."""

    similarity: Tensor  # [B, T] of the key through which the expert's fact was entered; of the nearest key where closed
    confidence: Tensor  # [B, T] attention weight of the key that won among its neighbours and the null key, else 0
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
        return Routing(nothing - torch.inf, nothing, Read.entries(torch.full_like(like, CLOSED)), True)

    def state_after(
        self, pool: PoolState, tokens: Tensor, mask: Tensor | None, before: MemoryState | None = None
    ) -> MemoryState:
        """What the next token needs to know; padding on the right is passed over, and a row of padding alone keeps
        what it knew `before`.

        Args:
            tokens: int64 `[B, T]`, NO_TOKEN at padding.
        """
        past = before.past if before is not None else Past.none(len(tokens), tokens.device)
        if self.is_silent:
            confidence = before.confidence if before is not None else past.similarity
            return MemoryState(pool, past.in_silence(tokens), confidence)
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
        past = past.whole()
        said = torch.cat([past.said, self.read.said], dim=1)
        clearness = torch.cat([past.clearness, self.read.clearness], dim=1)
        if said.shape[1] and not bool((said != CLOSED).any()):
            said, clearness = said[:, :0], clearness[:, :0]
        past = Past(past.with_seen(tokens), said, clearness, after[0], after[1], is_silent)
        return MemoryState(pool, past, after[2])


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

    def in_silence(self, tokens: Tensor, features: Features) -> MemoryState:
        """The state behind tokens (int64 `[B, T]`, NO_TOKEN at padding) at which it `is_idle`, and their features."""
        past, unread = self.past.in_silence(tokens), (*self.unread, features)
        if len(unread) > MAX_NEWER:
            unread = (Features.cat([*unread]),)
        return MemoryState(self.pool, past, self.confidence, self.candidates, unread)

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
    routing: Routing | Step | None = None
    after: MemoryState | None = None


@dataclass
class Flight:
    """The forward that is under way, and the last one. A module takes time to set an attribute of its own."""

    now: Call | None = None
    last: Call | None = None


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
        return Routing(similarity, confidence, Read.entries(key), is_silent=True)
    if mask is not None:
        key = key.masked_fill(~mask, CLOSED)
    past = before.past if before is not None else Past.none(len(key), key.device)
    routing = Routing(similarity, confidence, read(tokens, mask, key, similarity, past, bank, num_asked))
    return _carry_similarity(routing, before, mask) if bool(routing.continued.any()) else routing


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
