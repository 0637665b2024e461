"""Intervals: what they contain, and from what they are drawn."""

import doctest

import torch

import benchmarks.memorizing.intervals as module
from benchmarks.memorizing.intervals import bootstrap


def test_doctests():
    assert doctest.testmod(module).failed == 0


def test_without_chance_there_is_no_width():
    assert bootstrap(torch.full((3, 20), 0.25)) == (0.25, 0.25, 0.25)


def test_an_interval_of_items_is_as_wide_as_theory_says():
    values = (torch.arange(400) < 100).float()[None]
    mean, low, high = bootstrap(values)
    deviation = (0.25 * 0.75 / 400) ** 0.5
    assert mean == 0.25
    assert abs((high - low) / (2 * 1.96 * deviation) - 1) < 0.1


def test_seeds_are_drawn_too():
    """No chance in the items, all of it in the seeds."""
    values = torch.tensor([0.0, 0.5, 1.0])[:, None].expand(3, 50)
    mean, low, high = bootstrap(values)
    assert (mean, low, high) == (0.5, 0.0, 1.0)


def test_another_statistic():
    values = torch.tensor([[0.0, 0.0], [0.0, 0.0]])
    assert bootstrap(values, lambda drawn: drawn.mean((-2, -1)).exp()) == (1.0, 1.0, 1.0)
