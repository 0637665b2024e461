"""The benchmarks behind `mome bench NAME`. Each is one module with `main(argv)`."""

from __future__ import annotations

from importlib import import_module

NAMES = {
    "capacity": "facts memorized with so many parameters, by the memory and by LoRA",
    "editing": "recall, generality and locality on CounterFact, zsRE and ParaRel, beside other methods",
    "facts": "teach the facts of a configuration and record what came out",
    "gpu": "the same as latency on a GPU, with the experts there and on the host",
    "latency": "time for each token with up to a million experts, beside the bare backbone, LoRA and retrieval",
    "random-labels": "random answers against true ones: how fast they are learned, and what becomes of the rest",
    "reliability": "kills, damage, random changes, readers beside a writer: what is lost, and what else changes",
    "routing": "what each ingredient of the router contributes: each is left out or changed once",
    "scale": "what size costs: teaching, opening, adding one fact, and the index, up to a million",
    "teach": "processor time to teach facts exactly, beside LoRA and full fine-tuning",
    "threshold": "from which loss on is an answer exact: greedily, sampled, and asked in other words",
}


def run(name: str, argv: list[str]) -> int | None:
    """Run a benchmark by name; returns its exit status."""
    return import_module(f"benchmarks.{name.replace('-', '_')}").main(argv)
