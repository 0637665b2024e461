"""The mention check: a fact may only be entered where its subject stands in the text before.

Shapes: B batch, S tokens seen so far, P tokens, N neighbours, K keys, V spellings, M tokens of a spelling, L pairs of a
token and a key, U pairs of a text and a key, Q spellings that are looked for, W tokens of the vocabulary.

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
        seen = self.seen.to(row.device)
        if self.num_asked is not None:
            position = position.clamp_max(self.num_asked - 1)
        # A row meets the same keys at many of its tokens: each is looked for in it once.
        (row, key), pair_of = unique_pairs(row, key, len(self.subject))  # [U] each, [L]
        initial = self.subject[key, :, 0]  # [U, V]
        # Few subjects have as much as their first token in the text: only these are compared with it.
        last = int(seen.max())
        stands = torch.zeros(len(seen), last + 2, dtype=torch.bool, device=row.device)
        stands.scatter_(1, seen + 1, True)  # [B, W + 1], NO_TOKEN first
        looked_up = initial.clamp(NO_TOKEN, last) + 1
        near = ((stands[row[:, None], looked_up] & (initial != NO_TOKEN)).any(1)).nonzero()[:, 0]
        has_text = (initial != NO_TOKEN).any(1)[pair_of]
        if not len(near):
            return ~has_text
        parts = [
            find_subjects(self.subject[key[part]], seen[row[part]], self.word_edge) for part in near.split(CHUNK_PAIRS)
        ]
        place = torch.full_like(row, -1)
        place[near] = torch.arange(len(near), device=near.device)
        place = place[pair_of]
        return ~has_text | (Held.cat(parts).at(place.clamp_min(0), position) & (place >= 0))


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

    @staticmethod
    def cat(parts: list[Held]) -> Held:
        """All pairs of several."""
        return Held(*(torch.cat(tables) for tables in zip(*(vars(part).values() for part in parts), strict=True)))


def find_subjects(subject: Tensor, seen: Tensor, word_edge: Tensor) -> Held:
    """Look for subjects, in any of their spellings, as words of their own.

    Args:
        subject: int `[U, V, M]`.
        seen: int64 `[U, S]`.
        word_edge: bool `[W + 1, 2]`.

    >>> subject, seen = torch.tensor([[[5, 6, -1]]]), torch.tensor([[6, 5, 6, 7]])
    >>> nothing_joins = torch.zeros(9, 2, dtype=torch.bool)
    >>> found = find_subjects(subject, seen, nothing_joins)
    >>> found.at(torch.tensor([0, 0, 0]), torch.tensor([1, 2, 3]))
    tensor([False,  True,  True])
    >>> seven_joins_six = nothing_joins.index_fill(0, torch.tensor([6, 7]), True)
    >>> find_subjects(subject, seen, seven_joins_six).at(torch.tensor([0, 0]), torch.tensor([2, 3]))
    tensor([ True, False])
    """
    num_tokens, width = seen.shape[1], subject.shape[2]
    # Few spellings have as much as their first token in the text: only these are compared with it.
    initial = subject[..., 0]  # [U, V]
    pair, spelling = ((initial[..., None] == seen[:, None]).any(-1) & (initial != NO_TOKEN)).nonzero(as_tuple=True)
    is_text = (initial != NO_TOKEN).any(1)  # [U]
    if not len(pair):
        nowhere = torch.zeros_like(seen, dtype=torch.bool)
        return Held(nowhere, torch.where(is_text, NEVER, -1))
    wanted, here = subject[pair, spelling], seen[pair]  # [Q, M], [Q, S]
    asked = wanted != NO_TOKEN
    length = asked.sum(-1, keepdim=True)  # [Q, 1]
    windows = torch.nn.functional.pad(here, (0, width - 1), value=NO_TOKEN).unfold(1, width, 1)  # [Q, S, M]
    begins = ((windows == wanted[:, None]) | ~asked[:, None]).all(-1)  # [Q, S]
    edge = word_edge[here.clamp_max(len(word_edge) - 1)]  # [Q, S, 2]; NO_TOKEN finds the last row
    goes_on = torch.nn.functional.pad(edge[:, :-1, 1] & edge[:, 1:, 0], (1, 1))  # [Q, S + 1] from the token before
    begins &= ~goes_on[:, :-1]
    start = torch.arange(num_tokens, device=seen.device) - length + 1  # [Q, S] of a spelling that ends here
    ends = begins.gather(1, start.clamp_min(0)) & (start >= 0)
    # Of a longer subject only the first tokens are known, and the word goes on.
    whole = ends & (~goes_on[:, 1:] | (length == width))
    ends, whole = (torch.zeros_like(seen).index_add_(0, pair, part.long()) > 0 for part in (ends, whole))  # [U, S]
    first = torch.where(whole.any(1), whole.int().argmax(1), NEVER)
    return Held(ends, torch.where(is_text, first, -1))


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
