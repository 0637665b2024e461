"""Stage 3, memorize: gradient steps on the experts of some facts alone, until every fact has its margin.

Shapes: P expert rows, S sites, R rank, D hidden width, V vocabulary, B texts, T tokens.

`train` runs it over a corpus, some facts at a time; a live model for one more fact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mome.allocate import Allocation, allocate
from mome.bank import Bank
from mome.decoder import Tail, find_layers
from mome.facts import Fact
from mome.joining import Joiner, right_pad
from mome.memory import CLOSED
from mome.mention import word_edges
from mome.modeling import MoMEForCausalLM
from mome.settings import WriteSettings
from mome.write import LogitsOf, Watch, Written, cached_logits, init_down, write


@dataclass
class Memorized:
    """Facts as rows of a bank, numbered from 0."""

    bank: Bank
    margin: Tensor  # [P] logit margin that each expert reached
    num_steps: Tensor  # [P] gradient steps that it took


def memorize(
    model: MoMEForCausalLM,
    joiner: Joiner,
    facts: Sequence[Fact],
    word_edge: Tensor,
    settings: WriteSettings,
    seed: int,
    advance: Callable[[int], None] = lambda _num: None,
    watch: Watch = lambda _step, _written: None,
) -> Memorized:
    """Allocate and write the experts of some facts; the model itself is not changed.

    Args:
        word_edge: of the tokenizer, see `mome.mention.word_edges`.
        seed: of the states that are blended.
        advance: called with the number of facts that are learned, for a progress bar.
        watch: called before the first step and behind every one, see `mome.write.write`.

    Raises:
        FactsError: a fact does not fit the tokenizer or the context; the message names it.
    """
    work = allocate(model, joiner, facts, word_edge)
    written = _write(model, work, settings, seed, advance, watch)
    is_first = torch.cat([torch.ones(1, dtype=torch.bool), work.fact[1:] != work.fact[:-1]])
    bank = Bank(
        down=written.down.cpu().contiguous().to(model.config.dtype_of_experts),
        up=written.up.cpu().contiguous().to(model.config.dtype_of_experts),
        token=work.target.int(),
        fact=work.fact.int(),
        keys=work.keys,
        key_expert=is_first.nonzero().flatten().int(),
        subject=work.subject,
        word_edge=word_edge,
    )
    return Memorized(bank, written.margin, written.num_steps)


def add_facts(
    model: MoMEForCausalLM, joiner: Joiner, facts: Sequence[Fact], settings: WriteSettings | None = None, seed: int = 0
) -> Memorized:
    """Teach further facts to an open model. What it costs depends on these facts alone, not on how many it holds.

    Raises:
        FactsError: a fact does not fit the tokenizer or the context, or has an id that is taken.

    Returns:
        What was learned of them; `margin` tells whether all of it was.
    """
    model.ledger.check_new(facts)
    done = _learn(model, joiner, facts, settings, seed)
    model.extend(done.bank, facts)
    return done


def update_facts(
    model: MoMEForCausalLM, joiner: Joiner, facts: Sequence[Fact], settings: WriteSettings | None = None, seed: int = 0
) -> Memorized:
    """Correct facts of an open model: each takes the place of the one with its id, which is forgotten.

    Raises:
        FactsError: a fact does not fit the tokenizer or the context, or there is none with its id, or its prompt is
            another one's; nothing was changed then.

    Returns:
        What was learned of them; `margin` tells whether all of it was.
    """
    fact_ids = [fact.id for fact in facts]
    model.ledger.check_new(facts, instead_of=model.ledger.numbers_of(fact_ids))
    done = _learn(model, joiner, facts, settings, seed)
    model.forget(fact_ids)
    model.extend(done.bank, facts)
    return done


def _learn(
    model: MoMEForCausalLM, joiner: Joiner, facts: Sequence[Fact], settings: WriteSettings | None, seed: int
) -> Memorized:
    word_edge = model.bank.word_edge if model.bank.num_keys else word_edges(joiner.tokenizer)
    return memorize(model, joiner, facts, word_edge, settings or WriteSettings(), seed)


def _write(
    model: MoMEForCausalLM,
    work: Allocation,
    settings: WriteSettings,
    seed: int,
    advance: Callable[[int], None],
    watch: Watch,
) -> Written:
    device = next(model.backbone.parameters()).device
    generator = torch.Generator().manual_seed(seed)
    hidden, fact, target = (table.to(device) for table in (work.hidden, work.fact, work.target))
    num_sites, rank = len(model.config.sites), model.config.rank
    down = init_down(hidden, rank, generator)[:, None].repeat(1, num_sites, 1, 1)
    up = torch.zeros(len(target), num_sites, model.config.d_model, max(rank, 1), device=device)
    hooks = nullcontext()
    if model.config.sites == [len(find_layers(model.backbone)) - 1]:
        # The tail runs the backbone with the memory's hooks on it; they must not add what the bank holds.
        logits_of, hooks = cached_logits(hidden, Tail(model.backbone), settings, generator), model.memory_disabled()
    else:
        logits_of, settings = whole_model_logits(model, work, fact), replace(settings, blending=0.0)
    with torch.enable_grad(), hooks:
        return write(logits_of, target, fact, down, up, settings, advance, model.config.dtype_of_experts, watch)


def whole_model_logits(model: MoMEForCausalLM, work: Allocation, fact: Tensor) -> LogitsOf:
    """`LogitsOf` for sites before the last layer: the texts of the facts in work run through the whole backbone."""
    first_row = {int(number): int((fact == number).nonzero()[0]) for number in fact.unique()}

    def logits_of(rows: Tensor, down: Tensor, up: Tensor, blended: bool) -> Tensor:
        numbers, text_of_row = fact[rows].unique(return_inverse=True)
        tokens, mask = right_pad([work.texts[int(number)] for number in numbers])
        nth = rows - torch.tensor([first_row[int(number)] for number in fact[rows]], device=rows.device)
        position = work.answer_start.to(rows.device)[fact[rows]] - 1 + nth
        experts = torch.full(tokens.shape, CLOSED, device=rows.device)
        experts[text_of_row, position] = torch.arange(len(rows), device=rows.device)
        assert not blended, "states before the last layer are not blended"
        logits = model.forward_with_experts(experts, down, up, tokens.to(rows.device), mask.to(rows.device))
        return logits[text_of_row, position].float()

    return logits_of
