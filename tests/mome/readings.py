"""Small banks and texts that are read with them, drawn by hypothesis.

Shapes: B batch, T tokens.
"""

from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor

from mome.attention import Attention
from mome.bank import Bank
from mome.continuation import CLOSED, Past
from mome.mention import NO_TOKEN

NUM_WORDS = 3  # few, so that texts often go on as they were taught


def make_bank(answers: list[list[int]]) -> Bank:
    """A bank with these answers as facts, one key each."""
    tokens = [token for answer in answers for token in answer]
    facts = [number for number, answer in enumerate(answers) for _ in answer]
    first = [sum(len(answer) for answer in answers[:number]) for number in range(len(answers))]
    bank = Bank.empty(1, 1, 4, 2)
    bank.token, bank.fact = torch.tensor(tokens, dtype=torch.int32), torch.tensor(facts, dtype=torch.int32)
    bank.keys = torch.nn.functional.normalize(torch.randn(len(answers), 2), dim=-1)
    bank.key_expert = torch.tensor(first, dtype=torch.int32)
    bank.subject = torch.full((len(answers), 1, 2), NO_TOKEN, dtype=torch.int32)
    return bank


def holds(text: list[int], spelling: list[int], word_edge: list[list[bool]], width: int) -> bool:
    """A plain search for a spelling as words of its own, in a text that may break off inside a word.

    Args:
        width: how long a spelling may be; of one as long as that the words may go on.
    """

    def joins(left: int) -> bool:
        inside = left >= 0 and left + 1 < len(text) and NO_TOKEN not in text[left : left + 2]
        return inside and word_edge[text[left]][1] and word_edge[text[left + 1]][0]

    for start in range(len(text) - len(spelling) + 1):
        stop = start + len(spelling)
        is_cut = len(spelling) == width
        if text[start:stop] == spelling and not joins(start - 1) and (is_cut or not joins(stop - 1)):
            return True
    return False


@dataclass
class Reading:
    """A bank and texts that are read with it."""

    bank: Bank
    tokens: Tensor  # [B, T]
    key: Tensor  # [B, T] of the bank, or CLOSED
    similarity: Tensor  # [B, T]
    past: Past


@st.composite
def readings(draw: st.DrawFn, batch: int = 2, min_tokens: int = 1, max_tokens: int = 9) -> Reading:
    words = st.integers(0, NUM_WORDS - 1)
    bank = make_bank(draw(st.lists(st.lists(words, min_size=1, max_size=4), min_size=1, max_size=4)))
    for row in bank.subject:  # of no token, one, or two
        row[0] = torch.tensor(draw(st.sampled_from([[NO_TOKEN] * 2, [0, NO_TOKEN], [1, NO_TOKEN], [2, 1]])))
    edges = st.lists(st.booleans(), min_size=2, max_size=2)
    bank.word_edge = torch.tensor([*draw(st.lists(edges, min_size=NUM_WORDS, max_size=NUM_WORDS)), [False, False]])
    num_tokens = draw(st.integers(min_tokens, max_tokens))

    def table(elements: st.SearchStrategy[int], columns: int) -> Tensor:
        rows = st.lists(elements, min_size=columns, max_size=columns)
        return torch.tensor(draw(st.lists(rows, min_size=batch, max_size=batch)), dtype=torch.int64)

    closed = st.just(CLOSED)
    keys = table(closed | closed | st.integers(0, bank.num_keys - 1), num_tokens)
    before = table(closed | st.integers(0, bank.num_experts - 1), 1).flatten()
    facts = closed | closed | st.integers(0, bank.num_keys - 1)
    num_before = draw(st.integers(0, 4))
    tenths = st.integers(1, 10)
    said, clearness = table(facts, num_before), table(tenths, num_before) / 10
    past = Past(table(words, num_before), said, clearness, before, table(tenths, 1).flatten() / 10)
    return Reading(bank, table(words, num_tokens), keys, table(tenths, num_tokens) / 10, past)


def tables_of(attention: Attention) -> list[Tensor]:
    """Its keys, similarities and confidences, each `[B, T]`."""
    return [attention.key, attention.similarity, attention.confidence]
