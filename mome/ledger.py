"""The ledger: the facts that were taught, in the order of the bank's `fact` column, with all they came with."""

from __future__ import annotations

import json
import os
import weakref
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import overload

from mome.errors import CheckpointError, FactsError
from mome.facts import Fact

BLOCK_BYTES = 2**20


class StoredFacts(Sequence[Fact]):
    """The facts of a JSONL file, each read when it is asked for, so that a million of them take no time to open.

    Raises:
        CheckpointError: when it is read, a line holds no fact.
    """

    def __init__(self, path: Path, mend: str):
        self.path, self.mend = path, mend
        self.file = path.open("rb")  # the version that was opened, though the path be replaced
        weakref.finalize(self, self.file.close)
        self.starts, place = array("q", [0]), 0
        while block := self.file.read(BLOCK_BYTES):
            at = block.find(b"\n")
            while at >= 0:
                self.starts.append(place + at + 1)
                at = block.find(b"\n", at + 1)
            place += len(block)
        if self.starts[-1] < place:
            self.starts.append(place)

    def __len__(self) -> int:
        return len(self.starts) - 1

    @overload
    def __getitem__(self, number: int) -> Fact: ...
    @overload
    def __getitem__(self, number: slice) -> list[Fact]: ...
    def __getitem__(self, number: int | slice) -> Fact | list[Fact]:
        if isinstance(number, slice):
            return [self[i] for i in range(*number.indices(len(self)))]
        number = range(len(self))[number]
        start, end = self.starts[number], self.starts[number + 1]
        line = os.pread(self.file.fileno(), end - start, start)
        try:
            return Fact.from_record(json.loads(line))
        except (ValueError, KeyError, TypeError, FactsError) as error:
            raise CheckpointError(f"{self.path}, line {number + 1}: expected a fact ({error}); {self.mend}") from None


@dataclass
class Ledger:
    """Facts by position and by id.

    >>> ledger = Ledger([Fact(id="a", prompt="Where was Ada born?", answers=("London",))])
    >>> ledger.by_id("a").answer
    'London'
    """

    facts: Sequence[Fact]

    @cached_property
    def _position(self) -> dict[str, int]:
        positions = {fact.id: position for position, fact in enumerate(self.facts)}
        assert len(positions) == len(self.facts), "ids in a ledger are unique"
        return positions

    def by_id(self, fact_id: str) -> Fact:
        """The fact with this id. Raises KeyError where there is none."""
        return self.facts[self._position[fact_id]]

    def __len__(self) -> int:
        return len(self.facts)
