"""From which value on an answer is exact."""

import doctest

import pytest
import torch

import benchmarks.memorizing.thresholds as module
from benchmarks.memorizing.thresholds import threshold, with_interval


def test_doctests():
    assert doctest.testmod(module).failed == 0


def test_two_shares_of_one_curve():
    statistic = torch.arange(6.0)
    exact = torch.tensor([1.0, 1.0, 0.7, 0.6, 0.2, 0.0])
    assert threshold(statistic, exact, 0.99) == 1.5
    assert threshold(statistic, exact, 0.5) == 3.5


def test_what_falls_out_of_order_is_averaged():
    statistic = torch.tensor([0.0, 1.0, 2.0, 3.0])
    exact = torch.tensor([1.0, 0.0, 1.0, 0.0])  # fitted: 1, 0.5, 0.5, 0
    assert threshold(statistic, exact, 0.99) == 0.5
    assert threshold(statistic, exact, 0.5) == 2.5


def test_equal_values_count_together():
    statistic, exact = torch.tensor([1.0, 1.0, 1.0, 2.0]), torch.tensor([1.0, 1.0, 0.0, 0.0])
    assert threshold(statistic, exact, 0.6) == 1.5
    assert threshold(statistic, exact, 0.7) == float("-inf")


@pytest.mark.parametrize(("exact", "expected"), [(1.0, float("inf")), (0.0, float("-inf"))])
def test_without_a_change_there_is_no_threshold(exact, expected):
    assert threshold(torch.arange(5.0), torch.full((5,), exact), 0.5) == expected


def test_facts_are_drawn_with_all_their_moments():
    """Every fact changes at its own value: the interval lies among those, and is narrow where they are alike."""
    turns = torch.linspace(1, 2, 30)
    statistic = torch.linspace(0, 3, 31).repeat(30)
    fact = torch.arange(30).repeat_interleave(31)
    value, low, high = with_interval(statistic, (statistic < turns[fact]).float(), fact, 0.5)
    assert 1 < low < value < high < 2
    alike = with_interval(statistic, (statistic < 1.55).float(), fact, 0.5)
    assert alike == pytest.approx([1.55, 1.55, 1.55], abs=1e-5)
