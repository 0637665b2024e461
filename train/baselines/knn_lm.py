"""kNN-LM: the next token of taught answers whose states are near is mixed into what the backbone says.

Method: arXiv 1911.00172, equations 2 and 3. A state is the input of the backbone's head, where the paper takes one
from inside the last layer, so that every architecture has it.

Shapes: B batch, T tokens, D hidden width, P answer tokens of all facts, V vocabulary, N neighbours.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import faiss
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from mome.allocate import encode_facts
from mome.decoder import max_context
from mome.facts import Fact
from mome.joining import Joiner, right_pad
from train.baselines.finetune import copy_of
from train.baselines.method import Method, generate_by
from train.baselines.settings import KNNLMSettings
from train.observe import batches_of


class Neighbours:
    """States before every answer token of taught facts, in a FAISS index, and those tokens.

    Distances are squared and in units of the states' mean square, so that one temperature serves all backbones.
    """

    def __init__(self, states: Tensor, tokens: Tensor, settings: KNNLMSettings):
        self.tokens, self.settings = tokens, settings  # [P]
        self.unit = float(states.square().sum(-1).mean())
        self.index = faiss.IndexFlatL2(states.shape[-1])
        self.index.add(states.numpy())  # type: ignore[call-arg]

    def mix(self, logits: Tensor, states: Tensor) -> Tensor:
        """Logarithms of the mixed probabilities, for logits `[B, T, V]` and the states `[B, T, D]` they come from."""
        flat = states.reshape(-1, states.shape[-1]).float().cpu().numpy()
        squared, found = self.index.search(flat, min(self.settings.num_neighbours, len(self.tokens)))  # type: ignore[call-arg]
        weight = (-torch.from_numpy(squared) / self.unit / self.settings.temperature).softmax(-1)  # [B T, N]
        near = torch.zeros(len(flat), logits.shape[-1]).scatter_add_(1, self.tokens[torch.from_numpy(found)], weight)
        share = self.settings.weight
        said = logits.float().softmax(-1)
        return (share * near.view(said.shape).to(said.device) + (1 - share) * said).log()


def knn_lm(backbone: PreTrainedModel, joiner: Joiner, facts: Sequence[Fact], settings: KNNLMSettings) -> Method:
    """A copy of the backbone that looks up the next token among the taught answers; the backbone never changes.

    Raises:
        FactsError: a fact does not fit the tokenizer or the context.
    """
    start = time.process_time()
    model = copy_of(backbone)
    seen: list[Tensor] = []

    def keep(_head: nn.Module, args: tuple) -> None:
        seen[:] = [args[0]]

    head = model.get_output_embeddings()
    assert isinstance(head, nn.Module)
    head.register_forward_pre_hook(keep)
    near = Neighbours(*observe(model, joiner, facts, seen), settings)

    def mix(_model: nn.Module, _args: tuple, output: Any) -> Any:
        # Behind the whole model: some cap their logits behind the head.
        output.logits = near.mix(output.logits, seen.pop())
        return output

    model.register_forward_hook(mix)
    cpu_seconds = time.process_time() - start
    return Method(name="knn-lm", generate=generate_by(model, joiner), model=model, cpu_seconds=cpu_seconds)


@torch.no_grad()
def observe(model: PreTrainedModel, joiner: Joiner, facts: Sequence[Fact], seen: list[Tensor]) -> tuple[Tensor, Tensor]:
    """States fp32 `[P, D]` before every answer token, and the tokens int64 `[P]`; `seen` holds what the head read."""
    prompts, answers = encode_facts(list(facts), joiner, max_context(model))
    texts = [prompt + answer for prompt, answer in zip(prompts, answers, strict=True)]
    states, said = [], []
    for numbers in batches_of(texts):
        tokens, mask = right_pad([texts[number] for number in numbers])
        model(input_ids=tokens.to(model.device), attention_mask=mask.to(model.device), use_cache=False)
        (read,) = seen
        for row, number in enumerate(numbers):
            first = len(prompts[number]) - 1
            states.append(read[row, first : first + len(answers[number])].float().cpu())
            said += answers[number]
    return torch.cat(states), torch.tensor(said)
