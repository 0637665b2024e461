"""Greedy answers in batches: the one way in which every headline metric is taken."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mome.joining import Joiner

Advance = Callable[[int], None]
# Greedy token ids behind each prompt: (prompts, most new tokens for each, called with the number of prompts done).
Generate = Callable[[list[str], list[int], Advance], list[list[int]]]


def left_pad(ids: list[list[int]], tokenizer: PreTrainedTokenizerBase) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask, int64 `[B, T]`, padded on the left."""
    longest = max(map(len, ids))
    tokens = torch.tensor([[tokenizer.pad_token_id] * (longest - len(row)) + row for row in ids])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in ids])
    return tokens, mask


def generate_ids(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: list[list[int]],
    num_new: list[int],
    batch_size: int = 64,
    advance=lambda _num: None,
    do_sample: bool = False,
) -> list[list[int]]:
    """Continuations of token-id prompts, each up to its own number of new tokens and its end token.

    Prompts are sorted by length, so that a batch holds little padding; results come back in the order given.

    Args:
        advance: called with the number of prompts done, for a progress bar.
        do_sample: draw each token with the model's own probability, at temperature 1; else take the likeliest.
    """
    # A backbone's own settings may cut the unlikely tokens off.
    choice = {"temperature": 1.0, "top_k": 0, "top_p": 1.0} if do_sample else {}
    order = sorted(range(len(prompts)), key=lambda i: (num_new[i], len(prompts[i])))
    results: list[list[int]] = [[] for _ in prompts]
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        tokens, mask = left_pad([prompts[i] for i in batch], tokenizer)
        device = next(model.parameters()).device
        output = model.generate(  # type: ignore[operator]
            input_ids=tokens.to(device),
            attention_mask=mask.to(device),
            max_new_tokens=max(num_new[i] for i in batch),
            do_sample=do_sample,
            num_beams=1,
            **choice,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
        for i, row in zip(batch, output[:, tokens.shape[1] :].tolist(), strict=True):
            results[i] = _until_end(row[: num_new[i]], tokenizer.eos_token_id)
        advance(len(batch))
    return results


def _until_end(ids: list[int], end: object) -> list[int]:
    return ids[: ids.index(end) + 1] if isinstance(end, int) and end in ids else ids


def generate_with(model: PreTrainedModel, joiner: Joiner) -> Generate:
    """`Generate` of a model, for prompts joined as the joiner says."""

    def generate(prompts: list[str], num_new: list[int], advance: Advance) -> list[list[int]]:
        ids = [joiner.encode_prompt(prompt) for prompt in prompts]
        return generate_ids(model, joiner.tokenizer, ids, num_new, advance=advance)

    return generate


def generate_answers(model: PreTrainedModel, joiner: Joiner, prompts: list[str], num_new: int = 24) -> list[str]:
    """Greedy answers, as text, to prompts joined as the joiner says."""
    ids = [joiner.encode_prompt(prompt) for prompt in prompts]
    return [joiner.decode(row) for row in generate_ids(model, joiner.tokenizer, ids, [num_new] * len(ids))]
