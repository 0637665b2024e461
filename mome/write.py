"""The gradient step that writes experts: plain torch, used by `train` over a corpus and by a live model for one fact.

Shapes: P expert rows in work, S sites, R rank, D hidden width, V vocabulary, F facts in work.

Only the rows in work are ever touched: they are a small dense leaf with optimiser state of its own, and a fact leaves
it as soon as every one of its tokens is said with enough margin, so the cost shrinks as facts are learned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from mome.bank import residual
from mome.decoder import Tail
from mome.settings import WriteSettings

ADAM_BETAS, ADAM_EPS = (0.9, 0.99), 1e-8


# Logits fp32 [P', V] of the rows numbered int64 [P'], with experts down [P', S, R, D] and up [P', S, D, R].
LogitsOf = Callable[[Tensor, Tensor, Tensor, bool], Tensor]
# Called with the number of steps taken and what is written by then; its tensors are those that the next step changes.
Watch = Callable[[int, "Written"], None]


@dataclass
class Written:
    """What `write` made."""

    down: Tensor  # [P, S, R, D]
    up: Tensor  # [P, S, D, R]
    margin: Tensor  # [P] logit margin in the taught state when the row was left
    num_steps: Tensor  # [P] gradient steps that the row took


def init_down(hidden: Tensor, rank: int, generator: torch.Generator) -> Tensor:
    """First value of the A rows for states `[P, D]`: `[P, R, D]`.

    The first row reads the taught state itself, so that B starts as the shift that the state needs, which makes the
    task nearly convex; further rows are random. B starts at zero. At rank 0 there are no rows.
    """
    if not rank:
        return hidden.new_empty(len(hidden), 0, hidden.shape[-1], dtype=torch.float32)
    scale = hidden.float().pow(2).mean(-1, keepdim=True).sqrt()
    first = hidden.float() / scale / hidden.shape[-1]  # [P, D]; its product with the unit state is 1
    rest = torch.randn(len(hidden), rank - 1, hidden.shape[-1], generator=generator) / hidden.shape[-1]
    return torch.cat([first[:, None], rest.to(hidden.device)], dim=1)


def margins(logits: Tensor, target: Tensor) -> Tensor:
    """Logit of the target over the best other token: fp32 `[P, V]`, int64 `[P]` -> `[P]`.

    Greedy decoding says every target exactly when all margins are above zero. A margin that is not a number, as after
    an overflow, is -inf, so that it counts as not reached.
    """
    right = logits.gather(1, target[:, None]).squeeze(1)
    margin = right - logits.scatter(1, target[:, None], -torch.inf).amax(1)
    return margin.masked_fill(margin.isnan(), -torch.inf)


def write(
    logits_of: LogitsOf,
    target: Tensor,
    fact: Tensor,
    down: Tensor,
    up: Tensor,
    settings: WriteSettings,
    advance: Callable[[int], None] = lambda _num: None,
    dtype: torch.dtype = torch.float32,
    watch: Watch = lambda _step, _written: None,
) -> Written:
    """Take gradient steps on expert rows until every fact's margins are reached.

    Args:
        logits_of: the path that inference will use, from the rows' experts to their logits; its last argument asks for
            the blended states.
        target: int64 `[P]`, the token that each row must say.
        fact: int64 `[P]`, falling together; a fact leaves when all of its rows have their margin.
        down, up: fp32 starting rows `[P, S, R, D]` and `[P, S, D, R]`.
        settings: margin, learning rate and the bound on steps.
        advance: called with the number of facts that leave, for a progress bar.
        dtype: in which the rows will be stored; what is read, and measured, are rows that are rounded to it.
        watch: called before the first step and behind every one.
    """
    done = Written(down.clone(), up.clone(), torch.zeros(len(target)), torch.zeros(len(target), dtype=torch.int64))
    rows = torch.arange(len(target), device=target.device)
    leaf = [down.clone().requires_grad_(), up.clone().requires_grad_()]
    moments = [[torch.zeros_like(part), torch.zeros_like(part)] for part in leaf]
    for step in range(settings.max_steps + 1):
        stored = [_rounded(part, dtype) for part in leaf]
        asked = [logits_of(rows, stored[0], stored[1], False)]
        asked += [
            logits_of(rows, stored[0], stored[1], True) for _ in range(settings.num_blended if settings.blending else 0)
        ]
        margin = margins(asked[0].detach(), target[rows])
        hardest = torch.stack([margin, *(margins(logits.detach(), target[rows]) for logits in asked[1:])]).amin(0)
        _, number = fact[rows].unique(return_inverse=True)
        worst = torch.full((int(number.max()) + 1,), torch.inf, device=rows.device)
        worst = worst.scatter_reduce(0, number, hardest, "amin")
        stays = (worst < settings.margin)[number] if step < settings.max_steps else torch.zeros_like(number).bool()
        _leave(done, rows, stored, margin, step)
        watch(step, done)
        if not stays.all():
            advance(len(worst) - int((worst < settings.margin).sum()) if step < settings.max_steps else len(worst))
        if not stays.any():
            break
        losses = [functional.cross_entropy(logits[stays], target[rows[stays]], reduction="sum") for logits in asked]
        gradients = torch.autograd.grad(torch.stack(losses).sum(), leaf, allow_unused=True, materialize_grads=True)
        rows = rows[stays]
        moments = [[m[stays] for m in pair] for pair in moments]
        leaf = [
            _adam(part.detach()[stays], gradient[stays], pair, step + 1, settings.learning_rate)
            for part, gradient, pair in zip(leaf, gradients, moments, strict=True)
        ]
    return done


def _rounded(part: Tensor, dtype: torch.dtype) -> Tensor:
    """Rows fp32 as they are read again once stored; the gradient passes as if nothing had been rounded."""
    return part if dtype == part.dtype else part.detach().to(dtype).to(part.dtype) + (part - part.detach())


def _leave(done: Written, rows: Tensor, stored: list[Tensor], margin: Tensor, step: int) -> None:
    done.down[rows], done.up[rows] = stored[0].detach(), stored[1].detach()
    done.margin[rows.cpu()], done.num_steps[rows.cpu()] = margin.cpu(), step


def _adam(part: Tensor, gradient: Tensor, moments: list[Tensor], step: int, learning_rate: float) -> Tensor:
    """One Adam step (arXiv 1412.6980, algorithm 1) on the rows in work; the moments are updated in place."""
    first, second = moments
    first.lerp_(gradient, 1 - ADAM_BETAS[0])
    second.lerp_(gradient.square(), 1 - ADAM_BETAS[1])
    mean, spread = first / (1 - ADAM_BETAS[0] ** step), second / (1 - ADAM_BETAS[1] ** step)
    return (part - learning_rate * mean / (spread.sqrt() + ADAM_EPS)).requires_grad_()


def cached_logits(hidden: Tensor, tail: Tail, settings: WriteSettings, generator: torch.Generator) -> LogitsOf:
    """`LogitsOf` for a site behind the last layer, from cached states `[P, D]`: only the backbone's tail is run."""

    def logits_of(rows: Tensor, down: Tensor, up: Tensor, blended: bool) -> Tensor:
        state = hidden[rows]
        if blended:
            state = blend(state, settings.blending, generator)
        return tail(state + residual(state, down[:, 0], up[:, 0]))

    return logits_of


def blend(hidden: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Each state `[P, D]` moved a random part, up to `share`, of the way to another one's."""
    other = hidden[torch.randperm(len(hidden), generator=generator).to(hidden.device)]
    part = torch.rand(len(hidden), 1, generator=generator).to(hidden) * share
    return hidden + part * (other - hidden)
