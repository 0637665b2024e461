"""What `mome bench editing` measures of a memory beside recall, generality and locality.

Shapes: B prompts, T tokens.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torchmetrics.functional.classification import binary_auroc

from mome.answer import lacks_support
from mome.attention import attend
from mome.facts import Fact
from mome.joining import Joiner, right_pad
from mome.lookup import retrieve
from mome.memory import CLOSED
from mome.mention import NO_TOKEN, Mentions
from mome.modeling import MoMEForCausalLM
from train.answers import generate_answers, left_pad
from train.observe import batches_of
from train.progress import bar

MAX_TEXTS = 1000
MAX_TEXT_TOKENS = 256


@torch.no_grad()
def unrelated_text(model: MoMEForCausalLM, joiner: Joiner, texts: list[str]) -> dict[str, float]:
    """Share of the tokens of unrelated texts at which an expert fires, and whether all other logits are the bare
    backbone's, bit for bit."""
    drawn = random.Random(0).sample(texts, min(MAX_TEXTS, len(texts)))
    ids = [joiner.tokenizer(text).input_ids[:MAX_TEXT_TOKENS] for text in drawn]
    num_tokens, num_fired, identical = 0, 0, True
    with bar("unrelated text", len(ids)) as advance:
        for numbers in batches_of(ids):
            tokens, mask = right_pad([ids[number] for number in numbers])
            ours = model(input_ids=tokens, attention_mask=mask).logits
            assert model.last_routing is not None
            fired = (model.last_routing.expert != CLOSED) & mask.bool()
            with model.memory_disabled():
                alone = model(input_ids=tokens, attention_mask=mask).logits
            silent = mask.bool() & ~fired
            identical &= bool(torch.equal(ours[silent], alone[silent]))
            num_tokens, num_fired = num_tokens + int(mask.sum()), num_fired + int(fired.sum())
            advance(len(numbers))
    return {
        "unrelated_tokens": num_tokens,
        "unrelated_fired": round(num_fired / num_tokens, 6),
        "unrelated_identical": identical,
    }


def abstention(
    model: MoMEForCausalLM, joiner: Joiner, facts: Sequence[Fact], unseen: Sequence[Fact]
) -> dict[str, float]:
    """How well taught facts, asked by their paraphrases, are told from facts of the same kind that were never taught.

    Returns:
        `auroc` of the similarity; `hallucination`, the share of the unseen questions that get a wrong answer, and the
        same where the memory may abstain; and how often it abstains from what it was taught. Empty if there is nothing
        to ask.
    """
    stored = [text for fact in facts for text in fact.paraphrases]
    if not stored or not unseen:
        return {}
    similarity, silent = _supported(model, joiner, stored + [fact.prompt for fact in unseen])
    is_stored = torch.arange(len(similarity)) < len(stored)
    answers = generate_answers(model, joiner, [fact.prompt for fact in unseen])
    wrong = torch.tensor([text not in fact.answers for text, fact in zip(answers, unseen, strict=True)])
    figures = {
        "auroc": binary_auroc(similarity, is_stored.long()),
        "hallucination": wrong.float().mean(),
        "hallucination_abstaining": (wrong & ~silent[len(stored) :]).float().mean(),
        "abstained_from_taught": silent[: len(stored)].float().mean(),
    }
    return {"num_unseen": len(unseen), **{name: round(float(value), 4) for name, value in figures.items()}}


def _supported(model: MoMEForCausalLM, joiner: Joiner, prompts: list[str]) -> tuple[Tensor, Tensor]:
    """For every prompt the similarity at its end, fp32 `[B]`, and whether the memory would abstain, bool `[B]`."""
    ids = [joiner.encode_prompt(prompt) for prompt in prompts]
    similarity, silent = torch.empty(len(ids)), torch.empty(len(ids), dtype=torch.bool)
    # Below the gate nobody looks for subjects; with the gate open every similarity is what the check leaves of it.
    open_gate = replace(model.gate, null_similarity=-1.0)
    for numbers in batches_of(ids):
        tokens, mask = left_pad([ids[number] for number in numbers], joiner.tokenizer)
        silent[numbers] = lacks_support(model, tokens, mask)
        assert model.last_query is not None
        seen = tokens.masked_fill(mask == 0, NO_TOKEN)
        mentions = Mentions(model.bank.subject, model.bank.word_edge, seen, model.config.subject_weight)
        mentions.num_before = tokens.shape[1] - 1
        query, config = model.last_query[:, -1:], model.config
        found = retrieve(query, model.index, model.bank.keys, config.d_relation, config.num_neighbours)
        similarity[numbers] = attend(query, found, model.bank.keys, open_gate, mentions).similarity[:, 0]
    return similarity, silent
