"""The memory's state rides on the backbone's own cache, so that beams, batches and resets keep both in step."""

from __future__ import annotations

import weakref
from functools import lru_cache
from typing import Any

import torch

from mome.bank import Bank
from mome.errors import BackboneError
from mome.memory import MemoryState


class _Carrier:
    """Mixed into the class of a cache: every operation on the cache's batch is done to the memory's state too."""

    memory_state: MemoryState | None
    memory_bank: weakref.ref[Bank]  # whose rows the state tells by their numbers; not copied with the cache
    num_seen: int  # length of the cache when the memory's state was stored
    is_croppable = False

    def reorder_cache(self, beam_idx: torch.Tensor) -> None:
        super().reorder_cache(beam_idx)  # type: ignore[misc]
        self._take(beam_idx)

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        super().batch_select_indices(indices)  # type: ignore[misc]
        self._take(indices)

    def batch_repeat_interleave(self, repeats: int) -> None:
        super().batch_repeat_interleave(repeats)  # type: ignore[misc]
        if self.memory_state is not None:
            rows = torch.arange(len(self.memory_state.past.expert)).repeat_interleave(repeats)
            self._take(rows)

    def reset(self) -> None:
        super().reset()  # type: ignore[misc]
        self.memory_state = None

    def crop(self, *_args: Any, **_kwargs: Any) -> None:
        raise BackboneError(
            "cache.crop: a memory's running state cannot be rolled back, so assisted decoding and cropped caches are "
            "not possible with it; generate without an assistant model, or inside `model.memory_disabled()`"
        )

    def _take(self, rows: torch.Tensor) -> None:
        if self.memory_state is not None:
            self.memory_state = self.memory_state.take(rows)


@lru_cache
def _carrying(kind: type) -> type:
    return type(f"Memory{kind.__name__}", (_Carrier, kind), {})


def store_state(cache: Any, state: MemoryState, bank: Bank) -> None:
    """Put the memory's state on a cache of any class, for as long as the memory has this bank."""
    if not isinstance(cache, _Carrier):
        cache.__class__ = _carrying(type(cache))
    cache.memory_state, cache.memory_bank, cache.num_seen = state, weakref.ref(bank), _length(cache)


def load_state(cache: Any, bank: Bank) -> MemoryState | None:
    """The memory's state on a cache; None for no cache or an empty one.

    Args:
        bank: the memory's bank now.

    Raises:
        BackboneError: the cache holds tokens that the memory never saw, or saw with another bank.
    """
    if cache is None:
        return None
    state = getattr(cache, "memory_state", None)
    if state is not None and cache.num_seen == _length(cache):
        if cache.memory_bank() is bank:
            return state
        raise BackboneError(
            "past_key_values: the cache was filled before facts of the memory were forgotten or corrected, or it took "
            "up others, or by another memory; what it is about to say may be gone; start from an empty cache"
        )
    if _length(cache) > 0:
        raise BackboneError(
            "past_key_values: the cache was filled without the memory, whose router must see every token; start from "
            "an empty cache, or stay inside `model.memory_disabled()`"
        )
    return None


def _length(cache: Any) -> int:
    try:
        return int(cache.get_seq_length())
    except ValueError:  # a cache of linear attention alone does not count its tokens
        return 0
