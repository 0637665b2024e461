"""The memory itself, as one of the methods compared. It is taught by `train/teach.py`."""

from __future__ import annotations

from mome.joining import Joiner
from mome.modeling import MoMEForCausalLM
from train.baselines.method import Method, generate_by


def memory(model: MoMEForCausalLM, joiner: Joiner, *, cpu_seconds: float, num_steps: int) -> Method:
    """A taught memory.

    The experts are what was taught by gradient; keys are observed, and the router was trained before, on other facts.

    Args:
        model: with its memory enabled.
        joiner: the one it was taught with.
        cpu_seconds: what teaching took.
        num_steps: gradient steps on the experts.
    """
    return Method(
        name="memory",
        generate=generate_by(model, joiner),
        model=model,
        cpu_seconds=cpu_seconds,
        num_steps=num_steps,
        num_trainable=model.bank.num_parameters,
    )
