"""A text, fact by fact: which of its words a taught fact says too, and where a fact says something else."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from itertools import pairwise

import torch
from transformers import PreTrainedTokenizerBase

from mome.decoder import max_context
from mome.errors import SettingsError
from mome.joining import Joiner
from mome.modeling import MoMEForCausalLM
from mome.trace import TokenTrace

# Tokens around the end of a question at which the memory may take it to be over: its last words, and its "?".
MAX_APART = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """A piece of a text; the fact's fields are None where no fact speaks for it."""

    text: str
    fact_id: str | None = None
    fact_answer: str | None = None
    agrees: bool | None = None  # whether the fact says these words, or others
    similarity: float | None = None
    margin: float | None = None  # the least of its tokens, see `mome.trace.TokenTrace`

    def to_dict(self) -> dict:
        """As JSON-ready fields."""
        return asdict(self)


NOBODYS = Span(text="")


@torch.no_grad()
def annotate(model: MoMEForCausalLM, tokenizer: PreTrainedTokenizerBase, text: str) -> list[Span]:
    """Read a text with the memory, and cut it where one fact, or none, stops speaking for it.

    A fact speaks for the words that follow a beginning to which it is the answer, be the text written by someone or
    generated. Where it says another word than the text, that word is a span that does not agree.

    Returns:
        The whole text in spans.

    Raises:
        SettingsError: the text is empty, or longer than the backbone's context, or the tokenizer cannot tell where its
            tokens stand.
    """
    if not text.strip():
        raise SettingsError("text: expected words, got an empty text")
    ids, words = _words(tokenizer, text)
    context = max_context(model.backbone)
    if context is not None and len(ids) > context:
        raise SettingsError(f"text: it is {len(ids)} tokens long, the backbone's context holds {context}; cut it up")
    said = _to_word_ends(_spoken(model, tokenizer, ids), words)
    spans: list[Span] = []
    for number, word in enumerate(words):
        span = said.get(number, NOBODYS)
        if spans and (span.fact_id, span.agrees) == (spans[-1].fact_id, spans[-1].agrees):
            margins = [each.margin for each in (spans[-1], span) if each.margin is not None]
            spans[-1] = replace(spans[-1], text=spans[-1].text + word, margin=min(margins, default=None))
        elif word:
            spans.append(replace(span, text=word))
    return spans


def _words(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[list[int], list[str]]:
    """The tokens of a text, and for each what it adds to those before it; a character of several tokens is the first
    one's."""
    if not tokenizer.is_fast:
        raise SettingsError(f"annotate: expected a fast tokenizer, got {type(tokenizer).__name__}; use its fast form")
    encoded = tokenizer(text, return_offsets_mapping=True)
    ends = [0]
    for _, end in encoded["offset_mapping"]:
        ends.append(max(ends[-1], end))
    ends[-1] = len(text)
    return encoded["input_ids"], [text[start:end] for start, end in pairwise(ends)]


def _to_word_ends(said: dict[int, Span], words: list[str]) -> dict[int, Span]:
    """The same, with spans that do not agree drawn out to the ends of their words."""
    whole = dict(said)
    for first in sorted(number for number, span in said.items() if not span.agrees):
        for number in range(first + 1, len(words)):
            if number in said or not words[number][:1].isalnum():
                break
            whole[number] = said[first]
    return whole


def _spoken(model: MoMEForCausalLM, tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> dict[int, Span]:
    """For the tokens for which a fact speaks, which one, and whether it says them.

    A fact may be entered at several of the last words of its question. It is held against the text once: not at all
    if it then agrees, else where it was surest.
    """
    joiner = Joiner(tokenizer=tokenizer, join=model.config.join, end=model.config.end)
    said: dict[int, Span] = {}
    unlike: dict[str, tuple[int, int]] = {}  # by fact, where it was surest of another word, and where it was last
    for entry in model.trace(torch.tensor([ids], device=model.device))[0]:
        span = _span_of(model, joiner, entry)
        if span.fact_id is None:
            continue
        surest, last = unlike.get(span.fact_id, (-1, -1))
        if surest >= 0 and entry.position - last <= MAX_APART:
            if span.agrees or (span.similarity or 0) > (said[surest].similarity or 0):
                del said[surest], unlike[span.fact_id]
            else:
                unlike[span.fact_id] = surest, entry.position
                continue
        said[entry.position] = span
        if not span.agrees:
            unlike[span.fact_id] = entry.position, entry.position
    return said


def _span_of(model: MoMEForCausalLM, joiner: Joiner, entry: TokenTrace) -> Span:
    if entry.expert is None:
        return NOBODYS
    wanted = int(model.bank.token[entry.expert])
    fact = model.facts.facts[int(model.bank.fact[entry.expert])]
    behind = model.bank.fact[entry.expert + len(joiner.end_ids) :][:1].tolist()
    is_end = bool(joiner.end_ids) and behind != [int(model.bank.fact[entry.expert])]
    if wanted != entry.token and is_end:
        return NOBODYS  # the answer is over, and the text goes on
    return Span(
        text="",
        fact_id=fact.id,
        fact_answer=fact.answer,
        agrees=wanted == entry.token,
        similarity=entry.similarity,
        margin=entry.margin,
    )
