"""From which value of a statistic on an answer is exact.

Shapes: M moments (a fact at some time of its training), G facts.
"""

from __future__ import annotations

import numpy
import torch
from scipy.optimize import isotonic_regression
from torch import Tensor

NUM_RESAMPLES = 200
CONFIDENCE = 0.95


def share_exact(statistic: Tensor, exact: Tensor) -> tuple[Tensor, Tensor]:
    """How often a moment is exact, as a function that never rises with the statistic and is otherwise free: isotonic
    regression, through `scipy`.

    Returns:
        The statistic's distinct values, rising, and the fitted share at each.
    """
    values, place = statistic.double().unique(return_inverse=True)
    weight = torch.zeros_like(values).index_add_(0, place, torch.ones_like(place, dtype=values.dtype))
    mean = torch.zeros_like(values).index_add_(0, place, exact.double()) / weight
    fitted = isotonic_regression(mean.numpy(), weights=weight.numpy(), increasing=False).x
    return values, torch.from_numpy(fitted.copy())


def threshold(statistic: Tensor, exact: Tensor, share: float) -> float:
    """The largest value up to which a moment is exact with at least this probability.

    Args:
        statistic: fp32 `[M]`, the smaller the better.
        exact: fp32 `[M]`, whether the answer was exact, or how often.

    Returns:
        The value, halfway to the next one; -inf if no moment is exact so often, inf if all are.

    >>> threshold(torch.tensor([0.0, 1.0, 2.0, 3.0]), torch.tensor([1.0, 1.0, 0.0, 0.0]), 0.5)
    1.5
    """
    values, fitted = share_exact(statistic, exact)
    num_above = int((fitted >= share - 1e-9).sum())
    if num_above in (0, len(values)):
        return float("inf") if num_above else float("-inf")
    return float(values[num_above - 1 : num_above + 1].mean())


def with_interval(statistic: Tensor, exact: Tensor, fact: Tensor, share: float, seed: int = 0) -> list[float]:
    """The threshold with its 95% interval: facts, with all of their moments, are drawn with replacement.

    Args:
        fact: int64 `[M]`, whose moment it is.
    """
    generator = torch.Generator().manual_seed(seed)
    rows = [(fact == number).nonzero().flatten() for number in fact.unique()]
    found = []
    for _ in range(NUM_RESAMPLES):
        drawn = torch.randint(len(rows), (len(rows),), generator=generator)
        chosen = torch.cat([rows[number] for number in drawn])
        found.append(threshold(statistic[chosen], exact[chosen], share))
    # The nearest of the values found: between an infinite one and another there is nothing.
    ends = numpy.quantile(found, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], method="nearest").tolist()
    return [threshold(statistic, exact, share), *ends]
