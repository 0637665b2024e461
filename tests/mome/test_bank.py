"""The bank's tables and the residual that its experts add.

Shapes: P positions, D hidden width, R rank.
"""

from dataclasses import fields

import pytest
import torch
from torch import Tensor

from mome.bank import Bank, residual
from mome.mention import MAX_SUBJECT_TOKENS, NUM_SPELLINGS
from mome.tables import Rows, parts_of, with_rows

D_MODEL = 24


def relative_error(got: Tensor, expected: Tensor) -> float:
    return float((got.double() - expected.double()).norm() / expected.double().norm())


def plain_residual(hidden: Tensor, down: Tensor, up: Tensor) -> Tensor:
    """Row by row from the formula."""
    rows = []
    for h, a, b in zip(hidden, down, up, strict=True):
        rms = (sum(x * x for x in h) / len(h)) ** 0.5
        rows.append(rms * (b @ (a @ (h / rms))))
    return torch.stack(rows)


def inputs(rank: int, num_rows: int = 6) -> list[Tensor]:
    torch.manual_seed(rank)
    hidden = torch.randn(num_rows, D_MODEL) * torch.logspace(-2, 3, num_rows)[:, None]
    return [hidden, torch.randn(num_rows, rank, D_MODEL), torch.randn(num_rows, D_MODEL, max(rank, 1))]


class TestResidual:
    @pytest.mark.parametrize("rank", [1, 4])
    def test_equals_the_plain_twin(self, rank):
        parts = inputs(rank)
        exact = [part.double() for part in parts]
        assert relative_error(residual(*parts), plain_residual(*exact)) < 1e-6
        direction = torch.randn(6, D_MODEL)
        leaves, exact = ([part.requires_grad_() for part in some] for some in (parts, exact))
        got = torch.autograd.grad((residual(*leaves) * direction).sum(), leaves)
        expected = torch.autograd.grad((plain_residual(*exact) * direction.double()).sum(), exact)
        for gradient, twin in zip(got, expected, strict=True):
            assert max(map(relative_error, gradient, twin)) < 1e-5

    @pytest.mark.parametrize("factor", [2.0**-20, 2.0**13, 1e-3, 777.0])
    def test_scales_with_the_hidden_state(self, factor):
        hidden, down, up = inputs(2)
        assert relative_error(residual(factor * hidden, down, up), factor * residual(hidden, down, up)) < 1e-6

    def test_at_rank_0_it_is_the_same_direction_whatever_the_state(self):
        hidden, down, up = inputs(0)
        scale = hidden.double().pow(2).mean(-1, keepdim=True).sqrt()
        assert relative_error(residual(hidden, down, up), scale * up[..., 0].double()) < 1e-6

    def test_rows_do_not_touch_each_other(self):
        hidden, down, up = inputs(2)
        before = residual(hidden, down, up)
        for part in (hidden, down, up):
            part[3] += 1.0
        after = residual(hidden, down, up)
        assert [bool((a != b).any()) for a, b in zip(after, before, strict=True)] == [row == 3 for row in range(6)]

    def test_an_unwritten_expert_adds_exactly_nothing(self):
        hidden, down, up = inputs(2)
        assert not residual(hidden, down, torch.zeros_like(up)).any()

    def test_a_state_of_zeros_stays(self):
        _, down, up = inputs(2)
        assert not residual(torch.zeros(6, D_MODEL), down, up).any()

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_is_computed_in_fp32_and_given_in_the_dtype_of_the_state(self, dtype):
        hidden, down, up = inputs(2)
        hidden = (hidden / 100).to(dtype)
        got = residual(hidden, down, up)
        assert got.dtype == dtype
        assert torch.equal(got, residual(hidden.float(), down, up).to(dtype))

    def test_no_rows(self):
        hidden, down, up = (part[:0] for part in inputs(2))
        assert residual(hidden, down, up).shape == (0, D_MODEL)


def make_bank(lengths: list[int], keys_per_fact: int = 1) -> Bank:
    """A bank of facts with answers of these lengths and random rows."""
    count = sum(lengths)
    first = torch.tensor([sum(lengths[:number]) for number in range(len(lengths))], dtype=torch.int32)
    return Bank(
        down=torch.randn(count, 2, 1, D_MODEL),
        up=torch.randn(count, 2, D_MODEL, 1),
        token=torch.randint(100, (count,), dtype=torch.int32),
        fact=torch.arange(len(lengths), dtype=torch.int32).repeat_interleave(torch.tensor(lengths)),
        keys=torch.randn(len(lengths) * keys_per_fact, 8),
        key_expert=first.repeat_interleave(keys_per_fact),
        subject=torch.randint(99, (len(lengths) * keys_per_fact, NUM_SPELLINGS, MAX_SUBJECT_TOKENS), dtype=torch.int32),
        word_edge=torch.rand(9, 2) < 0.5,
    )


def tables(bank: Bank) -> dict[str, Tensor]:
    return {field.name: getattr(bank, field.name) for field in fields(Bank)}


def assert_same(got: Bank, expected: Bank) -> None:
    for name, table in tables(expected).items():
        assert getattr(got, name).dtype == table.dtype, name
        assert torch.equal(getattr(got, name), table), name


class TestBank:
    def test_empty(self):
        bank = Bank.empty(num_sites=2, rank=3, d_model=D_MODEL, d_key=8)
        assert (bank.num_experts, bank.num_keys) == (0, 0)
        assert (bank.down.shape, bank.up.shape) == ((0, 2, 3, D_MODEL), (0, 2, D_MODEL, 3))

    def test_counts(self):
        bank = make_bank([2, 1, 3], keys_per_fact=2)
        assert (bank.num_experts, bank.num_keys) == (6, 6)

    def test_append_renumbers(self):
        bank, other = make_bank([2, 1]), make_bank([1, 3, 1], keys_per_fact=2)
        before, added = tables(bank), tables(other)
        bank.append(other)
        assert bank.fact.tolist() == [0, 0, 1, 2, 3, 3, 3, 4]
        assert bank.key_expert.tolist() == [0, 2, 3, 3, 4, 4, 7, 7]
        for name in ("down", "up", "token", "keys", "subject"):
            assert torch.equal(getattr(bank, name), torch.cat([before[name], added[name]]))
        # Every key still leads to the first expert of the fact that it led to.
        first = [bank.fact.tolist().index(fact) for fact in range(5)]
        assert bank.key_expert.unique().tolist() == first
        assert bank.fact.dtype == bank.key_expert.dtype == torch.int32

    def test_append_leaves_the_other_alone(self):
        other = make_bank([1, 3])
        before = {name: table.clone() for name, table in tables(other).items()}
        make_bank([2]).append(other)
        assert_same(other, Bank(**before))

    def test_append_to_nothing_and_of_nothing(self):
        other, empty = make_bank([1, 3]), Bank.empty(2, 1, D_MODEL, 8)
        empty.append(other)
        assert_same(empty, other)
        empty.append(Bank.empty(2, 1, D_MODEL, 8))
        assert_same(empty, other)

    def test_append_in_any_grouping(self):
        parts = [make_bank([2, 1]), make_bank([1]), make_bank([3, 2])]
        left, right, tail = (Bank.empty(2, 1, D_MODEL, 8) for _ in range(3))
        for part in parts:
            left.append(part)
        right.append(parts[0])
        tail.append(parts[1])
        tail.append(parts[2])
        right.append(tail)
        assert_same(left, right)


@pytest.mark.parametrize("forgotten", [[], [1], [0, 3], [4], [0, 1, 2, 3, 4]])
def test_what_is_left_is_numbered_through(forgotten):
    lengths = [2, 1, 3, 1, 2]
    bank = make_bank(lengths)
    left, parts = bank.live(forgotten)
    kept = [number for number in range(5) if number not in forgotten]
    assert left.fact.tolist() == [new for new, old in enumerate(kept) for _ in range(lengths[old])]
    rows = torch.tensor([row for row in range(9) if int(bank.fact[row]) in kept], dtype=torch.int64)
    for name in ("down", "up"):
        assert torch.equal(torch.cat(parts[name]), getattr(bank, name)[rows])
    assert torch.equal(left.token, bank.token[rows])
    keys = torch.tensor([key for key in range(5) if key in kept], dtype=torch.int64)
    for name in ("keys", "subject"):
        assert torch.equal(torch.cat(parts[name]), getattr(bank, name)[keys])
    assert [left.fact.tolist().index(new) for new in range(len(kept))] == left.key_expert.tolist()
    assert left.fact.dtype == left.key_expert.dtype == torch.int32
    assert bank.keys_of(forgotten).tolist() == forgotten


@pytest.mark.parametrize("on_host", [False, True])
def test_a_bank_on_a_device_holds_the_same(on_host):
    torch.manual_seed(0)
    first, second = Bank.empty(1, 1, 8, 4), Bank.empty(1, 1, 8, 4)
    second.up, second.token, second.fact = torch.randn(3, 1, 8, 1), torch.arange(3).int(), torch.arange(3).int()
    first.append(second)
    first.up = with_rows(Rows(first.up), second.up)
    moved = first.to("cpu", experts_on_host=on_host)
    for column in fields(Bank):
        assert torch.equal(getattr(moved, column.name), torch.cat(parts_of(getattr(first, column.name))))
