"""Texts run through the frozen backbone in batches, for what the router reads of them.

Shapes: B texts, T tokens, D hidden width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from mome.decoder import find_layers, hidden_of
from mome.joining import right_pad

BATCH_TOKENS = 8192


@torch.no_grad()
def feature_states(backbone: PreTrainedModel, layers: list[int], tokens: Tensor, mask: Tensor) -> list[Tensor]:
    """Outputs `[B, T, D]` of the given decoder layers."""
    seen: dict[int, Tensor] = {}
    modules = find_layers(backbone)

    def keep(number: int):
        return lambda _module, _args, output: seen.__setitem__(number, hidden_of(output))

    hooks = [modules[number].register_forward_hook(keep(number)) for number in layers]
    try:
        # Without the head, whose logits nobody reads here.
        backbone.base_model(input_ids=tokens, attention_mask=mask.long(), use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
    return [seen[number] for number in layers]


def batches_of(texts: Sequence[list[int]]) -> list[list[int]]:
    """Numbers of texts in batches of like length and at most `BATCH_TOKENS` tokens."""
    batches: list[list[int]] = [[]]
    for number in sorted(range(len(texts)), key=lambda i: len(texts[i])):
        if (len(batches[-1]) + 1) * len(texts[number]) > BATCH_TOKENS and batches[-1]:
            batches.append([])
        batches[-1].append(number)
    return batches


def observed(
    backbone: PreTrainedModel, layers: list[int], texts: list[list[int]], numbers: list[int]
) -> tuple[list[Tensor], Tensor]:
    """Outputs of the layers, each `[B, T, D]`, for the texts with these numbers, and their mask bool `[B, T]`."""
    device = next(backbone.parameters()).device
    tokens, mask = right_pad([texts[number] for number in numbers])
    return feature_states(backbone, layers, tokens.to(device), mask.to(device)), mask.bool().to(device)
