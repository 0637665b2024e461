"""Cross-attention over the nearest keys and the null key: the gate.

Shapes: B batch, T tokens, N neighbours, K keys, C key width, R width of its relation part, M background rows,
P tokens whose gate may open.

The read is hard: the nearest key wins or the null key does, and the winner's expert is added with weight one. A soft
mixture would let a fact's logits depend on its neighbours', so that no fact could be corrected or forgotten without
moving others. The attention weights remain as the measure of how sure the read was.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mome.continuation import CLOSED
from mome.lookup import Neighbours
from mome.mention import Mentions
from mome.router import Router, rival_similarity
from mome.tables import Table


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
    def closed(similarity: Tensor) -> Attention:
        """No key has won, for the similarities `[B, T]` of the nearest ones."""
        key = torch.full_like(similarity, CLOSED, dtype=torch.int64)
        return Attention(key, similarity, torch.zeros_like(similarity), is_closed=True)

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
        return Attention.closed(similarity)
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
