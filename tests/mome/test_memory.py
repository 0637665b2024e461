"""Routing and the carried state: against plain twins, over padding, and in pieces.

Shapes: B batch, T tokens, N neighbours.
"""

from dataclasses import replace

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mome.attention import Attention
from mome.continuation import Past
from mome.memory import CLOSED, MemoryState, Routing, route
from mome.mention import NO_TOKEN
from mome.router import PoolState
from tests.mome.readings import NUM_WORDS, Reading, make_bank, readings, tables_of

POOL = PoolState.empty(1, 1, 1, torch.device("cpu"))
NO_TEXT = torch.zeros(1, 0, dtype=torch.int64)
NOTHING = NO_TEXT, NO_TEXT, NO_TEXT.float()


def facts_of_reading(reading: Reading, seed: int = 0) -> Attention:
    """What `attend` would return: the keys, with a similarity and a confidence of its own at every place."""
    torch.manual_seed(seed)
    return Attention(reading.key, reading.similarity, torch.rand(reading.key.shape))


def state_of(reading: Reading) -> MemoryState:
    return MemoryState(POOL, reading.past, torch.tensor([0.125, 0.75]))


def part_of(attention: Attention, columns: slice) -> Attention:
    return Attention(*(part[:, columns] for part in tables_of(attention)))


def tables(routing: Routing) -> list[Tensor]:
    return [routing.expert, routing.continued, routing.similarity, routing.confidence]


def seen(tokens: Tensor, mask: Tensor | None) -> Tensor:
    """Tokens as a state keeps them."""
    return tokens if mask is None else tokens.masked_fill(~mask, NO_TOKEN)


def assert_same_state(got: MemoryState, expected: MemoryState) -> None:
    assert torch.equal(got.past.expert, expected.past.expert)
    assert torch.equal(got.past.similarity, expected.past.similarity)
    assert torch.equal(got.confidence, expected.confidence)


class TestRoute:
    @given(readings())
    @settings(max_examples=100, deadline=None)
    def test_similarity_is_that_of_the_entry(self, reading):
        before, neighbours = state_of(reading), facts_of_reading(reading)
        routing = route(reading.tokens, None, before, reading.bank, neighbours)
        for row in range(2):
            similarity, confidence = float(before.past.similarity[row]), float(before.confidence[row])
            for place in range(reading.tokens.shape[1]):
                if not routing.continued[row, place]:
                    similarity, confidence = (float(part[row, place]) for part in tables_of(neighbours)[1:])
                assert float(routing.similarity[row, place]) == similarity
                assert float(routing.confidence[row, place]) == confidence

    @given(readings(min_tokens=2), st.data())
    @settings(max_examples=150, deadline=None)
    def test_split_anywhere_over_any_padding(self, reading, data):
        num_tokens = reading.tokens.shape[1]
        bits = st.lists(st.booleans(), min_size=num_tokens, max_size=num_tokens)
        mask = torch.tensor(data.draw(st.lists(bits, min_size=2, max_size=2))) if data.draw(st.booleans()) else None
        split = data.draw(st.integers(1, num_tokens - 1))
        before, neighbours = state_of(reading), facts_of_reading(reading)
        whole = route(reading.tokens, mask, before, reading.bank, neighbours)
        state, parts = before, []
        for columns in (slice(0, split), slice(split, None)):
            here = None if mask is None else mask[:, columns]
            part = route(reading.tokens[:, columns], here, state, reading.bank, part_of(neighbours, columns))
            parts.append(part)
            state = part.state_after(POOL, seen(reading.tokens[:, columns], here), here, state)
        real = torch.ones_like(reading.tokens, dtype=torch.bool) if mask is None else mask
        for first, second, expected in zip(*map(tables, parts), tables(whole), strict=True):
            assert torch.equal(torch.cat([first, second], dim=1)[real], expected[real])
        after = whole.state_after(POOL, seen(reading.tokens, mask), mask, before)
        assert_same_state(state, after)
        assert torch.equal(state.past.whole().seen, after.past.whole().seen)

    @given(readings(batch=1), st.data())
    @settings(max_examples=150, deadline=None)
    def test_padding_changes_nothing(self, reading, data):
        num_tokens = reading.tokens.shape[1]
        places = sorted(data.draw(st.sets(st.integers(0, 13), min_size=num_tokens, max_size=num_tokens)))
        mask = torch.zeros(1, 14, dtype=torch.bool)
        mask[:, places] = True
        # Padding comes with a token, a nearest key and a similarity like any other place.
        tokens, key = torch.randint(NUM_WORDS, (1, 14)), torch.randint(reading.bank.num_keys, (1, 14))
        wide = Attention(key, torch.rand(1, 14), torch.rand(1, 14))
        neighbours = facts_of_reading(reading)
        tokens[:, places] = reading.tokens
        for table, part in zip(tables_of(wide), tables_of(neighbours), strict=True):
            table[:, places] = part
        before = None
        if data.draw(st.booleans()):
            before = MemoryState(POOL, reading.past, torch.tensor([0.125]))
        padded = route(tokens, mask, before, reading.bank, wide)
        plain = route(reading.tokens, None, before, reading.bank, neighbours)
        for got, expected in zip(tables(padded), tables(plain), strict=True):
            assert torch.equal(got[:, places], expected)
        assert (padded.expert[~mask] == CLOSED).all() and not padded.continued[~mask].any()
        after = padded.state_after(POOL, seen(tokens, mask), mask, before)
        assert_same_state(after, plain.state_after(POOL, reading.tokens, None, before))

    def test_batch_is_single(self):
        torch.manual_seed(0)
        reading = Reading(
            make_bank([[0, 1, 0], [1, 1], [2]]),
            torch.randint(NUM_WORDS, (6, 12)),
            torch.randint(-4, 3, (6, 12)).clamp_min(CLOSED),
            torch.rand(6, 12),
            Past(*[part.expand(6, -1) for part in NOTHING], torch.randint(-1, 6, (6,)), torch.rand(6)),
        )
        pool = POOL.take(torch.zeros(6, dtype=torch.int64))
        before = MemoryState(pool, reading.past, torch.rand(6))
        mask, neighbours = torch.rand(6, 12) < 0.8, facts_of_reading(reading)
        batch = route(reading.tokens, mask, before, reading.bank, neighbours)
        assert batch.continued.any()
        for row in range(6):
            only = slice(row, row + 1)
            near = Attention(*(part[only] for part in tables_of(neighbours)))
            single = route(reading.tokens[only], mask[only], before.take(torch.tensor([row])), reading.bank, near)
            for got, expected in zip(tables(single), tables(batch), strict=True):
                assert torch.equal(got[mask[only]], expected[only][mask[only]])

    @given(readings(min_tokens=1, max_tokens=4), st.data())
    @settings(max_examples=100, deadline=None)
    def test_silence_that_is_known_is_silence_that_is_found(self, reading, data):
        """Tokens without any key take a way of their own; what is read behind them is the same."""
        closed = Attention(torch.full_like(reading.key, CLOSED), reading.similarity, torch.zeros(reading.key.shape))
        past = replace(reading.past, expert=torch.full((2,), CLOSED))
        following = facts_of_reading(reading)
        after = []
        for is_known in (True, False):
            before = MemoryState(POOL, replace(past, is_silent=is_known), torch.zeros(2))
            silent = route(reading.tokens, None, before, reading.bank, replace(closed, is_closed=is_known))
            assert silent.is_silent == is_known
            state = silent.state_after(POOL, reading.tokens, None, before)
            later = route(reading.tokens, None, state, reading.bank, following)
            last = later.state_after(POOL, reading.tokens, None, state)
            # And behind an expert, where silence is known of the keys alone.
            ending = route(reading.tokens, None, last, reading.bank, replace(closed, is_closed=is_known))
            past_then = last.past.whole()
            clearness = past_then.clearness.masked_fill(past_then.said == CLOSED, 0.0)
            of_past = past_then.seen, past_then.said, clearness
            after.append([*tables(silent), *tables(later), *tables(ending), *of_past])
        assert all(torch.equal(known, found) for known, found in zip(*after, strict=True))

    def test_a_row_of_padding_keeps_what_it_read(self):
        """When a batch is fed in pieces, the shorter texts' last pieces are padding alone."""
        bank = make_bank([[0, 1]])
        before = MemoryState(POOL, Past(*NOTHING, torch.tensor([0]), torch.tensor([0.9])), torch.tensor([0.8]))
        mask = torch.zeros(1, 3, dtype=torch.bool)
        neighbours = Attention(torch.zeros(1, 3, dtype=torch.int64), torch.ones(1, 3), torch.ones(1, 3))
        tokens = torch.zeros(1, 3, dtype=torch.int64)
        routing = route(tokens, mask, before, bank, neighbours)
        after = routing.state_after(POOL, seen(tokens, mask), mask, before)
        assert (routing.expert == CLOSED).all()
        assert_same_state(after, before)

    def test_take(self):
        pool = PoolState(torch.tensor([[1.0], [2.0]]), torch.tensor([[[5.0]], [[6.0]]]))
        tables = torch.tensor([[5, 6], [7, 8]]), torch.tensor([[3, 4], [1, 2]]), torch.tensor([[0.5, 0.6], [0.7, 0.8]])
        past = Past(*tables, torch.tensor([7, 8]), torch.tensor([0.1, 0.2]), newer=(torch.tensor([[3], [4]]),))
        state = MemoryState(pool, past, torch.tensor([0.3, 0.4]))
        taken = state.take(torch.tensor([1, 1, 0]))
        assert taken.past.expert.tolist() == [8, 8, 7]
        assert taken.past.whole().seen.tolist() == [[7, 8, 4], [7, 8, 4], [5, 6, 3]]
        assert taken.past.said.tolist() == [[1, 2], [1, 2], [3, 4]]
        assert taken.past.clearness.tolist() == past.clearness[[1, 1, 0]].tolist()
        assert taken.past.similarity.tolist() == past.similarity[[1, 1, 0]].tolist()
        assert taken.confidence.tolist() == state.confidence[[1, 1, 0]].tolist()
        assert taken.pool.log_weight.flatten().tolist() == [2, 2, 1]
        assert taken.pool.mean.flatten().tolist() == [6, 6, 5]
