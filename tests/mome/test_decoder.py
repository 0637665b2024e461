"""Layers, tail and fingerprint over families of backbones, and what is said when one cannot be loaded.

Shapes: B batch, T tokens, P positions (B times T), D hidden width, V vocabulary.
"""

import copy
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from mome.decoder import (
    SAMPLES_PER_TENSOR,
    Tail,
    find_layers,
    fingerprint,
    hidden_of,
    load_backbone,
    load_tokenizer,
    max_context,
    with_hidden,
)
from mome.errors import BackboneError

NUM_WORDS, D_MODEL, NUM_LAYERS, CONTEXT = 97, 32, 3, 64
WIDE = {
    "vocab_size": NUM_WORDS,
    "hidden_size": D_MODEL,
    "intermediate_size": 48,
    "num_hidden_layers": NUM_LAYERS,
    "num_attention_heads": 4,
    "max_position_embeddings": CONTEXT,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 1,
}
GROUPED = WIDE | {"num_key_value_heads": 2}
GEMMA = GROUPED | {"head_dim": 8}
OPT = {**WIDE, "ffn_dim": 48, "word_embed_proj_dim": D_MODEL}
FAMILIES = {
    "llama": GROUPED,
    "qwen2": GROUPED,
    "mistral": GROUPED,
    "gemma": GEMMA,
    "gemma2": GEMMA | {"final_logit_softcapping": 0.5},
    "gpt2": {**WIDE, "n_embd": D_MODEL, "n_layer": NUM_LAYERS, "n_head": 4, "n_positions": CONTEXT},
    "gpt_neox": WIDE,
    "opt": OPT,
    "opt with another embedding width": OPT | {"word_embed_proj_dim": 16},
    "phi": GROUPED,
    "cohere": GROUPED | {"logit_scale": 0.3},
    "granite": GROUPED | {"logits_scaling": 3.0, "embedding_multiplier": 2.0, "residual_multiplier": 0.5},
    "mixtral": GROUPED | {"num_local_experts": 4},
    "bloom": {"vocab_size": NUM_WORDS, "hidden_size": D_MODEL, "n_layer": NUM_LAYERS, "n_head": 4},
}


def make_backbone(family: str = "llama", seed: int = 0, **changes) -> PreTrainedModel:
    torch.manual_seed(seed)
    config = AutoConfig.for_model(family.split()[0], **{**FAMILIES[family], **changes})
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():  # norms too, so that a tail without them is noticed
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.eval().requires_grad_(False)


def relative_error(got: Tensor, expected: Tensor) -> float:
    return float((got.double() - expected.double()).norm() / expected.double().norm())


def run(backbone: PreTrainedModel, replace: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Outputs of the last layer `[P, D]` and logits `[P, V]` of a forward, or of one whose last output is replaced."""
    seen = []

    def hook(_module: nn.Module, _args: tuple, output: Tensor | tuple) -> Tensor | tuple:
        seen.append(hidden_of(output))
        return output if replace is None else with_hidden(output, replace.view_as(seen[0]))

    handle = find_layers(backbone)[-1].register_forward_hook(hook)
    tokens = torch.randint(NUM_WORDS, (2, 5), generator=torch.Generator().manual_seed(0))
    logits = backbone(input_ids=tokens).logits
    handle.remove()
    return seen[0].flatten(0, 1), logits.flatten(0, 1)


@pytest.fixture(scope="module", params=FAMILIES)
def backbone(request: pytest.FixtureRequest) -> PreTrainedModel:
    return make_backbone(request.param)


@pytest.fixture(scope="module")
def llama() -> PreTrainedModel:
    return make_backbone()


class TestLayers:
    def test_all_decoder_layers_are_found(self, backbone):
        layers = find_layers(backbone)
        assert len(layers) == backbone.config.num_hidden_layers == NUM_LAYERS

    def test_the_largest_list_wins(self):
        """A vision tower, or the experts within a layer, are lists too."""

        def layers(count: int, width: int) -> nn.ModuleList:
            return nn.ModuleList(nn.Linear(width, width) for _ in range(count))

        class Layer(nn.Module):
            def __init__(self):
                super().__init__()
                self.experts = layers(8, 8)

        decoder = nn.ModuleList(Layer() for _ in range(4))
        backbone = nn.ModuleDict({"tower": layers(9, 8), "decoder": decoder, "names": nn.ModuleList()})
        assert find_layers(backbone) is decoder

    @pytest.mark.parametrize(
        "backbone",
        [nn.Linear(2, 2), nn.ModuleList(), nn.ModuleList([nn.GELU()]), nn.ModuleList([nn.Linear(2, 2), nn.GELU()])],
        ids=["no list", "empty", "no weights", "not alike"],
    )
    def test_no_list(self, backbone):
        with pytest.raises(BackboneError, match="expected a decoder-only model with a list of like layers, found none"):
            find_layers(nn.Sequential(backbone))

    def test_hidden_states_in_and_out(self):
        hidden, other = torch.zeros(1, 2, 3), torch.ones(1, 2, 3)
        assert hidden_of(hidden) is hidden and hidden_of((hidden, "weights")) is hidden
        assert with_hidden(hidden, other) is other
        assert with_hidden((hidden, "weights"), other) == (other, "weights")


class TestTail:
    def test_equals_the_backbone(self, backbone):
        hidden, logits = run(backbone)
        got = Tail(backbone)(hidden)
        assert got.shape == (10, NUM_WORDS) and got.dtype == torch.float32
        assert relative_error(got, logits) < 1e-6

    def test_equals_the_backbone_in_bf16(self, backbone):
        """From states kept in fp32, as teaching keeps them."""
        backbone = copy.deepcopy(backbone).to(torch.bfloat16)
        hidden, logits = run(backbone)
        got = Tail(backbone)(hidden.float())
        assert got.dtype == torch.float32
        assert relative_error(got, logits) < 1e-3

    def test_gradients_equal_the_backbone_s(self, backbone):
        hidden, logits = run(backbone)
        direction = torch.randn_like(logits)
        leaf, twin = (hidden.detach().clone().requires_grad_() for _ in range(2))
        (got,) = torch.autograd.grad((Tail(backbone)(leaf) * direction).sum(), leaf)
        (expected,) = torch.autograd.grad((run(backbone, replace=twin)[1] * direction).sum(), twin)
        assert got.any() and relative_error(got, expected) < 1e-5

    def test_gradients_reach_fp32_states_through_a_bf16_backbone(self):
        backbone = make_backbone().to(torch.bfloat16)
        leaf = torch.randn(4, D_MODEL, requires_grad=True)
        Tail(backbone)(leaf).square().sum().backward()
        assert leaf.grad is not None and leaf.grad.dtype == torch.float32 and leaf.grad.any(1).all()

    def test_the_cap_on_logits_is_there(self):
        tail = Tail(make_backbone("gemma2"))
        assert 0.4 < float(tail(torch.randn(20, D_MODEL)).abs().max()) <= 0.5

    def test_rows_do_not_touch_each_other(self, llama):
        tail, hidden = Tail(llama), torch.randn(6, D_MODEL)
        before = tail(hidden)
        hidden[2] += 1.0
        assert (tail(hidden) != before).any(1).tolist() == [row == 2 for row in range(6)]

    def test_the_layers_are_as_before(self, backbone):
        hidden, logits = run(backbone)
        Tail(backbone)(hidden)
        assert not any("forward" in vars(layer) for layer in find_layers(backbone))
        assert torch.equal(run(backbone)[1], logits)

    def test_the_layers_are_as_before_after_an_error(self, llama):
        tail = Tail(llama)
        _, logits = run(llama)
        with pytest.raises(RuntimeError):
            tail(torch.randn(2, D_MODEL + 1))
        assert not any("forward" in vars(layer) for layer in find_layers(llama))
        assert torch.equal(run(llama)[1], logits)
        assert not any(layer._forward_hooks for layer in find_layers(llama))

    def test_a_layer_that_another_library_has_wrapped(self):
        """Libraries that spread a model over devices put a `forward` of their own on each layer."""
        backbone = make_backbone()
        wrapped: list[Callable] = []
        for layer in find_layers(backbone):
            layer.forward = lambda *args, _forward=layer.forward, **kwargs: _forward(*args, **kwargs)
            wrapped.append(layer.forward)
        hidden, logits = run(backbone)
        assert relative_error(Tail(backbone)(hidden), logits) < 1e-6
        assert [layer.forward for layer in find_layers(backbone)] == wrapped


class TestFingerprint:
    def test_equal_weights(self, backbone):
        assert fingerprint(backbone) == fingerprint(copy.deepcopy(backbone))

    def test_equal_weights_in_another_precision(self, backbone):
        half = copy.deepcopy(backbone).to(torch.bfloat16)
        assert fingerprint(half) == fingerprint(backbone)
        assert fingerprint(half.float()) == fingerprint(backbone)

    def test_other_weights(self):
        assert fingerprint(make_backbone(seed=0)) != fingerprint(make_backbone(seed=1))

    @pytest.mark.parametrize("number", range(NUM_LAYERS))
    def test_one_layer_changed(self, llama, number):
        changed = copy.deepcopy(llama)
        for parameter in find_layers(changed)[number].parameters():
            parameter.mul_(1.5)
        assert fingerprint(changed) != fingerprint(llama)

    def test_every_tensor_counts(self, llama):
        changed, digests = copy.deepcopy(llama), {fingerprint(llama)}
        for weight in changed.state_dict().values():
            weight += 1.0
            digests.add(fingerprint(changed))
        assert len(digests) == 1 + len(llama.state_dict())

    def test_names_and_shapes_count(self):
        assert len({fingerprint(m) for m in (nn.Linear(4, 6), nn.Linear(6, 4), nn.Sequential(nn.Linear(4, 6)))}) == 3
        blank = [nn.Linear(4, 6, bias=False), nn.Linear(6, 4, bias=False), nn.Sequential(nn.Linear(4, 6, bias=False))]
        for module in blank:
            nn.init.zeros_(next(module.parameters()))
        assert len(set(map(fingerprint, blank))) == 3

    @pytest.mark.parametrize("size", [1, 4_095, 4_096, 4_097, 8_191, 50_000])
    def test_samples_are_bounded(self, size):
        """A value counts when it stands at a multiple of the step, and no more values count than promised."""
        module = nn.Linear(size, 1, bias=False)
        values = torch.arange(size, dtype=torch.float32)
        module.weight.data = values[None] % 251
        step = -(-size // SAMPLES_PER_TENSOR)
        sample = (values[::step] % 251).to(torch.bfloat16)
        assert len(sample) <= SAMPLES_PER_TENSOR
        digest = hashlib.sha256(f"weight(1, {size})".encode() + sample.view(torch.int16).numpy().tobytes())
        assert fingerprint(module) == digest.hexdigest()

    def test_is_fixed(self):
        """Written out: were it computed otherwise, every checkpoint would refuse its backbone."""
        module = nn.Linear(3, 2)
        module.weight.data, module.bias.data = torch.arange(6.0).view(2, 3) / 7, torch.tensor([0.1, -2.5])
        assert fingerprint(module) == "c2c6e27821490cec5b0917f70b0d4b0a79d596832147aa60b61f21d94b5d2e75"


@pytest.fixture
def folder(tmp_path: Path, llama: PreTrainedModel) -> Path:
    llama.save_pretrained(tmp_path / "llama")
    return tmp_path / "llama"


def refusal(load: Callable, name: Path | str) -> str:
    with pytest.raises(BackboneError) as caught:
        load(str(name))
    text = str(caught.value)
    assert text.startswith(f"backbone {str(name)!r}: expected ") and len(text) < 700
    return text


class TestLoadBackbone:
    def test_frozen_and_in_evaluation_mode(self, folder, llama):
        backbone = load_backbone(str(folder))
        assert not backbone.training and not any(p.requires_grad for p in backbone.parameters())
        assert fingerprint(backbone) == fingerprint(llama)

    def test_dtype(self, folder, tmp_path, llama):
        copy.deepcopy(llama).to(torch.bfloat16).save_pretrained(tmp_path / "half")
        assert load_backbone(str(folder)).dtype == torch.float32
        assert load_backbone(str(tmp_path / "half")).dtype == torch.bfloat16
        whole = load_backbone(str(tmp_path / "half"), dtype=torch.float32)
        assert whole.dtype == torch.float32 and fingerprint(whole) == fingerprint(llama)

    def test_every_family_can_be_saved_and_loaded(self, backbone, tmp_path):
        """Tied and derived weights, which are not stored, are not taken for missing ones."""
        backbone.save_pretrained(tmp_path)
        again = load_backbone(str(tmp_path))
        assert fingerprint(again) == fingerprint(backbone)
        assert torch.equal(run(again)[1], run(backbone)[1])

    @pytest.mark.parametrize("load", [load_backbone, load_tokenizer])
    @pytest.mark.parametrize("name", ["nowhere", "a/b/nowhere"])
    def test_no_folder(self, load, name, tmp_path):
        assert refusal(load, tmp_path / name).endswith("got: there is no such folder")
        assert refusal(load, f"./{name}").endswith("got: there is no such folder")

    def test_no_config(self, tmp_path):
        text = refusal(load_backbone, tmp_path)
        assert "expected a folder with config.json, weights and a tokenizer, or a Hugging Face id" in text
        assert "config.json" in text.partition("got: ")[2]

    def test_config_that_is_no_json(self, folder):
        (folder / "config.json").write_text("{")
        assert "not a valid JSON file" in refusal(load_backbone, folder)

    def test_unknown_architecture(self, folder):
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"model_type": "no-such-type"}))
        assert "no-such-type" in refusal(load_backbone, folder)

    def test_no_weights(self, folder):
        (folder / "model.safetensors").unlink()
        assert "model.safetensors" in refusal(load_backbone, folder)

    @pytest.mark.parametrize("length", [0, 5, 1_000, -1_000])
    def test_truncated_weights(self, folder, length):
        path = folder / "model.safetensors"
        path.write_bytes(path.read_bytes()[:length])
        assert "expected a folder with config.json, weights and a tokenizer" in refusal(load_backbone, folder)

    def test_missing_weights(self, folder):
        """Loaded all the same they would be random, and the memory taught for a backbone that nobody has."""
        weights = load_file(folder / "model.safetensors")
        del weights["model.layers.1.self_attn.q_proj.weight"], weights["model.norm.weight"]
        save_file(weights, folder / "model.safetensors", {"format": "pt"})
        text = refusal(load_backbone, folder)
        assert "of every part of LlamaForCausalLM, got none for 2, among them model.layers.1.self_attn.q_proj" in text

    def test_weights_of_another_shape(self, folder):
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 40}))
        assert "expected a folder with config.json, weights and a tokenizer" in refusal(load_backbone, folder)


class TestLoadTokenizer:
    @pytest.mark.parametrize(("special", "padding"), [({"eos_token": "<end>"}, "<end>"), ({}, "<first>")])
    def test_padding_token(self, tmp_path, special, padding):
        words = Tokenizer(models.WordLevel({"<first>": 0, "a": 1, "<end>": 2}, unk_token="<first>"))
        PreTrainedTokenizerFast(tokenizer_object=words, **special).save_pretrained(tmp_path)
        tokenizer = load_tokenizer(str(tmp_path))
        assert tokenizer.pad_token == padding and tokenizer.pad_token_id == words.token_to_id(padding)

    def test_its_own_padding_token_is_kept(self, tmp_path):
        words = Tokenizer(models.WordLevel({"<pad>": 0, "<end>": 1}, unk_token="<pad>"))
        own = {"pad_token": "<pad>", "eos_token": "<end>"}
        PreTrainedTokenizerFast(tokenizer_object=words, **own).save_pretrained(tmp_path)
        assert load_tokenizer(str(tmp_path)).pad_token == "<pad>"

    def test_none_there(self, folder):
        assert "tokenizer" in refusal(load_tokenizer, folder).partition("got: ")[2]


def test_max_context(backbone):
    expected = None if backbone.config.model_type == "bloom" else CONTEXT
    assert max_context(backbone) == expected
