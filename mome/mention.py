"""The mention check: a fact may only be entered where its subject stands in the text before.

Shapes: B batch, T tokens, S tokens seen so far, N neighbours, K keys, V spellings, M tokens of a spelling, P pairs of a
token and a key.

A query is a mean over the prefix, in which "Latvian Football Federation" and "Peruvian Football Federation" lie close
together. The tokens themselves tell them apart: every key keeps the token ids of its fact's subject, and its similarity
is lowered by the share of them that the text up to the token does not hold. The comparison is exact, needs no training
and costs nothing where no key is near.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

NO_TOKEN = -1
NUM_SPELLINGS = 4
MAX_SUBJECT_TOKENS = 16
CHUNK_PAIRS = 2048


@dataclass
class Mentions:
    """What the check reads."""

    subject: Tensor  # [K, V, M] int32 token ids, NO_TOKEN where a spelling is shorter
    seen: Tensor  # [B, S] int64 tokens up to the last of this forward, NO_TOKEN at padding
    weight: float  # how much a subject that is missing altogether lowers a similarity

    def lower(self, similarity: Tensor, key: Tensor, bound: float) -> Tensor:
        """Lower the similarities above `bound` by what is missing; the others are too small to open a gate anyway.

        Args:
            similarity: fp32 `[B, T, N]` of the last T tokens seen.
            key: int64 `[B, T, N]`.
        """
        row, column, neighbour = (similarity > bound).nonzero(as_tuple=True)
        if not len(row) or not self.weight:
            return similarity
        position = column + self.seen.shape[1] - similarity.shape[1]
        lowered, home = similarity.clone(), self.subject.device
        for start in range(0, len(row), CHUNK_PAIRS):
            part = slice(start, start + CHUNK_PAIRS)
            place = row[part], column[part], neighbour[part]
            seen = self.seen[row[part].to(self.seen.device)].to(home)
            share = missing(self.subject[key[place].to(home)], seen, position[part].to(home))
            lowered[place] -= self.weight * share.to(lowered.device)
        return lowered


def missing(subject: Tensor, seen: Tensor, position: Tensor) -> Tensor:
    """Share of a subject's tokens that a text does not hold, in the spelling that fits it best; 0 without a subject.

    A token counts as held where it stands right behind the one before it in the subject: the tokens of "Eni" are also
    those of "Enrico Fermi", but not in a row.

    Args:
        subject: int `[P, V, M]`.
        seen: int `[P, S]`.
        position: int64 `[P]`, the last token of the text that counts.

    Returns:
        fp32 `[P]`.

    >>> subject, seen = torch.tensor([[[5, 6, -1]]]), torch.tensor([[6, 5, 6]])
    >>> missing(subject, seen, torch.tensor([1])), missing(subject, seen, torch.tensor([2]))
    (tensor([0.5000]), tensor([0.]))
    """
    later = torch.arange(seen.shape[1], device=seen.device) > position[:, None]  # [P, S]
    held = seen.masked_fill(later, NO_TOKEN)
    asked = subject != NO_TOKEN  # [P, V, M]
    same = subject[..., None] == held[:, None, None]  # [P, V, M, S]
    same[:, :, 1:, 1:] &= same[:, :, :-1, :-1].clone()
    same[:, :, 1:, :1] = False
    found = same.any(-1) & asked
    share = 1 - found.sum(-1) / asked.sum(-1).clamp_min(1)  # [P, V]
    return torch.where(asked.any(-1), share, 0.0).amin(-1)


def subject_rows(tokenizer: PreTrainedTokenizerBase, subjects: Sequence[str]) -> Tensor:
    """Token ids of subjects as they stand at the beginning of a text, inside one, and in lower case.

    Returns:
        int32 `[K, V, M]`, NO_TOKEN where a spelling is shorter; of a longer subject the first M tokens.
    """
    rows = torch.full((len(subjects), NUM_SPELLINGS, MAX_SUBJECT_TOKENS), NO_TOKEN, dtype=torch.int32)
    if not subjects:
        return rows
    for row, forms in enumerate(spellings(tokenizer, subjects)):
        for spelling, tokens in enumerate(forms):
            tokens = tokens[:MAX_SUBJECT_TOKENS]
            rows[row, spelling, : len(tokens)] = torch.tensor(tokens, dtype=torch.int32)
    return rows


def spellings(tokenizer: PreTrainedTokenizerBase, subjects: Sequence[str]) -> list[list[list[int]]]:
    """For each subject its token ids at the beginning of a text, inside one, and the same in lower case."""
    forms = [list(subjects), [f" {s}" for s in subjects], [s.lower() for s in subjects]]
    forms.append([f" {s}" for s in forms[-1]])
    by_form = [tokenizer(form, add_special_tokens=False).input_ids for form in forms]
    return [list(of_subject) for of_subject in zip(*by_form, strict=True)]


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
