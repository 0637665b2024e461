"""The memory layer: cross-attention over the nearest keys and the null key, continuation, and the residual.

Shapes: B batch, T tokens, N neighbours, D hidden width, K keys.

The read is hard: the nearest key wins or the null key does, and the winner's expert is added with weight one. A soft
mixture would let a fact's logits depend on its neighbours', so that no fact could be corrected or forgotten without
moving others. The attention weights remain as the measure of how sure the read was.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mome.bank import Bank
from mome.index import FaissIndex, TorchIndex
from mome.mention import Mentions
from mome.router import PoolState

CLOSED = -1


@dataclass
class Routing:
    """Which expert every token reads, and why."""

    expert: Tensor  # [B, T] int64, CLOSED where the null key won
    similarity: Tensor  # [B, T] of the key through which the expert's fact was entered; of the nearest key where closed
    confidence: Tensor  # [B, T] attention weight of that key among its neighbours and the null key
    continued: Tensor  # [B, T] bool, True where the expert followed its predecessor rather than a key

    def state_after(
        self, pool: PoolState, seen: Tensor, mask: Tensor | None, before: MemoryState | None = None
    ) -> MemoryState:
        """What the next token needs to know; padding on the right is passed over, and a row of padding alone keeps
        what it knew `before`."""
        rows = torch.arange(len(self.expert), device=self.expert.device)
        last = rows.new_full((len(rows),), self.expert.shape[1] - 1) if mask is None else mask.int().cumsum(1).argmax(1)
        after = [part[rows, last] for part in (self.expert, self.similarity, self.confidence)]
        if before is not None and mask is not None:
            kept = before.expert, before.similarity, before.confidence
            after = [torch.where(mask.any(1), new, old) for new, old in zip(after, kept, strict=True)]
        return MemoryState(pool, after[0], after[1], after[2], seen)


@dataclass
class MemoryState:
    """What the memory carries from one cached decoding step to the next; it rides on the backbone's cache."""

    pool: PoolState
    expert: Tensor  # [B] int64, the expert that the last token read, or CLOSED
    similarity: Tensor  # [B]
    confidence: Tensor  # [B]
    seen: Tensor  # [B, S] the tokens so far, NO_TOKEN at padding

    def take(self, rows: Tensor) -> MemoryState:
        """The state of a batch made of the given rows of this one (int64 `[B']`)."""
        rows = rows.to(self.expert.device)
        parts = (self.expert, self.similarity, self.confidence, self.seen)
        return MemoryState(self.pool.take(rows), *(part[rows] for part in parts))


def attend(
    query: Tensor,
    index: TorchIndex | FaissIndex,
    num_neighbours: int,
    null_similarity: float,
    temperature: float,
    mentions: Mentions | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Cross-attention of queries over their nearest keys and the null key.

    Args:
        query: unit queries fp32 `[B, T, C]`.
        mentions: lowers the similarity of keys whose subject the text does not mention.

    Returns:
        key int64 `[B, T]` (CLOSED where the null key won), similarity `[B, T]` and confidence `[B, T]` of the nearest.
    """
    found = index.search(query.flatten(0, 1), num_neighbours)
    similarity, key = (part.view(*query.shape[:2], -1) for part in found)  # [B, T, N]
    if mentions is not None:
        similarity = mentions.lower(similarity, key, null_similarity)
    best, nearest = similarity.max(-1)  # [B, T]
    logits = torch.nn.functional.pad(similarity, (0, 1), value=null_similarity) / temperature
    confidence = logits.softmax(-1).gather(-1, nearest[..., None])[..., 0]
    winner = torch.where(best > null_similarity, key.gather(-1, nearest[..., None])[..., 0], CLOSED)
    return winner, best, confidence


def follow(entry: Tensor, tokens: Tensor, before: Tensor, bank: Bank) -> tuple[Tensor, Tensor]:
    """Continuation: once a fact has been entered, its experts follow one another while the text is the taught one.

    At each token, if the last token read expert e, this token is the one that e says, and e is not its fact's last,
    then e + 1 is read; else the expert entered here, if any.

    Args:
        entry: int64 `[B, T]`, the first expert of the fact whose key won, or CLOSED.
        tokens: int64 `[B, T]`, the input tokens.
        before: int64 `[B]`, the expert read by the token before these, or CLOSED.
        bank: for `token` and `fact`.

    Returns:
        expert int64 `[B, T]`, and bool `[B, T]`: True where it was read by continuation.
    """
    if entry.shape[1] == 1:
        follower = _follower(before, tokens[:, 0], bank)
        continued = follower != CLOSED
        return torch.where(continued, follower, entry[:, 0])[:, None], continued[:, None]
    return _follow_text(entry, tokens, before, bank)


def _follower(expert: Tensor, token: Tensor, bank: Bank) -> Tensor:
    """The expert after `expert` where `token` is what it says, else CLOSED; all int64 `[B]`."""
    if not bank.num_experts:
        return torch.full_like(expert, CLOSED)
    here = expert.clamp_min(0)
    after = (here + 1).clamp_max(bank.num_experts - 1)
    same_fact = (after > here) & (bank.fact[after] == bank.fact[here])
    goes_on = (expert != CLOSED) & same_fact & (bank.token[here] == token)
    return torch.where(goes_on, after, CLOSED)


def _follow_text(entry: Tensor, tokens: Tensor, before: Tensor, bank: Bank) -> tuple[Tensor, Tensor]:
    """`follow` over many tokens: visits only the places where a fact is entered, and the answers that follow there."""
    expert, continued = entry.clone(), torch.zeros_like(entry, dtype=torch.bool)
    rows = ((entry != CLOSED).any(1) | (before != CLOSED)).nonzero().flatten().tolist()
    token_of, fact_of = bank.token, bank.fact
    for row in rows:
        text = tokens[row].tolist()
        starts = (entry[row] != CLOSED).nonzero().flatten().tolist()
        position, reading = -1, int(before[row])
        while True:
            while reading != CLOSED and position + 1 < len(text):
                goes_on = (
                    reading + 1 < bank.num_experts
                    and int(fact_of[reading + 1]) == int(fact_of[reading])
                    and int(token_of[reading]) == text[position + 1]
                )
                if not goes_on:
                    break
                position, reading = position + 1, reading + 1
                expert[row, position], continued[row, position] = reading, True
            nexts = [start for start in starts if start > position]
            if not nexts:
                break
            position = nexts[0]
            reading, starts = int(entry[row, position]), nexts
    return expert, continued


def route(
    tokens: Tensor,
    mask: Tensor | None,
    before: MemoryState | None,
    bank: Bank,
    neighbours: tuple[Tensor, ...],
) -> Routing:
    """Decide for every token which expert it reads.

    Args:
        tokens: int64 `[B, T]`.
        mask: bool `[B, T]`, False at padding, or None.
        before: the state after the tokens before these.
        neighbours: what `attend` returned.
    """
    key, similarity, confidence = neighbours
    if mask is not None:
        key = key.masked_fill(~mask, CLOSED)
    entry = torch.full_like(key, CLOSED)
    open_ = key != CLOSED
    entry[open_] = bank.key_expert[key[open_]].long()
    last = before.expert if before is not None else entry.new_full((len(entry),), CLOSED)
    if mask is not None and not mask.all():
        expert, continued = _follow_padded(entry, tokens, last, bank, mask)
    else:
        expert, continued = follow(entry, tokens, last, bank)
    routing = Routing(expert, similarity, confidence, continued)
    return _carry_similarity(routing, before, mask) if continued.any() else routing


def _follow_padded(entry: Tensor, tokens: Tensor, last: Tensor, bank: Bank, mask: Tensor) -> tuple[Tensor, Tensor]:
    """`follow` with padding cut out row by row, so that it neither breaks a continuation nor starts one."""
    expert, continued = torch.full_like(entry, CLOSED), torch.zeros_like(mask)
    for row in range(len(entry)):
        real = mask[row]
        if real.any():
            followed = follow(entry[row, real][None], tokens[row, real][None], last[row : row + 1], bank)
            expert[row, real], continued[row, real] = followed[0][0], followed[1][0]
    return expert, continued


def _carry_similarity(routing: Routing, before: MemoryState | None, mask: Tensor | None) -> Routing:
    """Give continued tokens, and padding, the similarity and confidence with which their fact was entered."""
    num_tokens = routing.expert.shape[1]
    place = torch.arange(num_tokens, device=routing.expert.device).expand_as(routing.expert)
    carried = routing.continued if mask is None else routing.continued | ~mask
    source = torch.where(carried, -1, place).cummax(1).values  # [B, T], -1: entered before these tokens
    for name in ("similarity", "confidence"):
        here = getattr(routing, name)
        earlier = getattr(before, name) if before is not None else here[:, 0]
        setattr(routing, name, torch.where(source >= 0, here.gather(1, source.clamp_min(0)), earlier[:, None]))
    return routing
