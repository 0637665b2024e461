"""The bank: every expert and every key as rows of a few tables.

Shapes: N experts, S sites, R rank, D hidden width, K keys, C key width, V spellings, M tokens of a spelling,
W tokens of the vocabulary, P positions.

The experts of a fact are consecutive rows, one for each token of its answer, in order. A fact's keys lead to its
first expert; the others follow by continuation, as long as the text goes on with the tokens that were taught.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mome.mention import MAX_SUBJECT_TOKENS, NUM_SPELLINGS
from mome.tables import Table, kept_parts, parts_of, with_rows


@dataclass(kw_only=True)
class Bank:
    """Row tables. Rows of `down`, `up`, `token` and `fact` are experts; rows of `keys` and `key_expert` are keys."""

    down: Table  # [N, S, R, D] A of each expert, fp32 or bf16
    up: Table  # [N, S, D, R] B of each expert, of the same dtype; at rank 0 one column, the residual itself
    token: Tensor  # [N] int32, the token that the expert was taught to say
    fact: Tensor  # [N] int32, position of the owner in the ledger
    keys: Table  # [K, C] queries at the end of the taught prompts, see `mome.router`
    key_expert: Tensor  # [K] int32, the first expert of the key's fact
    subject: Table  # [K, V, M] int32, token ids of the fact's subject, see `mome.mention`
    word_edge: Tensor  # [W + 1, 2] bool, of the backbone's tokenizer, see `mome.mention`

    @staticmethod
    def empty(num_sites: int, rank: int, d_model: int, d_key: int, dtype: torch.dtype = torch.float32) -> Bank:
        """A bank without experts.

        >>> Bank.empty(1, 1, 8, 4).num_experts
        0
        """
        ints = torch.empty(0, dtype=torch.int32)
        return Bank(
            down=torch.empty(0, num_sites, rank, d_model, dtype=dtype),
            up=torch.empty(0, num_sites, d_model, max(rank, 1), dtype=dtype),
            token=ints,
            fact=ints.clone(),
            keys=torch.empty(0, d_key),
            key_expert=ints.clone(),
            subject=torch.empty(0, NUM_SPELLINGS, MAX_SUBJECT_TOKENS, dtype=torch.int32),
            word_edge=torch.zeros(1, 2, dtype=torch.bool),
        )

    @property
    def num_experts(self) -> int:
        """How many experts the bank holds."""
        return len(self.token)

    @property
    def num_keys(self) -> int:
        """How many keys lead into the bank."""
        return len(self.keys)

    @property
    def num_parameters(self) -> int:
        """How many numbers the experts hold, all of them taught."""
        return sum(math.prod(table.shape) for table in (self.down, self.up))

    def to(self, device: torch.device | str, experts_on_host: bool = False) -> Bank:
        """The same on a device; if asked for with the experts' rows in the host's memory, pinned if the device is a
        GPU: those that are read are fetched from there."""
        moved = {name: torch.cat(parts_of(table)).to(device) for name, table in vars(self).items()}
        if experts_on_host:
            for name in ("down", "up"):
                rows = torch.cat(parts_of(getattr(self, name))).cpu()
                moved[name] = rows.pin_memory() if torch.device(device).type == "cuda" else rows
        return Bank(**moved)

    def keys_of(self, facts: Sequence[int]) -> Tensor:
        """Numbers of the keys that lead to these facts, int64."""
        owner = self.fact[self.key_expert.long()]
        return torch.isin(owner, torch.tensor(facts, dtype=owner.dtype, device=owner.device)).nonzero().flatten()

    def live(self, forgotten: Collection[int]) -> tuple[Bank, dict[str, list[Tensor]]]:
        """What is left without some facts, the others numbered through.

        Returns:
            A bank whose wide tables are those of this one, and these tables' parts that are left, for writing.
        """
        gone = torch.tensor(sorted(forgotten), dtype=self.fact.dtype, device=self.fact.device)
        keeps = ~torch.isin(self.fact, gone)
        keeps_key = keeps[self.key_expert.long()]
        rank = keeps.cumsum(0, dtype=torch.int32) - 1
        tables = {"down": keeps, "up": keeps, "keys": keeps_key, "subject": keeps_key}
        fact = self.fact[keeps]
        left = replace(
            self,
            token=self.token[keeps],
            fact=fact - torch.searchsorted(gone, fact).to(fact.dtype),
            key_expert=rank[self.key_expert[keeps_key].long()],
        )
        return left, {name: kept_parts(getattr(self, name), kept) for name, kept in tables.items()}

    def append(self, other: Bank) -> None:
        """Add the rows of another bank behind this one's; its facts and experts are renumbered to follow."""
        num_facts = int(self.fact.max()) + 1 if self.num_experts else 0
        if not self.num_keys:
            self.word_edge = other.word_edge
        key_expert = other.key_expert + self.num_experts
        self.token = torch.cat([self.token, other.token])
        self.fact = torch.cat([self.fact, other.fact + num_facts])
        self.key_expert = torch.cat([self.key_expert, key_expert])
        for name in ("down", "up", "keys", "subject"):
            for part in parts_of(getattr(other, name)):
                setattr(self, name, with_rows(getattr(self, name), part))


def residual(hidden: Tensor, down: Tensor, up: Tensor) -> Tensor:
    """What experts add to hidden states: `rms(h) * B (A (h / rms(h)))`, or `rms(h) * B` at rank 0, one expert for each
    position.

    The scale of hidden states differs by orders of magnitude between backbones; measured in units of their own rms,
    one learning rate serves all.

    Args:
        hidden: `[P, D]`, any float dtype.
        down, up: fp32 `[P, R, D]` and `[P, D, R]`; at rank 0 `up` has one column.

    Returns:
        `[P, D]` in the dtype of `hidden`.
    """
    scale = hidden.float().pow(2).mean(-1, keepdim=True).sqrt()  # [P, 1]
    if not down.shape[1]:
        return (scale * up[..., 0]).to(hidden.dtype)
    unit = hidden.float() / scale.clamp_min(torch.finfo(torch.float32).tiny)
    inner = torch.einsum("prd,pd->pr", down, unit)
    return (scale * torch.einsum("pdr,pr->pd", up, inner)).to(hidden.dtype)
