"""The router: causal attention pooling over the prefix turns every token's context into a query.

Shapes: B batch, T tokens, F feature layers, D hidden width, E whitened width of one layer, H heads, C head width.

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


def pool(score: Tensor, log_forget: Tensor, value: Tensor, state: PoolState) -> tuple[Tensor, PoolState]:
    """`pool_chunk` over any length, in chunks, so that memory grows with the length and not with its square."""
    pieces = []
    for start in range(0, score.shape[-1], CHUNK):
        part = slice(start, start + CHUNK)
        pooled, state = pool_chunk(score[..., part], log_forget[..., part], value[..., part, :], state)
        pieces.append(pooled)
    return torch.cat(pieces, dim=2), state


class Router(nn.Module):
    """Turns hidden states into unit queries of width `num_heads * d_head`.

    The features are whitened (hidden states are anisotropic: unwhitened, every query looks alike); the whitening,
    the temperature and the null key's similarity are fitted by `train.route`.

    >>> router = Router(num_layers=2, d_model=32, d_feature=16, num_heads=4, d_head=8)
    >>> query, state = router([torch.randn(1, 5, 32), torch.randn(1, 5, 32)])
    >>> query.shape, float(query.norm(dim=-1).mean().round(decimals=4))
    (torch.Size([1, 5, 32]), 1.0)
    """

    mean: Tensor  # [F, D]
    whitening: Tensor  # [F, D, E]

    def __init__(self, num_layers: int, d_model: int, d_feature: int, num_heads: int, d_head: int):
        super().__init__()
        d_feature = min(d_feature, d_model)
        d_all, d_key = num_layers * d_feature, num_heads * d_head
        self.num_heads, self.d_head = num_heads, d_head
        self.register_buffer("mean", torch.zeros(num_layers, d_model))
        self.register_buffer("whitening", torch.eye(d_model)[:, :d_feature].repeat(num_layers, 1, 1))
        self.value = nn.Linear(d_all, d_key)
        self.score = nn.Sequential(nn.Linear(d_all, 64), nn.GELU(), nn.Linear(64, num_heads))
        self.forget = nn.Linear(d_all, num_heads)
        self.subject = nn.Sequential(nn.Linear(d_all, 64), nn.GELU(), nn.Linear(64, 1))
        self.mix = nn.Sequential(nn.Linear(d_key, 2 * d_key), nn.GELU(), nn.Linear(2 * d_key, d_key))
        self.log_temperature = nn.Parameter(torch.tensor(0.07).log())
        self.null_similarity = nn.Parameter(torch.tensor(0.6))
        # Heads start with horizons from two tokens to a few hundred, so that some see the last words and some it all.
        horizon = torch.logspace(0.3, 2.5, num_heads)
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
            Unit queries fp32 `[B, T, H*C]`, and the state after the last token.
        """
        return self.query(self.features(hidden), mask, state)

    def subject_logits(self, features: Tensor) -> Tensor:
        """fp32 `[B, T]`, above 0 where a token belongs to the subject of a prompt; from whitened features."""
        return self.subject(features)[..., 0]

    def query(self, features: Tensor, mask: Tensor | None, state: PoolState | None) -> tuple[Tensor, PoolState]:
        """`forward` from whitened features `[B, T, F*E]`."""
        score = rearrange(self.score(features), "b t h -> b h t")
        log_forget = rearrange(functional.logsigmoid(self.forget(features)), "b t h -> b h t")
        value = rearrange(self.value(features), "b t (h c) -> b h t c", h=self.num_heads)
        if mask is not None:
            score = score.masked_fill(~mask[:, None], -torch.inf)
            log_forget = log_forget.masked_fill(~mask[:, None], 0.0)
        if state is None:
            state = PoolState.empty(len(features), self.num_heads, self.d_head, features.device)
        pooled, state = pool(score, log_forget, value, state)
        pooled = rearrange(pooled, "b h t c -> b t (h c)")
        return functional.normalize(pooled + self.mix(pooled), dim=-1), state
