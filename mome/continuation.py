"""Continuation: once a fact has been entered, its experts follow one another while the text is the taught one.

Shapes: B batch, T tokens, S tokens seen before these.

If the last token read expert e, this token is the one that e says, and e is not its fact's last, then e + 1 is read;
else the fact whose key won here, if any, is entered. When the text has said a fact's answer, the mention of its subject
is spent: the fact is not entered again before its subject is mentioned once more.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mome.bank import Bank
from mome.mention import NO_TOKEN, first_held, missing

CLOSED = -1


@dataclass
class Past:
    """The tokens before these, which may lie in a cache."""

    seen: Tensor  # [B, S] int64, NO_TOKEN at padding
    said: Tensor  # [B, S] int64, the fact one of whose answer tokens stands here, else CLOSED
    expert: Tensor  # [B] int64, the expert that the last of them read, or CLOSED

    @staticmethod
    def none(num_rows: int, device: torch.device) -> Past:
        """Before the first token."""
        nothing = torch.empty(num_rows, 0, dtype=torch.int64, device=device)
        return Past(nothing, nothing, torch.full((num_rows,), CLOSED, device=device))


@dataclass
class Read:
    """What every token reads."""

    expert: Tensor  # [B, T] int64, or CLOSED
    continued: Tensor  # [B, T] bool, True where the expert followed its predecessor rather than a key
    said: Tensor  # [B, T] int64, see `Past`


def read(tokens: Tensor, mask: Tensor | None, key: Tensor, past: Past, bank: Bank) -> Read:
    """Decide for every token which expert it reads.

    Args:
        tokens: int64 `[B, T]`.
        mask: bool `[B, T]`, False at padding, or None.
        key: int64 `[B, T]`, the key that won, or CLOSED; CLOSED at padding.
    """
    if tokens.shape[1] == 1 and (mask is None or bool(mask.all())):
        return _read_token(tokens[:, 0], key[:, 0], past, bank)
    result = Read(torch.full_like(key, CLOSED), torch.zeros_like(key, dtype=torch.bool), torch.full_like(key, CLOSED))
    rows = ((key != CLOSED).any(1) | (past.expert != CLOSED)).nonzero().flatten().tolist()
    for row in rows:
        # Without padding, which neither breaks a continuation nor starts one.
        places = slice(None) if mask is None else mask[row].nonzero().flatten()
        _read_text(result, row, places, tokens[row, places], key[row, places], past, bank)
    return result


def _read_token(token: Tensor, key: Tensor, past: Past, bank: Bank) -> Read:
    """One token of every row, all `[B]`: no loop but over the rows where a fact might be entered a second time."""
    if not bank.num_experts:
        closed = torch.full_like(key, CLOSED)[:, None]
        return Read(closed, torch.zeros_like(closed, dtype=torch.bool), closed)
    last = past.expert.clamp_min(0)
    after = (last + 1).clamp_max(bank.num_experts - 1)
    is_said = (past.expert != CLOSED) & (bank.token[last] == token)
    goes_on = is_said & (after > last) & (bank.fact[after] == bank.fact[last])
    said = torch.where(is_said, bank.fact[last].long(), CLOSED)
    entry = bank.key_expert[key.clamp_min(0)].long()
    enters = (key != CLOSED) & ~goes_on
    again = enters & ((past.said == bank.fact[entry][:, None]).any(1) | (said == bank.fact[entry]))
    for row in again.nonzero().flatten().tolist():
        seen = torch.cat([past.seen[row], token[row : row + 1]])
        enters[row] = not is_spent(int(key[row]), seen, torch.cat([past.said[row], said[row : row + 1]]), bank)
    expert = torch.where(goes_on, after, torch.where(enters, entry, CLOSED))
    return Read(expert[:, None], goes_on[:, None], said[:, None])


def _read_text(
    result: Read, row: int, places: slice | Tensor, tokens: Tensor, key: Tensor, past: Past, bank: Bank
) -> None:
    """The tokens of one row, all `[T]`: visits only the places where a fact is entered, and the answers that follow."""
    seen = torch.cat([past.seen[row], tokens])
    said = torch.cat([past.said[row], torch.full_like(tokens, CLOSED)])
    expert, continued = torch.full_like(tokens, CLOSED), torch.zeros_like(tokens, dtype=torch.bool)
    num_before, text = past.seen.shape[1], tokens.tolist()
    starts = (key != CLOSED).nonzero().flatten().tolist()
    position, reading = -1, int(past.expert[row])
    while True:
        while reading != CLOSED and position + 1 < len(text) and int(bank.token[reading]) == text[position + 1]:
            said[num_before + position + 1] = bank.fact[reading]
            reading = reading + 1 if _has_next(reading, bank) else CLOSED
            if reading == CLOSED:
                break
            position += 1
            expert[position], continued[position] = reading, True
        starts = [start for start in starts if start > position]
        while starts:
            end = num_before + starts[0] + 1
            if not is_spent(int(key[starts[0]]), seen[:end], said[:end], bank):
                break
            starts = starts[1:]
        if not starts:
            break
        position = starts[0]
        reading = int(bank.key_expert[key[position]])
        expert[position] = reading
    result.expert[row, places], result.continued[row, places] = expert, continued
    result.said[row, places] = said[num_before:]


def _has_next(expert: int, bank: Bank) -> bool:
    return expert + 1 < bank.num_experts and int(bank.fact[expert + 1]) == int(bank.fact[expert])


def is_spent(key: int, seen: Tensor, said: Tensor, bank: Bank) -> bool:
    """Whether a text has said the answer of a key's fact, and not mentioned its subject since.

    Args:
        seen, said: int64 `[S]`, the text up to the place where the key won; see `Past`.
    """
    places = (said == int(bank.fact[bank.key_expert[key]])).nonzero()
    if not len(places):
        return False
    since = seen[int(places[-1]) + 1 :]
    since = since[since != NO_TOKEN]
    subject = bank.subject[key][None]  # [1, V, M]
    if not len(since):
        return bool((subject != NO_TOKEN).any())
    return bool(missing(subject, first_held(subject, since[None]), torch.tensor([len(since) - 1])) > 0)
