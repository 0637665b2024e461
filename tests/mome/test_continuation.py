"""Continuation and spent mentions: against a plain twin, in pieces, over padding."""

import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from mome.bank import Bank
from mome.continuation import CLOSED, SAME_PROMPT, Past, Read, Text, is_spent, read
from mome.mention import NO_TOKEN
from tests.mome.readings import Reading, holds, make_bank, readings


def plain_read(reading: Reading, row: int) -> tuple[list[int], list[bool], list[int], list[float]]:
    """One text, word by word from the sentences that define what is read."""
    bank, past = reading.bank, reading.past
    fact_of, token_of = bank.fact.tolist(), bank.token.tolist()
    seen, said, clearness = (table[row].tolist() for table in (past.seen, past.said, past.clearness))
    experts, continued, last, entered = [], [], int(past.expert[row]), float(past.similarity[row])
    columns = (table[row].tolist() for table in (reading.key, reading.tokens, reading.similarity))
    for key, token, similarity in zip(*columns, strict=True):
        is_said = last != CLOSED and token_of[last] == token
        is_prompt = key != CLOSED and similarity >= SAME_PROMPT
        seen.append(token)
        said.append(fact_of[last] if is_said else CLOSED)
        clearness.append(entered if is_said else 0.0)
        if is_said and last + 1 < len(fact_of) and fact_of[last + 1] == fact_of[last] and not is_prompt:
            last = last + 1
            continued.append(True)
        else:
            last = CLOSED
            continued.append(False)
            if key != CLOSED:
                fact = fact_of[int(bank.key_expert[key])]
                subject = [word for word in bank.subject[key, 0].tolist() if word != NO_TOKEN]
                since = len(said) - said[::-1].index(fact) if fact in said else None
                clearer = since is not None and similarity > clearness[since - 1]
                edges, width = bank.word_edge.tolist(), bank.subject.shape[2]
                if is_prompt or since is None or not subject or clearer or holds(seen[since:], subject, edges, width):
                    last, entered = int(bank.key_expert[key]), similarity
        experts.append(last)
    num_before = past.said.shape[1]
    return experts, continued, said[num_before:], clearness[num_before:]


def read_all(reading: Reading, mask: Tensor | None = None) -> Read:
    return read(reading.tokens, mask, reading.key, reading.similarity, reading.past, reading.bank)


def after(past: Past, tokens: Tensor, similarity: Tensor, got: Read) -> Past:
    """What the next token is given."""
    before = past.seen, past.said, past.clearness
    tables = (torch.cat(pair, 1) for pair in zip(before, (tokens, got.said, got.clearness), strict=True))
    return Past(*tables, got.expert[:, -1], torch.where(got.continued[:, -1], past.similarity, similarity[:, -1]))


def no_past(num_rows: int = 1) -> Past:
    return Past.none(num_rows, torch.device("cpu"))


def test_an_example():
    bank = make_bank([[0, 1, 2], [1]])
    key = torch.tensor([[CLOSED, 0, CLOSED, CLOSED, CLOSED, 1, CLOSED]])
    tokens = torch.tensor([[0, 2, 0, 1, 2, 0, 1]])
    got = read(tokens, None, key, torch.full(key.shape, 0.5), no_past(), bank)
    assert got.expert.tolist() == [[CLOSED, 0, 1, 2, CLOSED, 3, CLOSED]]
    assert got.continued.tolist() == [[False, False, True, True, False, False, False]]
    assert got.said.tolist() == [[CLOSED, CLOSED, 0, 0, 0, CLOSED, 1]]


@pytest.mark.parametrize(("similarity", "expected"), [(0.9, [0, 1, 2]), (1.0, [0, 1, 0])])
def test_its_own_prompt_is_read_anew_although_the_text_goes_on(similarity, expected):
    """The gate opened early, and the prompt says what the answer begins with: "works as", "astronaut"."""
    key, similarities = torch.tensor([[0, CLOSED, 0]]), torch.tensor([[0.7, 0.0, similarity]])
    tokens, bank = torch.tensor([[2, 0, 1]]), make_bank([[0, 1, 2]])
    whole = read(tokens, None, key, similarities, no_past(), bank)
    assert whole.expert.tolist() == [expected]


@given(readings())
@settings(max_examples=500, deadline=None)
def test_equals_the_plain_twin(reading):
    got = read_all(reading)
    for row in range(2):
        tables = got.expert, got.continued, got.said, got.clearness
        assert tuple(table[row].tolist() for table in tables) == plain_read(reading, row)


@given(readings())
@settings(max_examples=200, deadline=None)
def test_one_token_at_a_time(reading):
    """A cached decoding step takes another path than a prefix."""
    whole, past = read_all(reading), reading.past
    for place in range(reading.tokens.shape[1]):
        column = slice(place, place + 1)
        here = [table[:, column] for table in (reading.tokens, reading.key, reading.similarity)]
        got = read(here[0], None, *here[1:], past, reading.bank)
        for name in ("expert", "continued", "said", "clearness"):
            assert torch.equal(getattr(got, name), getattr(whole, name)[:, column])
        past = after(past, here[0], here[2], got)


@given(readings(batch=1, max_tokens=5))
@settings(max_examples=200, deadline=None)
def test_padding_changes_nothing(reading):
    num_tokens = reading.tokens.shape[1]
    places = torch.arange(num_tokens) * 2
    mask = torch.zeros(1, 2 * num_tokens, dtype=torch.bool)
    mask[:, places] = True
    tokens, key = torch.zeros_like(mask, dtype=torch.int64), torch.full(mask.shape, CLOSED)
    similarity = torch.rand(mask.shape)
    tokens[:, places], key[:, places], similarity[:, places] = reading.tokens, reading.key, reading.similarity
    padded = read(tokens, mask, key, similarity, reading.past, reading.bank)
    plain = read_all(reading)
    for name in ("expert", "continued", "said", "clearness"):
        assert torch.equal(getattr(padded, name)[:, places], getattr(plain, name))
    assert (padded.expert[~mask] == CLOSED).all() and (padded.said[~mask] == CLOSED).all()


@pytest.mark.parametrize("num_tokens", [1, 4])
def test_empty_bank(num_tokens):
    key = torch.full((2, num_tokens), CLOSED)
    got = read(torch.zeros_like(key), None, key, torch.ones(key.shape), no_past(2), Bank.empty(1, 1, 4, 2))
    assert torch.equal(got.expert, key) and torch.equal(got.said, key) and not got.continued.any()


@pytest.mark.parametrize("num_tokens", [1, 3])
def test_the_inputs_are_left_alone(num_tokens):
    bank = make_bank([[0, 0, 0, 0]])
    key = torch.full((1, num_tokens), CLOSED)
    past = no_past()
    past.expert = torch.tensor([0])
    got = read(torch.zeros_like(key), None, key, torch.ones(key.shape), past, bank)
    assert (key == CLOSED).all() and (got.expert > 0).all()


@pytest.mark.parametrize(
    ("since", "spent"), [([], True), ([5], True), ([7], True), ([5, 7], False), ([3, 5, 7, 4], False), ([7, 5], True)]
)
def test_a_mention_is_spent_until_the_next(since, spent):
    bank = make_bank([[1, 2]])
    bank.subject[0, 0] = torch.tensor([5, 7])
    seen = torch.tensor([5, 7, 1, 2, NO_TOKEN, *since])
    said = torch.tensor([CLOSED, CLOSED, 0, 0, *[CLOSED] * (len(since) + 1)])
    clearness = torch.full(said.shape, 0.5)
    assert is_spent(0, 0.5, Text(seen, said, clearness), bank) == spent
    assert not is_spent(0, 0.6, Text(seen, said, clearness), bank), "asked for more clearly"
    assert not is_spent(0, 1.0, Text(seen, said, torch.ones(said.shape)), bank), "its own prompt"
    assert not is_spent(0, 0.5, Text(seen, torch.full_like(said, CLOSED), clearness), bank)


def test_a_fact_without_a_subject_is_never_spent():
    bank = make_bank([[1, 2]])
    assert not is_spent(0, 0.5, Text(torch.tensor([1, 2]), torch.tensor([0, 0]), torch.ones(2)), bank)
    assert not is_spent(0, 0.5, Text(torch.tensor([1, 2, 2]), torch.tensor([0, 0, CLOSED]), torch.ones(3)), bank)
