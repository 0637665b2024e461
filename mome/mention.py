"""The mention check: a fact may only be entered where its subject stands in the text before.

Shapes: B batch, S tokens seen so far, P tokens, N neighbours, K keys, V spellings, M tokens of a spelling, L pairs of a
token and a key, U pairs of a text and a key, O places where a spelling may start, W tokens of the vocabulary.

A query is a mean over the prefix, in which "Latvian Football Federation" and "Peruvian Football Federation" lie close
together. The tokens themselves tell them apart: every key keeps the token ids of its fact's subject, and its similarity
is lowered where the text up to the token does not hold them, as words of their own: "Nintendo DS" is not mentioned in
"Nintendo DSi", nor "ian" in "Julian". The comparison is exact, needs no training and costs nothing where no key is
near.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerBase

from mome.tables import Table

NO_TOKEN = -1
NUM_SPELLINGS = 5
MAX_SUBJECT_TOKENS = 16
CHUNK_PAIRS = 2048
NEVER = torch.iinfo(torch.int64).max
# Latin, Greek, Cyrillic and Armenian part their words by spaces and write no particle onto a name; later scripts may.
END_OF_SPACED_SCRIPTS = 0x590


@dataclass
class Mentions:
    """What the check reads."""

    subject: Table  # [K, V, M] int32 token ids, NO_TOKEN where a spelling is shorter
    word_edge: Tensor  # [W + 1, 2] bool, see `word_edges`
    seen: Tensor  # [B, S] int64 tokens up to the last of this forward, NO_TOKEN at padding
    weight: float  # how much a missing subject lowers a similarity
    num_before: int = 0  # how many of the tokens seen came before this forward
    num_asked: int | None = None  # only the first so many of the tokens seen can mention a subject; None: all
    _found: Found | None = None  # what was looked for last

    @property
    def is_strict(self) -> bool:
        """Whether no key can be read whose subject is not mentioned: similarities lie between -1 and 1."""
        return self.weight > 2

    def lower(self, similarity: Tensor, key: Tensor, row: Tensor, position: Tensor, bound: float) -> Tensor:
        """Lower the similarities above `bound` by what is missing; the others are too small to open a gate anyway.

        Args:
            similarity: fp32 `[P, N]`, of keys int64 `[P, N]`.
            row, position: where in `seen` each token stands, int64 `[P]`.
        """
        token, neighbour = (similarity > bound).nonzero(as_tuple=True)  # [L] each
        if not len(token) or not self.weight:
            return similarity
        home = self.subject.device
        held = self.held(*(part.to(home) for part in (row[token], key[token, neighbour], position[token])))
        lowered = similarity.clone()
        lowered[token, neighbour] -= self.weight * (~held).to(lowered.device)
        return lowered

    def held(self, row: Tensor, key: Tensor, position: Tensor) -> Tensor:
        """Whether texts mention the subjects of keys up to a position, or that subject has no text: bool `[L]`, for
        int64 `[L]` each."""
        if not len(row):
            return torch.zeros_like(row, dtype=torch.bool)
        pair = row * len(self.subject) + key
        place = self._found.places(pair) if self._found is not None else None
        if self._found is None or place is None:
            # A row meets the same keys at many of its tokens: each is looked for in it once.
            (row, key), place = unique_pairs(row, key, len(self.subject))
            self._found = self._look_for(row, key)
        return self._found.held.at(place, self._within_asked(position))

    def held_in_all(self, row: Tensor, key: Tensor) -> Tensor:
        """`held` up to the last token seen, for pairs that come in order, each once."""
        self._found = self._look_for(row, key)
        last = torch.full_like(row, self.seen.shape[1] - 1)
        return self._found.held.at(torch.arange(len(row), device=row.device), self._within_asked(last))

    def _within_asked(self, position: Tensor) -> Tensor:
        return position if self.num_asked is None else position.clamp_max(self.num_asked - 1)

    def _look_for(self, row: Tensor, key: Tensor) -> Found:
        """Look for subjects of keys in texts, int64 `[U]` each, in order."""
        seen, initial = self.seen.to(row.device), self.subject[key, :, 0]  # [U, V]
        # Few subjects have as much as their first token in the text: only these are compared with it.
        last = int(seen.max())
        stands = torch.zeros(len(seen), last + 2, dtype=torch.bool, device=row.device)
        stands.scatter_(1, seen + 1, True)  # [B, W + 1], NO_TOKEN first
        looked_up = initial.clamp(NO_TOKEN, last) + 1
        near = ((stands[row[:, None], looked_up] & (initial != NO_TOKEN)).any(1)).nonzero()[:, 0]
        ends = torch.zeros(len(row), seen.shape[1], dtype=torch.bool, device=row.device)
        first = torch.where((initial != NO_TOKEN).any(1), NEVER, -1)
        for part in near.split(CHUNK_PAIRS):
            held = find_subjects(self.subject[key[part]], seen, self.word_edge, row[part])
            ends[part], first[part] = held.ends, held.first
        return Found(row * len(self.subject) + key, Held(ends, first))


@dataclass
class Found:
    """Pairs of a text and a key, and where these texts hold their subjects."""

    pair: Tensor  # [U] int64, rising
    held: Held

    def places(self, pair: Tensor) -> Tensor | None:
        """Where pairs int64 `[L]` stand among these; None where one does not."""
        place = torch.searchsorted(self.pair, pair).clamp_max(len(self.pair) - 1)
        return place if len(self.pair) and bool((self.pair[place] == pair).all()) else None


def unique_pairs(first: Tensor, second: Tensor, num_second: int) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """The pairs of two int64 `[L]`, each once, and which of them each pair is.

    Args:
        num_second: a number above all of the second.

    >>> unique_pairs(torch.tensor([1, 0, 1]), torch.tensor([2, 5, 2]), 6)
    ((tensor([0, 1]), tensor([5, 2])), tensor([1, 0, 1]))
    """
    pair, pair_of = (first * num_second + second).unique(return_inverse=True)
    return (pair // max(num_second, 1), pair % max(num_second, 1)), pair_of


@dataclass
class Held:
    """Where texts hold subjects."""

    ends: Tensor  # [U, S] bool, where a spelling ends; what follows may go on with the word
    first: Tensor  # [U] int64, where one first ends that does not; NEVER, or -1 for a subject without text

    def at(self, pair: Tensor, position: Tensor) -> Tensor:
        """Whether a subject is held by its text up to a position: bool `[L]` for int64 `[L]` each.

        The word at the position itself may yet go on, but nobody knows.
        """
        return (self.first[pair] <= position) | self.ends[pair, position]


def find_subjects(subject: Tensor, seen: Tensor, word_edge: Tensor, text: Tensor | None = None) -> Held:
    """Look for subjects, in any of their spellings, as words of their own.

    Args:
        subject: int `[U, V, M]`.
        seen: int64 `[B, S]`.
        word_edge: bool `[W + 1, 2]`.
        text: int64 `[U]`, the row of `seen` in which each subject is looked for; by default that of its own number.

    >>> subject, seen = torch.tensor([[[5, 6, -1]]]), torch.tensor([[6, 5, 6, 7]])
    >>> nothing_joins = torch.zeros(9, 2, dtype=torch.bool)
    >>> found = find_subjects(subject, seen, nothing_joins)
    >>> found.at(torch.tensor([0, 0, 0]), torch.tensor([1, 2, 3]))
    tensor([False,  True,  True])
    >>> seven_joins_six = nothing_joins.index_fill(0, torch.tensor([6, 7]), True)
    >>> find_subjects(subject, seen, seven_joins_six).at(torch.tensor([0, 0]), torch.tensor([2, 3]))
    tensor([ True, False])
    """
    (num_subjects, num_spellings, width), num_tokens = subject.shape, seen.shape[1]
    text = torch.arange(num_subjects, device=seen.device) if text is None else text
    ends = torch.zeros(num_subjects, num_tokens, dtype=torch.bool, device=seen.device)
    first = torch.where((subject[..., 0] != NO_TOKEN).any(1), NEVER, -1)
    spelling, start = _places_of(subject[..., 0].long(), seen, text)  # [O] each
    pair = spelling // num_spellings
    wanted, row = subject.flatten(0, 1)[spelling], text[pair]  # [O, M], [O]
    around = start[:, None] + torch.arange(width, device=seen.device)  # [O, M]
    here = torch.nn.functional.pad(seen, (0, width - 1), value=NO_TOKEN)[row[:, None], around]
    asked = wanted != NO_TOKEN
    length = asked.sum(-1)
    edge = word_edge[seen.clamp_max(len(word_edge) - 1)]  # [B, S, 2]; NO_TOKEN finds the last row
    goes_on = torch.nn.functional.pad(edge[:, :-1, 1] & edge[:, 1:, 0], (1, 1))  # [B, S + 1] from the token before
    stands = ((here == wanted) | ~asked).all(-1) & ~goes_on[row, start]
    pair, start, length, row = (table[stands] for table in (pair, start, length, row))
    end = start + length - 1
    ends[pair, end] = True
    # Of a longer subject only the first tokens are known, and the word goes on.
    whole = ~goes_on[row, end + 1] | (length == width)
    return Held(ends, first.scatter_reduce(0, pair[whole], end[whole], "amin"))


def _places_of(initial: Tensor, seen: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
    """Where texts hold the first tokens of spellings.

    Args:
        initial: int64 `[U, V]`.
        seen: int64 `[B, S]`.
        text: int64 `[U]`, the row of each.

    Returns:
        The number of a spelling, of U * V, and where it may start: int64 `[O]` each.
    """
    num_codes = int(seen.max()) + 2 if seen.numel() else 1  # NO_TOKEN is 0
    rows = torch.arange(len(seen), device=seen.device)[:, None]
    codes, place = (rows * num_codes + seen + 1).flatten().sort()
    is_known = (initial >= 0) & (initial + 1 < num_codes)
    wanted = (text[:, None] * num_codes + initial.clamp(NO_TOKEN, num_codes - 2) + 1).flatten()
    low, high = (torch.searchsorted(codes, wanted, right=is_right) for is_right in (False, True))
    count = torch.where(is_known.flatten(), high - low, 0)
    spelling = torch.arange(len(count), device=seen.device).repeat_interleave(count)  # [O]
    nth = torch.arange(len(spelling), device=seen.device) - (count.cumsum(0) - count)[spelling]
    return spelling, place[low[spelling] + nth] % max(seen.shape[1], 1)


def word_edges(tokenizer: PreTrainedTokenizerBase) -> Tensor:
    """Whether each token of a vocabulary begins, and ends, inside a word: bool `[W + 1, 2]`.

    A token that ends so and one that begins so are parts of one word. The last row stands for all other numbers.
    """
    stop = tokenizer(".", add_special_tokens=False).input_ids
    options = {"clean_up_tokenization_spaces": False}
    before = len(str(tokenizer.decode(stop, **options)))
    # Behind other text, since some tokenizers drop a space at the beginning.
    texts = tokenizer.batch_decode([[*stop, token] for token in range(len(tokenizer))], **options)
    edges = [[_is_inside(text[before : before + 1]), _is_inside(text[before:][-1:])] for text in texts]
    return torch.tensor([*edges, [False, False]])


def _is_inside(character: str) -> bool:
    return character.isalnum() and ord(character) < END_OF_SPACED_SCRIPTS


def subject_rows(
    tokenizer: PreTrainedTokenizerBase,
    subjects: Sequence[str],
    word_edge: Tensor,
    prompts: Sequence[list[int]] | None = None,
) -> Tensor:
    """Token ids of subjects as they stand at the beginning of a text, inside one, in lower case, and in their prompts.

    Args:
        word_edge: of the tokenizer, see `word_edges`.
        prompts: token ids of a prompt of each, where a subject may be spelled as nowhere else, merged with a quotation
            mark, say, or be a part of a longer word.

    Returns:
        int32 `[K, V, M]`, NO_TOKEN where a spelling is shorter; of a longer subject the first M tokens.
    """
    rows = torch.full((len(subjects), NUM_SPELLINGS, MAX_SUBJECT_TOKENS), NO_TOKEN, dtype=torch.int32)
    if not subjects:
        return rows
    for row, forms in enumerate(spellings(tokenizer, subjects)):
        for spelling, tokens in enumerate(forms if subjects[row].strip() else []):
            _fill(rows[row, spelling], tokens)
    if prompts is not None:
        for number in _not_held(rows, prompts, word_edge):
            _fill(rows[number, -1], _tokens_around(prompts[number], subjects[number], tokenizer, word_edge))
    return rows


def _not_held(rows: Tensor, prompts: Sequence[list[int]], word_edge: Tensor) -> list[int]:
    """Numbers of the subjects that their own prompts do not mention."""
    numbers = []
    for start in range(0, len(prompts), CHUNK_PAIRS):
        part = [torch.tensor(ids) for ids in prompts[start : start + CHUNK_PAIRS]]
        seen = pad_sequence(part, batch_first=True, padding_value=NO_TOKEN)
        last = torch.tensor([len(ids) - 1 for ids in part])
        held = find_subjects(rows[start : start + CHUNK_PAIRS], seen, word_edge).at(torch.arange(len(part)), last)
        numbers += [start + row for row in (~held).nonzero().flatten().tolist()]
    return numbers


def _fill(row: Tensor, tokens: list[int]) -> None:
    tokens = tokens[: len(row)]
    row[: len(tokens)] = torch.tensor(tokens, dtype=torch.int32)


def spellings(tokenizer: PreTrainedTokenizerBase, subjects: Sequence[str]) -> list[list[list[int]]]:
    """For each subject its token ids at the beginning of a text, inside one, and the same in lower case."""
    forms = [list(subjects), [f" {s}" for s in subjects], [s.lower() for s in subjects]]
    forms.append([f" {s}" for s in forms[-1]])
    by_form = [tokenizer(form, add_special_tokens=False).input_ids for form in forms]
    return [list(of_subject) for of_subject in zip(*by_form, strict=True)]


def _tokens_around(ids: list[int], subject: str, tokenizer: PreTrainedTokenizerBase, word_edge: Tensor) -> list[int]:
    """The shortest run of whole words in token ids whose text holds a subject; all of them where none does."""
    wanted = subject.casefold()
    edge = word_edge[torch.tensor(ids).clamp_max(len(word_edge) - 1)]
    goes_on = [False, *(edge[:-1, 1] & edge[1:, 0]).tolist(), False]
    places = [place for place, is_inside in enumerate(goes_on) if not is_inside]
    runs = sorted(((start, stop) for start, stop in combinations(places, 2)), key=lambda run: run[1] - run[0])
    parts = (ids[start:stop] for start, stop in runs)
    return next((part for part in parts if wanted in str(tokenizer.decode(part)).casefold()), ids)


def find_mention(ids: list[int], forms: list[list[int]]) -> tuple[int, int] | None:
    """First and last position + 1 of a subject, spelled in one of these forms, in token ids; None where it is not."""
    for wanted in forms:
        for start in range(len(ids) - len(wanted) + 1):
            if wanted and ids[start : start + len(wanted)] == wanted:
                return start, start + len(wanted)
    return None


def subject_of(
    prompt: str, subject: str | None, ids: list[int], logits: Tensor, tokenizer: PreTrainedTokenizerBase
) -> str:
    """The subject that a fact names, if its prompt mentions it; else the words that the router takes for one.

    Args:
        ids: token ids of the joined prompt.
        logits: fp32 `[T]`, above 0 where the router takes a token for a part of the subject.
    """
    if subject is not None and subject.casefold() in prompt.casefold():
        return subject
    special = set(tokenizer.all_special_ids)
    usable = torch.tensor([token not in special for token in ids])
    logits = logits.masked_fill(~usable, -torch.inf)
    # At least one token, so that no fact is without a check.
    chosen = logits >= logits.max().clamp_max(0.0)
    words, run = [], []
    for token, is_chosen in zip([*ids, 0], [*(chosen & usable).tolist(), False], strict=True):
        if is_chosen:
            run.append(token)
        elif run:
            words.append(str(tokenizer.decode(run)).strip())
            run = []
    return " ".join(words)
