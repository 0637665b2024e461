"""What the memory needs to know of a backbone: its decoder layers, what follows them, and its fingerprint.

Layers are found by structure, not by a list of architectures. Shapes: P positions, D hidden width, V vocabulary.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from mome.config import EMBEDDED
from mome.errors import BackboneError

EMBEDDED_FOLDER = Path(__file__).parent / "backbone"
SAMPLES_PER_TENSOR = 4096
LOADING_ERRORS = (OSError, ValueError, RuntimeError, SafetensorError)


def backbone_location(name: str) -> str:
    """The folder of the embedded backbone for `"embedded"`, any other name unchanged."""
    return str(EMBEDDED_FOLDER) if name == EMBEDDED else name


def load_backbone(
    name: str, revision: str | None = None, dtype: torch.dtype | str = "auto", trust_remote_code: bool = False
) -> PreTrainedModel:
    """Load a frozen backbone in evaluation mode.

    Args:
        name: `"embedded"`, a local folder or a Hugging Face id.
        revision: revision on the hub.
        dtype: dtype of the weights; `"auto"` keeps the stored one, except that the embedded backbone, stored in
            bf16, is computed in fp32, which is faster and finer on a CPU.
        trust_remote_code: run model code that comes with the weights. Off unless you ask for it.

    Raises:
        BackboneError: nothing that can be loaded is there, or some of its weights are missing.
    """
    if name == EMBEDDED and dtype == "auto":
        dtype = torch.float32
    try:
        found: Any = AutoModelForCausalLM.from_pretrained(
            backbone_location(name),
            revision=revision,
            dtype=dtype,
            trust_remote_code=trust_remote_code,
            output_loading_info=True,
        )
    except LOADING_ERRORS as error:
        raise BackboneError(_not_loaded(name, error)) from None
    model, loaded = found
    missing = sorted(loaded["missing_keys"])
    if missing:
        raise BackboneError(
            f"backbone {name!r}: expected the weights of every part of {type(model).__name__}, got none for "
            f"{len(missing)}, among them {missing[0]}; the folder is incomplete, or not that of a causal language model"
        )
    return model.eval().requires_grad_(False)


def load_tokenizer(name: str, revision: str | None = None, trust_remote_code: bool = False) -> PreTrainedTokenizerBase:
    """Load a backbone's tokenizer, with a padding token if it has none (its end token then serves).

    Raises:
        BackboneError: there is no tokenizer at that place.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            backbone_location(name), revision=revision, trust_remote_code=trust_remote_code
        )
    except LOADING_ERRORS as error:
        raise BackboneError(_not_loaded(name, error)) from None
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
    return tokenizer


def _not_loaded(name: str, error: Exception) -> str:
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    if name.startswith((".", "/", "~")) and not Path(name).exists():
        reason = "there is no such folder"
    return (
        f"backbone {name!r}: expected a folder with config.json, weights and a tokenizer, or a Hugging Face id that "
        f"can be reached; got: {reason}"
    )


def find_layers(backbone: nn.Module) -> nn.ModuleList:
    """The decoder layers: the list of like modules that holds the most parameters.

    Raises:
        BackboneError: there is no such list.
    """

    def num_parameters(layers: nn.ModuleList) -> int:
        return sum(p.numel() for p in layers.parameters())

    def alike(layers: nn.ModuleList) -> bool:
        return len(layers) > 0 and len({type(layer) for layer in layers}) == 1

    lists = [m for m in backbone.modules() if isinstance(m, nn.ModuleList) and alike(m) and num_parameters(m)]
    if not lists:
        raise BackboneError(
            f"{type(backbone).__name__}: expected a decoder-only model with a list of like layers, found none"
        )
    return max(lists, key=num_parameters)


def uncompiled(function: Callable) -> Callable:
    """What a hook does depends on the text: `torch.compile` must leave it as it is, or would compile it anew at every
    step. Where nothing is compiled, a hook is called as it is: what keeps it from being compiled takes time too."""
    disabled: Callable = torch.compiler.disable(function)

    @functools.wraps(function)
    def hook(*args: Any, **kwargs: Any) -> Any:
        return disabled(*args, **kwargs) if torch.compiler.is_dynamo_compiling() else function(*args, **kwargs)

    return hook


def hidden_of(output: Tensor | tuple) -> Tensor:
    """A decoder layer's hidden states `[B, T, D]`, whichever form its output has."""
    return output[0] if isinstance(output, tuple) else output


def with_hidden(output: Tensor | tuple, hidden: Tensor) -> Tensor | tuple:
    """A decoder layer's output with its hidden states replaced."""
    return (hidden, *output[1:]) if isinstance(output, tuple) else hidden


class Tail:
    """The backbone after its last decoder layer: `tail(hidden [P, D]) -> logits [P, V]`.

    It is the backbone's own forward over one token with every layer stubbed out and the last one returning `hidden`,
    so that final norms, scalings and caps of any architecture are those of the backbone itself. Where a memory is
    attached to the backbone, use it inside `memory_disabled()`: the memory's hooks see this forward like any other.
    """

    def __init__(self, backbone: PreTrainedModel):
        self.backbone, self.layers = backbone, find_layers(backbone)
        self.device = next(backbone.parameters()).device
        output = self._last_output()
        self.tuples, self.dtype = isinstance(output, tuple), hidden_of(output).dtype

    def _last_output(self) -> Tensor | tuple:
        seen = []
        hook = self.layers[-1].register_forward_hook(lambda _m, _a, output: seen.append(output))
        try:
            with torch.no_grad():
                self.backbone(input_ids=torch.zeros(1, 1, dtype=torch.long, device=self.device), use_cache=False)
        finally:
            hook.remove()
        return seen[0]

    @contextmanager
    def _stubbed(self, hidden: Tensor) -> Iterator[None]:
        def give(value: Tensor) -> Tensor | tuple:
            return (value,) if self.tuples else value

        def skip(*args, **kwargs) -> Tensor | tuple:
            return give(args[0] if args else kwargs["hidden_states"])

        own = [vars(layer).get("forward") for layer in self.layers]  # set where another library has wrapped a layer
        try:
            for layer in self.layers:
                layer.forward = skip
            self.layers[-1].forward = lambda *_args, **_kwargs: give(hidden)
            yield
        finally:
            for layer, forward in zip(self.layers, own, strict=True):
                del layer.forward
                if forward is not None:
                    layer.forward = forward

    def __call__(self, hidden: Tensor) -> Tensor:
        """Logits fp32 `[P, V]` of last-layer outputs `[P, D]`, any float dtype; differentiable."""
        tokens = torch.zeros(len(hidden), 1, dtype=torch.long, device=self.device)
        with self._stubbed(hidden[:, None].to(self.dtype)):
            return self.backbone(input_ids=tokens, use_cache=False).logits[:, 0].float()


def fingerprint(backbone: PreTrainedModel) -> str:
    """sha256 over the names, shapes and up to 4,096 evenly spaced values of every weight.

    Values are rounded to bf16 first, so that the same weights loaded in another precision keep their fingerprint.
    """
    digest = hashlib.sha256()
    for name, weight in sorted(backbone.state_dict().items()):
        flat = weight.detach().reshape(-1)
        step = max(1, -(-len(flat) // SAMPLES_PER_TENSOR))
        values = flat[::step].to(torch.bfloat16).view(torch.int16).cpu().numpy()
        digest.update(f"{name}{tuple(weight.shape)}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def max_context(backbone: PreTrainedModel) -> int | None:
    """The longest sequence that the backbone was built for, or None where its configuration sets no bound."""
    return getattr(backbone.config.get_text_config(), "max_position_embeddings", None)


def real_tokens(mask: Tensor | dict[str, Tensor | None] | None, num_tokens: int, num_before: int) -> Tensor | None:
    """Which of the last `num_tokens` tokens are no padding: bool `[B, T]`, or None where all are.

    Args:
        mask: `[B, T']`, or what `generate` makes of it for a static cache: `[B, 1, T, T']`, bool or added to scores,
            or one for each kind of layer by name.
        num_before: how many tokens a cache holds.

    Raises:
        BackboneError: the mask has another form.
    """
    if isinstance(mask, dict):
        mask = mask.get("full_attention", next(iter(mask.values())))
    if mask is None:
        return None
    if isinstance(mask, Tensor) and mask.dim() == 2:
        real = mask[:, -num_tokens:].bool()
        return None if bool(real.all()) else real
    if isinstance(mask, Tensor) and mask.dim() == 4:
        # A token of padding may not see itself. Keys may stand for more tokens than there are, or for a window of them.
        own_key = torch.arange(num_tokens, device=mask.device) + min(num_before, mask.shape[-1] - num_tokens)
        sees_itself = mask[:, 0].gather(-1, own_key.expand(len(mask), -1)[..., None]).squeeze(-1)
        real = sees_itself if sees_itself.dtype == torch.bool else sees_itself == 0
        return None if bool(real.all()) else real
    form = f"{mask.dim()} dimensions" if isinstance(mask, Tensor) else type(mask).__name__
    raise BackboneError(f"attention_mask: expected [B, T] or [B, 1, T, T'], got {form}; pass [B, T], 0 at padding")
