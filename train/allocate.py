"""Stage 2, allocate: run the frozen backbone once over the facts; every answer token gets an expert, every fact a key.

Shapes: F facts, P answer tokens of all facts, B batch, T tokens, D hidden width, C key width, V spellings, M tokens of
a spelling, W tokens of the vocabulary.

A fact's key is its own query at the end of its prompt; its experts are entered there and follow one another by
continuation, so one key serves a whole answer. Every answer token has an expert row: another wording can make the
backbone miss a token that it gets right after the taught one. Rows of tokens already right stay zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from mome.decoder import max_context
from mome.errors import FactsError
from mome.facts import Fact
from mome.joining import Joiner
from mome.mention import subject_of, subject_rows, word_edges
from mome.modeling import MoMEForCausalLM


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
    word_edge: Tensor  # [W + 1, 2] bool, see `mome.mention`


def encode_facts(facts: list[Fact], joiner: Joiner, context: int | None) -> tuple[list[list[int]], list[list[int]]]:
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


def allocate(
    model: MoMEForCausalLM,
    joiner: Joiner,
    facts: list[Fact],
    work: Path,
    batch_size: int = 64,
    advance: Callable[[int], None] = lambda _num: None,
) -> Allocation:
    """Observe every fact once. The result is kept in `work`, and read from there when teaching is resumed."""
    prompts, answers = encode_facts(facts, joiner, max_context(model.backbone))
    counts = torch.tensor([len(answer) for answer in answers])
    fact = torch.arange(len(facts)).repeat_interleave(counts)
    target = torch.tensor([token for answer in answers for token in answer])
    texts = [prompt + answer for prompt, answer in zip(prompts, answers, strict=True)]
    starts = torch.tensor([len(prompt) for prompt in prompts])
    stored = work / "allocate.safetensors"
    if stored.exists():
        tensors = load_file(stored)
        advance(len(facts))
    else:
        tensors, found = _observe(model, texts, starts, counts, batch_size, advance)
        subjects = [
            subject_of(fact.prompt, fact.subject, prompt, logits, joiner.tokenizer)
            for fact, prompt, logits in zip(facts, prompts, found, strict=True)
        ]
        tensors["word_edge"] = word_edges(joiner.tokenizer)
        tensors["subject"] = subject_rows(joiner.tokenizer, subjects, tensors["word_edge"], prompts)
        work.mkdir(parents=True, exist_ok=True)
        save_file(tensors, stored.with_suffix(".tmp"))
        stored.with_suffix(".tmp").rename(stored)
    hidden = tensors.pop("hidden")
    return Allocation(texts=texts, answer_start=starts, hidden=hidden, target=target, fact=fact, **tensors)


def _observe(
    model: MoMEForCausalLM,
    texts: list[list[int]],
    starts: Tensor,
    counts: Tensor,
    batch_size: int,
    advance: Callable[[int], None],
) -> tuple[dict[str, Tensor], list[Tensor]]:
    """States and keys, and for every prompt the logits of the tokens that belong to its subject."""
    offsets = counts.cumsum(0) - counts
    hidden = torch.empty(int(counts.sum()), model.config.d_model)
    keys = torch.empty(len(texts), model.config.d_key)
    subjects = [torch.empty(0)] * len(texts)
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    device = next(model.backbone.parameters()).device
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        tokens, mask = right_pad([texts[i] for i in rows])
        states, queries, subject = model.observe(tokens.to(device), mask.to(device))
        for row, number in enumerate(rows):
            first = int(starts[number]) - 1
            into = int(offsets[number])
            hidden[into : into + counts[number]] = states[row, first : first + counts[number]].float().cpu()
            keys[number] = queries[row, first].cpu()
            subjects[number] = subject[row, : first + 1].cpu()
        advance(len(rows))
    return {"hidden": hidden, "keys": keys}, subjects


def right_pad(texts: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask int64 `[B, T]`, padded on the right."""
    longest = max(map(len, texts))
    tokens = torch.tensor([text + [0] * (longest - len(text)) for text in texts])
    mask = torch.tensor([[1] * len(text) + [0] * (longest - len(text)) for text in texts])
    return tokens, mask
