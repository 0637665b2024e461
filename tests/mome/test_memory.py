"""The gate, continuation and the carried state: against plain twins, over padding, and in pieces.

Shapes: B batch, T tokens, N neighbours.
"""

from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mome.bank import Bank
from mome.index import build_index
from mome.memory import CLOSED, MemoryState, Routing, attend, follow, route
from mome.router import PoolState

NUM_WORDS = 3  # few, so that texts often go on as they were taught
NULL = 0.6
POOL = PoolState.empty(1, 1, 1, torch.device("cpu"))
SEEN = torch.zeros(1, 0, dtype=torch.int64)


def make_bank(answers: list[list[int]]) -> Bank:
    """A bank with these answers as facts, one key each."""
    tokens = [token for answer in answers for token in answer]
    facts = [number for number, answer in enumerate(answers) for _ in answer]
    first = [sum(len(answer) for answer in answers[:number]) for number in range(len(answers))]
    bank = Bank.empty(1, 1, 4, 2)
    bank.token, bank.fact = torch.tensor(tokens, dtype=torch.int32), torch.tensor(facts, dtype=torch.int32)
    bank.keys = torch.nn.functional.normalize(torch.randn(len(answers), 2), dim=-1)
    bank.key_expert = torch.tensor(first, dtype=torch.int32)
    return bank


def plain_follow(entry: list[int], tokens: list[int], before: int, bank: Bank) -> tuple[list[int], list[bool]]:
    """Continuation for one text, word by word from the sentence that defines it."""
    fact_of, token_of = bank.fact.tolist(), bank.token.tolist()
    experts, continued, last = [], [], before
    for entered, token in zip(entry, tokens, strict=True):
        is_last = last == CLOSED or last + 1 == len(fact_of) or fact_of[last + 1] != fact_of[last]
        if not is_last and token_of[last] == token:
            last = last + 1
            continued.append(True)
        else:
            last = entered
            continued.append(False)
        experts.append(last)
    return experts, continued


@dataclass
class Reading:
    """A bank and texts that are read with it."""

    bank: Bank
    tokens: Tensor  # [B, T]
    key: Tensor  # [B, T] of the bank, or CLOSED
    before: Tensor  # [B]

    @property
    def entry(self) -> Tensor:
        """The first expert of each key's fact, [B, T]."""
        return torch.where(self.key == CLOSED, CLOSED, self.bank.key_expert.long()[self.key.clamp_min(0)])


@st.composite
def readings(draw: st.DrawFn, batch: int = 2, min_tokens: int = 1, max_tokens: int = 9) -> Reading:
    words = st.integers(0, NUM_WORDS - 1)
    bank = make_bank(draw(st.lists(st.lists(words, min_size=1, max_size=4), min_size=1, max_size=4)))
    num_tokens = draw(st.integers(min_tokens, max_tokens))

    def table(elements: st.SearchStrategy[int], columns: int) -> Tensor:
        rows = st.lists(elements, min_size=columns, max_size=columns)
        return torch.tensor(draw(st.lists(rows, min_size=batch, max_size=batch)), dtype=torch.int64)

    closed = st.just(CLOSED)
    keys = table(closed | closed | st.integers(0, bank.num_keys - 1), num_tokens)
    before = table(closed | st.integers(0, bank.num_experts - 1), 1).flatten()
    return Reading(bank, table(words, num_tokens), keys, before)


def facts_of_reading(reading: Reading, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """What `attend` would return: the keys, with a similarity and a confidence of its own at every place."""
    torch.manual_seed(seed)
    return reading.key, torch.rand(reading.key.shape), torch.rand(reading.key.shape)


def state_of(reading: Reading) -> MemoryState:
    return MemoryState(POOL, reading.before, torch.tensor([0.25, 0.5]), torch.tensor([0.125, 0.75]), SEEN.expand(2, -1))


def part_of(parts: tuple[Tensor, ...], columns: slice) -> tuple[Tensor, ...]:
    return tuple(part[:, columns] for part in parts)


def tables(routing: Routing) -> list[Tensor]:
    return [routing.expert, routing.continued, routing.similarity, routing.confidence]


class TestFollow:
    def test_an_example(self):
        bank = make_bank([[0, 1, 2], [1]])
        entry = torch.tensor([[CLOSED, 0, CLOSED, CLOSED, CLOSED, 3, CLOSED]])
        tokens = torch.tensor([[0, 2, 0, 1, 2, 0, 1]])
        expert, continued = follow(entry, tokens, torch.tensor([CLOSED]), bank)
        assert expert.tolist() == [[CLOSED, 0, 1, 2, CLOSED, 3, CLOSED]]
        assert continued.tolist() == [[False, False, True, True, False, False, False]]

    @given(readings())
    @settings(max_examples=300, deadline=None)
    def test_equals_the_plain_twin(self, reading):
        expert, continued = follow(reading.entry, reading.tokens, reading.before, reading.bank)
        for row in range(2):
            inputs = reading.entry[row].tolist(), reading.tokens[row].tolist(), int(reading.before[row])
            assert (expert[row].tolist(), continued[row].tolist()) == plain_follow(*inputs, reading.bank)

    @given(readings())
    @settings(max_examples=100, deadline=None)
    def test_one_token_at_a_time(self, reading):
        """A cached decoding step takes another path than a prefix."""
        whole, continued = follow(reading.entry, reading.tokens, reading.before, reading.bank)
        last = reading.before
        for place in range(reading.tokens.shape[1]):
            column = slice(place, place + 1)
            expert, follows = follow(reading.entry[:, column], reading.tokens[:, column], last, reading.bank)
            assert torch.equal(expert, whole[:, column]) and torch.equal(follows, continued[:, column])
            last = expert[:, 0]

    @pytest.mark.parametrize("num_tokens", [1, 4])
    def test_empty_bank(self, num_tokens):
        entry = torch.full((2, num_tokens), CLOSED)
        expert, continued = follow(entry, torch.zeros_like(entry), torch.tensor([CLOSED] * 2), Bank.empty(1, 1, 4, 2))
        assert torch.equal(expert, entry) and not continued.any()

    @pytest.mark.parametrize("num_tokens", [1, 3])
    def test_the_inputs_are_left_alone(self, num_tokens):
        bank = make_bank([[0, 0, 0, 0]])
        entry = torch.full((1, num_tokens), CLOSED)
        expert, _ = follow(entry, torch.zeros_like(entry), torch.tensor([0]), bank)
        assert (entry == CLOSED).all() and (expert > 0).all()


class TestRoute:
    @given(readings())
    @settings(max_examples=100, deadline=None)
    def test_similarity_is_that_of_the_entry(self, reading):
        before, neighbours = state_of(reading), facts_of_reading(reading)
        routing = route(reading.tokens, None, before, reading.bank, neighbours)
        for row in range(2):
            similarity, confidence = float(before.similarity[row]), float(before.confidence[row])
            for place in range(reading.tokens.shape[1]):
                if not routing.continued[row, place]:
                    similarity, confidence = (float(part[row, place]) for part in neighbours[1:])
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
            state = part.state_after(POOL, SEEN, here, state)
        real = torch.ones_like(reading.tokens, dtype=torch.bool) if mask is None else mask
        for first, second, expected in zip(*map(tables, parts), tables(whole), strict=True):
            assert torch.equal(torch.cat([first, second], dim=1)[real], expected[real])
        after = whole.state_after(POOL, SEEN, mask, before)
        for name in ("expert", "similarity", "confidence"):
            assert torch.equal(getattr(state, name), getattr(after, name))

    @given(readings(batch=1), st.data())
    @settings(max_examples=150, deadline=None)
    def test_padding_changes_nothing(self, reading, data):
        num_tokens = reading.tokens.shape[1]
        places = sorted(data.draw(st.sets(st.integers(0, 13), min_size=num_tokens, max_size=num_tokens)))
        mask = torch.zeros(1, 14, dtype=torch.bool)
        mask[:, places] = True
        # Padding comes with a token, a nearest key and a similarity like any other place.
        tokens, key = torch.randint(NUM_WORDS, (1, 14)), torch.randint(reading.bank.num_keys, (1, 14))
        wide = key, torch.rand(1, 14), torch.rand(1, 14)
        neighbours = facts_of_reading(reading)
        tokens[:, places] = reading.tokens
        for table, part in zip(wide, neighbours, strict=True):
            table[:, places] = part
        before = state_of(reading).take(torch.tensor([0])) if data.draw(st.booleans()) else None
        if before is not None:
            before.expert = reading.before
        padded = route(tokens, mask, before, reading.bank, wide)
        plain = route(reading.tokens, None, before, reading.bank, neighbours)
        for got, expected in zip(tables(padded), tables(plain), strict=True):
            assert torch.equal(got[:, places], expected)
        assert (padded.expert[~mask] == CLOSED).all() and not padded.continued[~mask].any()
        after, expected = padded.state_after(POOL, SEEN, mask, before), plain.state_after(POOL, SEEN, None, before)
        for name in ("expert", "similarity", "confidence"):
            assert torch.equal(getattr(after, name), getattr(expected, name))

    def test_batch_is_single(self):
        torch.manual_seed(0)
        reading = Reading(
            make_bank([[0, 1, 0], [1, 1], [2]]),
            torch.randint(NUM_WORDS, (6, 12)),
            torch.randint(-4, 3, (6, 12)).clamp_min(CLOSED),
            torch.randint(-1, 6, (6,)),
        )
        before = MemoryState(
            POOL.take(torch.zeros(6, dtype=torch.int64)),
            reading.before,
            torch.rand(6),
            torch.rand(6),
            SEEN.expand(6, -1),
        )
        mask, neighbours = torch.rand(6, 12) < 0.8, facts_of_reading(reading)
        batch = route(reading.tokens, mask, before, reading.bank, neighbours)
        assert batch.continued.any()
        for row in range(6):
            only = slice(row, row + 1)
            near = tuple(part[only] for part in neighbours)
            single = route(reading.tokens[only], mask[only], before.take(torch.tensor([row])), reading.bank, near)
            for got, expected in zip(tables(single), tables(batch), strict=True):
                assert torch.equal(got[mask[only]], expected[only][mask[only]])

    def test_a_row_of_padding_keeps_what_it_read(self):
        """When a batch is fed in pieces, the shorter texts' last pieces are padding alone."""
        bank = make_bank([[0, 1]])
        before = MemoryState(POOL, torch.tensor([0]), torch.tensor([0.9]), torch.tensor([0.8]), SEEN)
        mask = torch.zeros(1, 3, dtype=torch.bool)
        neighbours = torch.zeros(1, 3, dtype=torch.int64), torch.ones(1, 3), torch.ones(1, 3)
        routing = route(torch.zeros(1, 3, dtype=torch.int64), mask, before, bank, neighbours)
        after = routing.state_after(POOL, SEEN, mask, before)
        assert (routing.expert == CLOSED).all()
        for name in ("expert", "similarity", "confidence"):
            assert torch.equal(getattr(after, name), getattr(before, name))

    def test_take(self):
        pool = PoolState(torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0], [4.0]]), torch.tensor([[[5.0]], [[6.0]]]))
        state = MemoryState(
            pool,
            torch.tensor([7, 8]),
            torch.tensor([0.1, 0.2]),
            torch.tensor([0.3, 0.4]),
            torch.tensor([[5, 6], [7, 8]]),
        )
        taken = state.take(torch.tensor([1, 1, 0]))
        assert taken.expert.tolist() == [8, 8, 7]
        assert taken.similarity.tolist() == state.similarity[[1, 1, 0]].tolist()
        assert taken.confidence.tolist() == state.confidence[[1, 1, 0]].tolist()
        assert taken.pool.maximum.flatten().tolist() == [2, 2, 1]
        assert taken.pool.denominator.flatten().tolist() == [4, 4, 3]
        assert taken.pool.numerator.flatten().tolist() == [6, 6, 5]


def unit(*degrees: float) -> Tensor:
    angles = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    return torch.stack([angles.cos(), angles.sin()], dim=-1).float()


class TestAttend:
    @pytest.mark.parametrize("kind", ["exact", "Flat"])
    def test_equals_the_plain_twin(self, kind):
        keys, queries, temperature = unit(0, 40, 90, 200), unit(5, 50, 130, 260, 199, 20), 0.07
        key, similarity, confidence = attend(queries.view(2, 3, 2), build_index(keys, kind), 3, NULL, temperature)
        assert key.shape == similarity.shape == confidence.shape == (2, 3)
        for number, query in enumerate(queries.double()):
            cosines = (keys.double() @ query).sort(descending=True)
            seen = torch.cat([cosines.values[:3], torch.tensor([NULL], dtype=torch.float64)])
            opens = float(cosines.values[0]) > NULL
            row = divmod(number, 3)
            assert int(key[row]) == (int(cosines.indices[0]) if opens else CLOSED)
            assert float(similarity[row]) == pytest.approx(float(cosines.values[0]), abs=1e-6)
            expected = (seen / temperature).exp()[0] / (seen / temperature).exp().sum()
            assert float(confidence[row]) == pytest.approx(float(expected), abs=1e-5)
        assert (key == CLOSED).any() and (key != CLOSED).any()

    def test_the_gate_opens_strictly_above_the_null_similarity(self):
        index, query = build_index(unit(0), "exact"), unit(60)[None]
        similarity = float(attend(query, index, 1, NULL, 0.1)[1])
        below = float(torch.nextafter(torch.tensor(similarity), torch.tensor(0.0)))
        assert int(attend(query, index, 1, similarity, 0.1)[0]) == CLOSED
        assert int(attend(query, index, 1, below, 0.1)[0]) == 0

    def test_attention_sums_to_one(self):
        """The weights of two keys and the null key, each taken as the nearest in turn."""
        keys, query, temperature = unit(0, 30), unit(10), 0.2
        similarity, _ = build_index(keys, "exact").search(query, 2)
        first = attend(query[None], build_index(keys, "exact"), 2, NULL, temperature)[2]
        ratio = ((similarity[0, 1] - similarity[0, 0]) / temperature).exp()
        null = ((NULL - similarity[0, 0]) / temperature).exp()
        assert float(first * (1 + ratio + null)) == pytest.approx(1.0, abs=1e-6)

    def test_at_the_null_similarity_the_attention_is_even(self):
        assert float(attend(unit(0)[None], build_index(unit(0), "exact"), 1, 1.0, 0.1)[2]) == pytest.approx(0.5)

    @pytest.mark.parametrize("kind", ["exact", "Flat", "IVF4,Flat"])
    def test_no_keys(self, kind):
        key, similarity, confidence = attend(unit(0, 10)[None], build_index(torch.empty(0, 2), kind), 4, NULL, 0.1)
        assert key.tolist() == [[CLOSED, CLOSED]]
        assert (similarity == -torch.inf).all() and not confidence.any()

    def test_fewer_keys_than_neighbours(self):
        few = attend(unit(20)[None], build_index(unit(0, 90), "exact"), 5, NULL, 0.1)
        enough = attend(unit(20)[None], build_index(unit(0, 90), "exact"), 2, NULL, 0.1)
        assert all(torch.equal(a, b) for a, b in zip(few, enough, strict=True))
