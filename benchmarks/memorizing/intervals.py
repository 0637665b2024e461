"""Intervals for what chance decides: which facts, which questions, which seed.

Shapes: S seeds, Q items.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

NUM_RESAMPLES = 2000
CONFIDENCE = 0.95


def bootstrap(
    values: Tensor, statistic: Callable[[Tensor], Tensor] = lambda drawn: drawn.mean((-2, -1)), seed: int = 0
) -> tuple[float, float, float]:
    """A statistic with its 95% interval: seeds are drawn with replacement, and items with replacement.

    Args:
        values: fp32 `[S, Q]`, of the same items for every seed.
        statistic: of `[..., S, Q]`, one number for each of the leading dimensions.

    >>> bootstrap(torch.tensor([[0.0, 1.0, 1.0, 1.0]]))[0]
    0.75
    """
    generator = torch.Generator().manual_seed(seed)
    num_seeds, num_items = values.shape
    seeds = torch.randint(num_seeds, (NUM_RESAMPLES, num_seeds, 1), generator=generator)
    items = torch.randint(num_items, (NUM_RESAMPLES, 1, num_items), generator=generator)
    drawn = statistic(values[seeds, items])
    low, high = drawn.quantile(torch.tensor([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])).tolist()
    return round(float(statistic(values)), 4), round(low, 4), round(high, 4)
