"""The mention check: a fact may only be entered where its subject stands in the text before.

Shapes: B batch, T tokens, S tokens seen so far, N neighbours, K keys, V spellings, M tokens of a spelling, P pairs of a
token and a key.

A query is a mean over the prefix, in which "Latvian Football Federation" and "Peruvian Football Federation" lie close
together. The tokens themselves tell them apart: every key keeps the token ids of its fact's subject, and its similarity
is lowered where the text up to the token does not hold them all. The comparison is exact, needs no training
and costs nothing where no key is near.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

NO_TOKEN = -1
NUM_SPELLINGS = 5
MAX_SUBJECT_TOKENS = 16
CHUNK_PAIRS = 2048
NEVER = torch.iinfo(torch.int64).max


@dataclass
class Mentions:
    """What the check reads."""

    subject: Tensor  # [K, V, M] int32 token ids, NO_TOKEN where a spelling is shorter
    seen: Tensor  # [B, S] int64 tokens up to the last of this forward, NO_TOKEN at padding
    weight: float  # how much a missing subject lowers a similarity

    def lower(self, similarity: Tensor, key: Tensor, bound: float) -> Tensor:
        """Lower the similarities above `bound` by what is missing; the others are too small to open a gate anyway.

        Args:
            similarity: fp32 `[B, T, N]` of the last T tokens seen.
            key: int64 `[B, T, N]`.
        """
        place = (similarity > bound).nonzero(as_tuple=True)  # [P] each
        if not len(place[0]) or not self.weight:
            return similarity
        home = self.subject.device
        row, number = place[0].to(home), key[place].to(home)
        position = place[1].to(home) + self.seen.shape[1] - similarity.shape[1]
        # A row meets the same keys at many of its tokens: each is looked for in it once.
        pairs, pair_of = torch.stack([row, number], dim=1).unique(dim=0, return_inverse=True)  # [U, 2], [P]
        held = [
            first_held(self.subject[part[:, 1]], self.seen.to(home)[part[:, 0]]) for part in pairs.split(CHUNK_PAIRS)
        ]
        is_missing = missing(self.subject[number], torch.cat(held)[pair_of], position)
        lowered = similarity.clone()
        lowered[place] -= self.weight * is_missing.to(lowered.device)
        return lowered


def first_held(subject: Tensor, seen: Tensor) -> Tensor:
    """Where a text first holds each token of a subject, right behind the one before it in the subject.

    The tokens of "Eni" are also those of "Enrico Fermi", but not in a row.

    Args:
        subject: int `[P, V, M]`.
        seen: int `[P, S]`.

    Returns:
        int64 `[P, V, M]`, NEVER where it does not.
    """
    same = subject[..., None] == seen[:, None, None]  # [P, V, M, S]
    behind = same[:, :, 1:].clone()
    behind[..., 1:] &= same[:, :, :-1, :-1]
    behind[..., :1] = False
    held = torch.cat([same[:, :, :1], behind], dim=2)
    return torch.where(held.any(-1), held.int().argmax(-1), NEVER)


def missing(subject: Tensor, held: Tensor, position: Tensor) -> Tensor:
    """Whether a text holds a subject in none of its spellings; False for a key without a subject.

    Args:
        subject: int `[P, V, M]`.
        held: int64 `[P, V, M]`, see `first_held`.
        position: int64 `[P]`, the last token of the text that counts.

    Returns:
        bool `[P]`.

    >>> subject, seen = torch.tensor([[[5, 6, -1]]]), torch.tensor([[6, 5, 6]])
    >>> held = first_held(subject, seen)
    >>> missing(subject, held, torch.tensor([1])), missing(subject, held, torch.tensor([2]))
    (tensor([True]), tensor([False]))
    """
    asked = subject != NO_TOKEN
    is_held = (~asked | (held <= position[:, None, None])).all(-1) & asked.any(-1)  # [P, V]
    return asked.flatten(1).any(1) & ~is_held.any(-1)


def subject_rows(
    tokenizer: PreTrainedTokenizerBase, subjects: Sequence[str], prompts: Sequence[list[int]] | None = None
) -> Tensor:
    """Token ids of subjects as they stand at the beginning of a text, inside one, in lower case, and in their prompts.

    Args:
        prompts: token ids of a prompt of each, where a subject may be spelled as nowhere else, merged with a quotation
            mark, say.

    Returns:
        int32 `[K, V, M]`, NO_TOKEN where a spelling is shorter; of a longer subject the first M tokens.
    """
    rows = torch.full((len(subjects), NUM_SPELLINGS, MAX_SUBJECT_TOKENS), NO_TOKEN, dtype=torch.int32)
    if not subjects:
        return rows
    for row, forms in enumerate(spellings(tokenizer, subjects)):
        if prompts is not None and find_mention(prompts[row], forms) is None:
            forms.append(_tokens_around(prompts[row], subjects[row], tokenizer))
        for spelling, tokens in enumerate(forms if subjects[row].strip() else []):
            tokens = tokens[:MAX_SUBJECT_TOKENS]
            rows[row, spelling, : len(tokens)] = torch.tensor(tokens, dtype=torch.int32)
    return rows


def spellings(tokenizer: PreTrainedTokenizerBase, subjects: Sequence[str]) -> list[list[list[int]]]:
    """For each subject its token ids at the beginning of a text, inside one, and the same in lower case."""
    forms = [list(subjects), [f" {s}" for s in subjects], [s.lower() for s in subjects]]
    forms.append([f" {s}" for s in forms[-1]])
    by_form = [tokenizer(form, add_special_tokens=False).input_ids for form in forms]
    return [list(of_subject) for of_subject in zip(*by_form, strict=True)]


def _tokens_around(ids: list[int], subject: str, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The shortest run of token ids whose text holds a subject; all of them where none does."""
    wanted = subject.casefold()
    runs = (ids[start : start + length] for length in range(1, len(ids) + 1) for start in range(len(ids) - length + 1))
    return next((run for run in runs if wanted in str(tokenizer.decode(run)).casefold()), ids)


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
