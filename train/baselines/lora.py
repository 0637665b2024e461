"""LoRA through `peft`: low-rank adapters on a copy of the backbone, trained as full fine-tuning is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import lightning
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from mome.decoder import find_layers
from mome.errors import SettingsError
from mome.facts import Fact
from mome.joining import Joiner
from train.baselines.finetune import copy_of, train_copy
from train.baselines.method import Method, Watch
from train.baselines.settings import LoRASettings


def lora(
    backbone: PreTrainedModel,
    joiner: Joiner,
    facts: Sequence[Fact],
    settings: LoRASettings,
    work: Path,
    watch: Watch | None = None,
) -> Method:
    """Train adapters on a copy of the backbone; the backbone itself never changes.

    The adapters stay beside the weights: merged into them, a token that barely wins could be rounded away.

    Args:
        facts: what is taught: their prompts and answers, with the answers' ends.
        work: folder of this run alone, for the log and for the checkpoint that an interrupted run resumes from.
        watch: called before the first step and behind every pass over the facts.

    Raises:
        FactsError: a fact does not fit the tokenizer or the context.
        SettingsError: `peft` is not installed, or the backbone has none of the targets.
    """
    model = copy_of(backbone)
    lightning.seed_everything(settings.seed, verbose=False)
    add_adapters(model, settings)
    return train_copy("lora", model, joiner, facts, settings, work, watch)


def add_adapters(model: PreTrainedModel, settings: LoRASettings) -> None:
    """Put untrained adapters into a model; its own parameters are frozen, the adapters' ask for gradients.

    Raises:
        SettingsError: `peft` is not installed, or the model has none of the targets.
    """
    try:
        import peft
    except ImportError as error:
        raise SettingsError(
            f"method lora: expected the package peft, got {str(error)!r}; install it with pip install 'mome[bench]'"
        ) from None
    config = peft.LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,  # type: ignore[arg-type]
        use_rslora=settings.use_rslora,
        target_modules=_chosen(model, settings.targets),
    )
    try:
        peft.inject_adapter_in_model(config, model)
    except ValueError as error:
        raise SettingsError(
            f"lora targets {settings.targets}: expected linear layers of {type(model).__name__}, got: {error}; use "
            "mlp, all-linear or names that stand in the model"
        ) from None


def _chosen(model: PreTrainedModel, targets: list[str]) -> list[str] | str:
    if targets == ["all-linear"]:
        return "all-linear"
    return mlp_layers(model) if targets == ["mlp"] else targets


def mlp_layers(model: PreTrainedModel) -> list[str]:
    """Names of the linear layers of all decoder layers that do not belong to attention.

    They are found by what they are not: every architecture calls its attention so, and its feed-forward part as it
    likes (`mlp`, `feed_forward`, or `fc1` and `fc2` in the layer itself).
    """
    inside = {id(module) for module in find_layers(model).modules()}
    return [
        name
        for name, module in model.named_modules()
        if id(module) in inside
        and isinstance(module, (nn.Linear, Conv1D))
        and not any(word in name for word in ("attn", "attention"))
    ]
