"""Stage 2, allocate: run the frozen backbone once over facts; every answer token gets an expert, every fact a key.

Shapes: F facts, P answer tokens of all facts, B batch, T tokens, D hidden width, C key width, V spellings, M tokens of
a spelling.

A fact's key is its own query at the end of its prompt; its experts are entered there and follow one another by
continuation, so one key serves a whole answer. Every answer token has an expert row: another wording can make the
backbone miss a token that it gets right after the taught one. Rows of tokens already right stay zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mome.decoder import max_context
from mome.errors import FactsError
from mome.facts import Fact
from mome.joining import Joiner, right_pad
from mome.mention import subject_of, subject_rows
from mome.modeling import MoMEForCausalLM

BATCH_FACTS = 64


@dataclass
class Allocation:
    """The work of the next stage."""

    texts: list[list[int]]  # token ids of prompt and answer of every fact
    answer_start: Tensor  # [F] position of the first answer token in its text
    hidden: Tensor  # [P, D] state at the first site that has to say each answer token
    target: Tensor  # [P] that token
    fact: Tensor  # [P] number of its fact, rising
    keys: Tensor  # [F, C]
    subject: Tensor  # [F, V, M] token ids of each fact's subject


def encode_facts(facts: Sequence[Fact], joiner: Joiner, context: int | None) -> tuple[list[list[int]], list[list[int]]]:
    """Token ids of every fact's prompt and answer.

    Raises:
        FactsError: a fact does not fit the tokenizer or the context; the message names it.
    """
    prompts, answers = [], []
    for fact in facts:
        prompt = joiner.encode_prompt(fact.prompt)
        try:
            answer = joiner.encode_answer(fact.prompt, fact.answer)
        except FactsError as error:
            raise FactsError(f"fact {fact.id!r}: {error}") from None
        if context is not None and len(prompt) + len(answer) > context:
            raise FactsError(
                f"fact {fact.id!r}: prompt and answer are {len(prompt)} + {len(answer)} tokens long, the backbone's "
                f"context holds {context}; shorten the answer, or use a backbone with a longer context"
            )
        prompts.append(prompt)
        answers.append(answer)
    return prompts, answers


@torch.no_grad()
def allocate(model: MoMEForCausalLM, joiner: Joiner, facts: Sequence[Fact], word_edge: Tensor) -> Allocation:
    """Observe every fact once.

    Args:
        word_edge: of the tokenizer, see `mome.mention.word_edges`.

    Raises:
        FactsError: as `encode_facts` does.
    """
    prompts, answers = encode_facts(facts, joiner, max_context(model.backbone))
    counts = torch.tensor([len(answer) for answer in answers])
    texts = [prompt + answer for prompt, answer in zip(prompts, answers, strict=True)]
    starts = torch.tensor([len(prompt) for prompt in prompts])
    hidden, keys, found = _observe(model, texts, starts, counts)
    subjects = [
        subject_of(fact.prompt, fact.subject, prompt, logits, joiner.tokenizer)
        for fact, prompt, logits in zip(facts, prompts, found, strict=True)
    ]
    return Allocation(
        texts=texts,
        answer_start=starts,
        hidden=hidden,
        target=torch.tensor([token for answer in answers for token in answer]),
        fact=torch.arange(len(facts)).repeat_interleave(counts),
        keys=keys,
        subject=subject_rows(joiner.tokenizer, subjects, word_edge, prompts),
    )


def _observe(
    model: MoMEForCausalLM, texts: list[list[int]], starts: Tensor, counts: Tensor
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """States `[P, D]` and keys `[F, C]`, and for every prompt the logits of the tokens that belong to its subject."""
    offsets = counts.cumsum(0) - counts
    hidden = torch.empty(int(counts.sum()), model.config.d_model)
    keys = torch.empty(len(texts), model.config.d_key)
    subjects = [torch.empty(0)] * len(texts)
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    device = next(model.backbone.parameters()).device
    for start in range(0, len(order), BATCH_FACTS):
        rows = order[start : start + BATCH_FACTS]
        tokens, mask = right_pad([texts[i] for i in rows])
        states, queries, subject = model.observe(tokens.to(device), mask.to(device))
        for row, number in enumerate(rows):
            first = int(starts[number]) - 1
            into = int(offsets[number])
            hidden[into : into + counts[number]] = states[row, first : first + counts[number]].float().cpu()
            keys[number] = queries[row, first].cpu()
            subjects[number] = subject[row, : first + 1].cpu()
    return hidden, keys, subjects
