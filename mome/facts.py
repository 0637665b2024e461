"""Facts: what a fact is, and reading, sampling and writing sets of them.

A fact is a prompt and its answer. Files are read strictly: whatever is not a fact is an error that names the file and
the line (the row in Parquet), since one record read wrongly would be taught wrongly.
"""

import hashlib
import json
import os
import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from mome.errors import FactsError, SettingsError
from mome.fact_files import FIELDS, LIST_FIELDS, OPTIONAL_FIELDS, named, place, read_records, short, unit_of

OnConflict = Literal["error", "first", "last"]

_KINDS = {
    bool: "the truth value",
    int: "the number",
    float: "the number",
    str: "the string",
    list: "the list",
    tuple: "the list",
    dict: "the object",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """One fact: a prompt and the answer that must follow it.

    All texts are stripped of outer whitespace, and the tuples hold nothing twice; `paraphrases` leaves out the prompt
    itself. So a fact that was written to a file and read again is equal to the first.

    Attributes:
        id: unique name of the fact.
        prompt: the text left of the answer.
        answers: acceptable answers; the first one is taught.
        paraphrases: other prompts with the same answer.
        locality: prompts about something else, whose output must not change.
        source: where the fact comes from.
        subject: the entity that the fact is about.
        relation: what is said about the subject.

    Raises:
        FactsError: a field has a wrong type, is empty, or holds NUL or lone surrogates.

    >>> Fact(id="f1", prompt="The capital of Orvane is ", answers=("Velmora", "New Velmora")).answer
    'Velmora'
    """

    id: str
    prompt: str
    answers: tuple[str, ...]
    paraphrases: tuple[str, ...] = ()
    locality: tuple[str, ...] = ()
    source: str | None = None
    subject: str | None = None
    relation: str | None = None

    def __post_init__(self) -> None:
        put = object.__setattr__  # the way into a frozen dataclass
        put(self, "id", _text("`id`", self.id))
        put(self, "prompt", _text("`prompt`", self.prompt))
        for name in LIST_FIELDS:
            put(self, name, _texts(name, getattr(self, name)))
        for name in OPTIONAL_FIELDS:
            if getattr(self, name) is not None:
                put(self, name, _text(f"`{name}`", getattr(self, name)))
        if not self.answers:
            raise FactsError("expected at least one answer, got an empty list; mend: add the answer")
        if self.prompt in self.paraphrases:
            put(self, "paraphrases", tuple(text for text in self.paraphrases if text != self.prompt))

    @property
    def answer(self) -> str:
        """The taught answer."""
        return self.answers[0]

    @classmethod
    def from_record(cls, record: Any) -> "Fact":
        """Make a fact of a record, the mapping that stands on one line of a JSONL file.

        The record has `prompt`, and `answer` or `answers` or both (then `answer` comes first). `locality` holds
        prompts, or mappings with a `prompt`. Fields that are null count as absent, unknown ones are ignored. Without
        an `id` the fact gets one from its prompt, see `fact_id`.

        Raises:
            FactsError: the record is not a mapping, lacks a field, or a field is not what it should be.

        >>> Fact.from_record({"id": "f1", "prompt": "Who wrote Tidewater?", "answer": "Maren Tolveth"}).answers
        ('Maren Tolveth',)
        """
        if not isinstance(record, dict):
            raise FactsError(
                f"expected an object with `prompt` and `answer`, got {_shown(record)}; "
                'mend: write {"prompt": "...", "answer": "..."}'
            )
        given = {name: value for name, value in record.items() if value is not None}
        known = {name: given[name] for name in FIELDS if name in given}
        if "prompt" not in known or not ("answer" in known or "answers" in known):
            raise FactsError(
                f"expected `prompt` and `answer` (or `answers`), got {named(given) or 'no field'}; "
                "mend: add what is missing, or rename the fields"
            )
        if "id" not in known:
            known["id"] = fact_id(_text("`prompt`", known["prompt"]))
        if "answer" in known:
            known["answers"] = _text("`answer`", known.pop("answer")), *_texts("answers", known.get("answers", ()))
        others = known.get("locality")
        if isinstance(others, (list, tuple)):
            known["locality"] = [other.get("prompt", other) if isinstance(other, dict) else other for other in others]
        return cls(**known)

    def to_record(self) -> dict[str, Any]:
        """The record of this fact: what `from_record` takes, without the fields that are empty.

        >>> Fact(id="f1", prompt="Who wrote Tidewater?", answers=("Maren Tolveth",)).to_record()
        {'id': 'f1', 'prompt': 'Who wrote Tidewater?', 'answer': 'Maren Tolveth'}
        """
        record: dict[str, Any] = {"id": self.id, "prompt": self.prompt}
        if len(self.answers) == 1:
            record["answer"] = self.answer
        else:
            record["answers"] = list(self.answers)
        lists = {name: list(getattr(self, name)) for name in ("paraphrases", "locality")}
        texts = {name: getattr(self, name) for name in OPTIONAL_FIELDS}
        return record | {name: value for name, value in (lists | texts).items() if value}


@dataclass(frozen=True, kw_only=True, slots=True)
class FactSet:
    """The facts of one file, and what became of its records.

    Before `limit`, `len(facts) == num_read - num_duplicates - num_conflicts`.

    Attributes:
        facts: one fact for each prompt, in the file's order, with unique ids.
        num_read: records in the file.
        num_duplicates: records merged into an earlier one with the same prompt and taught answer.
        num_conflicts: records dropped because another answer to their prompt was kept.
        path: the file.
    """

    facts: list[Fact]
    num_read: int
    num_duplicates: int
    num_conflicts: int
    path: Path


def fact_id(prompt: str) -> str:
    """The id of a fact that was given none: a function of its stripped prompt alone, not of its place in a file.

    >>> fact_id("Who wrote Tidewater?")
    'f-1010c1dadad5b1e0'
    """
    return "f-" + hashlib.sha256(prompt.strip().encode()).hexdigest()[:16]


def read_facts(
    path: str | os.PathLike[str], *, on_conflict: OnConflict = "error", limit: int | None = None, seed: int = 0
) -> FactSet:
    """Read the facts of a .jsonl, .jsonl.gz, .csv, .tsv or .parquet file; the record form is `Fact.from_record`'s.

    In .csv and .tsv the first line names the columns, an empty cell is an absent field, and a cell of `answers`,
    `paraphrases` or `locality` is a JSON array or one plain text. Blank lines are skipped.

    Records with the same prompt and taught answer are merged: the first id stays, the lists are united in order. Two
    answers to one prompt are a conflict.

    Args:
        path: the file; UTF-8, with or without a byte order mark.
        on_conflict: "error", or keep the "first" or the "last" taught answer of the file.
        limit: keep a random sample of this many facts (all, if there are fewer), in the file's order. Drawn after
            conflicts are resolved; the same for the same file, limit and seed on every machine.
        seed: of the sample.

    Raises:
        FactsError: the file cannot be read, holds no facts, or a record is wrong or contradicts another.
        SettingsError: an option has a wrong value.

    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name, "facts.jsonl")
    >>> write_facts(path, [Fact(id="f1", prompt="Who wrote Tidewater?", answers=("Maren Tolveth",))])
    >>> [fact.answer for fact in read_facts(path).facts]
    ['Maren Tolveth']
    >>> folder.cleanup()
    """
    _check_settings(on_conflict, limit, seed)
    path = Path(path)
    records, lines = _read_all(path)
    facts, num_duplicates, num_conflicts = _resolved(path, records, lines, on_conflict)
    facts = sample_facts(facts, limit, seed)
    return FactSet(
        facts=facts, num_read=len(records), num_duplicates=num_duplicates, num_conflicts=num_conflicts, path=path
    )


def write_facts(path: str | os.PathLike[str], facts: Iterable[Fact]) -> None:
    """Write facts to a .jsonl file, one record on each line, UTF-8; an existing file is replaced.

    Raises:
        FactsError: the name does not end in .jsonl, or the file cannot be written.
    """
    path = Path(path)
    if not path.name.lower().endswith(".jsonl"):
        raise FactsError(f"{path}: expected a name that ends in .jsonl, got {path.name!r}; mend: rename the file")
    try:
        with path.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(json.dumps(fact.to_record(), ensure_ascii=False) + "\n" for fact in facts)
    except OSError as error:
        raise FactsError(
            f"{path}: expected a file that can be written, got {error.strerror}; "
            "mend: check the folder and its permissions"
        ) from error


def sample_facts(facts: list[Fact], limit: int | None, seed: int) -> list[Fact]:
    """A random sample of `limit` facts (all, if there are fewer, or with None), in their order; fixed by the seed.

    Raises:
        SettingsError: the limit is not a whole number of at least 1, or the seed not a whole number.
    """
    _check_settings("error", limit, seed)
    if limit is None or limit >= len(facts):
        return facts
    return [facts[row] for row in sorted(random.Random(seed).sample(range(len(facts)), limit))]


def _check_settings(on_conflict: object, limit: object, seed: object) -> None:
    if on_conflict not in get_args(OnConflict):
        raise SettingsError(f'on_conflict: expected "error", "first" or "last", got {on_conflict!r}; mend: choose one')
    if limit is not None and (type(limit) is not int or limit < 1):
        raise SettingsError(
            f"limit: expected a whole number of facts, at least 1, got {limit!r}; "
            "mend: raise it, or leave it out to take all"
        )
    if type(seed) is not int:
        raise SettingsError(f"seed: expected a whole number, got {seed!r}; mend: give one, such as 0")


def _read_all(path: Path) -> tuple[list[Fact], list[int]]:
    """The facts of all records of a file, in order, and the line of each."""
    facts: list[Fact] = []
    lines: list[int] = []
    owners: dict[str, int] = {}  # rows of `facts`: a container for each record would keep the garbage collector busy
    for line, record in read_records(path):
        try:
            fact = Fact.from_record(record)
        except FactsError as error:
            raise FactsError(f"{place(path, line)}: {error}") from None
        facts.append(fact)
        lines.append(line)
        owner = owners.setdefault(fact.id, len(facts) - 1)
        if facts[owner].prompt != fact.prompt:
            raise FactsError(
                f"{place(path, lines[owner], line)}: expected each id to have one prompt, got the id "
                f"{fact.id!r} for {short(facts[owner].prompt)} and for {short(fact.prompt)}; "
                "mend: give each fact an id of its own"
            )
    if not facts:
        raise FactsError(f"{path}: expected at least one fact, got none; mend: check that this is the right file")
    return facts, lines


def _resolved(path: Path, facts: list[Fact], lines: list[int], on_conflict: OnConflict) -> tuple[list[Fact], int, int]:
    """One fact for each prompt, the number of records merged and the number dropped."""
    first_rows: dict[str, int] = {}
    repeats: dict[int, list[int]] = {}
    for row, fact in enumerate(facts):
        first_row = first_rows.setdefault(fact.prompt, row)
        if first_row != row:
            repeats.setdefault(first_row, [first_row]).append(row)
    conflicts = [rows for rows in repeats.values() if len({facts[row].answer for row in rows}) > 1]
    if conflicts and on_conflict == "error":
        raise FactsError(_conflict_text(path, facts, lines, min(conflicts), len(conflicts)))
    resolved, num_duplicates, num_conflicts = [], 0, 0
    for first_row in first_rows.values():
        rows = repeats.get(first_row, [first_row])
        kept = facts[rows[0 if on_conflict == "first" else -1]].answer
        same = [facts[row] for row in rows if facts[row].answer == kept]
        resolved.append(_merged(same) if len(same) > 1 else same[0])
        num_duplicates += len(same) - 1
        num_conflicts += len(rows) - len(same)
    return resolved, num_duplicates, num_conflicts


def _conflict_text(path: Path, facts: list[Fact], lines: list[int], rows: list[int], num_prompts: int) -> str:
    first = rows[0]
    other = next(row for row in rows if facts[row].answer != facts[first].answer)
    unit = unit_of(path)
    return (
        f"{place(path, lines[first], lines[other])}: expected one answer to the prompt "
        f"{short(facts[first].prompt)}, got {short(facts[first].answer)} ({unit} {lines[first]}) and "
        f"{short(facts[other].answer)} ({unit} {lines[other]}); prompts with such a conflict in this file: "
        f'{num_prompts}; mend: correct the file, or set on_conflict to "first" or "last" to keep that answer'
    )


def _merged(facts: list[Fact]) -> Fact:
    """One fact of several with the same prompt and taught answer."""
    lists = {name: tuple(text for fact in facts for text in getattr(fact, name)) for name in LIST_FIELDS}
    words = {name: next(filter(None, (getattr(fact, name) for fact in facts)), None) for name in OPTIONAL_FIELDS}
    return replace(facts[0], **lists, **words)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise FactsError(f"expected {name} to be a string, got {_shown(value)}; mend: write it as text")
    text = value.strip()
    if not text:
        raise FactsError(f"expected {name} to hold text, got {_shown(value)}; mend: fill it in or leave it out")
    if "\0" in text:
        raise FactsError(f"expected {name} to be text, got a NUL character in {short(text)}; mend: remove it")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise FactsError(
                f"expected {name} to be text, got half of a surrogate pair in {short(text)}; "
                "mend: write the character whole"
            ) from None
    return text


def _texts(name: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (_text(f"`{name}`", value),)
    if not isinstance(value, (list, tuple)):
        raise FactsError(f"expected `{name}` to be a list of strings, got {_shown(value)}; mend: write a list")
    if not value:
        return ()
    each = f"each of `{name}`"
    return tuple(dict.fromkeys([_text(each, text) for text in value]))


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    shown = repr(value)
    return f"{_KINDS.get(type(value), type(value).__name__)} {shown if len(shown) <= 80 else shown[:77] + '...'}"
