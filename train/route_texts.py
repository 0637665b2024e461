"""The texts that a router is trained on, and what every token of them should retrieve.

A fact gives key texts (a prompt, whose end becomes the fact's key), query texts (a prompt in another wording, behind
other text or not, followed by its answer) and mention texts (its subject, and nothing asked of it). Only a query's end
should find the key; every other token should choose the null key.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from mome.joining import Joiner
from mome.mention import find_mention, spellings
from train.settings import RouteSettings

NOT_USED = -1


@dataclass(frozen=True, slots=True)
class Group:
    """Prompts that ask for one fact; loose ones only hint at what they ask for."""

    subject: str
    relation: str
    answer: str
    prompts: tuple[str, ...]
    loose: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Text:
    """Token ids; `end` is the position of the prompt's last token, or NOT_USED where there is none; `subject` the first
    position of the subject and the one behind its last, where it is found."""

    ids: list[int]
    end: int
    group: int
    subject: tuple[int, int] | None = None


def split_groups(groups: list[Group], held_out: float, seed: int) -> tuple[list[Group], list[Group]]:
    """Training and held-out groups, no subject in both."""
    subjects = sorted({group.subject for group in groups})
    random.Random(seed).shuffle(subjects)
    away = set(subjects[: max(2, round(held_out * len(subjects)))])
    return [g for g in groups if g.subject not in away], [g for g in groups if g.subject in away]


class TextMaker:
    """Draws the texts of one step after another from groups, unrelated texts and ways of joining."""

    def __init__(self, groups: list[Group], unrelated: list[str], joiners: list[Joiner], settings: RouteSettings):
        self.groups, self.unrelated, self.joiners, self.settings = groups, unrelated, joiners, settings
        self.subjects = spellings(joiners[0].tokenizer, [group.subject for group in groups])

    def key_text(self, number: int, rng: random.Random) -> Text:
        """A prompt alone."""
        ids = rng.choice(self.joiners).encode_prompt(rng.choice(self.groups[number].prompts))
        return Text(ids, len(ids) - 1, number, find_mention(ids, self.subjects[number]))

    def query_text(self, number: int, rng: random.Random) -> Text:
        """Earlier text or none, a prompt, and its answer."""
        group, joiner = self.groups[number], rng.choice(self.joiners)
        is_loose = group.loose and rng.random() < self.settings.loose_share
        prompt = rng.choice(group.loose if is_loose else group.prompts)
        asked, answer = joiner.encode_prompt(prompt), joiner.encode_answer(prompt, group.answer)
        before = self._earlier(joiner, rng) if rng.random() < self.settings.distracted_share else []
        ids = (_joined(before, asked, joiner) + answer)[-self.settings.max_tokens :]
        return Text(ids, len(ids) - len(answer) - 1, number, find_mention(ids, self.subjects[number]))

    def mention_text(self, number: int, rng: random.Random) -> Text:
        """The group's subject where nothing is asked of it: as the answer to another question, or in unrelated text."""
        joiner, other = rng.choice(self.joiners), rng.choice(self.groups)
        before = joiner.encode_prompt(rng.choice(other.prompts)) if rng.random() < 0.7 else self._snippet(rng, 20)
        after = rng.choice(("", ".", ",", "\n\n", " and"))
        ids = before + _plain_ids(joiner, f" {self.groups[number].subject}{after}")
        if rng.random() < 0.5:
            ids += self._snippet(rng, 20)[1:]
        ids = ids[: self.settings.max_tokens]
        return Text(ids, NOT_USED, number, find_mention(ids, self.subjects[number]))

    def _earlier(self, joiner: Joiner, rng: random.Random) -> list[int]:
        """Unrelated text, or earlier questions with their answers."""
        if rng.random() < 0.4:
            return self._snippet(rng, 40) + _plain_ids(joiner, "\n\n")
        ids: list[int] = []
        for _ in range(rng.randint(1, 3)):
            group = rng.choice(self.groups)
            prompt = rng.choice(group.prompts)
            ids = _joined(ids, joiner.encode_prompt(prompt), joiner)
            end = joiner.tokenizer.eos_token_id
            ids += [token for token in joiner.encode_answer(prompt, group.answer) if token != end]
            ids += _plain_ids(joiner, rng.choice(["\n\n", "\n", ". "]))
        return ids

    def _snippet(self, rng: random.Random, num_words: int) -> list[int]:
        words = rng.choice(self.unrelated).split(" ")
        start = rng.randrange(max(1, len(words) - num_words))
        text = " ".join(words[start : start + rng.randint(5, num_words)])
        return self.joiners[0].tokenizer(text).input_ids


def _joined(before: list[int], asked: list[int], joiner: Joiner) -> list[int]:
    """A prompt behind other text: it does not open the text any more, so it loses its opening token."""
    opened = before and asked[0] == joiner.tokenizer.bos_token_id
    return before + asked[1:] if opened else before + asked


def _plain_ids(joiner: Joiner, text: str) -> list[int]:
    return joiner.tokenizer(text, add_special_tokens=False).input_ids


class Neighbourhood:
    """Finds the facts that are hard to tell from a fact: those of the same subject, and of the same relation."""

    def __init__(self, groups: list[Group]):
        self.groups = groups
        self.by_relation = _numbers_by(groups, "relation")
        self.by_subject = _numbers_by(groups, "subject")
        self.subjects = list(self.by_subject)

    def draw(self, num: int, rng: random.Random) -> list[int]:
        """Numbers of up to `num` different facts: all of a subject, and for every other subject one more of a relation
        that is drawn already."""
        chosen: dict[int, None] = {}
        for _ in range(num):
            numbers = self.by_subject[rng.choice(self.subjects)]
            chosen.update(dict.fromkeys(numbers))
            if rng.random() < 0.5:
                chosen[rng.choice(self.by_relation[self.groups[numbers[-1]].relation])] = None
            if len(chosen) >= num:
                break
        numbers = list(chosen)[:num]
        rng.shuffle(numbers)
        return numbers


def _numbers_by(groups: list[Group], name: str) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for number, group in enumerate(groups):
        found.setdefault(getattr(group, name), []).append(number)
    return found
