"""One token of every row in Python's own numbers: against what is decided of many tokens in tensors."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from mome import step as step_module
from mome.attention import Attention, Gate, attend
from mome.lookup import Candidates
from mome.memory import CLOSED, MemoryState, Routing, route
from mome.router import PoolState
from mome.step import Step, Winner, attend_step, take_step
from tests.mome.readings import Reading, readings

POOL = PoolState.empty(2, 1, 1, torch.device("cpu"))


def columns(routing: Routing) -> list[torch.Tensor]:
    read = routing.read
    return [routing.expert, routing.continued, routing.similarity, routing.confidence, read.said]


def assert_same(step: Step, expected: Routing) -> None:
    got = step.routing()
    for ours, theirs in zip(columns(got), columns(expected), strict=True):
        assert torch.equal(ours, theirs.to(ours.dtype))
    said = expected.read.said != CLOSED
    assert torch.equal(got.read.clearness[said], expected.read.clearness[said])
    assert step.is_silent == bool((expected.expert == CLOSED).all())


@given(readings(batch=2, max_tokens=6), st.integers(0, 2**31), st.booleans())
@settings(max_examples=200, deadline=None)
def test_token_by_token_is_the_whole_text(reading: Reading, seed: int, all_asked: bool):
    torch.manual_seed(seed)
    num_tokens = reading.tokens.shape[1]
    confidence = torch.rand(reading.key.shape).masked_fill(reading.key == CLOSED, 0.0)
    found = Attention(reading.key, reading.similarity, confidence)
    before = MemoryState(POOL, reading.past, torch.tensor([0.125, 0.75]))
    num_asked = None if all_asked else reading.past.seen.shape[1] + 1
    whole = route(reading.tokens, None, before, reading.bank, found, num_asked)
    state = before
    for place in range(num_tokens):
        part = slice(place, place + 1)
        here = Winner.of(Attention(*(table[:, part] for table in (reading.key, reading.similarity, confidence))))
        step = take_step(reading.tokens[:, place], here, state, reading.bank, num_asked)
        tables = [table[:, part] for table in columns(whole)]
        read = replace(whole.read, **{name: table[:, part] for name, table in vars(whole.read).items()})
        assert_same(step, Routing(tables[2], tables[3], read))
        state = step.state_after(POOL, reading.tokens[:, part], state)
    after = whole.state_after(POOL, reading.tokens, None, before)
    seen = reading.past.with_seen(reading.tokens)
    assert torch.equal(state.past.whole().seen, seen) and torch.equal(after.past.whole().seen, seen)
    assert state.past.expert.tolist() == after.past.expert.tolist()
    assert torch.equal(state.past.whole().said, after.past.whole().said)
    reads = after.past.expert != CLOSED
    assert torch.equal(state.past.similarity[reads], after.past.similarity[reads])
    assert torch.equal(state.confidence[reads], after.confidence[reads])
    assert state.past.is_silent == bool((after.past.expert == CLOSED).all())


@pytest.mark.parametrize("num_rows", [1, 3])
@pytest.mark.parametrize("is_ragged", [False, True])
@pytest.mark.parametrize("null_similarity", [-1.0, 0.2, 1.5])
@pytest.mark.parametrize("rival_margin", [2.0, 0.1])
def test_attention_over_candidates_equals_its_plain_twin(
    monkeypatch, num_rows, is_ragged, null_similarity, rival_margin
):
    torch.manual_seed(num_rows)
    opened = 0
    for _ in range(20):
        keys = torch.cat([normalize(torch.randn(40, width), dim=-1) for width in (6, 4)], dim=-1)
        key = torch.stack([torch.randperm(40)[:5] for _ in range(num_rows)])
        if is_ragged:
            key[0, 3:] = CLOSED
        of_keys = keys[key.clamp_min(0)]
        candidates = Candidates(key, of_keys[..., :6].contiguous(), of_keys[..., 6:].contiguous(), 9, is_ragged)
        gate = Gate(null_similarity, rival_margin, 0.1, normalize(torch.randn(7, 4), dim=-1))
        query = torch.cat([normalize(torch.randn(num_rows, width), dim=-1) for width in (6, 4)], dim=-1)
        expected = Winner.of(attend(query[:, None], candidates.neighbours(query[:, None]), keys, gate))
        monkeypatch.setattr(step_module, "MAX_NUMBERS", 512)
        got = attend_step(query, candidates, keys, gate)
        assert got.key == expected.key
        assert got.similarity == pytest.approx(expected.similarity, abs=1e-6)
        assert got.confidence == pytest.approx(expected.confidence, abs=1e-5)
        again = attend_step(query, candidates, keys, gate)  # with what the first call has kept
        assert (again.key, again.confidence) == (got.key, got.confidence)
        monkeypatch.setattr(step_module, "MAX_NUMBERS", 0)
        assert attend_step(query, candidates, keys, gate).key == expected.key
        opened += sum(key != CLOSED for key in got.key)
    assert (opened > 0) == (null_similarity < 1)


def test_without_candidates_nothing_wins():
    nothing = torch.empty(2, 0, 3)
    candidates = Candidates(torch.empty(2, 0, dtype=torch.int64), nothing, nothing, 4, is_ragged=False)
    found = attend_step(torch.randn(2, 6), candidates, torch.empty(0, 6), Gate(0.5, 1.0, 0.1, torch.zeros(1, 3)))
    assert found == Winner([CLOSED] * 2, [-torch.inf] * 2, [0.0] * 2)


def test_what_is_kept_of_rivals_goes_with_its_candidates():
    """When beams are reordered, the rows' candidates are others, and so are their rivals."""
    torch.manual_seed(0)
    keys = torch.cat([normalize(torch.randn(8, 4), dim=-1) for _ in range(2)], dim=-1)
    key = torch.arange(8).view(2, 4)
    of_keys = keys[key]
    candidates = Candidates(key, of_keys[..., :4].contiguous(), of_keys[..., 4:].contiguous(), 9, False)
    gate = Gate(-1.0, 0.3, 0.1, normalize(keys[:3, 4:] + 0.3 * torch.randn(3, 4), dim=-1))
    query = torch.cat([normalize(torch.randn(2, 4), dim=-1) for _ in range(2)], dim=-1)
    found = attend_step(query, candidates, keys, gate)
    turned = attend_step(query.flip(0), candidates.take(torch.tensor([1, 0])), keys, gate)
    assert turned.key == found.key[::-1] and turned.confidence == pytest.approx(found.confidence[::-1])
