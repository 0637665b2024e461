"""The trace: which expert of which fact spoke for each token, and how sure the routing was."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from torch import Tensor

from mome.bank import Bank
from mome.ledger import Ledger
from mome.memory import CLOSED, Routing


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenTrace:
    """The memory's part in one token; `expert` and `fact_id` are None where it had none."""

    position: int
    token: int
    expert: int | None
    fact_id: str | None
    similarity: float | None  # of the expert's key, or of the nearest; None where there was none to compare with
    confidence: float
    continued: bool

    def to_dict(self) -> dict:
        """As JSON-ready fields."""
        return asdict(self)


def trace_tokens(tokens: Tensor, routing: Routing, bank: Bank, ledger: Ledger) -> list[list[TokenTrace]]:
    """Read a forward's routing as a trace.

    Args:
        tokens: int64 `[B, T]`, the sequences that were run.
        routing: of that run. The routing at position t concerns the token at t + 1.

    Returns:
        For each sequence one entry for each token from the second on.
    """
    return [
        [_entry(tokens, routing, bank, ledger, row, position) for position in range(1, tokens.shape[1])]
        for row in range(len(tokens))
    ]


def _entry(tokens: Tensor, routing: Routing, bank: Bank, ledger: Ledger, row: int, position: int) -> TokenTrace:
    expert = int(routing.expert[row, position - 1])
    spoke, similarity = expert != CLOSED, float(routing.similarity[row, position - 1])
    return TokenTrace(
        position=position,
        token=int(tokens[row, position]),
        expert=expert if spoke else None,
        fact_id=ledger.facts[int(bank.fact[expert])].id if spoke else None,
        similarity=similarity if math.isfinite(similarity) else None,
        confidence=float(routing.confidence[row, position - 1]),
        continued=bool(routing.continued[row, position - 1]),
    )
