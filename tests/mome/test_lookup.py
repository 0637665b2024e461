"""What a token is compared with: neighbours from an index, and the candidates of a prompt.

Shapes: B batch, S tokens of a prompt, N neighbours, K keys, C key width.
"""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mome.index import build_index
from mome.lookup import Candidates, Neighbours, retrieve
from mome.memory import CLOSED
from mome.mention import NO_TOKEN, Mentions
from tests.mome.readings import holds

NUM_WORDS, NUM_KEYS, WIDTH, D_RELATION = 4, 6, 2, 2


def unit(*shape: int) -> Tensor:
    return torch.nn.functional.normalize(torch.randn(*shape), dim=-1)


def some_keys(num: int) -> Tensor:
    return torch.cat([unit(num, 4), unit(num, D_RELATION)], dim=1)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_candidates_are_the_keys_found_whose_subjects_the_prompt_mentions(data):
    words = st.integers(0, NUM_WORDS - 1)
    num_tokens = data.draw(st.integers(1, 7))
    rows = st.lists(words | st.just(NO_TOKEN), min_size=num_tokens, max_size=num_tokens)
    seen = torch.tensor(data.draw(st.lists(rows, min_size=2, max_size=2)))
    spellings = st.lists(words, min_size=0, max_size=WIDTH)
    forms = data.draw(st.lists(spellings, min_size=NUM_KEYS, max_size=NUM_KEYS))
    edges = st.lists(st.booleans(), min_size=2, max_size=2)
    word_edge = [*data.draw(st.lists(edges, min_size=NUM_WORDS, max_size=NUM_WORDS)), [False, False]]
    numbers = st.lists(st.integers(CLOSED, NUM_KEYS - 1), min_size=2, max_size=2)
    found = torch.tensor(
        data.draw(st.lists(st.lists(numbers, min_size=num_tokens, max_size=num_tokens), min_size=2, max_size=2))
    )
    subject = torch.full((NUM_KEYS, 1, WIDTH), NO_TOKEN)
    for number, form in enumerate(forms):
        subject[number, 0, : len(form)] = torch.tensor(form, dtype=torch.int64)
    keys = some_keys(NUM_KEYS)
    mentions = Mentions(subject, torch.tensor(word_edge), seen, 5.0, num_asked=num_tokens)
    candidates = Candidates.of_prompt(found, keys, mentions, D_RELATION)
    for row in range(2):
        text = seen[row].tolist()
        near = {int(key) for place in range(num_tokens) if text[place] != NO_TOKEN for key in found[row, place]}
        expected = [
            key for key in sorted(near - {CLOSED}) if not forms[key] or holds(text, forms[key], word_edge, WIDTH)
        ]
        got = [key for key in candidates.key[row].tolist() if key != CLOSED]
        assert got == expected
        for place, key in enumerate(got):
            assert torch.equal(candidates.subject[row, place], keys[key, :-D_RELATION])
            assert torch.equal(candidates.relation[row, place], keys[key, -D_RELATION:])
    assert candidates.is_none == (not (candidates.key != CLOSED).any())


def some_candidates(num_rows: int, num_candidates: list[int], keys: Tensor) -> Candidates:
    """The first keys as candidates, so many for each row."""
    found = torch.full((num_rows, 1, max(num_candidates)), CLOSED)
    for row, num in enumerate(num_candidates):
        found[row, 0, :num] = torch.arange(num)
    subject = torch.full((len(keys), 1, WIDTH), NO_TOKEN)  # without text, and so always mentioned
    mentions = Mentions(subject, torch.zeros(1, 2, dtype=torch.bool), torch.zeros(num_rows, 1, dtype=torch.int64), 5.0)
    return Candidates.of_prompt(found, keys, mentions, D_RELATION)


@pytest.mark.parametrize("num_candidates", [[5, 5], [5, 2], [0, 3]], ids=["even", "ragged", "one row has none"])
def test_candidates_are_compared_as_an_index_compares_its_keys(num_candidates):
    torch.manual_seed(0)
    keys, query = some_keys(5), some_keys(6).view(2, 3, 6)
    got = some_candidates(2, num_candidates, keys).neighbours(query)
    for row, num in enumerate(num_candidates):
        assert (got.similarity[row, :, num:] == -torch.inf).all() and (got.key[row, :, num:] == CLOSED).all()
        if not num:
            continue
        index = build_index(keys[:num, :-D_RELATION].contiguous(), "exact")
        wanted = retrieve(query[row : row + 1], index, keys[:num], D_RELATION, num)
        order = wanted.key.argsort(-1)
        for name in ("key", "nearness", "similarity"):
            here, there = getattr(got, name)[row, :, :num], getattr(wanted, name).gather(-1, order)[0]
            assert torch.allclose(here.float(), there.float(), atol=1e-6)


def test_no_candidates():
    keys = some_keys(3)
    candidates = some_candidates(2, [0, 0], keys)
    assert candidates.is_none and not candidates.is_ragged
    got = candidates.neighbours(some_keys(4).view(2, 2, 6))
    assert (got.key == CLOSED).all() and (got.similarity == -torch.inf).all()
    assert candidates.take(torch.tensor([1, 0, 1])).is_none


def test_candidates_serve_the_prompt_they_were_found_for():
    candidates = some_candidates(1, [2], some_keys(3))
    assert candidates.serve(1) and not candidates.serve(2) and not candidates.serve(None)


def test_some_tokens_of_all():
    tables = torch.arange(24).view(2, 3, 4), torch.rand(2, 3, 4), torch.rand(2, 3, 4)
    neighbours = Neighbours(*tables)
    some = neighbours.at(torch.tensor([0, 1]), torch.tensor([2, 0]))
    everything = neighbours.at(*torch.ones(2, 3).nonzero(as_tuple=True))
    for name, table in zip(("key", "nearness", "similarity"), tables, strict=True):
        assert torch.equal(getattr(some, name), torch.stack([table[0, 2], table[1, 0]]))
        assert torch.equal(getattr(everything, name), table.flatten(0, 1))
