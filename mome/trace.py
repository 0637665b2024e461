"""The trace: which expert of which fact spoke for each token, and how sure the routing was."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from mome.bank import Bank
from mome.ledger import Ledger
from mome.memory import CLOSED, Routing
from mome.write import margins


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenTrace:
    """The memory's part in one token; `expert` and `fact_id` are None where it had none."""

    position: int
    token: int
    expert: int | None
    fact_id: str | None
    similarity: float | None  # of the expert's key, or of the nearest; None where there was none to compare with
    confidence: float
    margin: float | None  # its logit over the best other token's, in nats; below 0 the model would have said another
    continued: bool

    def to_dict(self) -> dict:
        """As JSON-ready fields."""
        return asdict(self)


def trace_tokens(
    tokens: Tensor, routing: Routing, logits: Tensor, bank: Bank, ledger: Ledger
) -> list[list[TokenTrace]]:
    """Read a forward's routing as a trace.

    Args:
        tokens: int64 `[B, T]`, the sequences that were run.
        routing: of that run. The routing at position t concerns the token at t + 1.
        logits: of that run, `[B, T, V]`; so do they.

    Returns:
        For each sequence one entry for each token from the second on.
    """
    following = tokens[:, 1:].to(logits.device)  # [B, T - 1]
    # A sequence at a time: a copy of all logits may be larger than the model.
    of_each = [margins(row[:-1].float(), said) for row, said in zip(logits, following, strict=True)]
    margin = torch.stack(of_each) if of_each else logits.new_empty(0, 0)
    return [
        [_entry(tokens, routing, margin, bank, ledger, row, position) for position in range(1, tokens.shape[1])]
        for row in range(len(tokens))
    ]


def _entry(
    tokens: Tensor, routing: Routing, margin: Tensor, bank: Bank, ledger: Ledger, row: int, position: int
) -> TokenTrace:
    expert = int(routing.expert[row, position - 1])
    spoke = expert != CLOSED
    return TokenTrace(
        position=position,
        token=int(tokens[row, position]),
        expert=expert if spoke else None,
        fact_id=ledger.facts[int(bank.fact[expert])].id if spoke else None,
        similarity=_finite(routing.similarity[row, position - 1]),
        confidence=float(routing.confidence[row, position - 1]),
        margin=_finite(margin[row, position - 1]),
        continued=bool(routing.continued[row, position - 1]),
    )


def _finite(value: Tensor) -> float | None:
    return float(value) if math.isfinite(value) else None
