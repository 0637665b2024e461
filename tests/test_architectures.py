"""Every decoder architecture that the README names: taught, saved, loaded, and asked by `generate()`."""

from pathlib import Path

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, PreTrainedConfig

from mome.decoder import find_layers
from mome.errors import BackboneError
from mome.modeling import MoMEForCausalLM
from train.answers import left_pad
from train.verify import evaluate

# What a small model of each kind needs besides its vocabulary; random weights spread as those of `backbone_folder`.
LLAMA_LIKE = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4}
GROUPED = {**LLAMA_LIKE, "num_key_value_heads": 2, "head_dim": 16}
KINDS = {
    "llama": GROUPED,
    "qwen2": {**LLAMA_LIKE, "num_key_value_heads": 2},
    "qwen3": GROUPED,
    "mistral": {**GROUPED, "sliding_window": 32},
    "gemma": GROUPED,
    "gemma2": {**GROUPED, "sliding_window": 32},
    "gpt2": {"n_embd": 64, "n_layer": 3, "n_head": 4},
    "gpt_neox": LLAMA_LIKE,
    "opt": {**LLAMA_LIKE, "ffn_dim": 128, "word_embed_proj_dim": 64},
    "phi": LLAMA_LIKE,
    "mixtral": {**GROUPED, "num_local_experts": 2},
    "falcon": {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4},
    "bloom": {"hidden_size": 64, "n_layer": 3, "n_head": 4},
    "gptj": {"n_embd": 64, "n_layer": 3, "n_head": 4, "rotary_dim": 16},
}


def config_of(kind: str, tokenizer) -> PreTrainedConfig:
    spread = {"init_std": 0.2} if kind == "opt" else {"initializer_range": 0.2}
    ends = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 1}
    return CONFIG_MAPPING[kind](vocab_size=len(tokenizer), **KINDS[kind], **spread, **ends)


@pytest.fixture(scope="module", params=KINDS)
def taught_kind(request, tokenizer, teach_memory, facts, tmp_path_factory):
    """A memory taught to a random model of one architecture."""
    torch.manual_seed(0)
    backbone = AutoModelForCausalLM.from_config(config_of(request.param, tokenizer))
    folder = tmp_path_factory.mktemp(request.param) / "backbone"
    backbone.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return teach_memory(folder, facts)


def test_a_loaded_checkpoint_recalls_every_fact_by_generate(taught_kind):
    loaded = MoMEForCausalLM.from_pretrained(taught_kind.folder)
    measured = evaluate(loaded, taught_kind.joiner, taught_kind.facts)
    assert [failure for failure in measured.failures if failure["kind"] == "recall"] == []
    assert measured.recall == 1.0
    with loaded.memory_disabled():
        assert evaluate(loaded, taught_kind.joiner, taught_kind.facts).recall == 0.0


@torch.no_grad()
def test_logits_are_the_saved_ones_and_with_the_memory_off_the_bare_ones(taught_kind):
    loaded = MoMEForCausalLM.from_pretrained(taught_kind.folder)
    prompts = [taught_kind.joiner.encode_prompt(fact.prompt) for fact in taught_kind.facts]
    tokens, mask = left_pad(prompts, taught_kind.joiner.tokenizer)
    given = {"input_ids": tokens, "attention_mask": mask}
    saved = taught_kind.model(**given).logits
    assert torch.equal(loaded(**given).logits, saved)
    bare = AutoModelForCausalLM.from_pretrained(Path(taught_kind.model.config.backbone)).eval()
    with loaded.memory_disabled():
        off = loaded(**given).logits
    assert torch.equal(off, bare(**given).logits)
    assert not torch.equal(off[:, -1], saved[:, -1])


@torch.no_grad()
def test_cached_steps_and_padding_change_nothing(taught_kind):
    model, joiner = taught_kind.model, taught_kind.joiner
    assert len(find_layers(model.backbone)) == 3
    texts = [joiner.encode_prompt(f.prompt) + joiner.encode_answer(f.prompt, f.answer) for f in taught_kind.facts[:6]]
    tokens, mask = left_pad(texts, joiner.tokenizer)
    cache, stepped, experts = None, [], []
    for stop in range(1, tokens.shape[1] + 1):
        output = model(tokens[:, stop - 1 : stop], attention_mask=mask[:, :stop], past_key_values=cache, use_cache=True)
        cache = output.past_key_values
        stepped.append(output.logits)
        experts.append(model.last_routing.expert)
    stepped, experts = torch.cat(stepped, 1), torch.cat(experts, 1)
    for row, text in enumerate(texts):
        alone = torch.tensor([text])
        logits, real = model(alone, use_cache=False).logits[0], mask[row].bool()
        assert torch.equal(experts[row, real], model.routing(alone).expert[0])
        torch.testing.assert_close(stepped[row, real], logits, rtol=1e-3, atol=1e-3)


def test_a_recurrent_model_is_refused(taught):
    """Its own kind of cache would not carry the memory's state, and answers would be wrong without a word."""
    backbone = AutoModelForCausalLM.from_config(CONFIG_MAPPING["mamba"](hidden_size=64, num_hidden_layers=3))
    with pytest.raises(BackboneError, match="MambaForCausalLM: expected a transformer with `past_key_values`"):
        MoMEForCausalLM(taught.model.config, backbone, taught.model.router)
