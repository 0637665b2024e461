"""The model: its trace, what teaching sees of it, forwards with given experts, and every mode of `generate`."""

import subprocess
import sys

import pytest
import torch
from torch import Tensor
from transformers import (
    CONFIG_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    Cache,
    DynamicCache,
    LogitsProcessor,
    LogitsProcessorList,
    TextStreamer,
    pipeline,
)

from mome.allocate import encode_facts
from mome.config import MoMEConfig
from mome.decoder import find_layers, hidden_of, real_tokens
from mome.errors import BackboneError
from mome.joining import right_pad
from mome.memory import CLOSED, Routing
from mome.modeling import MoMEForCausalLM
from mome.router import Router
from mome.step import Step
from train.answers import left_pad

NUM_NEW = 12


@pytest.fixture
def asked(taught) -> dict[str, Tensor]:
    """Six taught prompts of different lengths, padded on the left."""
    prompts = [taught.joiner.encode_prompt(fact.prompt) for fact in taught.facts[:6]]
    tokens, mask = left_pad(prompts, taught.joiner.tokenizer)
    assert len(mask.sum(1).unique()) > 2
    return {"input_ids": tokens, "attention_mask": mask}


def greedy(model: MoMEForCausalLM, asked: dict[str, Tensor], **settings):
    return model.generate(**{**asked, "max_new_tokens": NUM_NEW, "do_sample": False, "pad_token_id": 1, **settings})


def spoken(taught, sequences: Tensor, asked: dict[str, Tensor]) -> list[str]:
    return [taught.joiner.decode(row[asked["input_ids"].shape[1] :].tolist()) for row in sequences]


def answers(taught) -> list[str]:
    return [fact.answer for fact in taught.facts[:6]]


# The trace.


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_trace_names_the_expert_and_the_fact_of_every_answer_token(taught_at, side):
    prompts, taught_answers = encode_facts(taught_at.facts, taught_at.joiner, None)
    texts = [prompt + answer for prompt, answer in zip(prompts, taught_answers, strict=True)]
    tokens, mask = left_pad(texts, taught_at.joiner.tokenizer) if side == "left" else right_pad(texts)
    traces = taught_at.model.trace(tokens, mask)
    logits = taught_at.model(input_ids=tokens, attention_mask=mask).logits
    first_expert = taught_at.model.bank.key_expert.tolist()
    for row, (fact, text, answer) in enumerate(zip(taught_at.facts, texts, taught_answers, strict=True)):
        assert [entry.position for entry in traces[row]] == list(range(1, tokens.shape[1]))
        assert [entry.token for entry in traces[row]] == tokens[row, 1:].tolist()
        end = tokens.shape[1] if side == "left" else len(text)
        entries = traces[row][end - len(answer) - 1 : end - 1]
        assert [entry.token for entry in entries] == answer
        assert [entry.fact_id for entry in entries] == [fact.id] * len(answer)
        assert [entry.expert for entry in entries] == [first_expert[row] + nth for nth in range(len(answer))]
        assert [entry.continued for entry in entries] == [False] + [True] * (len(answer) - 1)
        for entry in entries:
            assert entry.similarity == pytest.approx(1, abs=1e-4)
            assert entry.confidence == entries[0].confidence > 0.3
            said = logits[row, entry.position - 1]
            others = torch.cat([said[: entry.token], said[entry.token + 1 :]])
            assert entry.margin == pytest.approx(float(said[entry.token] - others.max()), abs=1e-4)
            assert entry.margin > 0


def test_the_trace_is_closed_where_the_gate_is(taught_at):
    model = taught_at.reopen()
    model.gate.null_similarity = 2.0
    prompt = taught_at.joiner.encode_prompt(taught_at.facts[0].prompt)
    entries = model.trace(torch.tensor([[*prompt, 5]]))[0]
    assert {(entry.expert, entry.fact_id, entry.continued) for entry in entries} == {(None, None, False)}
    assert entries[-1].similarity == pytest.approx(1, abs=1e-4)
    assert entries[-1].to_dict().keys() >= {"position", "token", "expert", "fact_id", "similarity", "confidence"}


@pytest.mark.parametrize(
    "settings",
    [{}, {"num_beams": 3}, {"num_beams": 3, "num_return_sequences": 2}, {"return_dict_in_generate": True}],
    ids=["greedy", "beams", "several_sequences", "dict"],
)
def test_generate_returns_the_trace_of_what_it_says(taught_at, asked, settings):
    output, traces = greedy(taught_at.model, asked, return_trace=True, **settings)
    sequences = output if isinstance(output, Tensor) else output.sequences
    assert len(traces) == len(sequences)
    copies = settings.get("num_return_sequences", 1)
    start = asked["input_ids"].shape[1]
    for row, (trace, sequence) in enumerate(zip(traces, sequences.tolist(), strict=True)):
        assert [entry.token for entry in trace] == sequence[1:]
        if row % copies == 0:
            fact = taught_at.facts[row // copies]
            num_taught = len(taught_at.joiner.encode_answer(fact.prompt, fact.answer))
            said = trace[start - 1 : start - 1 + num_taught]
            assert {entry.fact_id for entry in said} == {fact.id}
    assert spoken(taught_at, sequences, asked)[::copies] == answers(taught_at)


def test_generate_takes_its_prompt_under_every_name(taught, asked):
    tokens, mask = asked["input_ids"], asked["attention_mask"]
    wanted = greedy(taught.model, asked, return_trace=True)
    settings = {"max_new_tokens": NUM_NEW, "do_sample": False, "pad_token_id": 1, "return_trace": True}
    for got in (
        taught.model.generate(tokens, attention_mask=mask, **settings),
        taught.model.generate(inputs=tokens, attention_mask=mask, **settings),
    ):
        assert torch.equal(got[0], wanted[0])
        assert got[1] == wanted[1]
    alone = tokens[3:4, -int(mask[3].sum()) :]
    sequences, trace = taught.model.generate(alone, **settings)
    assert taught.joiner.decode(sequences[0, alone.shape[1] :].tolist()) == taught.facts[3].answer
    assert trace[0][-1].fact_id == taught.facts[3].id


# What teaching uses.


@torch.no_grad()
def test_observe_gives_states_before_any_residual_and_the_queries_behind_the_keys(taught_at):
    model = taught_at.model
    prompts, taught_answers = encode_facts(taught_at.facts, taught_at.joiner, None)
    texts = [prompt + answer for prompt, answer in zip(prompts, taught_answers, strict=True)]
    tokens, mask = right_pad(texts)
    states, queries, _ = model.observe(tokens, mask)
    ends = mask.new_tensor([len(prompt) - 1 for prompt in prompts])
    rows = torch.arange(len(prompts))
    torch.testing.assert_close(queries[rows, ends], model.bank.keys, rtol=1e-4, atol=1e-4)
    seen = []
    site = find_layers(model.backbone)[model.config.sites[0]]
    hook = site.register_forward_hook(lambda _module, _args, output: seen.append(hidden_of(output)), prepend=True)
    with model.memory_disabled():
        model(tokens, attention_mask=mask, position_ids=(mask.cumsum(-1) - 1).clamp_min(0))
    hook.remove()
    assert torch.equal(states, seen[0])
    alone, own_queries, _ = model.observe(torch.tensor(texts[:1]), torch.ones(1, len(texts[0]), dtype=torch.long))
    torch.testing.assert_close(alone[0], states[0, : len(texts[0])], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(own_queries[0], queries[0, : len(texts[0])], rtol=1e-4, atol=1e-4)


def test_forward_with_experts_is_the_forward_whose_routing_chose_them(taught_at):
    model, bank = taught_at.model, taught_at.model.bank
    prompts, taught_answers = encode_facts(taught_at.facts, taught_at.joiner, None)
    tokens, mask = right_pad([prompt + answer for prompt, answer in zip(prompts, taught_answers, strict=True)])
    with torch.no_grad():
        wanted = model(tokens, attention_mask=mask).logits
    experts = model.routing(tokens, mask).expert
    down, up = (table.clone().requires_grad_() for table in (bank.down, bank.up))
    logits = model.forward_with_experts(experts, down, up, tokens, mask)
    assert torch.equal(logits.detach(), wanted)
    logits.float().logsumexp(-1).sum().backward()
    used = torch.zeros(bank.num_experts, dtype=torch.bool)
    used[experts[experts != CLOSED]] = True
    assert model.config.rank == 0 and down.grad is None
    assert up.grad is not None
    assert torch.equal(up.grad.flatten(1).any(1), used)
    assert all(parameter.grad is None for parameter in model.backbone.parameters())
    closed = model.forward_with_experts(torch.full_like(experts, CLOSED), down, up, tokens, mask)
    with model.memory_disabled(), torch.no_grad():
        positions = (mask.cumsum(-1) - 1).clamp_min(0)
        assert torch.equal(closed, model(tokens, attention_mask=mask, position_ids=positions).logits)


def test_forward_with_experts_is_over_after_an_error(taught):
    tokens = torch.tensor([taught.joiner.encode_prompt(taught.facts[0].prompt)])
    before = taught.model.routing(tokens).expert
    missing = torch.full_like(tokens, taught.model.bank.num_experts)
    with pytest.raises(IndexError):
        taught.model.forward_with_experts(missing, taught.model.bank.down, taught.model.bank.up, tokens, None)
    assert torch.equal(taught.model.routing(tokens).expert, before)


# Switching the memory off.


@torch.no_grad()
def test_memory_disabled_ends_with_its_block_even_after_an_error(taught, asked):
    with_memory = taught.model(**asked).logits
    with taught.model.memory_disabled():
        with taught.model.memory_disabled():
            bare = taught.model(**asked).logits
        assert torch.equal(taught.model(**asked).logits, bare)
        assert taught.model.trace(asked["input_ids"]) == [[]] * 6
        sequences, trace = greedy(taught.model, asked, return_trace=True)
        assert trace == [[]] * 6
        assert not set(spoken(taught, sequences, asked)) & set(answers(taught))
    with pytest.raises(RuntimeError, match="stop"), taught.model.memory_disabled():
        raise RuntimeError("stop")
    assert torch.equal(taught.model(**asked).logits, with_memory)
    assert not torch.equal(bare, with_memory)


# Auto classes, and other doors of transformers.


def test_auto_classes_open_a_checkpoint(taught, asked):
    config = AutoConfig.from_pretrained(taught.folder)
    assert isinstance(config, MoMEConfig)
    assert config.sites == taught.model.config.sites
    model = AutoModelForCausalLM.from_pretrained(taught.folder)
    assert isinstance(model, MoMEForCausalLM)
    assert torch.equal(greedy(model, asked), greedy(taught.model, asked))


def test_a_checkpoint_can_be_opened_in_another_precision(taught, asked):
    model = MoMEForCausalLM.from_pretrained(taught.folder, dtype=torch.bfloat16)
    assert model.backbone.dtype == torch.bfloat16
    assert spoken(taught, greedy(model, asked), asked) == answers(taught)


def test_the_text_generation_pipeline_answers_from_the_memory(taught):
    ask = pipeline("text-generation", model=taught.model, tokenizer=taught.joiner.tokenizer, device="cpu")
    fact = taught.facts[0]
    settings = {"max_new_tokens": NUM_NEW, "do_sample": False, "add_special_tokens": True}
    said = ask(fact.prompt, return_full_text=False, **settings)[0]["generated_text"]
    assert said.strip() == fact.answer


def test_importing_the_package_is_light_and_the_model_is_found_on_first_use():
    script = (
        "import sys, mome; assert 'torch' not in sys.modules; mome.MoMEForCausalLM; "
        "assert 'torch' in sys.modules; assert 'lightning' not in sys.modules; assert 'train' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_site_that_the_backbone_does_not_have_is_an_error(taught):
    config = MoMEConfig.from_dict({**taught.model.config.to_dict(), "sites": [3], "feature_layers": [0]})
    backbone = AutoModelForCausalLM.from_pretrained(config.backbone)
    with pytest.raises(BackboneError, match=r"sites \[3\]: the backbone has 3 decoder layers"):
        MoMEForCausalLM(config, backbone, Router(1, 64, 64, 8, 4, 16))


# Modes of generate.


@pytest.mark.parametrize(
    "settings",
    [
        {"use_cache": False},
        {"prefill_chunk_size": 3},
        {"num_beams": 4},
        {"num_beams": 2, "do_sample": True, "temperature": 0.01},
        {"cache_implementation": "static"},
        {"num_return_sequences": 1, "do_sample": True, "top_k": 1},
        {"repetition_penalty": 1.0001, "min_new_tokens": 1},
    ],
    ids=["no_cache", "chunked_prefill", "beams", "beam_sampling", "static_cache", "sampling", "processors"],
)
def test_every_mode_answers_from_the_memory(taught_at, asked, settings):
    assert spoken(taught_at, greedy(taught_at.model, asked, **settings), asked) == answers(taught_at)


def test_sampling_draws_the_same_with_and_without_a_cache(taught_at, asked):
    drawn = []
    for use_cache in (True, False):
        torch.manual_seed(5)
        settings = {"do_sample": True, "temperature": 3.0, "num_return_sequences": 3, "use_cache": use_cache}
        drawn.append(greedy(taught_at.model, asked, **settings))
    assert torch.equal(*drawn)
    assert len(set(map(tuple, drawn[0].tolist()))) > 6


@pytest.mark.parametrize(
    ("kind", "attention"), [("llama", "sdpa"), ("llama", "eager"), ("mistral", "sdpa"), ("gemma2", "eager")]
)
def test_a_static_cache_routes_padded_prompts_as_a_dynamic_one_does(taught, asked, kind, attention):
    """For a static cache `generate` passes a mask of queries and keys, or one for each kind of layer."""
    torch.manual_seed(0)
    sizes = {"vocab_size": 600, "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 3}
    window = {} if kind == "llama" else {"sliding_window": 8}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16}
    config = CONFIG_MAPPING[kind](initializer_range=0.2, **sizes, **heads, **window)
    backbone = AutoModelForCausalLM.from_config(config, attn_implementation=attention)
    model = MoMEForCausalLM(taught.model.config, backbone, taught.model.router, taught.model.bank, taught.model.ledger)
    model.gate.null_similarity = 0.3
    seen, kinds = [], []
    backbone.register_forward_hook(lambda *_: seen.append(model.last_routing))
    backbone.register_forward_hook(lambda *_: kinds.append(type(model._flight.last.routing)))
    lengths = []
    for settings in ({}, {"cache_implementation": "static"}):
        greedy(model, asked, **settings, min_new_tokens=NUM_NEW)
        lengths.append(len(seen))
    assert lengths == [NUM_NEW, 2 * NUM_NEW]
    assert kinds == [Routing, *[Step] * (NUM_NEW - 1)] * 2, "single tokens are decided upon in numbers"
    for dynamic, static in zip(seen[:NUM_NEW], seen[NUM_NEW:], strict=True):
        real = asked["attention_mask"].bool() if static is seen[NUM_NEW] else slice(None)
        assert torch.equal(static.expert[real], dynamic.expert[real])
        torch.testing.assert_close(static.similarity[real], dynamic.similarity[real], rtol=1e-4, atol=1e-4)


def test_a_stream_shows_what_is_generated(taught, capsys):
    fact = taught.facts[1]
    tokens = torch.tensor([taught.joiner.encode_prompt(fact.prompt)])
    streamer = TextStreamer(taught.joiner.tokenizer, skip_prompt=True, skip_special_tokens=True)
    taught.model.generate(tokens, max_new_tokens=NUM_NEW, do_sample=False, streamer=streamer)
    assert capsys.readouterr().out.strip() == fact.answer


def test_a_second_turn_goes_on_from_the_first_ones_cache(taught_at):
    model = taught_at.model
    first, second = (torch.tensor([taught_at.joiner.encode_prompt(fact.prompt)]) for fact in taught_at.facts[:2])
    turn = model.generate(first, max_new_tokens=NUM_NEW, do_sample=False, return_dict_in_generate=True)
    talk = torch.cat([turn.sequences, second], 1)
    going_on = model.generate(talk, past_key_values=turn.past_key_values, max_new_tokens=NUM_NEW, do_sample=False)
    assert torch.equal(going_on, model.generate(talk, max_new_tokens=NUM_NEW, do_sample=False))


@torch.no_grad()
def test_a_forward_that_returns_a_tuple_carries_the_state_too(taught_at):
    fact = taught_at.facts[1]
    prompt = taught_at.joiner.encode_prompt(fact.prompt)
    answer = taught_at.joiner.encode_answer(fact.prompt, fact.answer)
    output = taught_at.model(torch.tensor([prompt]), use_cache=True, return_dict=False)
    cache = next(part for part in output if isinstance(part, Cache))
    for nth, token in enumerate(answer[:-1], start=1):
        logits = taught_at.model(torch.tensor([[token]]), past_key_values=cache, return_dict=False)[0]
        assert int(logits[0, -1].argmax()) == answer[nth]


# Uses that cannot be right are errors.


def test_a_prompt_without_token_ids_is_an_error(taught):
    embedded = taught.model.get_input_embeddings()(torch.tensor([[5, 6, 7]]))
    with pytest.raises(BackboneError, match="needs `input_ids`; got only `inputs_embeds`"):
        taught.model(inputs_embeds=embedded)
    with taught.model.memory_disabled():
        assert taught.model(inputs_embeds=embedded).logits.shape == (1, 3, 600)


def test_a_cache_that_the_memory_did_not_see_filled_is_an_error(taught):
    cache = DynamicCache(config=taught.model.backbone.config)
    with taught.model.memory_disabled():
        taught.model(torch.tensor([[5, 6, 7]]), past_key_values=cache, use_cache=True)
    with pytest.raises(BackboneError, match="filled without the memory"):
        taught.model(torch.tensor([[8]]), past_key_values=cache)


def test_assisted_decoding_is_an_error_and_works_with_the_memory_off(taught):
    tokens = torch.tensor([taught.joiner.encode_prompt(taught.facts[0].prompt)])
    settings = {"max_new_tokens": 8, "do_sample": False, "prompt_lookup_num_tokens": 2}
    with pytest.raises(BackboneError, match="cannot be rolled back"):
        taught.model.generate(tokens, **settings)
    with taught.model.memory_disabled():
        assert taught.model.generate(tokens, **settings).shape[1] > tokens.shape[1]


def test_real_tokens_of_masks_of_every_form():
    padded = torch.tensor([[0, 0, 1, 1, 0], [1, 1, 1, 1, 1]])
    wanted = padded.bool()
    square = torch.ones(5, 5, dtype=torch.bool).tril() & wanted[:, None, None]  # [B, 1, T, T]
    added = torch.where(square, 0.0, torch.finfo(torch.float32).min)
    longer = torch.nn.functional.pad(square, (0, 7))
    for mask in (padded, square, added, longer, {"sliding_attention": None, "full_attention": square}):
        assert torch.equal(real_tokens(mask, 5, 0), wanted)
    for mask in (square[:, :, 3:], added[:, :, 3:], longer[:, :, 3:], square[:, :, 3:, 1:]):
        assert torch.equal(real_tokens(mask, 2, 3), wanted[:, 3:])
    assert real_tokens(None, 5, 0) is None and real_tokens(padded[:, :4], 2, 2) is None
    assert real_tokens(square[1:], 5, 0) is None and real_tokens(added[:, :, 3:4], 1, 3) is None
    assert real_tokens({"sliding_attention": None}, 5, 0) is None
    with pytest.raises(BackboneError, match="got 3 dimensions"):
        real_tokens(square[0], 5, 0)
    with pytest.raises(BackboneError, match="got str"):
        real_tokens("causal", 5, 0)


class Says(LogitsProcessor):
    """Makes a model say given tokens first, whatever its logits are."""

    def __init__(self, ids: list[int], num_prompt: int):
        self.ids, self.num_prompt = ids, num_prompt

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        nth = input_ids.shape[1] - self.num_prompt
        if nth >= len(self.ids):
            return scores
        return torch.full_like(scores, -torch.inf).index_fill(1, torch.tensor([self.ids[nth]]), 0.0)


@pytest.mark.parametrize("use_cache", [True, False])
def test_a_subject_that_the_model_names_itself_brings_up_no_fact(taught, use_cache):
    """Unless that is asked for: the answer to another question stays the backbone's to its end."""
    model, joiner, fact = taught.reopen(), taught.joiner, taught.facts[0]
    # So that nothing but the mention decides: the router was trained briefly.
    model.gate.null_similarity, model.gate.rival_margin = -1.0, 3.0
    named, answer = joiner.encode_prompt(fact.prompt)[1:], joiner.encode_answer(fact.prompt, fact.answer)
    texts = [joiner.encode_prompt(text) for text in ("It rained.", "The river runs to the sea.")]
    tokens, mask = left_pad(texts, joiner.tokenizer)

    def generate(**more):
        return model.generate(
            input_ids=tokens,
            attention_mask=mask,
            max_new_tokens=len(named) + len(answer),
            logits_processor=LogitsProcessorList([Says(named, tokens.shape[1])]),
            do_sample=False,
            use_cache=use_cache,
            pad_token_id=1,
            **more,
        )

    with model.memory_disabled():
        bare = generate()
    output, trace = generate(return_trace=True)
    assert torch.equal(output, bare)
    assert all(entry.fact_id is None for row in trace for entry in row)
    followed, trace = generate(return_trace=True, follow_own_mentions=True)
    assert (followed[:, -len(answer) :] == torch.tensor(answer)).all()
    assert all(entry.fact_id == fact.id for row in trace for entry in row[-len(answer) :])
    assert model.trace(followed)[0][-1].fact_id == fact.id, "a text that is given is read whole"
    with pytest.raises(RuntimeError):
        model.generate(input_ids=tokens, logits_processor=LogitsProcessorList([Fails()]), max_new_tokens=2)
    assert model.routing(followed).expert[0, -2] != CLOSED, "nothing is left of a generate that failed"


@pytest.mark.parametrize(("mentioned", "weight"), [(True, 5.0), (False, 5.0), (False, 0.0)])
def test_what_is_generated_is_routed_as_the_whole_text_is(taught, mentioned, weight):
    """Step by step behind a prompt's candidates, and in one forward; with padding, in a batch. Where mentions are not
    checked, facts are read whatever is mentioned."""
    model, joiner, facts = taught.reopen(), taught.joiner, taught.facts[:2]
    model.config.subject_weight = weight
    model.gate.null_similarity, model.gate.rival_margin = -1.0, 3.0
    texts = [f"{fact.prompt} It rained. The river" if mentioned else "It rained. The river runs" for fact in facts]
    ids = [joiner.encode_prompt(text) for text in [texts[0], f"Once. {texts[1]}"]]
    tokens, mask = left_pad(ids, joiner.tokenizer)
    experts, words = [], joiner.encode_prompt("the sea is never full of it")[1:7]
    after = model.backbone.register_forward_hook(lambda *_: experts.append(model.last_routing.expert[:, -1]))
    says = LogitsProcessorList([Says(words, tokens.shape[1])])  # no answer, so that facts are entered again and again
    settings = {"max_new_tokens": 6, "do_sample": False, "pad_token_id": 1, "logits_processor": says}
    output = model.generate(input_ids=tokens, attention_mask=mask, **settings)
    after.remove()
    grown = torch.cat([mask, mask.new_ones(2, output.shape[1] - tokens.shape[1])], dim=1)
    with model.asked(tokens.shape[1]):
        whole = model.routing(output, grown)
    steps = torch.stack(experts, dim=1)
    assert steps.shape[1] == 6
    assert torch.equal(steps, whole.expert[:, tokens.shape[1] - 1 : -1])
    is_open = mentioned or not weight
    assert (steps != CLOSED).all() == is_open == (steps != CLOSED).any()


def test_the_router_reads_no_generated_token_where_no_subject_is_mentioned(taught, monkeypatch):
    """And takes up what it has not read, when more is asked."""
    model, joiner, fact = taught.reopen(), taught.joiner, taught.facts[0]
    model.gate.null_similarity, model.gate.rival_margin = -1.0, 3.0
    first = torch.tensor([joiner.encode_prompt("It rained.")])
    num_read = []
    forward = model.router.forward
    monkeypatch.setattr(model.router, "forward", lambda h, *rest: num_read.append(h[0].shape[1]) or forward(h, *rest))
    turn = model.generate(first, max_new_tokens=5, min_new_tokens=5, do_sample=False, return_dict_in_generate=True)
    assert num_read == [first.shape[1]]
    talk = torch.cat([turn.sequences, torch.tensor([joiner.encode_prompt(fact.prompt)])], dim=1)
    going_on = model.generate(talk, past_key_values=turn.past_key_values, max_new_tokens=NUM_NEW, do_sample=False)
    assert num_read[1] == talk.shape[1] - first.shape[1], "the tokens that were generated, and the second prompt"
    assert torch.equal(going_on, model.generate(talk, max_new_tokens=NUM_NEW, do_sample=False))
    with model.memory_disabled():
        assert not torch.equal(going_on, model.generate(talk, max_new_tokens=NUM_NEW, do_sample=False))


@pytest.mark.slow
@torch.no_grad()
def test_nothing_is_compiled_anew_behind_the_second_step(taught):
    """And what a compiled model says is what the model says; backend "eager" compiles without a C++ compiler."""
    model, joiner, fact = taught.reopen(), taught.joiner, taught.facts[0]
    compiled = torch.compile(model, backend="eager")
    for text in (fact.prompt, "It rained."):
        torch.compiler.set_stance("default")
        tokens = torch.tensor([joiner.encode_prompt(text)])
        with model.asked(tokens.shape[1]):
            output, plain = (run(input_ids=tokens, use_cache=True) for run in (compiled, model))
            for step in range(5):
                if step == 2:
                    torch.compiler.set_stance("fail_on_recompile")
                token = plain.logits[:, -1:].argmax(-1)
                output, plain = (
                    run(input_ids=token, past_key_values=before.past_key_values, use_cache=True)
                    for run, before in ((compiled, output), (model, plain))
                )
                assert torch.allclose(output.logits, plain.logits, atol=1e-5)
    torch.compiler.set_stance("default")
    torch.compiler.reset()


class Fails(LogitsProcessor):
    """An error in the middle of generating."""

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        raise RuntimeError
