"""Pooling and queries: against a plain twin, over padding, in pieces, far back, and into the future.

Shapes: B batch, H heads, T tokens, C head width, F feature layers, D hidden width.
"""

import pytest
import torch
from torch import Tensor

from mome import router as router_module
from mome.router import SAME_RELATION, PoolState, Router, pool, rival_similarity

SIZES = {"num_layers": 2, "d_model": 12, "d_feature": 8, "num_heads": 3, "num_relation_heads": 2, "d_head": 4}
PARTS = slice(0, 12), slice(12, 20)
LONG = 5_000


def relative_error(got: Tensor, expected: Tensor) -> float:
    return float((got.double() - expected.double()).norm() / expected.double().norm())


def plain_pool(score: Tensor, decay: Tensor, value: Tensor) -> Tensor:
    """Token by token from the formula, for one head: `[T]`, `[T]`, `[T, C]` -> `[T, C]`."""
    pooled = []
    for now in range(len(score)):
        weights = []
        for seen in range(now + 1):
            kept = torch.ones((), dtype=score.dtype)
            for later in range(seen + 1, now + 1):
                kept = kept * (-decay[later]).exp()
            weights.append(score[seen].exp() * kept)
        total = torch.stack(weights).sum()
        mean = sum(weight * value[seen] for seen, weight in enumerate(weights)) / total
        pooled.append(mean if total > 0 else torch.zeros_like(value[0]))
    return torch.stack(pooled)


def plain_pools(score: Tensor, decay: Tensor, value: Tensor) -> Tensor:
    """`plain_pool` for every row and head."""
    flat = zip(score.flatten(0, 1), decay.flatten(0, 1), value.flatten(0, 1), strict=True)
    return torch.stack([plain_pool(*parts) for parts in flat]).view_as(value)


def pool_inputs(num_tokens: int, batch: int = 2, heads: int = 3, spread: float = 2.0) -> list[Tensor]:
    torch.manual_seed(num_tokens)
    score = torch.randn(batch, heads, num_tokens) * spread
    decay = torch.nn.functional.softplus(torch.randn(batch, heads, num_tokens) * spread - 1)
    return [score, decay, torch.randn(batch, heads, num_tokens, 4)]


def whole_pool(score: Tensor, decay: Tensor, value: Tensor) -> Tensor:
    return pool(score, decay, value, PoolState.empty(*score.shape[:2], value.shape[-1], score.device))[0]


def gradients(function, inputs: list[Tensor], direction: Tensor) -> tuple[Tensor, ...]:
    leaves = [part.detach().clone().requires_grad_() for part in inputs]
    total = (function(*leaves) * direction.to(leaves[0])).sum()
    return torch.autograd.grad(total, leaves, materialize_grads=True)


class TestPool:
    @pytest.mark.parametrize("chunk", [1, 4, 11, 256])
    @pytest.mark.parametrize("num_tokens", [1, 2, 11, 23])
    def test_equals_the_plain_twin(self, monkeypatch, num_tokens, chunk):
        monkeypatch.setattr(router_module, "CHUNK", chunk)
        inputs = pool_inputs(num_tokens)
        exact = [part.double() for part in inputs]
        assert relative_error(whole_pool(*inputs), plain_pools(*exact)) < 1e-6
        direction = torch.randn_like(inputs[2])
        got, expected = gradients(whole_pool, inputs, direction), gradients(plain_pools, exact, direction)
        assert relative_error(got[2], expected[2]) < 1e-6
        if num_tokens > 1:  # of one token, neither score nor forgetting matters
            assert max(map(relative_error, got[:2], expected[:2])) < 1e-5

    def test_equals_the_plain_twin_over_padding(self):
        score, decay, value = pool_inputs(17)
        padding = torch.rand(2, 1, 17) < 0.4
        padding[:, :, 0], padding[:, :, -1] = True, True
        score, decay = score.masked_fill(padding, -torch.inf), decay.masked_fill(padding, 0.0)
        pooled = whole_pool(score, decay, value)
        assert not pooled[:, :, 0].any()
        assert relative_error(pooled, plain_pools(score.double(), decay.double(), value.double())) < 1e-6

    def test_gradients_over_padding_are_finite_and_none_for_padding(self):
        score, decay, value = pool_inputs(9)
        padding = torch.zeros(2, 1, 9, dtype=torch.bool)
        padding[0, :, :3], padding[1] = True, True

        def padded(score: Tensor, decay: Tensor, value: Tensor) -> Tensor:
            return whole_pool(score.masked_fill(padding, -torch.inf), decay.masked_fill(padding, 0.0), value)

        found = gradients(padded, [score, decay, value], torch.ones_like(value))
        assert all(part.isfinite().all() for part in found)
        assert not any(part[1].any() for part in found)
        assert found[0][0, :, 3:].any() and not found[2][0, :, :3].any()

    @pytest.mark.parametrize("shift", [-200.0, 200.0])
    def test_scores_far_from_zero(self, shift):
        """Only differences of scores count; their exponentials alone would overflow or vanish."""
        score, decay, value = pool_inputs(12)
        assert relative_error(whole_pool(score + shift, decay, value), whole_pool(score, decay, value)) < 1e-4

    def test_a_closed_forget_gate_leaves_the_last_token_alone(self):
        score, decay, value = pool_inputs(12)
        assert relative_error(whole_pool(score, torch.full_like(decay, 60.0), value), value) < 1e-6

    @pytest.mark.parametrize("chunk", [3, 256])
    def test_split_at_every_point(self, monkeypatch, chunk):
        monkeypatch.setattr(router_module, "CHUNK", chunk)
        inputs = pool_inputs(13)
        whole = whole_pool(*inputs)
        for split in range(1, 13):
            state, pieces = PoolState.empty(2, 3, 4, torch.device("cpu")), []
            for part in (slice(0, split), slice(split, None)):
                piece, state = pool(*(tensor[:, :, part] for tensor in inputs), state)
                pieces.append(piece)
            assert relative_error(torch.cat(pieces, dim=2), whole) < 1e-6

    def test_take(self):
        *inputs, rows = *pool_inputs(5), torch.tensor([1, 0, 1])
        before = [tensor[:, :, :3] for tensor in inputs]
        after = [tensor[:, :, 3:] for tensor in inputs]
        _, state = pool(*before, PoolState.empty(2, 3, 4, torch.device("cpu")))
        taken, _ = pool(*(tensor[rows] for tensor in after), state.take(rows))
        assert relative_error(taken, whole_pool(*inputs)[rows, :, 3:]) < 1e-6


@pytest.fixture
def router() -> Router:
    """A router whose every part is random, so that none can be left out unnoticed."""
    torch.manual_seed(0)
    router = Router(**SIZES)
    with torch.no_grad():
        router.mean.normal_()
        router.whitening.normal_()
        for parameter in router.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return router.requires_grad_(False)


def hidden_states(batch: int, num_tokens: int) -> list[Tensor]:
    torch.manual_seed(num_tokens)
    return [torch.randn(batch, num_tokens, SIZES["d_model"]) for _ in range(SIZES["num_layers"])]


def part_of(hidden: list[Tensor], part: slice) -> list[Tensor]:
    return [layer[:, part] for layer in hidden]


def mean_of(state: PoolState) -> Tensor:
    return state.mean


class TestQueries:
    def test_equal_the_plain_twin(self, router):
        """The whole way from hidden states to queries, in double precision and token by token."""
        hidden = hidden_states(2, 9)
        got, _ = router(hidden)
        double = router.double()
        layers = [(h.double() - m) @ w for h, m, w in zip(hidden, double.mean, double.whitening, strict=True)]
        for row in range(2):
            features = torch.cat([layer[row] for layer in layers], dim=-1)
            heads = []
            for head in range(SIZES["num_heads"] + SIZES["num_relation_heads"]):
                wide = slice(head * SIZES["d_head"], (head + 1) * SIZES["d_head"])
                decay = torch.nn.functional.softplus(-double.forget(features)[:, head])
                heads.append(plain_pool(double.score(features)[:, head], decay, double.value(features)[:, wide]))
            pooled = torch.cat(heads, dim=-1)
            for part, mix in zip(PARTS, double.mix, strict=True):
                expected = pooled[:, part] + mix(pooled[:, part])
                assert relative_error(got[row, :, part], expected / expected.norm(dim=-1, keepdim=True)) < 1e-5

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
    def test_both_parts_are_unit_length_in_fp32(self, router, dtype):
        query, _ = router([layer.to(dtype) for layer in hidden_states(2, 7)])
        assert query.shape == (2, 7, 20) and query.dtype == torch.float32
        for part in PARTS:
            assert torch.allclose(query[..., part].norm(dim=-1), torch.ones(2, 7), atol=1e-6)

    @pytest.mark.parametrize("chunk", [4, 256])
    def test_split_at_every_point(self, router, monkeypatch, chunk):
        monkeypatch.setattr(router_module, "CHUNK", chunk)
        hidden = hidden_states(2, 11)
        whole, last = router(hidden)
        for split in range(1, 11):
            first, state = router(part_of(hidden, slice(0, split)))
            second, state = router(part_of(hidden, slice(split, None)), state=state)
            assert relative_error(torch.cat([first, second], dim=1), whole) < 1e-6
            assert relative_error(mean_of(state), mean_of(last)) < 1e-6

    def test_token_by_token(self, router):
        hidden = hidden_states(2, 300)  # more than one chunk
        whole, _ = router(hidden)
        state, steps = None, []
        for place in range(300):
            query, state = router(part_of(hidden, slice(place, place + 1)), state=state)
            steps.append(query)
        assert relative_error(torch.cat(steps, dim=1), whole) < 1e-5
        assert state.mean.shape == (2, 5, 4)

    @pytest.mark.parametrize("chunk", [4, 256])
    @pytest.mark.parametrize(
        "places",
        [range(6, 13), range(7), [0, 2, 3, 5, 8, 9, 12]],
        ids=["left padding", "right padding", "padding anywhere"],
    )
    def test_padding_changes_nothing(self, router, monkeypatch, places, chunk):
        monkeypatch.setattr(router_module, "CHUNK", chunk)
        hidden, places = hidden_states(2, 7), list(places)
        mask = torch.zeros(2, 13, dtype=torch.bool)
        mask[:, places] = True
        padded = [torch.full((2, 13, SIZES["d_model"]), 30.0) for _ in hidden]
        for layer, wide in zip(hidden, padded, strict=True):
            wide[:, places] = layer
        (query, state), (plain, last) = router(padded, mask), router(hidden)
        assert relative_error(query[:, places], plain) < 1e-6
        # What comes next is not changed either, when the padding lies across a split.
        first, between = router(part_of(padded, slice(0, 6)), mask[:, :6])
        second, _ = router(part_of(padded, slice(6, None)), mask[:, 6:], between)
        assert relative_error(torch.cat([first, second], dim=1)[:, places], plain) < 1e-6
        following = hidden_states(2, 3)
        assert relative_error(router(following, state=state)[0], router(following, state=last)[0]) < 1e-6

    def test_a_row_of_padding_alone(self, router):
        hidden = hidden_states(2, 5)
        mask = torch.tensor([[False] * 5, [True] * 5])
        query, state = router(hidden, mask)
        assert query.isfinite().all()
        assert torch.equal(query[1], router(hidden)[0][1])
        # The row is as good as new afterwards.
        after, _ = router(hidden, state=state)
        assert relative_error(after[0], router(hidden)[0][0]) < 1e-6

    def test_no_token_sees_a_later_one(self, router, monkeypatch):
        monkeypatch.setattr(router_module, "CHUNK", 4)
        hidden = hidden_states(1, 10)
        before, _ = router(hidden)
        for place in range(10):
            changed = [layer.clone() for layer in hidden]
            for layer in changed:
                layer[:, place] += 5.0
            after, _ = router(changed)
            assert torch.equal(after[:, :place], before[:, :place])
            assert relative_error(after[:, place], before[:, place]) > 1e-3

    def test_batch_is_single(self, router):
        hidden = hidden_states(4, 9)
        batch, _ = router(hidden)
        for row in range(4):
            single, _ = router([layer[row : row + 1] for layer in hidden])
            assert relative_error(batch[row], single[0]) < 1e-6

    def test_long_context(self, router):
        hidden = hidden_states(1, LONG)
        query, state = router(hidden)
        assert query.isfinite().all() and state.log_weight.isfinite().all()
        first, between = router(part_of(hidden, slice(0, 1_234)))
        second, _ = router(part_of(hidden, slice(1_234, None)), state=between)
        assert relative_error(torch.cat([first, second], dim=1), query) < 1e-4

    @pytest.mark.parametrize("bias", [-40.0, 40.0], ids=["forgets everything", "forgets nothing"])
    def test_long_context_at_the_ends_of_the_forget_gate(self, router, bias):
        router.forget.bias.fill_(bias)
        hidden = hidden_states(1, LONG)
        query, _ = router(hidden)
        assert query.isfinite().all()
        if bias < 0:
            for place in range(LONG - 20, LONG):
                alone, _ = router(part_of(hidden, slice(place, place + 1)))
                assert relative_error(query[:, place], alone[:, 0]) < 1e-4
        else:
            repeated, _ = router([layer[:, :1].expand(-1, LONG, -1) for layer in hidden])
            assert relative_error(repeated[:, -1], repeated[:, 0]) < 1e-4

    def test_features_are_whitened(self, router):
        hidden = hidden_states(1, 6)
        features = router.features(hidden)
        assert features.shape == (1, 6, SIZES["num_layers"] * SIZES["d_feature"])
        second = (hidden[1][0, 2] - router.mean[1]) @ router.whitening[1]
        assert relative_error(features[0, 2, SIZES["d_feature"] :], second) < 1e-6

    def test_features_are_never_wider_than_the_states(self):
        assert Router(**{**SIZES, "d_feature": 99}).whitening.shape == (2, 12, 12)

    def test_every_parameter_of_the_query_learns(self):
        torch.manual_seed(0)
        router = Router(**SIZES)
        query, _ = router(hidden_states(2, 7))
        (query * torch.randn_like(query)).sum().backward()
        silent = [name for name, p in router.named_parameters() if p.grad is None or not p.grad.any()]
        # The score's last bias moves every token alike; the others belong to the cross-attention and the subject.
        others = {name for name, _ in router.named_parameters() if name.startswith("subject.")}
        assert set(silent) <= {"log_temperature", "null_similarity", "score.2.bias", *others}


class TestRivals:
    def test_equal_the_plain_twin(self):
        torch.manual_seed(0)
        relation, of_key, background = (
            torch.nn.functional.normalize(torch.randn(num, 3), dim=-1) for num in (40, 40, 30)
        )
        got = rival_similarity(relation, of_key, background)
        for number in range(40):
            others = [row for row in background if float(row @ of_key[number]) < SAME_RELATION]
            assert float(got[number]) == pytest.approx(max(float(row @ relation[number]) for row in others), abs=1e-6)

    def test_without_a_question_of_another_kind_there_is_none(self):
        one = torch.tensor([[1.0, 0.0]])
        assert rival_similarity(one, one, one).tolist() == [-1]


def test_a_frozen_router_reads_the_layers_through_one_map():
    """The same queries, and gradients of the layers, as through the whitening and the maps behind it; and when a weight
    changes, the map does too."""
    torch.manual_seed(0)
    router = Router(**SIZES)
    router.mean.normal_()
    router.whitening.normal_()
    layers = [torch.randn(2, 5, 12, requires_grad=True) for _ in range(2)]
    mask = torch.ones(2, 5, dtype=torch.bool)
    mask[1, 3:] = False
    direction = torch.randn(2, 5, 20)

    def queries() -> tuple[Tensor, ...]:
        query, state = router(layers, mask)
        return query.detach(), state.mean.detach(), *torch.autograd.grad((query * direction).sum(), layers)

    for change in (None, router.whitening, router.mean, router.value.weight, router.forget.bias):
        if change is not None:
            with torch.no_grad():
                change.add_(torch.randn_like(change))
        expected = router.requires_grad_(True) and queries()
        got = router.requires_grad_(False) and queries()
        assert max(map(relative_error, got, expected)) < 1e-5
