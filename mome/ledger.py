"""The ledger: the facts that were taught, by the bank's `fact` column and by id, with all they came with.

A forgotten fact leaves its place empty until the memory is saved, so that no other fact's number changes.
"""

from __future__ import annotations

import json
import mmap
import os
import weakref
from array import array
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import overload

import numpy as np

from mome.errors import CheckpointError, FactsError
from mome.facts import Fact

BLOCK_BYTES = 2**20
LINE_END = ord("\n")
MAX_SEARCHED = 64  # texts: a search takes less than a hundredth of the time of parsing every fact


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
            ends = np.flatnonzero(np.frombuffer(block, dtype=np.uint8) == LINE_END)
            self.starts.frombytes((ends + (place + 1)).astype(np.int64).tobytes())
            place += len(block)
        if self.starts[-1] < place:
            self.starts.append(place)
        self.added: list[Fact] = []

    @property
    def num_stored(self) -> int:
        """How many facts the file holds."""
        return len(self.starts) - 1

    def __len__(self) -> int:
        return self.num_stored + len(self.added)

    @overload
    def __getitem__(self, number: int) -> Fact: ...
    @overload
    def __getitem__(self, number: slice) -> list[Fact]: ...
    def __getitem__(self, number: int | slice) -> Fact | list[Fact]:
        if isinstance(number, slice):
            return [self[i] for i in range(*number.indices(len(self)))]
        number = range(len(self))[number]
        if number >= self.num_stored:
            return self.added[number - self.num_stored]
        start, end = self.starts[number], self.starts[number + 1]
        line = os.pread(self.file.fileno(), end - start, start)
        try:
            return Fact.from_record(json.loads(line))
        except (ValueError, KeyError, TypeError, RecursionError, FactsError) as error:
            raise CheckpointError(f"{self.path}, line {number + 1}: expected a fact ({error}); {self.mend}") from None

    def extend(self, facts: Sequence[Fact]) -> None:
        """Add facts; the file stays as it is."""
        self.added += facts

    def find(self, field: str, values: Collection[str]) -> Iterator[tuple[str, int]]:
        """These texts with the numbers of the facts that have them as id, or as prompt."""
        yield from _having(field, set(values), enumerate(self.added, start=self.num_stored))
        if len(values) > MAX_SEARCHED:
            yield from _having(field, set(values), ((number, self[number]) for number in range(self.num_stored)))
        elif self.num_stored:
            for value in values:
                yield from ((value, number) for number in self._search(field, value))

    def _search(self, field: str, value: str) -> Iterator[int]:
        """The lines are searched for the text, and few are parsed."""
        needles = {json.dumps(value, ensure_ascii=ascii_only).encode() for ascii_only in (True, False)}
        with mmap.mmap(self.file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            for needle in sorted(needles):
                at = text.find(needle)
                while at >= 0:
                    number = bisect_right(self.starts, at) - 1
                    if getattr(self[number], field) == value:
                        yield number
                    at = text.find(needle, at + 1)


def _having(field: str, values: set[str], facts: Iterable[tuple[int, Fact]]) -> Iterator[tuple[str, int]]:
    return ((getattr(fact, field), number) for number, fact in facts if getattr(fact, field) in values)


@dataclass
class Ledger:
    """Facts by number and by id.

    >>> ledger = Ledger([Fact(id="a", prompt="Where was Ada born?", answers=("London",))])
    >>> ledger["a"].answer, "b" in ledger, [fact.id for fact in ledger]
    ('London', False, ['a'])
    """

    facts: list[Fact] | StoredFacts
    forgotten: set[int] = field(default_factory=set)  # numbers of facts that are not there any more

    def __post_init__(self) -> None:
        if isinstance(self.facts, list):
            assert len({fact.id for fact in self.facts}) == len(self.facts), "ids in a ledger are unique"

    def __len__(self) -> int:
        return len(self.facts) - len(self.forgotten)

    @property
    def num_stored(self) -> int:
        """How many of the facts' places, the first ones, lie in a file."""
        return self.facts.num_stored if isinstance(self.facts, StoredFacts) else 0

    def __iter__(self) -> Iterator[Fact]:
        return (fact for number, fact in enumerate(self.facts) if number not in self.forgotten)

    def __contains__(self, fact_id: object) -> bool:
        return isinstance(fact_id, str) and self.number_of(fact_id) is not None

    def __getitem__(self, fact_id: str) -> Fact:
        """The fact with this id. Raises KeyError where there is none."""
        number = self.number_of(fact_id)
        if number is None:
            raise KeyError(fact_id)
        return self.facts[number]

    def number_of(self, fact_id: str) -> int | None:
        """The number of the fact with this id, or None."""
        return self._find("id", [fact_id]).get(fact_id)

    def _find(self, field: str, values: Collection[str]) -> dict[str, int]:
        """The numbers of the facts that have one of these texts as id, or as prompt, by the text."""
        if isinstance(self.facts, StoredFacts):
            found = self.facts.find(field, values)
        else:
            found = _having(field, set(values), enumerate(self.facts))
        return {value: number for value, number in found if number not in self.forgotten}

    def present(self, fact_ids: Collection[str]) -> set[str]:
        """Those of these ids that facts have."""
        return set(self._find("id", fact_ids))

    def numbers_of(self, fact_ids: Iterable[str]) -> list[int]:
        """The numbers of facts that must be there.

        Raises:
            FactsError: one is not.
        """
        wanted = dict.fromkeys(fact_ids)
        numbers = self._find("id", wanted)
        missing = [fact_id for fact_id in wanted if fact_id not in numbers]
        if missing:
            raise FactsError(
                f"fact {missing[0]!r}: expected the id of a fact that is taught, found none with it"
                f"{f' (nor with {len(missing) - 1} others)' if missing[1:] else ''}; `mome facts list` shows them"
            )
        return [numbers[fact_id] for fact_id in wanted]

    def check_new(self, facts: Sequence[Fact], instead_of: Iterable[int] = ()) -> None:
        """Stop where facts cannot be added.

        Args:
            instead_of: numbers of facts that are forgotten when these are added.

        Raises:
            FactsError: a fact has the id or the prompt of one that is there, or of another new one.
        """
        free = {-1, *instead_of}
        for name in ("id", "prompt"):
            values = [getattr(fact, name) for fact in facts]
            found = self._find(name, values)
            taken = [value for value in values if found.get(value, -1) not in free]
            if taken or len(set(values)) < len(values):
                got = f"{taken[0]!r}, which is taken" if taken else f"one {name} twice"
                raise FactsError(
                    f"adding facts: expected {name}s of their own, got {got}; give the facts other {name}s, or update "
                    "the one that is there"
                )

    def forget(self, numbers: Iterable[int]) -> None:
        """Leave the places of these facts empty."""
        self.forgotten |= set(numbers)
