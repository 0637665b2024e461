"""Models and memories of any size with random contents, for measurements in which only sizes matter.

Shapes: N experts and as many keys, D hidden width, C key width, R width of its relation part, Q queries.
"""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from mome.bank import Bank
from mome.checkpoint import new_router
from mome.config import MoMEConfig
from mome.decoder import load_backbone
from mome.mention import NO_TOKEN
from mome.modeling import MoMEForCausalLM

RANDOM = "random"
VOCABULARY = 32_000
NUM_TEXTS, TEXT_TOKENS = 256, 64
MAX_KEYS_AT_ONCE = 2**20


def any_backbone(name: str) -> PreTrainedModel:
    """A Llama of 110M parameters with random weights for `"random"`, else the backbone of that name."""
    if name != RANDOM:
        return load_backbone(name)
    config = LlamaConfig(
        hidden_size=768,
        num_hidden_layers=12,
        intermediate_size=2048,
        num_attention_heads=12,
        vocab_size=VOCABULARY,
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config).eval().requires_grad_(False)


def empty_memory(backbone: PreTrainedModel) -> MoMEForCausalLM:
    """A memory with a random router and no experts, at the last layer, as `mome train` would place it."""
    layers, d_model = backbone.config.num_hidden_layers, backbone.config.hidden_size
    config = MoMEConfig(d_model=d_model, sites=[layers - 1], feature_layers=sorted({0, layers // 8, layers // 4}))
    router = new_router(config)
    return MoMEForCausalLM(config, backbone, router)


@torch.no_grad()
def some_queries(model: MoMEForCausalLM) -> Tensor:
    """Queries `[Q, C]` at the tokens of random texts."""
    found = []
    for _ in range(NUM_TEXTS // 16):
        texts = torch.randint(model.backbone.config.vocab_size, (16, TEXT_TOKENS))
        model.routing(texts.to(model.backbone.device))
        assert model.last_query is not None
        found.append(model.last_query.flatten(0, 1))
    return torch.cat(found)


def keys_like(queries: Tensor, num: int, d_relation: int = 0) -> Tensor:
    """Keys `[N, C]` that lie between pairs of queries, and so where queries do; of unit parts."""
    keys, width = torch.empty(num, queries.shape[1]), queries.shape[1] - d_relation
    for part in keys.split(MAX_KEYS_AT_ONCE):
        first, second = (torch.randint(len(queries), (len(part),)) for _ in range(2))
        torch.lerp(queries[first], queries[second], torch.rand(len(part), 1) * 0.5, out=part)
        for columns in (part[:, :width], part[:, width:]):
            torch.nn.functional.normalize(columns, dim=1, out=columns)
    return keys


def random_bank(model: MoMEForCausalLM, queries: Tensor, num: int, mentioned: int) -> Bank:
    """A bank of one-token facts, one in sixteen about the token `mentioned`, the others about names of three tokens."""
    config, numbers = model.config, torch.arange(num, dtype=torch.int32)
    bank = Bank.empty(1, config.rank, config.d_model, config.d_key)
    if not num:
        return bank
    block = torch.randn(min(num, 10_000), 1, config.d_model, 1) * 1e-3
    bank.up = block.repeat(-(-num // len(block)), 1, 1, 1)[:num]
    bank.down = torch.empty(num, 1, config.rank, config.d_model)
    bank.token, bank.fact, bank.key_expert = torch.full((num,), NO_TOKEN, dtype=torch.int32), numbers, numbers.clone()
    bank.keys = keys_like(queries, num, config.d_relation)
    bank.subject = torch.full((num, *bank.subject.shape[1:]), NO_TOKEN, dtype=torch.int32)
    bank.subject[:, :4, :3] = torch.randint(VOCABULARY, (num, 4, 3), dtype=torch.int32)
    bank.subject[::16] = NO_TOKEN
    bank.subject[::16, 0, 0] = mentioned
    return bank


def say(bank: Bank, answer: Tensor, query: Tensor) -> None:
    """Make the last experts of a random bank those of one fact with the answer int64 `[A]`, which is entered by the
    query fp32 `[C]`; its subject needs no mention."""
    num_left = bank.num_keys - len(answer)
    bank.token[num_left:], bank.fact[num_left:] = answer.int(), num_left
    for name in ("keys", "key_expert", "subject"):
        setattr(bank, name, getattr(bank, name)[: num_left + 1])
    assert isinstance(bank.keys, Tensor) and isinstance(bank.subject, Tensor)
    bank.keys[-1], bank.subject[-1] = query, NO_TOKEN
