"""The ledger: the facts that were taught, in the order of the bank's `fact` column, with all they came with."""

from __future__ import annotations

from dataclasses import dataclass, field

from mome.facts import Fact


@dataclass
class Ledger:
    """Facts by position and by id.

    >>> ledger = Ledger([Fact(id="a", prompt="Where was Ada born?", answers=("London",))])
    >>> ledger.by_id("a").answer
    'London'
    """

    facts: list[Fact]
    _position: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._position = {fact.id: position for position, fact in enumerate(self.facts)}
        assert len(self._position) == len(self.facts), "ids in a ledger are unique"

    def by_id(self, fact_id: str) -> Fact:
        """The fact with this id. Raises KeyError where there is none."""
        return self.facts[self._position[fact_id]]

    def __len__(self) -> int:
        return len(self.facts)
