"""Retrieval in context: the taught facts that look most like a question are put before it.

Shapes: B prompts, U tokens that stand in taught prompts, W width of the embedding.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mome.decoder import max_context
from mome.facts import Fact
from mome.index import build_index
from mome.joining import CHAT, PRESETS, Joiner
from train.answers import Advance, generate_ids
from train.baselines.method import Method, refuse_memory
from train.baselines.settings import RetrievalSettings

WIDTH = 512


class Retriever:
    """Finds taught facts by the words of a question, in a FAISS index of its own over their prompts.

    A prompt is embedded as the bag of its token ids, each weighted by its inverse document frequency, projected to
    `WIDTH` dimensions by random signs and normalised. Facts are about named entities, and a name is found best by its
    own rare tokens: here a lexical retriever is strong, a dense one would have to be trained or bought, and this one
    costs next to nothing.
    """

    def __init__(self, facts: Sequence[Fact], tokenizer: PreTrainedTokenizerBase, seed: int):
        self.tokenizer = tokenizer
        bags = [self._tokens(fact.prompt) for fact in facts]
        counts = Counter(token for bag in bags for token in set(bag))
        self.row = {token: row for row, token in enumerate(counts)}
        frequency = torch.tensor(list(counts.values()), dtype=torch.float32)
        # Positive even for a token of every prompt, so that one fact alone can be found too.
        weight = torch.log1p((len(facts) - frequency + 0.5) / (frequency + 0.5))
        signs = torch.randint(0, 2, (len(counts), WIDTH), generator=torch.Generator().manual_seed(seed)) * 2.0 - 1.0
        self.table = signs * weight[:, None]  # [U, W]
        self.index = build_index(self._embed_bags(bags), "Flat")

    def _tokens(self, prompt: str) -> list[int]:
        # Behind a space, so that a name at the beginning has the tokens that it has inside another wording.
        return self.tokenizer(" " + prompt, add_special_tokens=False).input_ids

    def _embed_bags(self, bags: list[list[int]]) -> Tensor:
        # Tokens of no taught prompt can match nothing; projected, they would be noise.
        rows = [[self.row[token] for token in bag if token in self.row] for bag in bags]
        starts = torch.tensor([0, *map(len, rows)]).cumsum(0)[:-1]
        flat = torch.tensor([row for bag in rows for row in bag], dtype=torch.long)
        return functional.normalize(functional.embedding_bag(flat, self.table, starts, mode="sum"))

    def embed(self, prompts: list[str]) -> Tensor:
        """Unit vectors fp32 `[B, W]`; zero for a prompt that shares no token with a taught one."""
        return self._embed_bags([self._tokens(prompt) for prompt in prompts])

    def nearest(self, prompts: list[str], num_facts: int) -> list[list[int]]:
        """Numbers of the nearest facts of every prompt, nearest first."""
        _, found = self.index.search(self.embed(prompts), num_facts)
        return [[number for number in row if number >= 0] for row in found.tolist()]


def retrieval(backbone: PreTrainedModel, joiner: Joiner, facts: Sequence[Fact], settings: RetrievalSettings) -> Method:
    """The backbone, with the nearest taught facts before each question; an answer is one line, as theirs are.

    Raises:
        BackboneError: a memory is attached to the backbone.
    """
    refuse_memory(backbone)
    start = time.process_time()
    retriever = Retriever(facts, joiner.tokenizer, settings.seed)
    cpu_seconds = time.process_time() - start
    context = max_context(backbone)

    def generate(prompts: list[str], num_new: list[int], advance: Advance) -> list[list[int]]:
        ids = []
        found = retriever.nearest(prompts, settings.num_retrieved)
        for prompt, num, numbers in zip(prompts, num_new, found, strict=True):
            nearest_last = [facts[number] for number in reversed(numbers)]
            ids.append(encode_fitting(joiner, nearest_last, prompt, None if context is None else context - num))
        said = generate_ids(backbone, joiner.tokenizer, ids, num_new, advance=advance)
        return [first_line(joiner.tokenizer, row) for row in said]

    return Method(name="retrieval", generate=generate, cpu_seconds=cpu_seconds)


def encode_fitting(joiner: Joiner, found: Sequence[Fact], prompt: str, room: int | None) -> list[int]:
    """Token ids of a prompt behind as many of the last of the found facts as there is room for; None is no bound."""
    for first in range(len(found)):
        ids = encode_behind(joiner, found[first:], prompt)
        if room is None or len(ids) <= room:
            return ids
    return joiner.encode_prompt(prompt)


def encode_behind(joiner: Joiner, found: Sequence[Fact], prompt: str) -> list[int]:
    """Token ids of a prompt behind facts, each on lines of its own; in a chat, they open the user's turn."""
    form = PRESETS["plain"] if joiner.join == CHAT else PRESETS.get(joiner.join, joiner.join)
    lines = "".join(form.format(prompt=fact.prompt, answer=fact.answer) + "\n" for fact in found)
    if joiner.join == CHAT:
        return joiner.encode_prompt(lines + prompt)
    # As part of the form, so that what the tokenizer puts before a text stands once, and before all of it.
    return replace(joiner, join=lines.replace("{", "{{").replace("}", "}}") + form).encode_prompt(prompt)


def first_line(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> list[int]:
    """An answer up to the end of its first line that is not empty: what follows it imitates the lines of the context.

    A token that holds a line's end, and more, is left out.
    """
    begun = False
    for place, token in enumerate(ids):
        text = cast(str, tokenizer.decode([token]))
        if begun and "\n" in text:
            return ids[:place]
        begun = begun or bool(text.strip())
    return ids
