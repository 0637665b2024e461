"""Which keys a token is compared with: those that the index finds for it, or the candidates of its prompt.

In `generate()` the prompt's subjects alone bring up facts, so that what a generated token may enter is known when the
prompt has been read. The index is searched for the prompt's tokens, and the keys found at any of them whose subjects
the prompt mentions are kept beside the text: a generated token is compared with these, without a search and without
another look at the text. Where the prompt mentions no taught subject there is nothing to compare with, and the router
need not read the generated tokens at all.

Shapes: B batch, T tokens, S tokens of a prompt, P some tokens, N neighbours, K keys, C key width, R width of its
relation part, A candidates.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mome.continuation import CLOSED
from mome.index import FaissIndex, TorchIndex
from mome.mention import NO_TOKEN, Mentions, unique_pairs
from mome.tables import Table


@dataclass
class Neighbours:
    """The keys retrieved for every token, before the gate."""

    key: Tensor  # [B, T, N] int64
    nearness: Tensor  # [B, T, N] similarity of the subject parts, -inf where there is no key
    similarity: Tensor  # [B, T, N] of the relation parts

    def at(self, row: Tensor, column: Tensor) -> Neighbours:
        """Those of P tokens (int64 `[P]` each, in order): every table `[P, N]`."""
        tables = self.key, self.nearness, self.similarity
        if len(row) == self.key[..., 0].numel():
            return Neighbours(*(table.flatten(0, 1) for table in tables))
        return Neighbours(*(table[row, column] for table in tables))

    def best(self, bound: float) -> Tensor:
        """Which neighbour `[..., 1]` is read: of those above the bound the nearest in both parts, else the one that
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
    similarity = (of_key @ relation[..., None])[..., 0].masked_fill(key < 0, -torch.inf)
    return Neighbours(key, nearness, similarity)


@dataclass
class Candidates:
    """Of every row of a batch, the keys that its generated tokens may enter."""

    key: Tensor  # [B, A] int64, CLOSED where a row has fewer
    subject: Tensor  # [B, A, C - R], subject parts of these keys
    relation: Tensor  # [B, A, R], their relation parts
    num_asked: int  # tokens of the prompt
    is_ragged: bool  # some row has fewer than others
    handicap: Tensor | None = None  # [B, A, M] of the background's questions as rivals, see `mome.step`

    @staticmethod
    def of_prompt(found: Tensor, keys: Table, mentions: Mentions, d_relation: int) -> Candidates:
        """Of the keys found at a prompt's tokens, those whose subjects it mentions.

        Args:
            found: int64 `[B, S, N]`, CLOSED where there were fewer.
            keys: `[K, C]`.
            mentions: of the prompt, all of which has been seen.
        """
        num_rows, num_asked = found.shape[:2]
        is_padding = (mentions.seen[:, :num_asked] == NO_TOKEN).to(found.device)
        owner = torch.arange(num_rows, device=found.device)[:, None, None].expand_as(found)
        usable = (found != CLOSED) & ~is_padding[..., None]
        row, key = owner[usable].to(mentions.subject.device), found[usable].to(mentions.subject.device)
        row, key = unique_pairs(row, key, len(keys))[0]
        held = mentions.held_in_all(row, key)
        row, key = row[held], key[held]
        of_rows = [key[row == number] for number in range(num_rows)]
        padded = pad_sequence(of_rows, batch_first=True, padding_value=CLOSED).to(found.device)
        if not padded.numel():
            nothing = torch.empty(num_rows, 0, mentions.subject.shape[-1], device=found.device)
            return Candidates(padded, nothing, nothing, num_asked, is_ragged=False)
        of_keys = keys[padded.clamp_min(0).to(keys.device)].to(found.device).float()
        parts = of_keys[..., :-d_relation].contiguous(), of_keys[..., -d_relation:].contiguous()
        return Candidates(padded, *parts, num_asked, bool((padded == CLOSED).any()))

    @property
    def is_none(self) -> bool:
        """Whether no row has any."""
        return not self.key.shape[1]

    def serve(self, num_asked: int | None) -> bool:
        """Whether they are those of a `generate` whose prompt has so many tokens."""
        return num_asked == self.num_asked

    def neighbours(self, query: Tensor) -> Neighbours:
        """The candidates as the neighbours of queries `[B, T, C]`, in place of those of an index."""
        if self.is_none:
            nothing = query.new_full((*query.shape[:2], 1), -torch.inf)
            return Neighbours(torch.full_like(nothing, CLOSED, dtype=torch.int64), nothing, nothing)
        key = self.key[:, None].expand(-1, query.shape[1], -1)  # [B, T, A]
        parts = query.split([self.subject.shape[-1], self.relation.shape[-1]], dim=-1)
        nearness, similarity = parts[0] @ self.subject.mT, parts[1] @ self.relation.mT
        if self.is_ragged:
            similarity = similarity.masked_fill(key == CLOSED, -torch.inf)
        return Neighbours(key, nearness, similarity)

    def take(self, rows: Tensor) -> Candidates:
        """Those of a batch made of the given rows of this one (int64 `[B']`)."""
        handicap = self.handicap[rows] if self.handicap is not None else None
        tables = self.key[rows], self.subject[rows], self.relation[rows]
        return Candidates(*tables, self.num_asked, self.is_ragged, handicap)
