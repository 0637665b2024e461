"""How well a model says taught answers, read off the logits: the statistics that may tell when an answer is exact.

Shapes: B facts, T tokens, A tokens of the longest answer, P answer tokens of a batch, V vocabulary, F facts.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from mome.allocate import encode_facts
from mome.decoder import max_context
from mome.facts import Fact
from mome.joining import Joiner, right_pad
from mome.modeling import MoMEForCausalLM
from mome.write import margins

BATCH = 64


@dataclass
class AnswerLosses:
    """Statistics of every answer, fp32 `[F]`, in nats; the answer's end counts as one of its tokens."""

    num_tokens: Tensor
    nll: Tensor  # negative log likelihood of the whole answer: sampled at temperature 1 it comes with exp(-nll)
    max_loss: Tensor  # of any token; below ln 2 that token is the likeliest
    margin: Tensor  # least difference to the best other token; above 0 exactly if greedy decoding says the answer

    @property
    def mean_loss(self) -> Tensor:
        """Loss for each token of the answer."""
        return self.nll / self.num_tokens


def fact_losses(model: PreTrainedModel, joiner: Joiner, facts: Sequence[Fact]) -> AnswerLosses:
    """Statistics of the facts' answers behind their prompts."""
    return answer_losses(model, *encode_facts(list(facts), joiner, max_context(model)))


@torch.no_grad()
def answer_losses(model: PreTrainedModel, prompts: list[list[int]], answers: list[list[int]]) -> AnswerLosses:
    """Statistics of answers behind prompts, from one forward over both, with a memory as `generate` would use it."""
    figures = AnswerLosses(*(torch.zeros(len(prompts)) for _ in range(4)))
    for numbers in batches_by_prompt(prompts, answers):
        num_asked = len(prompts[numbers[0]])
        tokens, mask = (part.to(model.device) for part in right_pad([prompts[n] + answers[n] for n in numbers]))
        # What the answer itself mentions brings up no fact in `generate` either.
        is_memory = isinstance(model, MoMEForCausalLM)
        with model.asked(num_asked) if is_memory else nullcontext():
            logits = model(input_ids=tokens, attention_mask=mask, use_cache=False).logits[:, num_asked - 1 : -1]
        said, real = tokens[:, num_asked:], mask[:, num_asked:].bool()  # [B, A]
        answered, target = logits[real].float(), said[real]  # [P, V], [P]
        loss, margin = torch.zeros(said.shape), torch.full(said.shape, torch.inf)
        right = answered.gather(1, target[:, None])[:, 0]
        loss[real.cpu()] = (answered.logsumexp(-1) - right).cpu()
        margin[real.cpu()] = margins(answered, target).cpu()
        figures.num_tokens[numbers] = real.sum(1).float().cpu()
        figures.nll[numbers] = loss.sum(1)
        figures.max_loss[numbers] = loss.amax(1)
        figures.margin[numbers] = margin.amin(1)
    return figures


def batches_by_prompt(prompts: list[list[int]], answers: list[list[int]]) -> list[list[int]]:
    """Numbers in batches whose prompts are of one length, so that answers begin at one position, and of like answers.

    >>> batches_by_prompt([[1], [1, 2], [3]], [[1, 1], [1], [1]])
    [[2, 0], [1]]
    """
    batches: list[list[int]] = []
    for number in sorted(range(len(prompts)), key=lambda n: (len(prompts[n]), len(answers[n]))):
        full = batches and len(batches[-1]) == BATCH
        if not batches or full or len(prompts[batches[-1][0]]) != len(prompts[number]):
            batches.append([])
        batches[-1].append(number)
    return batches
