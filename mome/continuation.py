"""Continuation: once a fact has been entered, its experts follow one another while the text is the taught one.

Shapes: B batch, T tokens, S tokens seen before these.

If the last token read expert e, this token is the one that e says, and e is not its fact's last, then e + 1 is read;
else the fact whose key won here, if any, is entered. When the text has said a fact's answer, the mention of its subject
is spent: the fact is not entered again before its subject is mentioned once more, unless it is asked for more clearly
than before. (In "Is she male or female?" the gate may open at "or", and the question itself say the answer.) And at the
end of its own taught prompt a fact is always entered, whatever went before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mome.bank import Bank
from mome.mention import NO_TOKEN, find_subjects

CLOSED = -1
MAX_NEWER = 64  # pieces of a text, more than which are put together
# A key that comes this near is that of the very prompt.
SAME_PROMPT = 0.99


@dataclass
class Past:
    """The tokens before these, which may lie in a cache.

    Most tables are shorter than the text: what a token of a cached decoding step adds to them is only put there when
    somebody asks, see `whole`.
    """

    seen: Tensor  # [B, S] int64, NO_TOKEN at padding; without the `newer`
    said: Tensor  # [B, S] int64, the fact one of whose answer tokens stands here, else CLOSED
    clearness: Tensor  # [B, S] similarity with which that fact had been entered
    expert: Tensor  # [B] int64, the expert that the last of them read, or CLOSED
    similarity: Tensor  # [B] with which its fact was entered
    is_silent: bool = False  # the last of them read none in any row, as is known without a look at them
    newer: tuple[Tensor, ...] = ()  # the last of the tokens seen, [B, T] each

    @staticmethod
    def none(num_rows: int, device: torch.device) -> Past:
        """Before the first token."""
        nothing = torch.empty(num_rows, 0, dtype=torch.int64, device=device)
        closed = torch.full((num_rows,), CLOSED, device=device)
        return Past(nothing, nothing, nothing.float(), closed, torch.zeros(num_rows, device=device), is_silent=True)

    def with_seen(self, tokens: Tensor) -> Tensor:
        """All tokens seen, and then these (int64 `[B, T]`)."""
        return torch.cat([self.seen, *self.newer, tokens], dim=1)

    def growing(self, tokens: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """`seen` and `newer` behind further tokens (int64 `[B, T]`), of which there are never many pieces."""
        return (self.seen, (*self.newer, tokens)) if len(self.newer) < MAX_NEWER else (self.with_seen(tokens), ())

    def in_silence(self, tokens: Tensor) -> Past:
        """The same behind tokens (int64 `[B, T]`) that read no expert, where the last one did not either."""
        seen, newer = self.growing(tokens)
        return Past(seen, self.said, self.clearness, self.expert, self.similarity, True, newer)

    def whole(self) -> Past:
        """The same, with everything in tables as long as the text; the memory was silent where nothing is told."""
        seen = torch.cat([self.seen, *self.newer], dim=1) if self.newer else self.seen
        missing = seen.shape[1] - self.said.shape[1]
        if not missing:
            return replace(self, seen=seen, newer=()) if self.newer else self
        said = torch.nn.functional.pad(self.said, (0, missing), value=CLOSED)
        clearness = torch.nn.functional.pad(self.clearness, (0, missing))
        return replace(self, seen=seen, said=said, clearness=clearness, newer=())

    def take(self, rows: Tensor) -> Past:
        """The rows of a batch with these numbers (int64 `[B']`)."""
        seen, said, clearness = self.seen[rows], self.said[rows], self.clearness[rows]
        newer = tuple(tokens[rows] for tokens in self.newer)
        return Past(seen, said, clearness, self.expert[rows], self.similarity[rows], self.is_silent, newer)


@dataclass
class Read:
    """What every token reads."""

    expert: Tensor  # [B, T] int64, or CLOSED
    continued: Tensor  # [B, T] bool, True where the expert followed its predecessor rather than a key
    said: Tensor  # [B, T] int64, see `Past`
    clearness: Tensor  # [B, T], see `Past`

    @staticmethod
    def entries(expert: Tensor) -> Read:
        """These experts int64 `[B, T]`, or CLOSED, and none that follows another."""
        said = torch.full_like(expert, CLOSED)
        return Read(expert, torch.zeros_like(expert, dtype=torch.bool), said, torch.zeros_like(expert).float())


def read(
    tokens: Tensor,
    mask: Tensor | None,
    key: Tensor,
    similarity: Tensor,
    past: Past,
    bank: Bank,
    num_asked: int | None = None,
) -> Read:
    """Decide for every token which expert it reads.

    Args:
        tokens: int64 `[B, T]`.
        mask: bool `[B, T]`, False at padding, or None.
        key: int64 `[B, T]`, the key that won, or CLOSED; CLOSED at padding.
        similarity: fp32 `[B, T]`, of that key.
        num_asked: see `mome.mention.Mentions`.
    """
    rows = ((key != CLOSED).any(1) | (past.expert != CLOSED)).nonzero().flatten().tolist()
    result, past = Read.entries(torch.full_like(key, CLOSED)), past.whole()
    for row in rows:
        # Without padding, which neither breaks a continuation nor starts one.
        places = slice(None) if mask is None else mask[row].nonzero().flatten()
        here = tokens[row, places], key[row, places], similarity[row, places]
        parts = _read_text(*here, past.take(torch.tensor([row], device=key.device)), bank, num_asked)
        for name in ("expert", "continued", "said", "clearness"):
            getattr(result, name)[row, places] = getattr(parts, name)[0]
    return result


def read_token(
    token: int,
    key: int,
    similarity: float,
    last: int,
    entered: float,
    row: int,
    past: Past,
    bank: Bank,
    num_asked: int | None,
) -> tuple[int, bool, int]:
    """`read` for one token of one row, in Python's own numbers.

    Args:
        row: of the past.
        last: the expert that the token before read, or CLOSED.
        entered: similarity with which its fact was entered.

    Returns:
        The expert that is read, whether it followed its predecessor, and the fact one of whose tokens this one is.
    """
    is_said = last != CLOSED and int(bank.token[last]) == token
    said = int(bank.fact[last]) if is_said else CLOSED
    if is_said and _has_next(last, bank) and (key == CLOSED or similarity < SAME_PROMPT):
        return last + 1, True, said
    if key == CLOSED:
        return CLOSED, False, said
    if is_said or past.said.shape[1]:
        whole, here = past.whole(), (token, said, entered if is_said else 0.0)
        earlier = whole.seen[row], whole.said[row], whole.clearness[row]
        text = Text(*(torch.cat([part, part.new_tensor([one])]) for part, one in zip(earlier, here, strict=True)))
        if is_spent(key, similarity, text, bank, num_asked):
            return CLOSED, False, said
    return int(bank.key_expert[key]), False, said


def _read_text(tokens: Tensor, key: Tensor, similarity: Tensor, past: Past, bank: Bank, num_asked: int | None) -> Read:
    """The tokens of one row, all `[T]`, behind its past: visits only the places where a fact is entered, and the
    answers that follow."""
    if not _says_anything(tokens, key, past, bank):
        entry = bank.key_expert[key.clamp_min(0)].long()
        return Read.entries(torch.where(key != CLOSED, entry, CLOSED)[None])
    num_before, words = past.seen.shape[1], tokens.tolist()
    text = Text(
        torch.cat([past.seen[0], tokens]),
        torch.cat([past.said[0], torch.full_like(tokens, CLOSED)]),
        torch.cat([past.clearness[0], torch.zeros_like(similarity)]),
    )
    expert, continued = torch.full_like(tokens, CLOSED), torch.zeros_like(tokens, dtype=torch.bool)
    starts = (key != CLOSED).nonzero().flatten().tolist()
    is_prompt = ((key != CLOSED) & (similarity >= SAME_PROMPT)).tolist()
    position, reading, entered = -1, int(past.expert[0]), float(past.similarity[0])
    while True:
        while reading != CLOSED and position + 1 < len(words) and int(bank.token[reading]) == words[position + 1]:
            place = num_before + position + 1
            text.said[place], text.clearness[place] = bank.fact[reading], entered
            if not _has_next(reading, bank) or is_prompt[position + 1]:
                break
            reading += 1
            position += 1
            expert[position], continued[position] = reading, True
        starts = [start for start in starts if start > position]
        while starts:
            so_far = text.until(num_before + starts[0] + 1)
            if not is_spent(int(key[starts[0]]), float(similarity[starts[0]]), so_far, bank, num_asked):
                break
            starts = starts[1:]
        if not starts:
            break
        position = starts[0]
        reading, entered = int(bank.key_expert[key[position]]), float(similarity[position])
        expert[position] = reading
    return Read(expert[None], continued[None], text.said[None, num_before:], text.clearness[None, num_before:])


def _says_anything(tokens: Tensor, key: Tensor, past: Past, bank: Bank) -> bool:
    """Whether any token of a text is one of an answer, or any before it was: else nothing goes on, nor is spent."""
    if bool((past.said != CLOSED).any()):
        return True
    before = past.expert[0]
    reads = torch.cat([before[None], torch.where(key != CLOSED, bank.key_expert[key.clamp_min(0)], CLOSED)[:-1]])
    return bool(((reads != CLOSED) & (bank.token[reads.clamp_min(0).long()] == tokens)).any())


def _has_next(expert: int, bank: Bank) -> bool:
    return expert + 1 < bank.num_experts and int(bank.fact[expert + 1]) == int(bank.fact[expert])


@dataclass
class Text:
    """One row of what was read so far, see `Past`."""

    seen: Tensor  # [S]
    said: Tensor  # [S]
    clearness: Tensor  # [S]

    def until(self, end: int) -> Text:
        """The tokens before a position."""
        return Text(self.seen[:end], self.said[:end], self.clearness[:end])


def is_spent(key: int, similarity: float, text: Text, bank: Bank, num_asked: int | None = None) -> bool:
    """Whether a text has said the answer of a key's fact, as clearly asked for, and not mentioned its subject since.

    Args:
        similarity: with which the key won.
        text: up to the place where it did.
        num_asked: see `mome.mention.Mentions`.
    """
    places = (text.said == int(bank.fact[bank.key_expert[key]])).nonzero()
    if not len(places) or similarity >= SAME_PROMPT or similarity > float(text.clearness[places[-1]]):
        return False
    since = text.seen[int(places[-1]) + 1 : num_asked]
    since = since[since != NO_TOKEN]
    subject = bank.subject[key][None]  # [1, V, M]
    if not len(since):
        return bool((subject != NO_TOKEN).any())
    held = find_subjects(subject, since[None], bank.word_edge)
    return not bool(held.at(since.new_zeros(1), since.new_full((1,), len(since) - 1)))
