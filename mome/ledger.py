"""The ledger: the facts that were taught, in the order of the bank's `fact` column, with all they came with."""

from __future__ import annotations

import json
import mmap
import os
import weakref
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
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
        self.added: list[Fact] = []

    def __len__(self) -> int:
        return len(self.starts) - 1 + len(self.added)

    @overload
    def __getitem__(self, number: int) -> Fact: ...
    @overload
    def __getitem__(self, number: slice) -> list[Fact]: ...
    def __getitem__(self, number: int | slice) -> Fact | list[Fact]:
        if isinstance(number, slice):
            return [self[i] for i in range(*number.indices(len(self)))]
        number = range(len(self))[number]
        if number >= len(self.starts) - 1:
            return self.added[number - len(self.starts) + 1]
        start, end = self.starts[number], self.starts[number + 1]
        line = os.pread(self.file.fileno(), end - start, start)
        try:
            return Fact.from_record(json.loads(line))
        except (ValueError, KeyError, TypeError, FactsError) as error:
            raise CheckpointError(f"{self.path}, line {number + 1}: expected a fact ({error}); {self.mend}") from None

    def extend(self, facts: Sequence[Fact]) -> None:
        """Add facts; the file stays as it is."""
        self.added += facts

    def find(self, fact_id: str) -> int | None:
        """The number of the fact with this id, or None: its lines are searched for it, and few of them parsed."""
        found = next((nth for nth, fact in enumerate(self.added) if fact.id == fact_id), None)
        if found is not None:
            return len(self.starts) - 1 + found
        if len(self.starts) == 1:
            return None
        needles = {json.dumps(fact_id, ensure_ascii=ascii_only).encode() for ascii_only in (True, False)}
        with mmap.mmap(self.file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            for needle in needles:
                at = text.find(needle)
                while at >= 0:
                    number = bisect_right(self.starts, at) - 1
                    if self[number].id == fact_id:
                        return number
                    at = text.find(needle, at + 1)
        return None


@dataclass
class Ledger:
    """Facts by position and by id.

    >>> ledger = Ledger([Fact(id="a", prompt="Where was Ada born?", answers=("London",))])
    >>> ledger.by_id("a").answer
    'London'
    """

    facts: list[Fact] | StoredFacts

    def __post_init__(self) -> None:
        if isinstance(self.facts, list):
            assert len({fact.id for fact in self.facts}) == len(self.facts), "ids in a ledger are unique"

    def position(self, fact_id: str) -> int | None:
        """Where the fact with this id stands, or None."""
        if isinstance(self.facts, StoredFacts):
            return self.facts.find(fact_id)
        return next((position for position, fact in enumerate(self.facts) if fact.id == fact_id), None)

    def by_id(self, fact_id: str) -> Fact:
        """The fact with this id. Raises KeyError where there is none."""
        position = self.position(fact_id)
        if position is None:
            raise KeyError(fact_id)
        return self.facts[position]

    def check_new(self, facts: Sequence[Fact]) -> None:
        """Stop where facts cannot be added.

        Raises:
            FactsError: a fact has the id of one that is there, or of another new one.
        """
        new = {fact.id for fact in facts}
        taken = [fact.id for fact in facts if self.position(fact.id) is not None]
        if taken or len(new) < len(facts):
            got = f"{taken[0]!r}, which is taken" if taken else "one id twice"
            raise FactsError(f"adding facts: expected ids of their own, got {got}; give the facts other ids")

    def add(self, facts: Sequence[Fact]) -> None:
        """Add facts behind the others; none is added where `check_new` raises."""
        self.check_new(facts)
        self.facts.extend(facts)

    def __len__(self) -> int:
        return len(self.facts)
