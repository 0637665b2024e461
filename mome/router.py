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

CHUNK = 256
NUM_BACKGROUND = 1024
SCORE_WIDTH = 64
# Background questions this near to a key's ask for the same thing and are no rivals of it.
SAME_RELATION = 0.5


@dataclass
class PoolState:
    """What pooling remembers of a prefix: the softmax's running maximum, denominator and numerator for each head."""

    maximum: Tensor  # [B, H]
    denominator: Tensor  # [B, H]
    numerator: Tensor  # [B, H, C]

    @staticmethod
    def empty(batch: int, heads: int, width: int, device: torch.device) -> PoolState:
        """The state before the first token."""
        return PoolState(
            torch.full((batch, heads), -torch.inf, device=device),
            torch.zeros(batch, heads, device=device),
            torch.zeros(batch, heads, width, device=device),
        )

    def take(self, rows: Tensor) -> PoolState:
        """The state of a batch made of the given rows of this one (int64 `[B']`)."""
        return PoolState(self.maximum[rows], self.denominator[rows], self.numerator[rows])


def pool_chunk(score: Tensor, log_forget: Tensor, value: Tensor, state: PoolState) -> tuple[Tensor, PoolState]:
    """Pool one chunk of tokens behind a state.

    Args:
        score: fp32 `[B, H, T]`, -inf at padding.
        log_forget: fp32 `[B, H, T]`, at most 0, 0 at padding.
        value: fp32 `[B, H, T, C]`.
        state: the prefix before the chunk.

    Returns:
        The pooled values fp32 `[B, H, T, C]` and the state after the chunk.
    """
    decay = log_forget.cumsum(-1)  # [B, H, T]
    relative = score - decay  # [B, H, T]
    maximum = torch.maximum(relative.cummax(-1).values, state.maximum[..., None])  # [B, H, T]
    finite = torch.where(maximum.isinf(), torch.zeros_like(maximum), maximum)
    causal = torch.ones(score.shape[-1], score.shape[-1], dtype=torch.bool, device=score.device).tril()  # [T, S]
    logits = (relative[..., None, :] - finite[..., None]).masked_fill(~causal, -torch.inf)  # [B, H, T, S]
    weight = logits.exp()
    carried = (state.maximum[..., None] - finite).exp()  # [B, H, T]
    denominator = weight.sum(-1) + carried * state.denominator[..., None]
    numerator = weight @ value + carried[..., None] * state.numerator[..., None, :]  # [B, H, T, C]
    pooled = numerator / denominator.clamp_min(torch.finfo(torch.float32).tiny)[..., None]
    after = PoolState(maximum[..., -1] + decay[..., -1], denominator[..., -1], numerator[..., -1, :])
    return pooled, after


def pool_token(score: Tensor, log_forget: Tensor, value: Tensor, state: PoolState) -> tuple[Tensor, PoolState]:
    """`pool_chunk` of one token, without the products that a longer chunk needs."""
    before = state.maximum + log_forget[..., 0]  # [B, H]
    maximum = torch.maximum(score[..., 0], before)
    finite = maximum.masked_fill(maximum.isinf(), 0.0)
    weight, carried = (score[..., 0] - finite).exp(), (before - finite).exp()
    denominator = weight + carried * state.denominator
    numerator = weight[..., None] * value[:, :, 0] + carried[..., None] * state.numerator
    pooled = numerator / denominator[..., None].clamp_min(torch.finfo(torch.float32).tiny)
    return pooled[:, :, None], PoolState(maximum, denominator, numerator)


def pool(score: Tensor, log_forget: Tensor, value: Tensor, state: PoolState) -> tuple[Tensor, PoolState]:
    """`pool_chunk` over any length, in chunks, so that memory grows with the length and not with its square."""
    if score.shape[-1] == 1:
        return pool_token(score, log_forget, value, state)
    pieces = []
    for start in range(0, score.shape[-1], CHUNK):
        part = slice(start, start + CHUNK)
        pooled, state = pool_chunk(score[..., part], log_forget[..., part], value[..., part, :], state)
        pieces.append(pooled)
    return torch.cat(pieces, dim=2), state


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
        self._fused_maps, self._fused_of = (torch.empty(0), torch.empty(0)), []
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
        weight, bias = self._fused()
        joined = torch.cat([layer.float() for layer in hidden], dim=-1)
        parts = functional.linear(joined, weight, bias).split([sum(self.widths), SCORE_WIDTH, self.num_pooled], dim=-1)
        return self._query(parts[0], self.score[1:](parts[1]), parts[2], mask, state)

    def _fused(self) -> tuple[Tensor, Tensor]:
        """The whitening and the linear maps behind it in one, `[out, F*D]` and `[out]`: of a frozen router, whose
        weights a decoding step would else read twice over."""
        score = self.score[0]
        linear = [
            (self.value.weight, self.value.bias),
            (score.weight, score.bias),
            (self.forget.weight, self.forget.bias),
        ]
        used = [self.mean, self.whitening, *(tensor for pair in linear for tensor in pair)]
        state = [(tensor.data_ptr(), tensor._version) for tensor in used]
        if self._fused_of != state:
            weight, bias = (torch.cat(tables).double() for tables in zip(*linear, strict=True))
            per_layer = weight.view(len(weight), len(self.mean), -1)  # [out, F, E]
            whole = torch.einsum("ofe,fde->ofd", per_layer, self.whitening.double())
            bias = bias - torch.einsum("ofd,fd->o", whole, self.mean.double())
            self._fused_maps, self._fused_of = (whole.flatten(1).float(), bias.float()), state
        return self._fused_maps

    def subject_logits(self, features: Tensor) -> Tensor:
        """fp32 `[B, T]`, above 0 where a token belongs to the subject of a prompt; from whitened features."""
        return self.subject(features)[..., 0]

    def query(self, features: Tensor, mask: Tensor | None, state: PoolState | None) -> tuple[Tensor, PoolState]:
        """`forward` from whitened features `[B, T, F*E]`."""
        return self._query(self.value(features), self.score(features), self.forget(features), mask, state)

    def _query(
        self, value: Tensor, score: Tensor, forget: Tensor, mask: Tensor | None, state: PoolState | None
    ) -> tuple[Tensor, PoolState]:
        """From values `[B, T, Q]`, scores and forget gates `[B, T, H]`."""
        score, log_forget = score.transpose(1, 2), functional.logsigmoid(forget).transpose(1, 2)
        value = rearrange(value, "b t (h c) -> b h t c", h=self.num_pooled)
        if mask is not None:
            score = score.masked_fill(~mask[:, None], -torch.inf)
            log_forget = log_forget.masked_fill(~mask[:, None], 0.0)
        if state is None:
            state = PoolState.empty(len(value), self.num_pooled, self.d_head, value.device)
        pooled, state = pool(score, log_forget, value, state)
        parts = rearrange(pooled, "b h t c -> b t (h c)").split(self.widths, dim=-1)
        mixed = [functional.normalize(part + mix(part), dim=-1) for part, mix in zip(parts, self.mix, strict=True)]
        return torch.cat(mixed, dim=-1), state


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
