"""`mome bench scale`: what size costs. Teaching, opening, adding one fact, and building the index, at growing sizes.

Shapes: N experts and as many keys, Q queries, C width of a query.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from rich.table import Table
from torch import Tensor

from benchmarks.plots import plot_scale
from benchmarks.record import RESULTS, check_sizes, commit, record, recorded
from benchmarks.synthetic import keys_like, random_bank
from mome.bank import Bank
from mome.checkpoint import load_router
from mome.cli import settings_from
from mome.errors import SettingsError
from mome.facts import Fact
from mome.index import NUM_TUNING_QUERIES, TUNING_NOISE, FaissIndex, TorchIndex, build_index, nearest
from mome.joining import Joiner
from mome.ledger import Ledger
from mome.memorize import memorize
from mome.mention import word_edges
from mome.modeling import MoMEForCausalLM
from mome.settings import WriteSettings
from train.memorize import memorize_all
from train.observe import batches_of
from train.prepare import EMBEDDED_ROUTER, prepare
from train.progress import bar, console
from train.settings import BackboneSettings
from train.world import make_world, prompts

# A process of its own opens a checkpoint, adds facts one by one, and tells what that took.
OPEN = """
import json, sys, time
from mome.decoder import load_backbone, load_tokenizer
from mome.facts import Fact
from mome.joining import Joiner
from mome.memorize import add_facts
from mome.modeling import MoMEForCausalLM

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 1e6

folder, name = sys.argv[1:]
backbone, tokenizer = load_backbone(name), load_tokenizer(name)
before, start = resident(), time.perf_counter()
model = MoMEForCausalLM.from_pretrained(folder, backbone=backbone)
told = {"open_seconds": time.perf_counter() - start, "open_extra_mb": resident() - before, "add_one_seconds": []}
joiner = Joiner(tokenizer=tokenizer, join=model.config.join, end=model.config.end)
for number in range(5):
    fact = Fact(id=f"one more {number}", prompt=f"Where was Ada Quist the {number}th born?", answers=("Velmora",))
    start = time.perf_counter()
    add_facts(model, joiner, [fact])
    told["add_one_seconds"].append(time.perf_counter() - start)
print(json.dumps(told))
"""


# What is measured, and how its figures are named.
PARTS = {
    "capacity": ("step_ratio_capacity",),
    "taught": ("seconds_per_fact_", "wall_seconds_per_fact_", "below_margin_"),
    "indexed": ("index_",),
    "opened": ("open_", "add_one_seconds_"),
}


@dataclass(kw_only=True)
class ScaleSettings(BackboneSettings):
    """Settings of `mome bench scale`."""

    router: Path = EMBEDDED_ROUTER
    """Router of the backbone, made by `mome route`."""
    taught: list[int] = field(default_factory=lambda: [1_000, 10_000, 100_000])
    """How many generated facts are taught."""
    capacity: list[int] = field(default_factory=lambda: [10_000, 10_000_000])
    """How many experts the model holds while further facts are taught."""
    opened: list[int] = field(default_factory=lambda: [1_000, 1_000_000])
    """Experts of the checkpoints that are opened."""
    indexed: list[int] = field(default_factory=lambda: [1_000, 10_000, 100_000, 1_000_000, 10_000_000])
    """Keys of the indices that are built; ten million take 10 GB and three minutes."""
    observed: int = 20_000
    """Generated facts whose keys are observed; larger sets lie between them."""
    parts: list[str] = field(default_factory=lambda: list(PARTS))
    """What is measured now, of: capacity, taught, indexed, opened. What was recorded of the others stays, each with
    the command and the commit of its measurement."""
    work: Path = Path("runs/scale")
    """Folder for what is taught and written; it is emptied."""


def main(argv: list[str]) -> None:
    """Measure all; print a table, plot it, record the result, and print it as one JSON line."""
    settings = settings_from("bench scale", ScaleSettings, argv)
    check_sizes(settings, "taught", "capacity", "opened", "indexed", "observed")
    if not settings.parts or set(settings.parts) - set(PARTS):
        raise SettingsError(f"--parts {settings.parts}: expected some of {', '.join(PARTS)}")
    command = f"mome bench scale {' '.join(argv)}".strip()
    names = tuple(name for part in settings.parts for name in PARTS[part])
    earlier = {} if set(settings.parts) == set(PARTS) else recorded("scale")
    result: dict[str, float | str] = {name: value for name, value in earlier.items() if not name.startswith(names)}
    shutil.rmtree(settings.work, ignore_errors=True)
    settings.work.mkdir(parents=True)
    torch.manual_seed(settings.seed)
    prepared = prepare(settings)
    config, router = load_router(settings.router, prepared.config)
    model = MoMEForCausalLM(config, prepared.backbone, router)

    def measured(name: str, part: dict) -> None:
        # What is measured stands even if the rest is never reached: teaching takes most of an hour.
        result.update({**part, f"{name}_command": command, f"{name}_commit": commit()})
        record("scale", command, result)

    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # threads that wait for others would count as processor time
    if "capacity" in settings.parts:
        measured("capacity", teaching_beside(model, prepared.joiner, settings))
    for num in settings.taught if "taught" in settings.parts else []:
        measured("taught", teaching(model, prepared.joiner, num, settings))
    torch.set_num_threads(num_threads)
    queries = world_queries(model, prepared.joiner, settings.observed)
    for num in settings.opened if "opened" in settings.parts else []:
        measured("opened", opening(model, queries, num, settings))
    model.set_bank(Bank.empty(1, config.rank, config.d_model, config.d_key))
    for num in settings.indexed if "indexed" in settings.parts else []:
        measured("indexed", indexing(queries[:, : config.d_subject], num, config.num_neighbours))
    shutil.rmtree(settings.work)
    print_table(result)
    plot_scale(result, RESULTS / "scale.png")
    print(json.dumps(result))


def world_facts(num: int) -> list[Fact]:
    """Generated facts that no backbone or router of ours has seen, in one wording each."""
    made = make_world(seed=11, num_facts=num).facts
    return [Fact(id=fact.id, prompt=prompts(fact)[0], answers=(fact.answer,), subject=fact.subject) for fact in made]


def teaching(model: MoMEForCausalLM, joiner: Joiner, num: int, settings: ScaleSettings) -> dict[str, float]:
    """CPU-seconds and seconds for each of so many facts, and the share of experts that missed their margin."""
    facts = world_facts(num)
    with bar(f"teach {num:,} facts", num) as advance:
        wall, cpu = time.perf_counter(), time.process_time()
        given = model, joiner, facts, WriteSettings(), settings.work / f"taught_{num}", settings.seed
        _, trained = memorize_all(*given, advance=advance)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    shutil.rmtree(settings.work / f"taught_{num}")
    console.print(f"{num:,} facts: {cpu / num * 1e3:.2f} CPU-milliseconds each")
    return {
        f"seconds_per_fact_{num}": cpu / num,
        f"wall_seconds_per_fact_{num}": wall / num,
        f"below_margin_{num}": float((trained["margin"] < WriteSettings().margin).float().mean()),
    }


def teaching_beside(model: MoMEForCausalLM, joiner: Joiner, settings: ScaleSettings) -> dict[str, float]:
    """CPU-seconds of teaching 200 facts to a model that holds few experts, and to one that holds many, in turns. Their
    rows lie in a file, as those of a checkpoint do."""
    facts, word_edge = world_facts(200), word_edges(joiner.tokenizer)
    seconds: dict[int, list[float]] = {num: [] for num in settings.capacity}
    config = model.config
    with bar("teach beside others", 6 * len(settings.capacity)) as advance:
        for turn in range(6):
            for num in settings.capacity:
                bank = Bank.empty(1, config.rank, config.d_model, config.d_key)
                path = settings.work / f"capacity_{num}"
                bank.up = torch.from_file(str(path), shared=True, size=num * config.d_model).view(num, 1, -1, 1)
                bank.token = bank.fact = torch.zeros(num, dtype=torch.int32)
                model.set_bank(bank, TorchIndex(config.d_subject))
                start = time.process_time()
                memorize(model, joiner, facts, word_edge, WriteSettings(), settings.seed)
                if turn:
                    seconds[num].append(time.process_time() - start)
                advance(1)
    model.set_bank(Bank.empty(1, config.rank, config.d_model, config.d_key))
    few, many = (seconds[num] for num in (min(settings.capacity), max(settings.capacity)))
    return {"step_ratio_capacity": statistics.median(b / a for a, b in zip(few, many, strict=True))}


@torch.no_grad()
def world_queries(model: MoMEForCausalLM, joiner: Joiner, num: int) -> Tensor:
    """Keys `[Q, C]` of generated facts, from which larger sets are drawn."""
    ids = [joiner.encode_prompt(fact.prompt) for fact in world_facts(num)]
    found = []
    with bar("observe keys", len(ids)) as advance:
        for numbers in batches_of(ids):
            longest = max(len(ids[number]) for number in numbers)
            tokens = torch.tensor([[0] * (longest - len(ids[number])) + ids[number] for number in numbers])
            mask = torch.tensor([[0] * (longest - len(ids[n])) + [1] * len(ids[n]) for n in numbers])
            found.append(model.observe(tokens, mask)[1][:, -1])
            advance(len(numbers))
    return torch.cat(found)


def indexing(queries: Tensor, num: int, num_neighbours: int) -> dict[str, float | str]:
    """Seconds to build the default index over keys like the subject parts of queries `[Q, C]`, its recall, and
    milliseconds for one query."""
    keys = keys_like(queries, num)
    start = time.perf_counter()
    index = build_index(keys, "auto")
    seconds = time.perf_counter() - start
    chosen = torch.randint(num, (min(num, NUM_TUNING_QUERIES),))
    noise = torch.nn.functional.normalize(torch.randn(len(chosen), keys.shape[1]), dim=-1)
    asked = torch.nn.functional.normalize(keys[chosen] + TUNING_NOISE * noise, dim=-1)
    recall = float((index.search(asked, 1)[1][:, 0] == nearest(asked, keys)).float().mean())
    one = _median_seconds(lambda row: index.search(asked[row : row + 1], num_neighbours), len(asked))
    kind = index.factory if isinstance(index, FaissIndex) else "exact"
    console.print(f"index of {num:,} keys: {kind}, {seconds:.1f} s, recall@1 {recall:.4f}, {one * 1e3:.3f} ms a query")
    return {
        f"index_kind_{num}": kind,
        f"index_build_seconds_{num}": seconds,
        f"index_recall_{num}": recall,
        f"index_search_ms_{num}": one * 1e3,
    }


def _median_seconds(run: Callable[[int], object], num: int) -> float:
    seconds = []
    for number in range(num):
        start = time.perf_counter()
        run(number)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def opening(model: MoMEForCausalLM, queries: Tensor, num: int, settings: ScaleSettings) -> dict[str, float]:
    """Seconds and resident megabytes of opening a checkpoint, without the backbone's, and seconds of one fact more."""
    folder = settings.work / f"opened_{num}"
    model.set_bank(random_bank(model, queries, num, mentioned=5))
    model.ledger = Ledger(
        [Fact(id=f"fact-{n}", prompt=f"Where was person {n} born?", answers=("Velmora",)) for n in range(num)]
    )
    console.print(f"writing a checkpoint of {num:,} experts")
    model.save_pretrained(folder)
    command = [sys.executable, "-c", OPEN, str(folder), settings.backbone]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    shutil.rmtree(folder)
    return {
        f"open_seconds_{num}": told["open_seconds"],
        f"open_extra_mb_{num}": told["open_extra_mb"],
        f"add_one_seconds_{num}": statistics.median(told["add_one_seconds"]),
    }


def print_table(result: dict[str, float | str]) -> None:
    """What was measured, line by line."""
    table = Table("measure", "value")
    for name, value in result.items():
        table.add_row(name, value if isinstance(value, str) else f"{value:.5g}")
    console.print(table)
