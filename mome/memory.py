"""The memory layer: cross-attention over the nearest keys and the null key, continuation, and the gate.

Shapes: B batch, T tokens, S tokens seen so far, N neighbours, K keys, C key width, R width of its relation part,
P tokens whose gate may open.

The read is hard: the nearest key wins or the null key does, and the winner's expert is added with weight one. A soft
mixture would let a fact's logits depend on its neighbours', so that no fact could be corrected or forgotten without
moving others. The attention weights remain as the measure of how sure the read was.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mome.bank import Bank
from mome.continuation import CLOSED, Past, Read, read
from mome.index import FaissIndex, TorchIndex
from mome.mention import Mentions
from mome.router import PoolState, Router, rival_similarity
from mome.tables import Table


@dataclass
class Routing:
    """Which expert every token reads, and why."""

    similarity: Tensor  # [B, T] of the key through which the expert's fact was entered; of the nearest key where closed
    confidence: Tensor  # [B, T] attention weight of that key among its neighbours and the null key
    read: Read

    @property
    def expert(self) -> Tensor:
        """int64 `[B, T]`, CLOSED where the null key won."""
        return self.read.expert

    @property
    def continued(self) -> Tensor:
        """bool `[B, T]`, True where the expert followed its predecessor rather than a key."""
        return self.read.continued

    def state_after(
        self, pool: PoolState, seen: Tensor, mask: Tensor | None, before: MemoryState | None = None
    ) -> MemoryState:
        """What the next token needs to know; padding on the right is passed over, and a row of padding alone keeps
        what it knew `before`.

        Args:
            seen: int64 `[B, S + T]`, all tokens so far, NO_TOKEN at padding.
        """
        rows = torch.arange(len(self.expert), device=self.expert.device)
        last = rows.new_full((len(rows),), self.expert.shape[1] - 1) if mask is None else mask.int().cumsum(1).argmax(1)
        after = [part[rows, last] for part in (self.expert, self.similarity, self.confidence)]
        if before is not None and mask is not None:
            kept = before.past.expert, before.past.similarity, before.confidence
            after = [torch.where(mask.any(1), new, old) for new, old in zip(after, kept, strict=True)]
        said, clearness = self.read.said, self.read.clearness
        if before is not None:
            said = torch.cat([before.past.said, said], dim=1)
            clearness = torch.cat([before.past.clearness, clearness], dim=1)
        return MemoryState(pool, Past(seen, said, clearness, after[0], after[1]), after[2])


@dataclass
class MemoryState:
    """What the memory carries from one cached decoding step to the next; it rides on the backbone's cache."""

    pool: PoolState
    past: Past
    confidence: Tensor  # [B] of the last token

    def take(self, rows: Tensor) -> MemoryState:
        """The state of a batch made of the given rows of this one (int64 `[B']`)."""
        rows = rows.to(self.past.expert.device)
        return MemoryState(self.pool.take(rows), self.past.take(rows), self.confidence[rows])


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
class Neighbours:
    """The keys retrieved for every token, before the gate."""

    key: Tensor  # [B, T, N] int64
    nearness: Tensor  # [B, T, N] similarity of the subject parts, -inf where there is no key
    similarity: Tensor  # [B, T, N] of the relation parts

    def best(self, bound: float) -> Tensor:
        """Which neighbour `[B, T, 1]` is read: of those above the bound the nearest in both parts, else the one that
        comes closest to the bound."""
        above = self.similarity > bound
        # Both parts lie between -1 and 1, so that any neighbour above the bound outweighs all below it.
        return torch.where(above, self.similarity + self.nearness + 8, self.similarity).argmax(-1, keepdim=True)


def retrieve(query: Tensor, index: TorchIndex | FaissIndex, keys: Table, d_relation: int, num: int) -> Neighbours:
    """The keys nearest to queries fp32 `[B, T, C]` by their subject parts, with the similarity of their relations."""
    subject, relation = query[..., :-d_relation], query[..., -d_relation:]
    nearness, key = (part.view(*query.shape[:2], -1) for part in index.search(subject.flatten(0, 1), num))
    if not len(keys):
        return Neighbours(key, nearness, nearness)
    of_key = keys[key.to(keys.device).clamp_min(0), -d_relation:].to(query.device)  # [B, T, N, R]
    similarity = torch.einsum("btr,btnr->btn", relation, of_key).masked_fill(key < 0, -torch.inf)
    return Neighbours(key, nearness, similarity)


def attend(
    query: Tensor,
    index: TorchIndex | FaissIndex,
    keys: Table,
    gate: Gate,
    num_neighbours: int,
    mentions: Mentions | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Cross-attention of queries over their nearest keys and the null key.

    The gate opens for the nearest key if it is nearer than the null key, whose similarity is `gate.null_similarity`, or
    that of the key's nearest rival less `gate.rival_margin`, whichever is more.

    Args:
        query: fp32 `[B, T, C]`.
        keys: `[K, C]`.
        mentions: lowers the similarity of keys whose subject the text does not mention.

    Returns:
        key int64 `[B, T]` (CLOSED where the null key won), similarity `[B, T]` and confidence `[B, T]` of the nearest.
    """
    d_relation = gate.background.shape[1]
    found = retrieve(query, index, keys, d_relation, num_neighbours)
    null = torch.full_like(query[..., 0], gate.null_similarity)  # [B, T]
    similarity, place = found.similarity.max(-1, keepdim=True)  # [B, T, 1]
    null = torch.full_like(similarity, gate.null_similarity)
    key = torch.full_like(place, CLOSED)
    # Most tokens are near to no key, and then there is nothing to check.
    if bool((similarity > null).any()):
        if mentions is not None:
            found.similarity = mentions.lower(found.similarity, found.key, gate.null_similarity)
        place = found.best(gate.null_similarity)
        similarity, key = found.similarity.gather(-1, place), found.key.gather(-1, place)
        near = (similarity > null)[..., 0].nonzero(as_tuple=True)  # [P] each
        of_key = keys[key[near][:, 0].to(keys.device), -d_relation:].to(query.device)
        rival = rival_similarity(query[near][:, -d_relation:], of_key, gate.background.to(query.device))
        null[near] = (rival - gate.rival_margin).clamp_min(gate.null_similarity)[:, None]
        key = torch.where(similarity > null, key, CLOSED)
    weight = (torch.cat([found.similarity, null], dim=-1) / gate.temperature).softmax(-1)
    return key[..., 0], similarity[..., 0], weight.gather(-1, place)[..., 0]


def route(
    tokens: Tensor,
    mask: Tensor | None,
    before: MemoryState | None,
    bank: Bank,
    neighbours: tuple[Tensor, ...],
    num_asked: int | None = None,
) -> Routing:
    """Decide for every token which expert it reads, see `mome.continuation`.

    Args:
        tokens: int64 `[B, T]`.
        mask: bool `[B, T]`, False at padding, or None.
        before: the state after the tokens before these.
        neighbours: what `attend` returned.
        num_asked: see `mome.mention.Mentions`.
    """
    key, similarity, confidence = neighbours
    if mask is not None:
        key = key.masked_fill(~mask, CLOSED)
    past = before.past if before is not None else Past.none(len(key), key.device)
    routing = Routing(similarity, confidence, read(tokens, mask, key, similarity, past, bank, num_asked))
    return _carry_similarity(routing, before, mask) if routing.continued.any() else routing


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
