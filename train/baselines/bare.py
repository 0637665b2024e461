"""The bare backbone: what was known before anything was taught."""

from __future__ import annotations

from transformers import PreTrainedModel

from mome.joining import Joiner
from train.baselines.method import Method, generate_by


def bare(backbone: PreTrainedModel, joiner: Joiner) -> Method:
    """The backbone as it is, which costs nothing.

    Raises:
        BackboneError: a memory is attached to the backbone.
    """
    return Method(name="bare", generate=generate_by(backbone, joiner), model=backbone)
