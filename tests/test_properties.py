"""The properties that must hold, each shown on a tiny backbone; a number in a test's name is the property's.

Properties 9 and 10, which concern teaching alone, stand in test_properties_teaching.py.

Shapes: B batch, T tokens, D hidden width, V vocabulary.
"""

import shutil
from collections.abc import Iterable
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedModel

import mome.memorize
from mome.allocate import encode_facts
from mome.bank import Bank
from mome.config import MoMEConfig
from mome.decoder import fingerprint
from mome.errors import BackboneError, CheckpointError
from mome.joining import right_pad
from mome.ledger import Ledger
from mome.memory import CLOSED
from mome.modeling import MoMEForCausalLM
from mome.write import write
from train.answers import generate_answers, generate_ids, left_pad
from train.memorize import memorize_all

# Above every similarity: no key passes.
SHUT = 2.0
UNRELATED = "It rained all morning, and the ferry to the island did not leave."


def taught_texts(taught) -> list[list[int]]:
    """Token ids of taught prompts with their answers, which differ in length."""
    prompts, answers = encode_facts(taught.facts, taught.joiner, None)
    return [prompt + answer for prompt, answer in zip(prompts, answers, strict=True)][:8]


def longer_texts(taught) -> list[list[int]]:
    """The same, going on with a sentence that was not taught."""
    return [text + taught.joiner.tokenizer(UNRELATED).input_ids for text in taught_texts(taught)]


def prompt_ids(taught) -> list[list[int]]:
    return [taught.joiner.encode_prompt(fact.prompt) for fact in taught.facts]


def positions_of(mask: Tensor) -> Tensor:
    return (mask.cumsum(-1) - 1).clamp_min(0)


def bare_backbone(folder: Path) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(folder).eval()


@torch.no_grad()
def run_in_pieces(model: MoMEForCausalLM, tokens: Tensor, mask: Tensor, bounds: Iterable[int]) -> tuple[Tensor, Tensor]:
    """Logits `[B, T, V]` and experts `[B, T]` from cached forwards over the pieces between the bounds."""
    cache, logits, experts = None, [], []
    for start, stop in pairwise(bounds):
        output = model(tokens[:, start:stop], attention_mask=mask[:, :stop], past_key_values=cache, use_cache=True)
        cache = output.past_key_values
        logits.append(output.logits)
        experts.append(model.last_routing.expert)
    return torch.cat(logits, 1), torch.cat(experts, 1)


@torch.no_grad()
def run_whole(model: MoMEForCausalLM, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    logits = model(tokens, attention_mask=mask, use_cache=False).logits
    return logits, model.routing(tokens, mask).expert


def assert_close(got: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)


def recall(model: MoMEForCausalLM, taught) -> float:
    said = generate_answers(model, taught.joiner, [fact.prompt for fact in taught.facts])
    return sum(text == fact.answer for text, fact in zip(said, taught.facts, strict=True)) / len(said)


# 1. Frozen.


def test_property_01_teaching_and_answering_change_no_backbone_tensor(taught_at, backbone_folder):
    assert recall(taught_at.model, taught_at) == 1.0
    before, after = bare_backbone(backbone_folder).state_dict(), taught_at.model.backbone.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(p.requires_grad for p in taught_at.model.backbone.parameters())


def test_property_01_a_checkpoint_holds_no_backbone_tensor(taught, tmp_path):
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=5000, hidden_size=64, intermediate_size=1024, num_hidden_layers=7, num_attention_heads=4
    )
    larger = LlamaForCausalLM(config)
    model = taught.model
    own = MoMEConfig.from_dict({**model.config.to_dict(), "fingerprint": fingerprint(larger)})
    larger_memory = MoMEForCausalLM(own, larger, model.router, model.bank, model.ledger)
    larger_memory.save_pretrained(tmp_path / "larger")
    for name in ("router", "experts", "keys"):
        small, large = (folder / f"{name}.safetensors" for folder in (taught.folder, tmp_path / "larger"))
        assert small.stat().st_size == large.stat().st_size
        with safe_open(large, "pt") as file:
            names = set(file.keys())
        assert not names & larger.state_dict().keys()
    total = sum(path.stat().st_size for path in (tmp_path / "larger").iterdir())
    assert total < sum(p.numel() for p in larger.parameters()) / 2


# 2. Silent when closed.


@torch.no_grad()
@pytest.mark.parametrize("cached", [False, True], ids=["whole", "cached"])
def test_property_02_a_closed_gate_leaves_every_logit_bit_identical(taught_at, backbone_folder, cached):
    model, bare = taught_at.reopen(), bare_backbone(backbone_folder)
    model.gate.null_similarity = SHUT
    tokens, mask = left_pad(longer_texts(taught_at), taught_at.joiner.tokenizer)
    positions, caches = positions_of(mask), [None, None]
    length = tokens.shape[1]
    for start, stop in pairwise([0, length // 2, length // 2 + 1, length] if cached else [0, length]):
        given = {"attention_mask": mask[:, :stop], "position_ids": positions[:, start:stop], "use_cache": cached}
        outputs = [
            m(input_ids=tokens[:, start:stop], past_key_values=cache, **given)
            for m, cache in zip((model, bare), caches, strict=True)
        ]
        caches = [output.past_key_values for output in outputs]
        assert torch.equal(outputs[0].logits, outputs[1].logits)


@torch.no_grad()
def test_property_02_tokens_without_an_expert_keep_their_logits_bit_for_bit(taught, backbone_folder):
    tokens, mask = left_pad(longer_texts(taught), taught.joiner.tokenizer)
    given = {"input_ids": tokens, "attention_mask": mask, "position_ids": positions_of(mask)}
    ours, bare = taught.model(**given).logits, bare_backbone(backbone_folder)(**given).logits
    silent = taught.model.routing(tokens, mask).expert == CLOSED
    assert torch.equal(ours[silent], bare[silent])
    assert silent.sum() > mask.numel() / 3
    assert (ours != bare).any(-1)[~silent].all()


@torch.no_grad()
def test_property_02_a_disabled_memory_is_the_bare_backbone(taught_at, backbone_folder):
    tokens, mask = left_pad(longer_texts(taught_at), taught_at.joiner.tokenizer)
    bare = bare_backbone(backbone_folder)
    with taught_at.model.memory_disabled():
        logits = taught_at.model(tokens, attention_mask=mask).logits
        said = generate_ids(taught_at.model, taught_at.joiner.tokenizer, prompt_ids(taught_at), [6] * 20)
    assert torch.equal(logits, bare(tokens, attention_mask=mask).logits)
    assert said == generate_ids(bare, taught_at.joiner.tokenizer, prompt_ids(taught_at), [6] * 20)


# 3. Causal and streaming.


@pytest.mark.parametrize("side", ["left", "right"])
def test_property_03_prefill_and_cached_steps_equal_one_forward(taught_at, side):
    texts = longer_texts(taught_at)
    tokens, mask = left_pad(texts, taught_at.joiner.tokenizer) if side == "left" else right_pad(texts)
    logits, experts = run_whole(taught_at.model, tokens, mask)
    length, real = tokens.shape[1], mask.bool()
    assert len(experts[real & (experts != CLOSED)].unique()) > 20
    steps, prefilled, chunks = range(length + 1), [0, *range(12, length + 1)], [*range(0, length, 7), length]
    for bounds in (steps, prefilled, chunks):
        stepped, chosen = run_in_pieces(taught_at.model, tokens, mask, bounds)
        assert torch.equal(chosen[real], experts[real])
        assert_close(stepped[real], logits[real])


def test_property_03_no_token_depends_on_a_later_one(taught_at):
    text = longer_texts(taught_at)[0]
    half = len(text) // 2
    tokens = torch.tensor([text, text[:half] + text[:1] + text[half:-1]])
    logits, experts = run_whole(taught_at.model, tokens, torch.ones_like(tokens))
    _, queries, _ = taught_at.model.observe(tokens, torch.ones_like(tokens))
    assert torch.equal(experts[0, :half], experts[1, :half])
    assert_close(queries[0, :half], queries[1, :half])
    assert_close(logits[0, :half], logits[1, :half])
    assert (queries[0, half:] - queries[1, half:]).abs().amax(-1).min() > 1e-2


def test_property_03_padding_and_batching_change_nothing(taught_at):
    texts = longer_texts(taught_at)
    left, left_mask = left_pad(texts, taught_at.joiner.tokenizer)
    right, right_mask = right_pad(texts)
    assert len(set(map(len, texts))) > 3
    padded = [run_whole(taught_at.model, left, left_mask), run_whole(taught_at.model, right, right_mask)]
    for row, text in enumerate(texts):
        alone = torch.tensor([text])
        logits, experts = run_whole(taught_at.model, alone, torch.ones_like(alone))
        for (batch_logits, batch_experts), mask in zip(padded, (left_mask, right_mask), strict=True):
            real = mask[row].bool()
            assert torch.equal(batch_experts[row, real], experts[0])
            assert_close(batch_logits[row, real], logits[0])


def test_property_03_padding_between_prompt_and_answer_changes_nothing(taught_at):
    """A batch of prompts padded on the right and then gone on with: the running state waits at every padding token."""
    prompts, answers = (part[:8] for part in encode_facts(taught_at.facts, taught_at.joiner, None))
    pieces = [right_pad(prompts), right_pad(answers)]
    tokens, mask = (torch.cat([piece[i] for piece in pieces], 1) for i in (0, 1))
    start, length = pieces[0][0].shape[1], tokens.shape[1]
    runs = [run_whole(taught_at.model, tokens, mask)]
    runs += [run_in_pieces(taught_at.model, tokens, mask, bounds) for bounds in ([0, start, length], range(length + 1))]
    for row, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        alone = torch.tensor([prompt + answer])
        logits, experts = run_whole(taught_at.model, alone, torch.ones_like(alone))
        assert (experts[0, len(prompt) - 1 : -1] != CLOSED).all()
        for padded_logits, padded_experts in runs:
            real = mask[row].bool()
            assert torch.equal(padded_experts[row, real], experts[0])
            assert_close(padded_logits[row, real], logits[0])


def test_property_03_greedy_answers_are_the_same_in_a_batch_alone_and_without_a_cache(taught_at):
    model, tokenizer = taught_at.model, taught_at.joiner.tokenizer
    prompts = prompt_ids(taught_at)[:6]
    together = generate_ids(model, tokenizer, prompts, [12] * 6)
    assert [taught_at.joiner.decode(ids) for ids in together] == [fact.answer for fact in taught_at.facts[:6]]
    for prompt, answer in zip(prompts, together, strict=True):
        assert generate_ids(model, tokenizer, [prompt], [12]) == [answer]
        output = model.generate(torch.tensor([prompt]), max_new_tokens=12, do_sample=False, use_cache=False)
        assert output[0, len(prompt) :].tolist() == answer


def test_property_03_beam_search_with_a_cache_finds_what_it_finds_without(taught_at):
    tokens, mask = left_pad(prompt_ids(taught_at)[:6], taught_at.joiner.tokenizer)
    settings = {"num_beams": 3, "num_return_sequences": 3, "max_new_tokens": 10, "do_sample": False, "pad_token_id": 1}
    quick, slow = (
        taught_at.model.generate(input_ids=tokens, attention_mask=mask, use_cache=use_cache, **settings)
        for use_cache in (True, False)
    )
    assert torch.equal(quick, slow)
    lengths = [len(taught_at.joiner.encode_answer(fact.prompt, fact.answer)) for fact in taught_at.facts[:6]]
    assert len(set(lengths)) > 1
    best = [taught_at.joiner.decode(row[tokens.shape[1] :].tolist()) for row in quick[::3]]
    assert best == [fact.answer for fact in taught_at.facts[:6]]


@torch.no_grad()
@pytest.mark.parametrize("how", ["reorder_cache", "batch_select_indices", "batch_repeat_interleave"])
def test_property_03_the_running_state_moves_with_the_cache(taught_at, how):
    """Rows stand inside answers of their own, so that each one's next expert is another."""
    texts = taught_texts(taught_at)[:4]
    tokens, mask = left_pad([text[:-2] for text in texts], taught_at.joiner.tokenizer)
    following = torch.tensor([text[-2] for text in texts])
    order = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3] if how == "batch_repeat_interleave" else [2, 0, 3, 0])
    cache = taught_at.model(tokens, attention_mask=mask, use_cache=True).past_key_values
    getattr(cache, how)(2 if how == "batch_repeat_interleave" else order)
    grown = torch.cat([mask, mask.new_ones(len(mask), 1)], 1)
    step = taught_at.model(following[order][:, None], attention_mask=grown[order], past_key_values=cache)
    experts = taught_at.model.last_routing.expert[:, 0]
    logits, whole = run_whole(taught_at.model, torch.cat([tokens, following[:, None]], 1), grown)
    assert len(whole[:, -1].unique()) == 4
    assert (whole[:, -1] != CLOSED).all()
    assert torch.equal(experts, whole[order, -1])
    assert_close(step.logits[:, 0], logits[order, -1])


# 4. Routing does not depend on memory contents.


def test_property_04_queries_do_not_depend_on_the_memorys_contents(taught_at):
    model = taught_at.reopen()
    tokens, mask = right_pad(longer_texts(taught_at))
    _, queries, _ = model.observe(tokens, mask)
    with torch.no_grad():
        logits = model(tokens, attention_mask=mask).logits
    bank, noise = model.bank, torch.Generator().manual_seed(0)
    for up in (torch.zeros_like(bank.up), torch.randn(bank.up.shape, generator=noise)):
        model.set_bank(replace(bank, up=up))
        with torch.no_grad():
            changed = model(tokens, attention_mask=mask).logits
        assert torch.equal(model.observe(tokens, mask)[1], queries)
        assert not torch.equal(changed, logits)
    model.set_bank(replace(bank, keys=bank.keys.flip(0)))
    assert torch.equal(model.observe(tokens, mask)[1], queries)


# 5. The experts matter.


def test_property_05_zeroed_experts_bring_back_the_backbones_answers(taught_at, backbone_folder):
    model, tokenizer = taught_at.reopen(), taught_at.joiner.tokenizer
    model.set_bank(replace(model.bank, up=torch.zeros_like(model.bank.up)))
    prompts, num_new = prompt_ids(taught_at), [10] * len(taught_at.facts)
    bare = generate_ids(bare_backbone(backbone_folder), tokenizer, prompts, num_new)
    assert generate_ids(model, tokenizer, prompts, num_new) == bare
    assert recall(model, taught_at) == 0.0


def test_property_05_shuffled_keys_lose_the_facts(taught_at):
    model = taught_at.reopen()
    assert recall(model, taught_at) == 1.0
    bank = model.bank
    model.set_bank(replace(bank, keys=bank.keys.roll(1, 0), subject=bank.subject.roll(1, 0)))
    assert recall(model, taught_at) == 0.0


# 6. Save and load are exact; tests/mome/test_checkpoint.py has every kind of damage.


@torch.no_grad()
def test_property_06_a_loaded_memory_gives_the_same_logits(taught_at):
    loaded = taught_at.reopen()
    tokens, mask = left_pad(longer_texts(taught_at), taught_at.joiner.tokenizer)
    assert torch.equal(loaded(tokens, attention_mask=mask).logits, taught_at.model(tokens, attention_mask=mask).logits)
    for field in fields(Bank):
        saved, got = getattr(taught_at.model.bank, field.name), getattr(loaded.bank, field.name)
        assert got.dtype == saved.dtype
        assert torch.equal(got, saved)
    assert all(torch.equal(v, loaded.router.state_dict()[k]) for k, v in taught_at.model.router.state_dict().items())
    assert list(loaded.ledger.facts) == taught_at.facts


def test_property_06_a_wrong_backbone_and_a_damaged_file_are_errors(taught, backbone_folder, tmp_path):
    other = bare_backbone(backbone_folder)
    with torch.no_grad():
        other.model.layers[1].mlp.up_proj.weight[3, 3] += 1
        other.model.layers[1].mlp.up_proj.weight += 0.01
    with pytest.raises(BackboneError, match="taught for backbone"):
        MoMEForCausalLM.from_pretrained(taught.folder, backbone=other)
    folder = shutil.copytree(taught.folder, tmp_path / "copy")
    data = (folder / "experts.safetensors").read_bytes()
    (folder / "experts.safetensors").write_bytes(data[:-1])
    with pytest.raises(CheckpointError, match=r"experts\.safetensors: damaged: expected \d+ bytes, got \d+; restore"):
        MoMEForCausalLM.from_pretrained(folder)


# 7. The index is a cache.


@pytest.mark.parametrize("kind", ["Flat", "IVF4,Flat"])
@pytest.mark.parametrize("damage", ["deleted", "emptied", "truncated", "flipped", "foreign"])
def test_property_07_a_lost_index_is_rebuilt_from_the_keys(taught, tmp_path, kind, damage):
    model = taught.model
    config = MoMEConfig.from_dict({**model.config.to_dict(), "index": kind})
    saved = MoMEForCausalLM(config, bare_backbone(Path(config.backbone)), model.router, model.bank, model.ledger)
    saved.save_pretrained(tmp_path / "memory")
    path = tmp_path / "memory" / "index.faiss"
    data = path.read_bytes()
    if damage == "deleted":
        path.unlink()
    elif damage == "foreign":
        saved.set_bank(replace(model.bank, keys=model.bank.keys.roll(1, 0)))
        saved.index.write(path)
    else:
        half = len(data) // 2
        flipped = data[:half] + bytes([data[half] ^ 1]) + data[half + 1 :]
        path.write_bytes({"emptied": b"", "truncated": data[:half], "flipped": flipped}[damage])
    loaded = MoMEForCausalLM.from_pretrained(tmp_path / "memory")
    loaded.index.write(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == data
    assert recall(loaded, taught) == 1.0


# 8. Teaching touches only its own rows.


def test_property_08_facts_taught_later_leave_earlier_rows_as_they_are(taught, teach_memory, backbone_folder):
    parts = taught.facts[:8], taught.facts[8:]
    first, second = (teach_memory(backbone_folder, part, router=taught.model.router) for part in parts)
    model = first.reopen()
    before = {field.name: getattr(model.bank, field.name).clone() for field in fields(Bank)}
    answers = generate_answers(model, taught.joiner, [fact.prompt for fact in first.facts])
    num_experts = model.bank.num_experts
    model.bank.append(second.model.bank)
    model.set_bank(model.bank)
    model.ledger = Ledger(taught.facts)
    for name, rows in before.items():
        assert torch.equal(getattr(model.bank, name)[: len(rows)], rows)
    for name in ("down", "up", "token"):
        assert torch.equal(getattr(model.bank, name)[num_experts:], getattr(second.model.bank, name))
    assert generate_answers(model, taught.joiner, [fact.prompt for fact in first.facts]) == answers
    assert recall(model, taught) == 1.0
    prompts, taught_answers = encode_facts(taught.facts, taught.joiner, None)
    for prompt, answer, fact in zip(prompts, taught_answers, taught.facts, strict=True):
        assert model.trace(torch.tensor([prompt + answer]))[0][-1].fact_id == fact.id


def test_property_08_a_learned_fact_rests_while_others_are_written(taught, write_settings, tmp_path, monkeypatch):
    """The experts of a fact that leaves are those with which its margins were last measured."""
    last_seen, num_calls = {}, []

    def watched_write(logits_of, target, fact, down, up, *rest):
        def watched(rows: Tensor, down: Tensor, up: Tensor, blended: bool) -> Tensor:
            if not blended:
                num_calls.append(len(rows))
                for row, *tables in zip(rows.tolist(), down.detach().clone(), up.detach().clone(), strict=True):
                    last_seen[row] = tables
            return logits_of(rows, down, up, blended)

        return write(watched, target, fact, down, up, *rest)

    monkeypatch.setattr(mome.memorize, "write", watched_write)
    bank, written = memorize_all(taught.model, taught.joiner, taught.facts, write_settings, tmp_path, seed=0)
    assert num_calls == sorted(num_calls, reverse=True)
    assert len(written["num_steps"].unique()) > 5
    for row in range(bank.num_experts):
        assert torch.equal(bank.down[row], last_seen[row][0])
        assert torch.equal(bank.up[row], last_seen[row][1])
