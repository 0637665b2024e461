"""What every method that is compared is to a benchmark: a way to answer, and what teaching it cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from transformers import PreTrainedModel

from mome.errors import BackboneError
from mome.joining import Joiner
from mome.modeling import MoMEForCausalLM
from train.answers import Generate, generate_with

# Called while a method is taught: (passes over the facts so far, CPU-seconds, the model as it is by then). True ends
# the training.
Watch = Callable[[int, float, PreTrainedModel], bool]


@dataclass(kw_only=True)
class Method:
    """A way to answer questions, and what it cost to teach.

    `generate(prompts, num_new, advance)` gives the greedy token ids that follow each prompt, in the order given: at
    most `num_new[i]` of them, and none behind the end token. `advance` is called with the number of prompts done.
    """

    name: str
    generate: Generate
    model: PreTrainedModel | None = None  # whose logits are the method's; None where what it is asked is changed too
    cpu_seconds: float = 0.0  # of teaching, by all threads of the process
    num_steps: int = 0  # gradient steps
    num_trainable: int = 0  # values that teaching sets by gradient


def generate_by(model: PreTrainedModel, joiner: Joiner) -> Generate:
    """Greedy answers of a model to prompts joined as the joiner says.

    Raises:
        BackboneError: a memory is attached to the model, which is meant to answer alone.
    """
    refuse_memory(model)
    return generate_with(model, joiner)


def refuse_memory(backbone: PreTrainedModel) -> None:
    """Stop where a memory's hooks would answer in the name of the backbone.

    Raises:
        BackboneError: a memory is attached to it.
    """
    owners = [getattr(hook, "__self__", None) for hook in backbone._forward_pre_hooks.values()]
    if any(isinstance(owner, MoMEForCausalLM) for owner in owners):
        raise BackboneError(
            f"{type(backbone).__name__}: expected a backbone that answers alone, got one with a memory attached, whose "
            "answers would be the memory's; load the backbone anew for this method"
        )
