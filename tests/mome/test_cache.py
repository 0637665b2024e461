"""The memory's state on a backbone's cache: every operation on the batch is done to both."""

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM, StaticCache

from mome import continuation, memory
from mome.bank import Bank
from mome.cache import load_state, store_state
from mome.continuation import Past
from mome.errors import BackboneError
from mome.lookup import Candidates
from mome.memory import Features, MemoryState
from mome.router import PoolState

BATCH = 3
BANK = Bank.empty(1, 0, 4, 4)


@pytest.fixture(scope="module")
def backbone() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=50, hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2
    )
    return LlamaForCausalLM(config).eval().requires_grad_(False)


def make_state() -> MemoryState:
    """A state whose rows tell which they are."""
    number = torch.arange(BATCH, dtype=torch.float32)
    tokens = torch.arange(2 * BATCH).view(BATCH, 2)
    newer = (torch.arange(BATCH)[:, None] + 70,)
    past = Past(tokens, tokens + 50, tokens / 10, torch.arange(BATCH), number / 10, newer=newer)
    pool = PoolState(number[:, None] + 10, number[:, None, None] + 30)
    candidates = Candidates(tokens, number[:, None, None] + 40, number[:, None, None] + 50, 2, is_ragged=False)
    unread = Features([number[:, None, None] + 60], number[:, None] > 1)
    return MemoryState(pool, past, number / 100, candidates, (unread,))


def empty_cache(backbone: LlamaForCausalLM, kind: type) -> Any:
    return kind() if kind is DynamicCache else kind(config=backbone.config, max_cache_len=16)


def fill(backbone: LlamaForCausalLM, cache: Any, num_tokens: int = 4) -> Any:
    tokens = torch.arange(BATCH * num_tokens).view(BATCH, num_tokens)
    backbone(input_ids=tokens, past_key_values=cache, use_cache=True)
    return cache


@pytest.fixture(params=[DynamicCache, StaticCache], ids=["dynamic", "static"])
def cache(request: pytest.FixtureRequest, backbone: LlamaForCausalLM) -> Any:
    """A filled cache with a state."""
    cache = fill(backbone, empty_cache(backbone, request.param))
    store_state(cache, make_state(), BANK)
    return cache


@pytest.fixture
def dynamic(backbone: LlamaForCausalLM) -> DynamicCache:
    cache = fill(backbone, DynamicCache())
    store_state(cache, make_state(), BANK)
    return cache


def assert_rows(cache: Any, keys_before: torch.Tensor, rows: list[int]) -> None:
    """Both the backbone's keys and the memory's state are those of the given rows of before."""
    state = load_state(cache, BANK)
    assert state is not None
    assert state.past.expert.tolist() == rows
    expected = make_state().take(torch.tensor(rows))
    assert torch.equal(state.past.similarity, expected.past.similarity)
    assert state.past.whole().seen.tolist() == [[2 * row, 2 * row + 1, row + 70] for row in rows]
    assert torch.equal(state.confidence, expected.confidence)
    for name in ("log_weight", "mean"):
        assert torch.equal(getattr(state.pool, name), getattr(expected.pool, name))
    numbers = torch.tensor(rows)
    assert state.unread[0].hidden[0].flatten().tolist() == (numbers + 60).tolist()
    assert state.unread[0].mask.flatten().tolist() == (numbers > 1).tolist()
    assert state.candidates.key[:, 0].tolist() == (2 * numbers).tolist()
    assert state.candidates.subject.flatten().tolist() == (numbers + 40).tolist()
    assert state.candidates.relation.flatten().tolist() == (numbers + 50).tolist()
    assert torch.equal(cache.layers[0].keys, keys_before[rows])


class TestBatchOperations:
    def test_reorder(self, cache):
        before = cache.layers[0].keys.clone()
        cache.reorder_cache(torch.tensor([2, 0, 0]))
        assert_rows(cache, before, [2, 0, 0])

    def test_select(self, dynamic):
        before = dynamic.layers[0].keys.clone()
        dynamic.batch_select_indices(torch.tensor([2, 1]))
        assert_rows(dynamic, before, [2, 1])

    def test_repeat(self, dynamic):
        before = dynamic.layers[0].keys.clone()
        dynamic.batch_repeat_interleave(2)
        assert_rows(dynamic, before, [0, 0, 1, 1, 2, 2])

    def test_one_after_another(self, dynamic):
        before = dynamic.layers[0].keys.clone()
        dynamic.batch_repeat_interleave(2)
        dynamic.reorder_cache(torch.tensor([5, 5, 0, 1, 2, 3]))
        dynamic.batch_select_indices(torch.tensor([0, 2, 4]))
        assert_rows(dynamic, before, [2, 0, 1])

    def test_reset(self, cache, backbone):
        cache.reset()
        assert load_state(cache, BANK) is None
        cache.reorder_cache(torch.tensor([0, 1, 2]))
        fill(backbone, cache)  # as long as before, with other tokens
        with pytest.raises(BackboneError, match="filled without the memory"):
            load_state(cache, BANK)
        store_state(cache, make_state(), BANK)
        assert load_state(cache, BANK) is not None

    def test_crop_is_refused(self, cache):
        before = cache.layers[0].keys.clone()
        with pytest.raises(BackboneError, match=r"cache\.crop: .*cannot be rolled back.*memory_disabled"):
            cache.crop(-1)
        assert torch.equal(cache.layers[0].keys, before)
        assert not cache.is_croppable


class TestStore:
    def test_a_cache_stays_of_its_kind(self, backbone):
        cache = fill(backbone, DynamicCache())
        before = cache.layers[0].keys.clone()
        store_state(cache, make_state(), BANK)
        kind = type(cache)
        store_state(cache, make_state(), BANK)
        assert isinstance(cache, DynamicCache) and type(cache) is kind
        assert torch.equal(cache.layers[0].keys, before)

    def test_other_caches_are_untouched(self, dynamic, backbone):
        other = fill(backbone, DynamicCache())
        assert type(other) is DynamicCache and other.is_croppable
        other.crop(-1)
        assert other.get_seq_length() == 3 and dynamic.get_seq_length() == 4

    def test_the_newest_state_counts(self, cache, backbone):
        newer = make_state().take(torch.tensor([1, 1, 1]))
        store_state(fill(backbone, cache, 1), newer, BANK)
        assert load_state(cache, BANK) is newer

    def test_a_copy_has_the_state_of_the_same_memory(self, cache):
        """As of a prompt that many answers begin with; the bank is not copied with it."""
        copied = copy.deepcopy(cache)
        state = load_state(copied, BANK)
        assert state is not None and state is not load_state(cache, BANK)
        assert torch.equal(state.past.seen, make_state().past.seen)

    def test_the_backbone_goes_on_with_the_cache(self, cache, backbone):
        tokens = torch.arange(BATCH * 4).view(BATCH, 4)
        following = torch.tensor([[7], [8], [9]])
        got = backbone(input_ids=following, past_key_values=cache).logits[:, -1]
        expected = backbone(input_ids=torch.cat([tokens, following], dim=1)).logits[:, -1]
        assert torch.allclose(got, expected, atol=1e-5)


class TestLoad:
    def test_nothing_to_load(self, backbone):
        assert load_state(None, BANK) is None
        assert load_state(DynamicCache(), BANK) is None
        assert load_state(empty_cache(backbone, StaticCache), BANK) is None

    @pytest.mark.parametrize("kind", [DynamicCache, StaticCache])
    def test_filled_without_the_memory(self, backbone, kind):
        cache = fill(backbone, empty_cache(backbone, kind))
        with pytest.raises(BackboneError, match=r"past_key_values: .*filled without the memory.*empty cache"):
            load_state(cache, BANK)

    def test_filled_with_another_bank(self, cache):
        assert load_state(cache, BANK) is not None
        with pytest.raises(BackboneError, match=r"past_key_values: .*facts of the memory were forgotten.*empty cache"):
            load_state(cache, replace(BANK))

    def test_gone_on_without_the_memory(self, cache, backbone):
        """The state is of an earlier token than the cache's last: a router that missed some would go wrong unseen."""
        assert load_state(cache, BANK) is not None
        fill(backbone, cache, 1)
        with pytest.raises(BackboneError, match="filled without the memory"):
            load_state(cache, BANK)


def experts_and_state(model, tokens: list[int], num_asked: int | None, reused: torch.Tensor | None) -> tuple:
    """The expert of every token, fed one by one, and the state behind them."""
    experts, cache = [], None
    with torch.no_grad(), model.asked(num_asked):
        for token in tokens:
            given = torch.tensor([[token]]) if reused is None else reused.fill_(token)
            cache = model(input_ids=given, past_key_values=cache, use_cache=True).past_key_values
            experts.append(int(model.last_routing.expert))
    return experts, cache.memory_state


@pytest.mark.parametrize("is_asked", [True, False])
def test_a_caller_may_write_over_the_tokens(taught, is_asked):
    """As loops do that run one graph over one buffer."""
    model, joiner = taught.reopen(), taught.joiner
    for fact in taught.facts[:6]:
        prompt = joiner.encode_prompt(fact.prompt)
        tokens = prompt + joiner.encode_answer(fact.prompt, fact.answer)
        num_asked = len(prompt) if is_asked else None
        expected, state = experts_and_state(model, tokens, num_asked, None)
        got, of_buffer = experts_and_state(model, tokens, num_asked, torch.zeros(1, 1, dtype=torch.int64))
        assert got == expected and max(expected) >= 0
        assert of_buffer.past.whole().seen.tolist() == state.past.whole().seen.tolist() == [tokens]


def test_a_long_text_is_kept_in_few_pieces(taught, monkeypatch):
    """Or every step would cost the more the longer the text is."""
    monkeypatch.setattr(continuation, "MAX_NEWER", 4)
    monkeypatch.setattr(memory, "MAX_NEWER", 4)
    model = taught.reopen()
    tokens = [5 + number % 40 for number in range(30)]
    for num_asked in (None, 1):  # with the index searched at every token, and idle behind the first one
        _, state = experts_and_state(model, tokens, num_asked, None)
        assert len(state.past.newer) <= 4 and state.past.whole().seen.tolist() == [tokens]
        assert len(state.unread) <= 5
        if state.unread:
            assert sum(part.hidden[0].shape[1] for part in state.unread) == 29
    assert state.unread
