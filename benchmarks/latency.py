"""`mome bench latency`: what a memory costs in time, beside the bare backbone, LoRA and retrieval in context.

Every method works on the same weights, in the same process, a step at a time in turns: a machine that slows down hits
all alike. A ratio is the median over all steps of a method's time over the bare backbone's in the same round.

Shapes: B batch, T tokens.
"""

from __future__ import annotations

import copy
import json
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from rich.table import Table
from torch import Tensor
from transformers import PreTrainedModel

from benchmarks.plots import plot_latency
from benchmarks.record import RESULTS, check_sizes, record
from benchmarks.synthetic import RANDOM, any_backbone, empty_memory, random_bank, say, some_queries
from mome.bank import Bank
from mome.cli import settings_from
from mome.errors import SettingsError
from mome.index import FaissIndex, TorchIndex, build_index
from mome.memory import CLOSED
from mome.modeling import MoMEForCausalLM
from train.baselines.lora import add_adapters
from train.baselines.settings import LoRASettings
from train.progress import bar, console

# What a memory may meet: its gate opens at every token; or never, although facts about a subject of the prompt are
# looked at; or the prompt mentions no taught subject. The similarity of the null key and the margin of rivals for each.
GATES = {"open": (-1.0, 2.0), "closed": (2.0, 2.0), "unmentioned": (2.0, 2.0)}
# And a fact is being said, whose experts follow one another, while other keys are looked at but lose to their rivals.
FOLLOWING, FOLLOWED = "following", (-1.0, -4.0)
NUM_FACTS, FACT_TOKENS = 5, 24  # that retrieval puts before the prompt
NUM_WARM = 8


@dataclass(kw_only=True)
class LatencySettings:
    """Settings of `mome bench latency`."""

    backbone: str = RANDOM
    """`random`, a Llama of 110M parameters with random weights, or the folder or Hugging Face id of a model."""
    experts: list[int] = field(default_factory=lambda: [0, 1_000, 100_000, 1_000_000])
    """Sizes of the memory."""
    prompt: int = 64
    """Tokens before the first one that is generated."""
    tokens: int = 128
    """Tokens that every method reads one by one, and are timed, behind eight that warm up."""
    batch: int = 16
    """Rows of the batch that is decoded."""
    prefill: int = 512
    """Tokens of the text that is read at once."""
    prefills: int = 21
    """How often it is read; one more time warms up."""
    seed: int = 0
    """Seed of all weights, memories and texts."""


@dataclass(frozen=True)
class Placement:
    """Where everything is computed; on a GPU the index is exact search in torch."""

    device: str = "cpu"
    dtype: torch.dtype = torch.float32  # of the backbone
    experts_on_host: bool = False


@dataclass
class Memory:
    """A memory of one size, ready to be put into the model."""

    bank: Bank
    index: TorchIndex | FaissIndex


@dataclass
class Timed:
    """Seconds of one workload, by method and round, and which share of its tokens read an expert, by method; where a
    fact is followed, which share followed it."""

    seconds: dict[str, list[float]]
    open_share: dict[str, float]

    def ratio(self, method: str) -> float:
        """Median over the rounds of a method's time over the bare backbone's."""
        return statistics.median(a / b for a, b in zip(self.seconds[method], self.seconds["bare"], strict=True))

    def spread(self, method: str) -> tuple[float, float]:
        """Quartiles of the same ratios."""
        ratios = [a / b for a, b in zip(self.seconds[method], self.seconds["bare"], strict=True)]
        low, _, high = statistics.quantiles(ratios, n=4)
        return low, high


def main(argv: list[str]) -> None:
    """Time every method; print a table, plot it, record the result, and print it as one JSON line."""
    settings = settings_from("bench latency", LatencySettings, argv)
    check_sizes(settings, "prompt", "batch", "prefill")
    if min(settings.tokens, settings.prefills) < 2 or not settings.experts or min(settings.experts) < 0:
        raise SettingsError(
            f"--tokens {settings.tokens} --prefills {settings.prefills} --experts {settings.experts}: expected 2 or "
            "more tokens and prefills, for a median and quartiles, and sizes of 0 or more"
        )
    timed, result = measure(settings)
    print_table(timed)
    plot_latency(settings.experts, result, RESULTS / "latency.png")
    record("latency", f"mome bench latency {' '.join(argv)}", result)
    print(json.dumps(result))


def measure(settings: LatencySettings, place: Placement = Placement()) -> tuple[dict[str, Timed], dict[str, float]]:
    """Time every method: seconds by workload, and the flat result."""
    torch.manual_seed(settings.seed)
    backbone = any_backbone(settings.backbone)
    torch.nn.Module.to(backbone, place.device, place.dtype)
    bare, adapted = with_same_weights(backbone), with_same_weights(backbone)
    add_adapters(adapted, LoRASettings())
    model = empty_memory(backbone)
    torch.nn.Module.to(model, place.device)
    memories = build_memories(model, settings, place)
    workloads = {
        "decode": lambda: time_decoding(settings, bare, model, memories, 1, {"lora": adapted.eval()}),
        "batch": lambda: time_decoding(settings, bare, model, memories, settings.batch, {}),
        "prefill": lambda: time_prefill(settings, bare, model, memories),
    }
    timed = {name: run() for name, run in workloads.items()}
    return timed, summarize(settings, timed)


def with_same_weights(model: PreTrainedModel) -> PreTrainedModel:
    """A model of its own around the very same tensors. Copies of them lie elsewhere in memory, and two copies of one
    model may differ in speed by two in a hundred."""
    return copy.deepcopy(model, {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())})


def build_memories(model: MoMEForCausalLM, settings: LatencySettings, place: Placement) -> dict[int, Memory]:
    """Random memories of all sizes, about the first token of the texts."""
    queries, made = some_queries(model).cpu(), {}
    text = followed_text(settings, model.backbone)
    model.routing(text[:, : settings.prompt])
    assert model.last_query is not None
    # Longer by a token than what is read of it, so that its last expert is not reached.
    said = torch.cat([text[0, settings.prompt :], text[0, :1]]).cpu(), model.last_query[0, -1].cpu()
    with bar("build memories", len(settings.experts)) as advance:
        for num in settings.experts:
            bank, kind = random_bank(model, queries, num, mentioned=0), "auto"
            if num > len(said[0]):
                say(bank, *said)
            if place.device != "cpu":
                bank, kind = bank.to(place.device, place.experts_on_host), "exact"
            made[num] = Memory(bank, build_index(bank.keys[:, : model.config.d_subject], kind))
            advance(1)
    return made


def text_of(
    settings: LatencySettings, model: PreTrainedModel, batch: int, num_tokens: int, mentions: bool = True
) -> Tensor:
    """A random text `[B, T]` that mentions the subject or does not."""
    generator = torch.Generator().manual_seed(settings.seed)
    text = torch.randint(1, model.config.vocab_size, (batch, num_tokens), generator=generator)
    text[:, 0] = 0 if mentions else 1
    return text.to(model.device)


def followed_text(settings: LatencySettings, model: PreTrainedModel) -> Tensor:
    """A prompt and the answer of a fact behind it, `[1, T]`."""
    num_tokens = settings.prompt + NUM_WARM + settings.tokens
    return text_of(replace(settings, seed=settings.seed + 1), model, 1, num_tokens)


def clock() -> float:
    """Seconds, once all that a GPU has been given is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


# What is timed in every round, once a method has begun; it returns its seconds.
Step = Callable[[], float]


@torch.no_grad()
def decoding(model: PreTrainedModel, text: Tensor, num_read: int) -> Step:
    """Read the first so many tokens of a text `[B, T]`; each step is the forward of one token more."""
    output, place = model(input_ids=text[:, :num_read], use_cache=True), num_read

    @torch.no_grad()
    def step() -> float:
        nonlocal output, place
        token, place = text[:, place : place + 1], place + 1
        start = clock()
        output = model(input_ids=token, past_key_values=output.past_key_values, use_cache=True)
        return clock() - start

    return step


def reading(model: PreTrainedModel, text: Tensor) -> Step:
    """Each step is one forward over a text `[B, T]`."""

    @torch.no_grad()
    def step() -> float:
        start = clock()
        model(input_ids=text, use_cache=True)
        return clock() - start

    return step


def time_decoding(
    settings: LatencySettings,
    bare: PreTrainedModel,
    model: MoMEForCausalLM,
    memories: dict[int, Memory],
    batch: int,
    others: dict[str, PreTrainedModel],
) -> Timed:
    """Seconds for each token, of the bare backbone, of memories with every gate, and of others."""
    num_steps = NUM_WARM + settings.tokens
    num_tokens = settings.prompt + num_steps

    def begin(model: PreTrainedModel, text: Tensor) -> Step:
        return decoding(model, text, text.shape[1] - num_steps)

    texts = texts_of(settings, bare, batch, num_tokens)
    methods = {name: begin(other, texts["open"]) for name, other in {"bare": bare, **others}.items()}
    methods |= memory_methods(model, memories, settings.prompt, lambda text: begin(model, text), texts)
    if batch == 1:
        text = followed_text(settings, bare)
        for num, memory in memories.items():
            methods[f"{num}_{FOLLOWING}"] = of_memory(
                model, memory, (GATES["open"], FOLLOWED), settings.prompt, lambda: begin(model, text)
            )
        methods["retrieval in context"] = begin(bare, text_of(settings, bare, 1, num_tokens + NUM_FACTS * FACT_TOKENS))
    return take_turns(f"decode, batch {batch}", methods, settings.tokens, NUM_WARM, settings.seed, model)


def time_prefill(
    settings: LatencySettings, bare: PreTrainedModel, model: MoMEForCausalLM, memories: dict[int, Memory]
) -> Timed:
    """Seconds of reading a text, of the bare backbone and of memories."""
    texts = texts_of(settings, bare, 1, settings.prefill)
    methods = {"bare": reading(bare, texts["open"])}
    methods |= memory_methods(model, memories, settings.prefill, lambda text: reading(model, text), texts)
    return take_turns(f"prefill of {settings.prefill}", methods, settings.prefills, 1, settings.seed, model)


def texts_of(settings: LatencySettings, model: PreTrainedModel, batch: int, num_tokens: int) -> dict[str, Tensor]:
    """The text `[B, T]` of every gate."""
    return {gate: text_of(settings, model, batch, num_tokens, gate != "unmentioned") for gate in GATES}


def memory_methods(
    model: MoMEForCausalLM,
    memories: dict[int, Memory],
    num_asked: int,
    begin: Callable[[Tensor], Step],
    texts: dict[str, Tensor],
) -> dict[str, Step]:
    """Every memory with every gate, as `generate` uses it: only the prompt's subjects bring up facts. The largest also
    without that rule, so that every token is searched for and checked."""

    def method(memory: Memory, gate: str, num_asked: int | None) -> Step:
        gates = GATES[gate], GATES[gate]
        return of_memory(model, memory, gates, num_asked, lambda: begin(texts[gate]))

    methods = {f"{num}_{gate}": method(memory, gate, num_asked) for num, memory in memories.items() for gate in GATES}
    largest = max(memories)
    return methods | {
        f"{largest}_{gate}_searching": method(memories[largest], gate, None) for gate in ("open", "closed")
    }


def of_memory(
    model: MoMEForCausalLM,
    memory: Memory,
    gates: tuple[tuple[float, float], tuple[float, float]],
    num_asked: int | None,
    begin: Callable[[], Step],
) -> Step:
    """The steps of a method with a memory in the model; its gates are those of the beginning and of the steps."""

    def put_in(gate: tuple[float, float]) -> None:
        model.set_bank(memory.bank, memory.index)
        model.gate.null_similarity, model.gate.rival_margin = gate

    put_in(gates[0])
    with model.asked(num_asked):
        inner = begin()

    def step() -> float:
        put_in(gates[1])
        with model.asked(num_asked):
            return inner()

    return step


def take_turns(
    label: str, methods: dict[str, Step], num_rounds: int, num_warm: int, seed: int, model: MoMEForCausalLM
) -> Timed:
    """Time a step of every method in each round, in a new order; the first rounds do not count."""
    timed, rng = Timed({name: [] for name in methods}, dict.fromkeys(methods, 0.0)), random.Random(seed)
    with bar(label, num_rounds + num_warm) as advance:
        for number in range(num_rounds + num_warm):
            for name in rng.sample(list(methods), len(methods)):
                seconds = methods[name]()
                if number < num_warm:
                    continue
                timed.seconds[name].append(seconds)
                if name[0].isdigit() and model.last_routing is not None:
                    routing = model.last_routing
                    reads = routing.continued if name.endswith(FOLLOWING) else routing.expert != CLOSED
                    timed.open_share[name] += float(reads.float().mean()) / num_rounds
            advance(1)
    return timed


def summarize(settings: LatencySettings, timed: dict[str, Timed]) -> dict[str, float]:
    """The flat result."""
    decoded, batched, read = timed["decode"], timed["batch"], timed["prefill"]
    result = {f"bare_{name}_ms": round(statistics.median(t.seconds["bare"]) * 1e3, 3) for name, t in timed.items()}
    for num in settings.experts:
        for gate in GATES:
            result[f"decode_ratio_{num}_{gate}"] = decoded.ratio(f"{num}_{gate}")
            result[f"batch{settings.batch}_ratio_{num}_{gate}"] = batched.ratio(f"{num}_{gate}")
            result[f"prefill_ratio_{num}_{gate}"] = read.ratio(f"{num}_{gate}")
        for name in (f"batch{settings.batch}", "prefill"):
            result[f"{name}_ratio_{num}"] = max(result[f"{name}_ratio_{num}_{gate}"] for gate in GATES)
        result[f"decode_ratio_{num}_{FOLLOWING}"] = decoded.ratio(f"{num}_{FOLLOWING}")
        result[f"open_share_{num}"] = decoded.open_share[f"{num}_open"]
        result[f"{FOLLOWING}_share_{num}"] = decoded.open_share[f"{num}_{FOLLOWING}"]
    for gate in ("open", "closed"):
        result[f"decode_ratio_{max(settings.experts)}_{gate}_searching"] = decoded.ratio(
            f"{max(settings.experts)}_{gate}_searching"
        )
    result["lora_decode_ratio"] = decoded.ratio("lora")
    result["rag_decode_ratio"] = decoded.ratio("retrieval in context")
    return {name: round(value, 4) for name, value in result.items()}


def print_table(timed: dict[str, Timed]) -> None:
    """Median milliseconds, ratio to the bare backbone and its quartiles, by method and workload."""
    table = Table("method", *(f"{name}\nms" if part else f"{name}\nratio" for name in timed for part in (1, 0)))
    for method in timed["decode"].seconds:
        cells = []
        for times in timed.values():
            if method not in times.seconds:
                cells += ["–", "–"]
                continue
            low, high = times.spread(method)
            cells += [f"{statistics.median(times.seconds[method]) * 1e3:.2f}"]
            cells += [f"{times.ratio(method):.3f} ({low:.2f}–{high:.2f})"]
        table.add_row(method.replace("_searching", ", every token searched").replace("_", " experts, "), *cells)
    console.print(table)
