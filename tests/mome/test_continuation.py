"""Continuation and spent mentions: against a plain twin, in pieces, over padding."""

import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from mome.bank import Bank
from mome.continuation import CLOSED, Past, Read, is_spent, read
from mome.mention import NO_TOKEN
from tests.mome.readings import Reading, make_bank, readings


def holds(text: list[int], subject: list[int]) -> bool:
    return any(text[start : start + len(subject)] == subject for start in range(len(text) - len(subject) + 1))


def plain_read(reading: Reading, row: int) -> tuple[list[int], list[bool], list[int]]:
    """One text, word by word from the sentences that define what is read."""
    bank, past = reading.bank, reading.past
    fact_of, token_of = bank.fact.tolist(), bank.token.tolist()
    seen, said = past.seen[row].tolist(), past.said[row].tolist()
    experts, continued, last = [], [], int(past.expert[row])
    for key, token in zip(reading.key[row].tolist(), reading.tokens[row].tolist(), strict=True):
        is_said = last != CLOSED and token_of[last] == token
        seen.append(token)
        said.append(fact_of[last] if is_said else CLOSED)
        if is_said and last + 1 < len(fact_of) and fact_of[last + 1] == fact_of[last]:
            last = last + 1
            continued.append(True)
        else:
            last = CLOSED
            continued.append(False)
            if key != CLOSED:
                fact = fact_of[int(bank.key_expert[key])]
                subject = [word for word in bank.subject[key, 0].tolist() if word != NO_TOKEN]
                since = len(said) - said[::-1].index(fact) if fact in said else None
                if since is None or not subject or holds(seen[since:], subject):
                    last = int(bank.key_expert[key])
        experts.append(last)
    return experts, continued, said[past.said.shape[1] :]


def read_all(reading: Reading, mask: Tensor | None = None) -> Read:
    return read(reading.tokens, mask, reading.key, reading.past, reading.bank)


def after(past: Past, tokens: Tensor, got: Read) -> Past:
    """What the next token is given."""
    return Past(torch.cat([past.seen, tokens], 1), torch.cat([past.said, got.said], 1), got.expert[:, -1])


def no_past(num_rows: int = 1) -> Past:
    return Past.none(num_rows, torch.device("cpu"))


def test_an_example():
    bank = make_bank([[0, 1, 2], [1]])
    key = torch.tensor([[CLOSED, 0, CLOSED, CLOSED, CLOSED, 1, CLOSED]])
    tokens = torch.tensor([[0, 2, 0, 1, 2, 0, 1]])
    got = read(tokens, None, key, no_past(), bank)
    assert got.expert.tolist() == [[CLOSED, 0, 1, 2, CLOSED, 3, CLOSED]]
    assert got.continued.tolist() == [[False, False, True, True, False, False, False]]
    assert got.said.tolist() == [[CLOSED, CLOSED, 0, 0, 0, CLOSED, 1]]


@given(readings())
@settings(max_examples=500, deadline=None)
def test_equals_the_plain_twin(reading):
    got = read_all(reading)
    for row in range(2):
        assert (got.expert[row].tolist(), got.continued[row].tolist(), got.said[row].tolist()) == plain_read(
            reading, row
        )


@given(readings())
@settings(max_examples=200, deadline=None)
def test_one_token_at_a_time(reading):
    """A cached decoding step takes another path than a prefix."""
    whole, past = read_all(reading), reading.past
    for place in range(reading.tokens.shape[1]):
        column = slice(place, place + 1)
        got = read(reading.tokens[:, column], None, reading.key[:, column], past, reading.bank)
        for name in ("expert", "continued", "said"):
            assert torch.equal(getattr(got, name), getattr(whole, name)[:, column])
        past = after(past, reading.tokens[:, column], got)


@given(readings(batch=1, max_tokens=5))
@settings(max_examples=200, deadline=None)
def test_padding_changes_nothing(reading):
    num_tokens = reading.tokens.shape[1]
    places = torch.arange(num_tokens) * 2
    mask = torch.zeros(1, 2 * num_tokens, dtype=torch.bool)
    mask[:, places] = True
    tokens, key = torch.zeros_like(mask, dtype=torch.int64), torch.full(mask.shape, CLOSED)
    tokens[:, places], key[:, places] = reading.tokens, reading.key
    padded = read(tokens, mask, key, reading.past, reading.bank)
    plain = read_all(reading)
    for name in ("expert", "continued", "said"):
        assert torch.equal(getattr(padded, name)[:, places], getattr(plain, name))
    assert (padded.expert[~mask] == CLOSED).all() and (padded.said[~mask] == CLOSED).all()


@pytest.mark.parametrize("num_tokens", [1, 4])
def test_empty_bank(num_tokens):
    key = torch.full((2, num_tokens), CLOSED)
    got = read(torch.zeros_like(key), None, key, no_past(2), Bank.empty(1, 1, 4, 2))
    assert torch.equal(got.expert, key) and torch.equal(got.said, key) and not got.continued.any()


@pytest.mark.parametrize("num_tokens", [1, 3])
def test_the_inputs_are_left_alone(num_tokens):
    bank = make_bank([[0, 0, 0, 0]])
    key = torch.full((1, num_tokens), CLOSED)
    nothing = torch.empty(1, 0, dtype=torch.int64)
    got = read(torch.zeros_like(key), None, key, Past(nothing, nothing, torch.tensor([0])), bank)
    assert (key == CLOSED).all() and (got.expert > 0).all()


@pytest.mark.parametrize(
    ("since", "spent"), [([], True), ([5], True), ([7], True), ([5, 7], False), ([3, 5, 7, 4], False), ([7, 5], True)]
)
def test_a_mention_is_spent_until_the_next(since, spent):
    bank = make_bank([[1, 2]])
    bank.subject[0, 0] = torch.tensor([5, 7])
    seen = torch.tensor([5, 7, 1, 2, NO_TOKEN, *since])
    said = torch.tensor([CLOSED, CLOSED, 0, 0, *[CLOSED] * (len(since) + 1)])
    assert is_spent(0, seen, said, bank) == spent
    assert not is_spent(0, seen, torch.full_like(said, CLOSED), bank)


def test_a_fact_without_a_subject_is_never_spent():
    bank = make_bank([[1, 2]])
    assert not is_spent(0, torch.tensor([1, 2]), torch.tensor([0, 0]), bank)
    assert not is_spent(0, torch.tensor([1, 2, 2]), torch.tensor([0, 0, CLOSED]), bank)
