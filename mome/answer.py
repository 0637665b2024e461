"""One question, one answer, and the fact that it came from."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from mome.decoder import max_context
from mome.errors import SettingsError
from mome.joining import Joiner
from mome.memory import CLOSED
from mome.modeling import MoMEForCausalLM
from mome.tables import parts_of
from mome.trace import TokenTrace


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """A greedy answer; the fact's fields are None when no memory was used for its first token."""

    prompt: str
    answer: str
    fact_id: str | None
    fact_prompt: str | None
    fact_answer: str | None
    similarity: float | None
    confidence: float | None
    trace: list[TokenTrace]
    abstained: bool = False

    @property
    def remembered(self) -> bool:
        """Whether a taught fact answered."""
        return self.fact_id is not None

    def to_dict(self, with_trace: bool = False) -> dict:
        """As JSON-ready fields."""
        fields: dict = {
            "prompt": self.prompt,
            "answer": self.answer,
            "fact_id": self.fact_id,
            "similarity": self.similarity,
            "confidence": self.confidence,
            "remembered": self.remembered,
            "abstained": self.abstained,
        }
        return {**fields, "trace": [entry.to_dict() for entry in self.trace]} if with_trace else fields


def answer(
    model: MoMEForCausalLM,
    tokenizer: PreTrainedTokenizerBase,
    prompt: str,
    max_new_tokens: int = 32,
    abstain: str | None = None,
) -> Answer:
    """Ask a model one question.

    Args:
        prompt: joined as the checkpoint says.
        max_new_tokens: longest answer, in tokens.
        abstain: answer this where the question is of the taught kind and no fact supports it; None: never.

    Raises:
        SettingsError: the prompt is empty, or leaves no room for an answer in the backbone's context.
    """
    if not prompt.strip():
        raise SettingsError("prompt: expected a question or the beginning of a sentence, got an empty text")
    if max_new_tokens < 1:
        raise SettingsError(f"max-new-tokens: expected at least 1, got {max_new_tokens}")
    joiner = Joiner(tokenizer=tokenizer, join=model.config.join, end=model.config.end)
    ids = joiner.encode_prompt(prompt.strip())
    context = max_context(model.backbone)
    if context is not None and len(ids) >= context:
        raise SettingsError(f"prompt: it is {len(ids)} tokens long, the backbone's context holds {context}; shorten it")
    room = max_new_tokens if context is None else min(max_new_tokens, context - len(ids))
    tokens = torch.tensor([ids], device=model.device)
    if abstain is not None and lacks_support(model, tokens)[0]:
        blank: dict = dict.fromkeys(("fact_id", "fact_prompt", "fact_answer", "similarity", "confidence"))
        return Answer(prompt=prompt, answer=abstain, trace=[], abstained=True, **blank)
    output, trace = model.generate(
        input_ids=tokens,
        attention_mask=torch.ones_like(tokens),
        max_new_tokens=room,
        do_sample=False,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        return_trace=True,
    )
    spoken = trace[0][len(ids) - 1 :]
    first = spoken[0] if spoken else None  # none where the memory is disabled
    expert = first.expert if first else None
    fact = model.ledger.facts[int(model.bank.fact[expert])] if expert is not None else None
    return Answer(
        prompt=prompt,
        answer=joiner.decode(output[0, len(ids) :].tolist()),
        fact_id=fact.id if fact else None,
        fact_prompt=fact.prompt if fact else None,
        fact_answer=fact.answer if fact else None,
        similarity=round(first.similarity, 6) if first and fact else None,
        confidence=round(first.confidence, 6) if first and fact else None,
        trace=spoken,
    )


@torch.no_grad()
def lacks_support(model: MoMEForCausalLM, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
    """Whether each prompt is a question of the taught kind for which the memory holds no fact.

    It is of the taught kind if what it asks for comes as near to a key's as questions without a fact did in the
    router's calibration, whoever its subject is.

    Args:
        tokens: int64 `[B, T]`.
        mask: 1 at real tokens; None where all are.

    Returns:
        bool `[B]`; False for all where the memory is disabled.
    """
    if not model.enabled:
        return torch.zeros(len(tokens), dtype=torch.bool)
    routing = model.routing(tokens, mask)
    assert model.last_query is not None
    last = torch.full((len(tokens),), tokens.shape[1] - 1) if mask is None else mask.long().cumsum(1).argmax(1).cpu()
    rows = torch.arange(len(tokens))
    query = model.last_query[rows.to(model.device), last.to(model.device)]  # [B, C]
    relation, d_relation = query[:, -model.config.d_relation :].cpu(), model.config.d_relation
    of_the_kind = torch.zeros(len(query), dtype=torch.bool)
    for keys in parts_of(model.bank.keys):
        of_the_kind |= (relation @ keys[:, -d_relation:].cpu().T > model.config.kind_similarity).any(1)
    return of_the_kind & (routing.expert[rows, last] == CLOSED)
