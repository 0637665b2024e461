"""A relation of the world and its wordings.

A wording names its subject once, as ``{s}``. It is a *question* when it ends in ``?`` or ``.``; it is a *label* when
it ends in ``:``; otherwise it is the beginning of a *statement* that the answer completes after one space. Words of a
pool that follow the article ``a`` all begin with a consonant sound. Kinds whose names may be plural or end in s
(companies, bands, books) have no possessive wordings.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Relation:
    """``answer`` is an entity kind, a pool's name, or ``year LOW HIGH``: years after the subject's own first year."""

    name: str
    kind: str
    answer: str
    wordings: tuple[str, ...]


def new_relation(name: str, kind: str, answer: str, text: str) -> Relation:
    """A relation whose wordings stand in a text, split by lines and bars."""
    return Relation(name, kind, answer, split_wordings(text))


def split_wordings(text: str) -> tuple[str, ...]:
    """The wordings of a text that is split by lines and bars."""
    return tuple(part.strip() for line in text.strip().splitlines() for part in line.split("|"))
