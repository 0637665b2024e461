"""LoRA: what is learned, where the adapters go, and what is counted."""

import importlib
import sys

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

import train.baselines.lora as module
from mome.errors import MomeError, SettingsError
from train.baselines.finetune import copy_of
from train.baselines.lora import add_adapters, lora, mlp_layers
from train.baselines.settings import LoRASettings

QUICK = LoRASettings(learning_rate=3e-3, batch_size=4, warm_up_steps=2, rank=8, alpha=8.0)


def test_it_learns_all_and_leaves_the_backbone_as_it_was(backbone, joiner, facts, tmp_path):
    facts = facts[:8]
    before = {name: weight.clone() for name, weight in backbone.state_dict().items()}
    method = lora(backbone, joiner, facts, QUICK, tmp_path)
    said = method.generate([fact.prompt for fact in facts], [40] * 8, lambda _num: None)
    assert [joiner.decode(row) for row in said] == [fact.answer for fact in facts]
    assert backbone.state_dict().keys() == before.keys()
    assert all(torch.equal(weight, before[name]) for name, weight in backbone.state_dict().items())
    # Three layers with gate, up and down projections, each from or to the hidden width 64 and the inner width 128.
    assert method.num_trainable == 3 * 3 * 8 * (64 + 128)
    assert 2 <= method.num_steps < 2 * QUICK.max_epochs


def test_a_training_checkpoint_holds_the_adapters_alone(backbone, joiner, facts, tmp_path):
    method = lora(backbone, joiner, facts[:4], LoRASettings(max_epochs=1, checkpoint_every=1), tmp_path)
    saved = torch.load(tmp_path / "lora" / "last.ckpt", weights_only=True)
    tensors = [value for value in saved["state_dict"].values() if isinstance(value, torch.Tensor)]
    assert sum(value.numel() for value in tensors) == method.num_trainable


def test_untrained_adapters_change_nothing(backbone, tokenizer):
    adapted = copy_of(backbone)
    add_adapters(adapted, QUICK)
    tokens = torch.tensor([tokenizer("Who wrote it?").input_ids])
    with torch.no_grad():
        assert torch.equal(adapted(tokens).logits, backbone(tokens).logits)
    asking = [name for name, p in adapted.named_parameters() if p.requires_grad]
    assert asking and all("lora" in name and "mlp" in name for name in asking)


@pytest.mark.parametrize(
    ("targets", "expected"),
    [(["mlp"], {"gate_proj", "up_proj", "down_proj"}), (["q_proj", "v_proj"], {"q_proj", "v_proj"}),
     (["all-linear"], {"gate_proj", "up_proj", "down_proj", "q_proj", "k_proj", "v_proj", "o_proj"})],
)  # fmt: skip
def test_targets_are_as_named(backbone, targets, expected):
    add_adapters(backbone, LoRASettings(targets=targets))
    adapted = {name.split(".lora_")[0].rsplit(".", 1)[1] for name, _ in backbone.named_modules() if ".lora_A." in name}
    assert adapted == expected


@pytest.mark.parametrize(("use_rslora", "scale"), [(True, 8 / 8**0.5), (False, 1.0)])
def test_the_scale_is_divided_as_set(backbone, use_rslora, scale):
    add_adapters(backbone, LoRASettings(rank=8, alpha=8.0, use_rslora=use_rslora))
    layer = backbone.get_submodule("model.layers.0.mlp.up_proj")
    assert layer.scaling["default"] == pytest.approx(scale)  # type: ignore[index]


@pytest.mark.parametrize(
    ("kind", "sizes", "expected"),
    [
        ("gpt2", {"n_embd": 16, "n_layer": 2, "n_head": 2}, {"c_fc", "c_proj"}),
        ("opt", {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "ffn_dim": 32,
                 "word_embed_proj_dim": 16}, {"fc1", "fc2"}),
        ("gpt_neox", {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32},
         {"dense_h_to_4h", "dense_4h_to_h"}),
    ],
)  # fmt: skip
def test_the_mlp_is_found_in_any_architecture(kind, sizes, expected):
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, vocab_size=32, **sizes))
    names = mlp_layers(model)
    assert {name.rsplit(".", 1)[1] for name in names} == expected
    assert len(names) == 2 * len(expected)


def test_targets_that_are_not_there_are_an_error(backbone):
    with pytest.raises(SettingsError, match="no_such_layer"):
        add_adapters(backbone, LoRASettings(targets=["no_such_layer"]))


def test_peft_is_needed_only_when_lora_is_used(backbone, joiner, facts, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    importlib.reload(module)
    with pytest.raises(MomeError, match=r"mome\[bench\]"):
        module.lora(backbone, joiner, facts[:2], QUICK, tmp_path)
