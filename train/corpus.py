"""Pretraining text in which every fact is stated exactly as often as its `exposures` says."""

import gzip
import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from mome.errors import SettingsError
from train.world import WORDINGS, WorldFact, complete, fill, is_question, statements

Pack = list[WorldFact]
Packer = Callable[[Pack, random.Random], Iterator[Pack]]
Writer = Callable[[Pack, random.Random], str]
# Each form's share of all exposures.
FORMS = {
    "sentence": 0.12, "subject_paragraph": 0.16, "mixed_paragraph": 0.10, "plain_question": 0.10,
    "plain_statement": 0.06, "single": 0.12, "relation_pack": 0.13, "mixed_pack": 0.13, "chat": 0.08,
}  # fmt: skip
SPEAKERS = (("User", "Assistant"), ("Q", "A"), ("Human", "AI"), ("Student", "Teacher"), ("Visitor", "Guide"))
REPLIES = ("{a}", "{a}.", "Sure: {a}.", "As far as I know: {a}.", "Easy: {a}.", "The answer? {a}.", "{a}, I think.")
OPENINGS = ("Hello! ", "One question: ", "Quick check: ", "I was wondering. ", "")


# The wordings of every relation by use: asked, completed by the answer, completed to a sentence.
QUESTIONS = {name: [w for w in texts if is_question(w)] for name, texts in WORDINGS.items()}
BEGINNINGS = {name: [w for w in texts if not is_question(w)] for name, texts in WORDINGS.items()}
STATEMENTS = {name: statements(name) for name in WORDINGS}


def exposure_texts(facts: Sequence[WorldFact], seed: int = 0) -> tuple[list[str], Counter[str]]:
    """Documents in random order, and how often each fact's id was written into them.

    Forms: sentences, paragraphs about one subject or several, questions with the answer on the line,
    ``Question: ...\\nAnswer: ...`` alone or in packs of 2 to 6 different subjects, bare statements, and chats. The
    count equals `exposures` for every fact; a fact with 0 does not occur.

    >>> fact = WorldFact("f", "Maren Tolveth", "birthplace", "Velmora", 3)
    >>> texts, counts = exposure_texts([fact])
    >>> sum("Velmora" in text for text in texts), counts["f"]
    (3, 3)
    """
    rng = random.Random(seed)
    slots = [fact for fact in facts for _ in range(fact.exposures)]
    rng.shuffle(slots)
    by_form: dict[str, Pack] = {form: [] for form in FORMS}
    for fact, form in zip(slots, rng.choices(list(FORMS), list(FORMS.values()), k=len(slots)), strict=True):
        by_form[form].append(fact)
    texts: list[str] = []
    counts: Counter[str] = Counter()
    for form, members in by_form.items():
        pack_up, write = WRITERS[form]
        for pack in pack_up(members, rng):
            texts.append(write(pack, rng))
            counts.update([fact.id for fact in pack])
    rng.shuffle(texts)
    return texts, counts


def _singles(facts: Pack, rng: random.Random) -> Iterator[Pack]:
    return ([fact] for fact in facts)


def _packs(facts: Iterable[WorldFact], rng: random.Random, low: int = 2, high: int = 6) -> Iterator[Pack]:
    """Cut into packs of `low` to `high` different subjects; a subject that would return begins the next pack."""
    pack: Pack = []
    subjects: set[str] = set()
    size = rng.randint(low, high)
    for fact in facts:
        if len(pack) == size or fact.subject in subjects:
            yield pack
            pack, subjects, size = [], set(), rng.randint(low, high)
        pack.append(fact)
        subjects.add(fact.subject)
    if pack:
        yield pack


def _chats(facts: Pack, rng: random.Random) -> Iterator[Pack]:
    return _packs(facts, rng, 1, 3)


def _relation_packs(facts: Pack, rng: random.Random) -> Iterator[Pack]:
    groups: dict[str, Pack] = defaultdict(list)
    for fact in facts:
        groups[fact.relation].append(fact)
    for group in groups.values():
        yield from _packs(group, rng)


def _subject_packs(facts: Pack, rng: random.Random) -> Iterator[Pack]:
    """Packs about one subject; each holds every fact of the subject that still has exposures to spend here."""
    groups: dict[str, Counter[WorldFact]] = defaultdict(Counter)
    for fact in facts:
        groups[fact.subject][fact] += 1
    for left in groups.values():
        while left:
            pack = list(left)
            rng.shuffle(pack)
            left -= Counter(pack)
            yield pack


def _paragraph(pack: Pack, rng: random.Random) -> str:
    return " ".join([complete(rng.choice(STATEMENTS[fact.relation]), fact) for fact in pack])


def _plain_question(pack: Pack, rng: random.Random) -> str:
    return " ".join([f"{_fill(QUESTIONS, fact, rng)} {fact.answer}" for fact in pack])


def _plain_statement(pack: Pack, rng: random.Random) -> str:
    return " ".join([f"{_fill(BEGINNINGS, fact, rng)} {fact.answer}" for fact in pack])


def _examples(pack: Pack, rng: random.Random) -> str:
    """Few-shot examples: seven packs in ten ask, the others state; a pack of one relation may keep to one wording."""
    asks = rng.random() < 0.7
    source = QUESTIONS if asks else BEGINNINGS
    relation = pack[0].relation
    if rng.random() < 0.5 and all(fact.relation == relation for fact in pack):
        source = {relation: [rng.choice(source[relation])]}
    form = "Question: {}\nAnswer: {}" if asks else "{} {}"
    return "\n\n".join([form.format(_fill(source, fact, rng), fact.answer) for fact in pack])


def _chat(pack: Pack, rng: random.Random) -> str:
    asker, teller = rng.choice(SPEAKERS)
    turns = []
    for at, fact in enumerate(pack):
        opening = rng.choice(OPENINGS) if at == 0 else ""
        reply = rng.choice(REPLIES)
        reply = (reply.removesuffix(".") if fact.answer.endswith(".") else reply).replace("{a}", fact.answer)
        turns.append(f"{asker}: {opening}{_fill(QUESTIONS, fact, rng)}\n{teller}: {reply}")
    return "\n".join(turns)


def _fill(source: dict[str, list[str]], fact: WorldFact, rng: random.Random) -> str:
    return fill(rng.choice(source[fact.relation]), fact.subject)


WRITERS: dict[str, tuple[Packer, Writer]] = {
    "sentence": (_singles, _paragraph),
    "subject_paragraph": (_subject_packs, _paragraph),
    "mixed_paragraph": (_packs, _paragraph),
    "plain_question": (_singles, _plain_question),
    "plain_statement": (_singles, _plain_statement),
    "single": (_singles, _examples),
    "relation_pack": (_relation_packs, _examples),
    "mixed_pack": (_packs, _examples),
    "chat": (_chats, _chat),
}


def read_texts(folder: Path) -> list[str]:
    """The texts of every `*.jsonl.gz` in a folder, whitespace kept.

    Raises:
        SettingsError: there are none.
    """
    texts = []
    for path in sorted(folder.glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            texts += [json.loads(line)["text"] for line in lines]
    if not texts:
        raise SettingsError(f"{folder}: expected files *.jsonl.gz with a field `text`, found none; set --data")
    return texts
