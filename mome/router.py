"""The router: causal attention pooling over the prefix turns every token's context into a query.

Shapes: B batch, T tokens, F feature layers, D hidden width, E whitened width of one layer, H heads, C head width,
P pairs of a query and a key, Q query width, R width of its relation part, M background rows.

A query has two parts, each a unit vector from heads of its own: its subject part tells about whom something is asked,
and its relation part what. The index is searched by the subject part; whether the gate opens is decided by the relation
part, against the key's and against the background: the relation parts of questions that the router knows from its
training. A question that comes nearer to another known question than to the key's is not the key's.

Each head keeps a weighted mean of the values seen so far. The weight of token s as seen from token t is
`exp(score_s) * prod(forget_r for r in s+1..t)`: a score that is learned, and a learned forget gate that lets a new
question push earlier text aside (the gate of the Forgetting Transformer, arXiv 2503.02130, eq. 3, put on pooling).
The pooling has an exact running form, so that a cached decoding step costs the same however long the prefix is.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

CHUNK = 64
NUM_BACKGROUND = 1024
SCORE_WIDTH = 64
# Background questions this near to a key's ask for the same thing and are no rivals of it.
SAME_RELATION = 0.5
SMALL = 1e-30


# The logarithm of no weight at all; finite, so that differences of it are.
NO_WEIGHT = -1e9


@dataclass
class PoolState:
    """What pooling remembers of a prefix, for each head: its weighted mean, and the logarithm of the weights' sum."""

    log_weight: Tensor  # [B, H]
    mean: Tensor  # [B, H, C]

    @staticmethod
    def empty(batch: int, heads: int, width: int, device: torch.device) -> PoolState:
        """The state before the first token."""
        log_weight = torch.full((batch, heads), NO_WEIGHT, device=device)
        return PoolState(log_weight, torch.zeros(batch, heads, width, device=device))

    def take(self, rows: Tensor) -> PoolState:
        """The state of a batch made of the given rows of this one (int64 `[B']`)."""
        return PoolState(self.log_weight[rows], self.mean[rows])


def pool_chunk(score: Tensor, decay: Tensor, value: Tensor, state: PoolState) -> tuple[Tensor, PoolState]:
    """Pool one chunk of tokens behind a state.

    Args:
        score: fp32 `[B, H, T]`, -inf at padding.
        decay: fp32 `[B, H, T]`, by which the logarithms of all earlier weights shrink at a token; 0 at padding.
        value: fp32 `[B, H, T, C]`.
        state: the prefix before the chunk.

    Returns:
        The pooled values fp32 `[B, H, T, C]` and the state after the chunk.
    """
    lost = decay.cumsum(-1)  # [B, H, T]
    relative = score + lost  # [B, H, T]
    maximum = torch.maximum(relative.cummax(-1).values, state.log_weight[..., None])  # [B, H, T]
    causal = torch.ones(score.shape[-1], score.shape[-1], dtype=torch.bool, device=score.device).tril()  # [T, S]
    weight = (relative[..., None, :] - maximum[..., None]).masked_fill(~causal, -torch.inf).exp()  # [B, H, T, S]
    carried = (state.log_weight[..., None] - maximum).exp()  # [B, H, T]
    total = weight.sum(-1) + carried  # [B, H, T]
    pooled = (weight @ value + carried[..., None] * state.mean[..., None, :]) / total[..., None]  # [B, H, T, C]
    log_weight = maximum[..., -1] - lost[..., -1] + total[..., -1].log()
    return pooled, PoolState(log_weight, pooled[..., -1, :])


def pool_token(score: Tensor, decay: Tensor, value: Tensor, state: PoolState) -> PoolState:
    """The state after one token more, whose mean is what `pool_chunk` returns for it: scores and decays `[B, H]`,
    values `[B, H, C]`."""
    before = state.log_weight - decay
    share = (score - before).sigmoid()
    return PoolState(torch.logaddexp(before, score), state.mean.lerp(value, share[..., None]))


def pool(score: Tensor, decay: Tensor, value: Tensor, state: PoolState) -> tuple[Tensor, PoolState]:
    """`pool_chunk` over any length, in chunks, so that memory grows with the length and not with its square."""
    pieces = []
    for start in range(0, score.shape[-1], CHUNK):
        part = slice(start, start + CHUNK)
        pooled, state = pool_chunk(score[..., part], decay[..., part], value[..., part, :], state)
        pieces.append(pooled)
    return torch.cat(pieces, dim=2), state


Map = tuple[Tensor, Tensor]  # weight and bias


@dataclass
class FrozenMaps:
    """A frozen router's weights, joined for fewer and cheaper operations.

    Behind the backbone's own layers nothing of the router is left in the processor's caches, and an operation costs
    some thirty microseconds however little it computes; `gelu` costs a hundred more, which is why its factors are in
    the weights here: `gelu(x) = (u + u erf(u)) / sqrt(2)` for `u = x / sqrt(2)`.
    """

    inward: Map  # [O, F*D] and [O]: whitening and the linear maps behind it, forget gates negated
    score: Map  # [H, SCORE_WIDTH] and [H]
    mix_in: Map  # [2Q, Q] and [2Q]: of both parts, beside each other
    mix_out: Map  # [Q, 2Q] and [Q]
    is_part: Tensor  # [2, Q] one where a component belongs to the part
    nearly_zero: Tensor  # [2] what is added to squared lengths, lest they are none

    @staticmethod
    def of(router: Router) -> FrozenMaps:
        """Join the weights of a router, in double precision."""
        before, behind = 0.5**0.5, 0.5**0.5  # what stands before and behind a gelu
        first = [_double(router.value), _double(router.score[0], before), _double(router.forget, -1.0)]
        weight, bias = (torch.cat(tables) for tables in zip(*first, strict=True))
        per_layer = weight.view(len(weight), len(router.mean), -1)  # [O, F, E]
        inward = torch.einsum("ofe,fde->ofd", per_layer, router.whitening.double())
        bias = bias - torch.einsum("ofd,fd->o", inward, router.mean.double())
        is_part = torch.block_diag(*(torch.ones(1, width, device=bias.device) for width in router.widths))
        return FrozenMaps(
            inward=(inward.flatten(1).float(), bias.float()),
            score=_beside([_double(router.score[2])], behind),
            mix_in=_beside([_double(part.get_submodule("0")) for part in router.mix], before, before),
            mix_out=_beside([_double(part.get_submodule("2")) for part in router.mix], behind),
            is_part=is_part,
            nearly_zero=torch.full_like(is_part[:, 0], SMALL),
        )

    def scores(self, inner: Tensor) -> Tensor:
        """Scores `[B, T, H]` from the inner values of their map `[B, T, SCORE_WIDTH]`."""
        return functional.linear(torch.addcmul(inner, inner, inner.erf()), *self.score)

    def mixed(self, pooled: Tensor) -> Tensor:
        """Queries `[B, T, Q]` from pooled values `[B, T, Q]`."""
        inner = functional.linear(pooled, *self.mix_in)
        query = functional.linear(torch.addcmul(inner, inner, inner.erf()), *self.mix_out) + pooled
        square = functional.linear(query * query, self.is_part, self.nearly_zero)  # [B, T, 2]
        return query * (square.rsqrt() @ self.is_part)


def _double(linear: nn.Module, factor: float = 1.0) -> Map:
    assert isinstance(linear, nn.Linear)
    return linear.weight.double() * factor, linear.bias.double() * factor


def _beside(maps: list[Map], weight_factor: float, bias_factor: float = 1.0) -> Map:
    """Maps of separate parts as one, fp32."""
    weight = torch.block_diag(*(weight for weight, _ in maps)) * weight_factor
    return weight.float(), (torch.cat([bias for _, bias in maps]) * bias_factor).float()


class Router(nn.Module):
    """Turns hidden states into queries: a unit subject part, `num_heads * d_head` wide, and a unit relation part,
    `num_relation_heads * d_head` wide.

    The features are whitened (hidden states are anisotropic: unwhitened, every query looks alike); the whitening, the
    background and the gate are fitted by `train.route` and `train.calibrate`.

    >>> router = Router(num_layers=2, d_model=32, d_feature=16, num_heads=4, num_relation_heads=2, d_head=8)
    >>> query, state = router([torch.randn(1, 5, 32), torch.randn(1, 5, 32)])
    >>> query.shape, float(query[..., :32].norm(dim=-1).mean().round(decimals=4))
    (torch.Size([1, 5, 48]), 1.0)
    """

    mean: Tensor  # [F, D]
    whitening: Tensor  # [F, D, E]
    background: Tensor  # [M, R] unit rows; all zero until the router is trained
    null_similarity: Tensor  # the gate opens above it
    rival_margin: Tensor  # the gate opens where no rival is nearer by more than this

    def __init__(
        self, num_layers: int, d_model: int, d_feature: int, num_heads: int, num_relation_heads: int, d_head: int
    ):
        super().__init__()
        d_feature = min(d_feature, d_model)
        d_all, heads = num_layers * d_feature, (num_heads, num_relation_heads)
        self.d_head, self.num_pooled = d_head, sum(heads)
        self.widths = [num * d_head for num in heads]
        self.register_buffer("mean", torch.zeros(num_layers, d_model))
        self.register_buffer("whitening", torch.eye(d_model)[:, :d_feature].repeat(num_layers, 1, 1))
        self.register_buffer("background", torch.zeros(NUM_BACKGROUND, self.widths[1]))
        self.register_buffer("rival_margin", torch.tensor(2.0))
        self.value = nn.Linear(d_all, sum(self.widths))
        self.score = nn.Sequential(nn.Linear(d_all, SCORE_WIDTH), nn.GELU(), nn.Linear(SCORE_WIDTH, self.num_pooled))
        self.forget = nn.Linear(d_all, self.num_pooled)
        self.subject = nn.Sequential(nn.Linear(d_all, 64), nn.GELU(), nn.Linear(64, 1))
        self.mix = nn.ModuleList(
            nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)) for width in self.widths
        )
        self.log_temperature = nn.Parameter(torch.tensor(0.1).log())
        self.null_similarity = nn.Parameter(torch.tensor(0.5))
        self._frozen: FrozenMaps | None = None
        self._frozen_of: list[tuple[int, int]] = []
        # Heads start with horizons from two tokens to a few hundred, so that some see the last words and some it all.
        horizon = torch.cat([torch.logspace(0.3, 2.5, num) for num in heads])
        with torch.no_grad():
            self.forget.weight.mul_(0.1)
            self.forget.bias.copy_(torch.logit(1 - 1 / horizon))

    def features(self, hidden: list[Tensor]) -> Tensor:
        """Whitened features `[B, T, F*E]` (fp32) of the feature layers' outputs, each `[B, T, D]`."""
        whitened = [(h.float() - m) @ w for h, m, w in zip(hidden, self.mean, self.whitening, strict=True)]
        return torch.cat(whitened, dim=-1)

    def forward(
        self, hidden: list[Tensor], mask: Tensor | None = None, state: PoolState | None = None
    ) -> tuple[Tensor, PoolState]:
        """Queries for every token of a prefix or of its continuation.

        Args:
            hidden: outputs of the feature layers, each `[B, T, D]`, any float dtype.
            mask: bool `[B, T]`, False at padding; None when there is none.
            state: what an earlier call returned for the tokens before these.

        Returns:
            Queries fp32 `[B, T, Q]`, subject part first, and the state after the last token.
        """
        if self.value.weight.requires_grad:
            return self.query(self.features(hidden), mask, state)
        maps = self._maps(is_new=state is None)
        joined = functional.linear(torch.cat(hidden, dim=-1).float(), *maps.inward)
        width = self.d_head * self.num_pooled
        # Slices, as the backbone takes them too: `split` would be another kind of operation, see `mome.step`.
        value, inner = joined[..., :width], joined[..., width : width + SCORE_WIDTH]
        forget = joined[..., width + SCORE_WIDTH :]
        pooled, state = self._pooled(value, maps.scores(inner), functional.softplus(forget), mask, state)
        return maps.mixed(pooled), state

    def _maps(self, is_new: bool) -> FrozenMaps:
        """The joined weights; whether the router has changed is looked at when a text is `new`."""
        if self._frozen is None or is_new:
            state = [(tensor.data_ptr(), tensor._version) for tensor in self.state_dict(keep_vars=True).values()]
            if self._frozen is None or self._frozen_of != state:
                self._frozen, self._frozen_of = FrozenMaps.of(self), state
        return self._frozen

    def subject_logits(self, features: Tensor) -> Tensor:
        """fp32 `[B, T]`, above 0 where a token belongs to the subject of a prompt; from whitened features."""
        return self.subject(features)[..., 0]

    def query(self, features: Tensor, mask: Tensor | None, state: PoolState | None) -> tuple[Tensor, PoolState]:
        """`forward` from whitened features `[B, T, F*E]`."""
        values = self.value(features), self.score(features), functional.softplus(-self.forget(features))
        pooled, state = self._pooled(*values, mask, state)
        parts = zip(pooled.split(self.widths, dim=-1), self.mix, strict=True)
        return torch.cat([functional.normalize(part + mix(part), dim=-1) for part, mix in parts], dim=-1), state

    def _pooled(
        self, value: Tensor, score: Tensor, decay: Tensor, mask: Tensor | None, state: PoolState | None
    ) -> tuple[Tensor, PoolState]:
        """Pooled values `[B, T, Q]` from values `[B, T, Q]`, and scores and decays `[B, T, H]`, by which the logarithms
        of the weights before a token shrink."""
        if mask is not None:
            score = score.masked_fill(~mask[..., None], -torch.inf)
            decay = decay.masked_fill(~mask[..., None], 0.0)
        if state is None:
            state = PoolState.empty(len(value), self.num_pooled, self.d_head, value.device)
        if value.shape[1] == 1:
            state = pool_token(score[:, 0], decay[:, 0], value.view(state.mean.shape), state)
            return state.mean.view(value.shape), state
        value = rearrange(value, "b t (h c) -> b h t c", h=self.num_pooled)
        pooled, state = pool(score.transpose(1, 2), decay.transpose(1, 2), value, state)
        return rearrange(pooled, "b h t c -> b t (h c)"), state


def rival_similarity(relation: Tensor, of_key: Tensor, background: Tensor) -> Tensor:
    """How near the nearest question is that asks for something else than a key does.

    Args:
        relation: relation parts of queries, fp32 `[P, R]`.
        of_key: those of the keys that they are compared with, `[P, R]`.
        background: `[M, R]`.

    Returns:
        fp32 `[P]`, -1 where every background question asks for what the key asks for.
    """
    same = of_key @ background.T >= SAME_RELATION  # [P, M]
    return (relation @ background.T).masked_fill(same, -1.0).amax(-1)
