"""Facts to memorize, with their true answers, with random strings, or with each other's answers.

The random strings are those of arXiv 2406.17642, appendix A: 32 characters of [A-Z0-9], 165 bits.
"""

from __future__ import annotations

import gzip
import json
import math
import random
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.editing_data import NAMES, load_corpus
from mome.errors import SettingsError
from mome.facts import Fact, read_facts

LABELS = ("correct", "random", "shuffled")
CHARACTERS = string.ascii_uppercase + string.digits
NUM_CHARACTERS = 32


@dataclass(frozen=True)
class Question:
    """A question of TruthfulQA with its reference answers; the first true one is the best."""

    id: str
    prompt: str
    true: tuple[str, ...]
    false: tuple[str, ...]


def read_questions(folder: Path) -> list[Question]:
    """TruthfulQA (arXiv 2109.07958), without answers that stand on both sides."""
    with gzip.open(folder / "truthfulqa" / "questions.jsonl.gz", "rt", encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    questions = []
    for record in records:
        true = dict.fromkeys([record["best_answer"], *record["correct_answers"]])
        false = [text for text in dict.fromkeys(record["incorrect_answers"]) if text not in true]
        questions.append(Question(record["id"], record["prompt"], tuple(true), tuple(false)))
    return questions


def load_facts(data: str, num_facts: int, folder: Path, seed: int) -> list[Fact]:
    """A seeded sample of facts: of truthfulqa, counterfact, zsre or pararel, or of a file of facts.

    Raises:
        SettingsError: there are no such facts, or fewer.
    """
    if data in NAMES:
        return load_corpus(data, num_facts, folder, seed).facts
    if data == "truthfulqa":
        read = [Fact(id=each.id, prompt=each.prompt, answers=each.true[:1]) for each in read_questions(folder)]
        facts = list({fact.prompt: fact for fact in read}.values())
    elif Path(data).is_file():
        facts = read_facts(Path(data), on_conflict="first").facts
    else:
        raise SettingsError(f"--data {data}: expected truthfulqa, {', '.join(NAMES)}, or a file of facts")
    if len(facts) < num_facts:
        raise SettingsError(f"--facts {num_facts}: {data} has {len(facts):,}; ask for fewer")
    return random.Random(seed).sample(facts, num_facts)


def relabel(facts: Sequence[Fact], labels: str, seed: int, num_characters: int = NUM_CHARACTERS) -> list[Fact]:
    """The same questions with other answers.

    Args:
        labels: correct, random (a string of characters for each fact), or shuffled (another fact's answer).
        num_characters: length of the strings.

    Raises:
        SettingsError: shuffled, and more than half of the facts have one answer.

    >>> facts = [Fact(id=str(n), prompt=f"{n}?", answers=(f"a{n % 4}",)) for n in range(8)]
    >>> [fact.answer for fact in relabel(facts, "random", 0, 5)][:2]
    ['41PJS', 'O2KRV']
    >>> any(new.answer == old.answer for new, old in zip(relabel(facts, "shuffled", 0), facts))
    False
    """
    rng = random.Random(seed)
    if labels == "correct":
        return list(facts)
    if labels == "random":
        answers = ["".join(rng.choices(CHARACTERS, k=num_characters)) for _ in facts]
    else:
        answers = _shuffled([fact.answer for fact in facts], rng)
    return [replace(fact, answers=(answer,)) for fact, answer in zip(facts, answers, strict=True)]


def _shuffled(answers: list[str], rng: random.Random) -> list[str]:
    """The answers in another order in which none stands where it stood."""
    largest = max(Counter(answers).values())
    if 2 * largest > len(answers):
        raise SettingsError(
            f"shuffled labels: {largest} of {len(answers)} facts have the same answer, so some would keep it; "
            "use other facts"
        )
    # Equal answers stand together, so that moving all by as many places as there are of one leaves none where it was.
    distinct = sorted(set(answers))
    place_of = {answer: place for place, answer in enumerate(rng.sample(distinct, len(distinct)))}
    order = sorted(range(len(answers)), key=lambda number: (place_of[answers[number]], rng.random()))
    shuffled = [""] * len(answers)
    for place, number in enumerate(order):
        shuffled[number] = answers[order[(place + largest) % len(order)]]
    return shuffled


def num_bits(num_characters: int = NUM_CHARACTERS) -> float:
    """Bits of a random string."""
    return num_characters * math.log2(len(CHARACTERS))
