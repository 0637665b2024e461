"""What one forward reads of the memory: from the router's features to the expert of every token.

Shapes: B batch, T tokens, S tokens seen before these, C key width. Padding is NO_TOKEN in `real`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch import Tensor

from mome.attention import Attention
from mome.lookup import Candidates
from mome.memory import Call, Features, MemoryState, Routing, attend_text, route
from mome.mention import NO_TOKEN, Mentions
from mome.step import Step, Winner, attend_step, take_step

if TYPE_CHECKING:
    from mome.modeling import MoMEForCausalLM


def read_memory(model: MoMEForCausalLM, call: Call, features: Features, num_asked: int | None) -> None:
    """Decide which expert every token of a forward reads, and what the next forward needs to know: fills in the call's
    `query`, `routing` and `after`.

    Args:
        features: of the tokens of this forward.
        num_asked: see `mome.mention.Mentions`.
    """
    before, bank, home = call.before, model.bank, model.bank.token.device
    mask = call.mask.to(home) if call.mask is not None else None
    tokens = call.tokens.to(home, copy=True)  # [B, T]; kept, and a caller may write over theirs
    num_tokens = tokens.shape[1]
    real = tokens if mask is None else tokens.masked_fill(~mask, NO_TOKEN)
    if before is not None and before.is_idle(num_asked):
        is_one = num_tokens == 1
        call.routing = Step.silent([-math.inf] * len(tokens)) if is_one else Routing.silent(tokens)
        call.after = before.in_silence(real, features)
        return
    read = Features.cat([*(before.unread if before else ()), features])
    query, pool = model.router(read.hidden, read.mask, before.pool if before else None)
    call.query = query = query[:, -num_tokens:] if query.shape[1] > num_tokens else query  # [B, T, C]
    if before is not None and mask is None and num_tokens == 1:
        candidates = before.candidates
        if candidates is not None and candidates.serve(num_asked):
            found = attend_step(query[:, 0], candidates, bank.keys, model.gate)
        else:
            attention, candidates = _attend(model, query, real, before, num_asked)
            found = Winner.of(attention)
        call.routing = take_step(tokens[:, 0], found, before, bank, num_asked)
        call.after = call.routing.state_after(pool, real, before)
    else:
        attention, candidates = _attend(model, query, real, before, num_asked)
        call.routing = route(tokens, mask, before, bank, attention.to(home), num_asked)
        call.after = call.routing.state_after(pool, real, mask, before)
    call.after.candidates = candidates


def _attend(
    model: MoMEForCausalLM, query: Tensor, tokens: Tensor, before: MemoryState | None, num_asked: int | None
) -> tuple[Attention, Candidates | None]:
    seen = before.past.with_seen(tokens) if before is not None else tokens  # [B, S + T]
    num_before, weight = seen.shape[1] - query.shape[1], model.config.subject_weight
    mentions = Mentions(model.bank.subject, model.bank.word_edge, seen, weight, num_before, num_asked)
    table = model.index, model.bank.keys, model.gate, model.config.num_neighbours
    return attend_text(query, mentions, before, *table)
