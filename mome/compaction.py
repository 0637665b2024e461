"""Compaction: an open memory gives back the rows of the facts that were forgotten.

Until then no key leads to them, but they are there: to close a gap, all rows behind it move up. Done once more facts
are gone than left, this adds a constant to what forgetting a fact costs, and keeps tables from growing beyond twice
what is in them, however often facts are corrected. A memory that is saved is written without gaps anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mome.ledger import Ledger

if TYPE_CHECKING:
    from mome.modeling import MoMEForCausalLM

MIN_GONE = 64  # facts


def is_due(ledger: Ledger) -> bool:
    """Whether more facts are gone than left.

    >>> is_due(Ledger([], forgotten=set(range(65)))), is_due(Ledger([], forgotten=set(range(64))))
    (True, False)
    """
    return len(ledger.forgotten) > max(MIN_GONE, len(ledger))


def compact(model: MoMEForCausalLM) -> None:
    """Move the rows of all facts that are left together, and number facts, experts and keys through.

    What a fact says stays as it is, bit for bit, but where the index is a graph (HNSW): it is built anew, and may lead
    to other keys where none is near.
    """
    gone = sorted(model.ledger.forgotten)
    left, tables = model.bank.live(gone)
    for name, parts in tables.items():
        setattr(left, name, torch.cat(parts))
    index = model.index.without(model.bank.keys_of(gone))
    model.ledger = Ledger(list(model.ledger))
    model.set_bank(left, index)
