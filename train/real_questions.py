"""Real facts from EntityQuestions, with levels of exposure, for pretraining next to the generated world."""

import gzip
import json
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from mome.errors import FactsError, SettingsError
from train.real_text import TEMPLATES
from train.world import EXPOSURES, WorldFact, deal_levels

SHARES: Mapping[str, float] = {"many": 0.4, "some": 0.3, "few": 0.3, "none": 0.0}
NUM_CHARACTERS = 40


def read_real_facts(
    folder: Path | str,
    num_facts: int = 10_000,
    exposures: Mapping[str, int] = EXPOSURES,
    shares: Mapping[str, float] = SHARES,
    seed: int = 0,
) -> list[WorldFact]:
    """Draw `num_facts` facts of ``train.jsonl.gz`` in `folder`, evenly over relations as far as these reach.

    Left out: questions asked with different answers anywhere in the file, questions of ``dev.jsonl.gz`` or
    ``test.jsonl.gz``, subjects and answers of more than 40 characters, and answers that the question already
    contains. The answer is the first that upstream lists. Levels are dealt as in `train.world.make_world`.
    Raises FactsError for a missing or malformed file, SettingsError where fewer facts are left than asked for.
    """
    folder = Path(folder)
    by_relation = _usable(folder)
    available = sum(len(records) for records in by_relation.values())
    if not 1 <= num_facts <= available:
        raise SettingsError(
            f"{folder / 'train.jsonl.gz'}: num_facts must be 1 to {available}, the usable facts of that file, "
            f"got {num_facts}; choose one in that range"
        )
    rng = random.Random(seed)
    for records in by_relation.values():
        rng.shuffle(records)
    drawn = _evenly(by_relation, num_facts)
    rng.shuffle(drawn)
    levels = deal_levels(num_facts, exposures, shares, rng)
    return [
        WorldFact(record["id"], record["subject"], record["relation"], record["answers"][0], level)
        for record, level in zip(drawn, levels, strict=True)
    ]


def _usable(folder: Path) -> dict[str, list[dict]]:
    """Records by relation, in the file's order, without the ones that `read_real_facts` leaves out."""
    held_out = {record["prompt"] for part in ("dev", "test") for record in _records(folder / f"{part}.jsonl.gz")}
    by_question: dict[str, list[dict]] = defaultdict(list)
    for record in _records(folder / "train.jsonl.gz"):
        by_question[record["prompt"]].append(record)
    usable: dict[str, list[dict]] = {relation: [] for relation in TEMPLATES}
    taken: set[tuple[str, str]] = set()
    for question, records in by_question.items():
        first = records[0]
        subject, answer = first["subject"], first["answers"][0]
        agreed = all(record["answers"] == first["answers"] for record in records)
        short = max(len(subject), len(answer)) <= NUM_CHARACTERS
        own = TEMPLATES[first["relation"]][0].replace("{s}", subject) == question
        told = answer.casefold() in question.casefold()
        fresh = question not in held_out and (first["relation"], subject) not in taken
        if agreed and short and own and fresh and not told:
            taken.add((first["relation"], subject))
            usable[first["relation"]].append(first)
    return usable


def _evenly(by_relation: Mapping[str, list[dict]], num_facts: int) -> list[dict]:
    """The first records of every relation in turns until `num_facts` are drawn; exhausted relations are passed over."""
    drawn: list[dict] = []
    turn = 0
    while len(drawn) < num_facts:
        drawn += [records[turn] for records in by_relation.values() if turn < len(records)]
        turn += 1
    return drawn[:num_facts]


def _records(path: Path) -> Iterator[dict]:
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="\n") as lines:
            for number, line in enumerate(lines, 1):
                yield _record(path, number, line)
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise FactsError(
            f"{path}: expected a complete gzip file of UTF-8 JSON Lines, got {error}; mend: restore the file"
        ) from error


def _record(path: Path, number: int, line: str) -> dict:
    try:
        record = json.loads(line)
        known = record["relation"] in TEMPLATES
        complete = all(isinstance(record[field], str) for field in ("id", "subject", "prompt")) and record["answers"]
    except (ValueError, KeyError, TypeError) as error:
        raise FactsError(
            f"{path}, line {number}: expected id, relation, subject, prompt and answers, got {line[:80]!r}; "
            "mend: restore the file"
        ) from error
    if not (known and complete):
        raise FactsError(
            f"{path}, line {number}: expected one of {len(TEMPLATES)} known relations and an answer, "
            f"got {line[:80]!r}; mend: restore the file"
        )
    return record
