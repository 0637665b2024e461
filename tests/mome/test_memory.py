"""The gate and the carried state: against plain twins, over padding, and in pieces.

Shapes: B batch, T tokens, N neighbours.
"""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mome.continuation import Past
from mome.index import build_index
from mome.lookup import retrieve
from mome.memory import CLOSED, Attention, Gate, MemoryState, Routing, attend, route
from mome.mention import NO_TOKEN
from mome.router import PoolState
from tests.mome.readings import NUM_WORDS, Reading, make_bank, readings

NULL = 0.6
POOL = PoolState.empty(1, 1, 1, torch.device("cpu"))
SEEN = torch.zeros(1, 0, dtype=torch.int64)
NOTHING = SEEN, SEEN, SEEN.float()


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


def seen_after(reading: Reading, mask: Tensor | None, stop: int | None) -> Tensor:
    """All tokens up to one of the reading's."""
    tokens = reading.tokens if mask is None else reading.tokens.masked_fill(~mask, NO_TOKEN)
    return torch.cat([reading.past.seen, tokens[:, :stop]], dim=1)


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
            state = part.state_after(POOL, seen_after(reading, mask, columns.stop), here, state)
        real = torch.ones_like(reading.tokens, dtype=torch.bool) if mask is None else mask
        for first, second, expected in zip(*map(tables, parts), tables(whole), strict=True):
            assert torch.equal(torch.cat([first, second], dim=1)[real], expected[real])
        after = whole.state_after(POOL, SEEN, mask, before)
        assert_same_state(state, after)

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
        after, expected = padded.state_after(POOL, SEEN, mask, before), plain.state_after(POOL, SEEN, None, before)
        assert_same_state(after, expected)

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
            state = silent.state_after(POOL, seen_after(reading, None, None), None, before)
            seen = torch.cat([state.past.seen, reading.tokens], dim=1)
            later = route(reading.tokens, None, state, reading.bank, following)
            last = later.state_after(POOL, seen, None, state)
            # And behind an expert, where silence is known of the keys alone.
            ending = route(reading.tokens, None, last, reading.bank, replace(closed, is_closed=is_known))
            said, clearness = last.past.whole().said, last.past.whole().clearness
            after.append(
                [*tables(silent), *tables(later), *tables(ending), said, clearness.masked_fill(said == CLOSED, 0.0)]
            )
        assert all(torch.equal(known, found) for known, found in zip(*after, strict=True))

    def test_a_row_of_padding_keeps_what_it_read(self):
        """When a batch is fed in pieces, the shorter texts' last pieces are padding alone."""
        bank = make_bank([[0, 1]])
        before = MemoryState(POOL, Past(*NOTHING, torch.tensor([0]), torch.tensor([0.9])), torch.tensor([0.8]))
        mask = torch.zeros(1, 3, dtype=torch.bool)
        neighbours = Attention(torch.zeros(1, 3, dtype=torch.int64), torch.ones(1, 3), torch.ones(1, 3))
        routing = route(torch.zeros(1, 3, dtype=torch.int64), mask, before, bank, neighbours)
        after = routing.state_after(POOL, SEEN, mask, before)
        assert (routing.expert == CLOSED).all()
        assert_same_state(after, before)

    def test_take(self):
        pool = PoolState(torch.tensor([[1.0], [2.0]]), torch.tensor([[[5.0]], [[6.0]]]))
        tables = torch.tensor([[5, 6], [7, 8]]), torch.tensor([[3, 4], [1, 2]]), torch.tensor([[0.5, 0.6], [0.7, 0.8]])
        past = Past(*tables, torch.tensor([7, 8]), torch.tensor([0.1, 0.2]))
        state = MemoryState(pool, past, torch.tensor([0.3, 0.4]))
        taken = state.take(torch.tensor([1, 1, 0]))
        assert taken.past.expert.tolist() == [8, 8, 7]
        assert taken.past.seen.tolist() == [[7, 8], [7, 8], [5, 6]]
        assert taken.past.said.tolist() == [[1, 2], [1, 2], [3, 4]]
        assert taken.past.clearness.tolist() == past.clearness[[1, 1, 0]].tolist()
        assert taken.past.similarity.tolist() == past.similarity[[1, 1, 0]].tolist()
        assert taken.confidence.tolist() == state.confidence[[1, 1, 0]].tolist()
        assert taken.pool.log_weight.flatten().tolist() == [2, 2, 1]
        assert taken.pool.mean.flatten().tolist() == [6, 6, 5]


def unit(*degrees: float) -> Tensor:
    angles = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    return torch.stack([angles.cos(), angles.sin()], dim=-1).float()


NO_RIVALS = torch.zeros(1, 2)


def read_keys(query: Tensor, keys: Tensor, num_neighbours: int, gate: Gate, kind: str = "exact") -> list[Tensor]:
    found = retrieve(query, build_index(keys[:, :2], kind), keys, 2, num_neighbours)
    return tables_of(attend(query, found, keys, gate))


def tables_of(attention: Attention) -> list[Tensor]:
    return [attention.key, attention.similarity, attention.confidence]


def both(subject: Tensor, relation: Tensor | None = None) -> Tensor:
    """Queries or keys of these two parts, by default the same."""
    return torch.cat([subject, subject if relation is None else relation], dim=-1)


class TestAttend:
    @pytest.mark.parametrize("kind", ["exact", "Flat"])
    def test_equals_the_plain_twin(self, kind):
        gate = Gate(NULL, 2.0, 0.07, NO_RIVALS)
        keys = both(unit(0, 40, 90, 200), unit(10, 35, 60, 190))
        queries = both(unit(5, 50, 130, 260, 199, 20), unit(15, 45, 140, 250, 199, 80))
        key, similarity, confidence = read_keys(queries.view(2, 3, 4), keys, 3, gate, kind)
        assert key.shape == similarity.shape == confidence.shape == (2, 3)
        for number, query in enumerate(queries.double()):
            nearness, relations = (keys[:, part].double() @ query[part] for part in (slice(0, 2), slice(2, 4)))
            found = nearness.sort(descending=True).indices[:3].tolist()
            opened = [one for one in found if float(relations[one]) > NULL]
            best = max(opened, key=lambda one: float(nearness[one] + relations[one]), default=None)
            shown = best if best is not None else max(found, key=lambda one: float(relations[one]))
            row = divmod(number, 3)
            assert int(key[row]) == (CLOSED if best is None else best)
            assert float(similarity[row]) == pytest.approx(float(relations[shown]), abs=1e-6)
            seen = torch.cat([relations[shown][None], relations[found], torch.tensor([NULL])]) / 0.07
            sure = 0.0 if best is None else float((seen[0] - seen[1:].logsumexp(0)).exp())
            assert float(confidence[row]) == pytest.approx(sure, abs=1e-5)
        assert (key == CLOSED).any() and (key != CLOSED).any()

    def test_the_gate_opens_strictly_above_the_null_similarity(self):
        keys, query = both(unit(0)), both(unit(60))[None]
        similarity = float(read_keys(query, keys, 1, Gate(NULL, 2.0, 0.1, NO_RIVALS))[1])
        below = float(torch.nextafter(torch.tensor(similarity), torch.tensor(0.0)))
        assert int(read_keys(query, keys, 1, Gate(similarity, 2.0, 0.1, NO_RIVALS))[0]) == CLOSED
        assert int(read_keys(query, keys, 1, Gate(below, 2.0, 0.1, NO_RIVALS))[0]) == 0

    @pytest.mark.parametrize(("rival", "margin", "opens"), [(70, 0.0, False), (70, 0.8, True), (-70, 0.0, True)])
    def test_the_gate_closes_where_a_rival_is_nearer(self, rival, margin, opens):
        """The query stands between the key and what another question is like."""
        gate = Gate(NULL, margin, 0.1, unit(rival, 170))
        key, similarity, confidence = read_keys(both(unit(40))[None], both(unit(0)), 1, gate)
        assert (int(key) == 0) == opens
        assert float(similarity) == pytest.approx(0.766, abs=1e-3)
        assert (float(confidence) > 0.5) == opens

    def test_a_rival_that_asks_for_the_same_is_none(self):
        gate = Gate(NULL, 0.0, 0.1, unit(50, 30))
        assert int(read_keys(both(unit(40))[None], both(unit(0)), 1, gate)[0]) == 0

    def test_attention_sums_to_one(self):
        """The weights of two keys and the null key, each taken as the nearest in turn."""
        keys, query, temperature = both(unit(0, 30)), both(unit(10)), 0.2
        similarity = (keys @ query[0] / 2).sort(descending=True).values
        first = read_keys(query[None], keys, 2, Gate(NULL, 2.0, temperature, NO_RIVALS))[2]
        ratio = ((similarity[1] - similarity[0]) / temperature).exp()
        null = ((NULL - similarity[0]) / temperature).exp()
        assert float(first * (1 + ratio + null)) == pytest.approx(1.0, abs=1e-6)

    def test_at_the_null_similarity_the_attention_is_even(self):
        gate = Gate(1.0 - 1e-6, 2.0, 0.1, NO_RIVALS)
        assert float(read_keys(both(unit(0))[None], both(unit(0)), 1, gate)[2]) == pytest.approx(0.5, abs=1e-4)

    @pytest.mark.parametrize("kind", ["exact", "Flat", "IVF4,Flat"])
    def test_no_keys(self, kind):
        gate = Gate(NULL, 0.5, 0.1, NO_RIVALS)
        key, similarity, confidence = read_keys(both(unit(0, 10))[None], torch.empty(0, 4), 4, gate, kind)
        assert key.tolist() == [[CLOSED, CLOSED]]
        assert (similarity == -torch.inf).all() and not confidence.any()

    def test_fewer_keys_than_neighbours(self):
        gate = Gate(NULL, 0.5, 0.1, NO_RIVALS)
        few = read_keys(both(unit(20))[None], both(unit(0, 90)), 5, gate)
        enough = read_keys(both(unit(20))[None], both(unit(0, 90)), 2, gate)
        assert all(torch.equal(a, b) for a, b in zip(few, enough, strict=True))
