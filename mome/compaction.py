"""Compaction: an open memory gives back the rows of the facts that were forgotten.

Until then no key leads to them, but they are there: to close a gap, all rows behind it move up. That is done by itself
once there are more gaps than facts, which adds a constant to what forgetting a fact costs and lets facts be corrected
for ever in twice the room. Only gaps of facts that were added since a memory was opened count: what lies in its files
takes no memory, and leaves the files when changes are saved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mome.errors import CheckpointError
from mome.index import FaissIndex, TorchIndex
from mome.ledger import Ledger

if TYPE_CHECKING:
    from mome.modeling import MoMEForCausalLM

MIN_GONE = 64  # facts


def is_due(ledger: Ledger) -> bool:
    """Whether more facts are gone, of those that do not lie in a file, than left.

    >>> is_due(Ledger([], forgotten=set(range(65)))), is_due(Ledger([], forgotten=set(range(64))))
    (True, False)
    """
    bound = max(MIN_GONE, len(ledger))
    return len(ledger.forgotten) > bound and sum(n >= ledger.num_stored for n in ledger.forgotten) > bound


def compact_if_due(model: MoMEForCausalLM) -> None:
    """`compact` where it is due and no index need be built for it, which might find other keys, or fail: FAISS cannot
    take keys out of every kind."""
    if is_due(model.ledger):
        index = model.index.without(model.bank.keys_of(sorted(model.ledger.forgotten)))
        if index is not None:
            _move_up(model, index)


def compact(model: MoMEForCausalLM) -> None:
    """Move the rows of all facts that are left together, and number facts, experts and keys through.

    What the facts say stays as it is, bit for bit, but where the index is of a kind from which FAISS cannot take keys,
    such as HNSW: it is built anew, and may find other keys where none is near.

    Raises:
        SettingsError: an index of that kind cannot be built over the keys that are left; nothing was changed then.
        CheckpointError: a file of facts holds one id twice; likewise.
    """
    gone = sorted(model.ledger.forgotten)
    if gone:
        _move_up(model, model.index.without(model.bank.keys_of(gone)))


def _move_up(model: MoMEForCausalLM, index: TorchIndex | FaissIndex | None) -> None:
    left, tables = model.bank.live(model.ledger.forgotten)
    for name, parts in tables.items():
        setattr(left, name, torch.cat(parts))
    facts = list(model.ledger)
    if len({fact.id for fact in facts}) < len(facts):
        raise CheckpointError("facts.jsonl: expected ids of their own, got one twice; restore a good copy")
    model.set_bank(left, index)
    model.ledger = Ledger(facts)
