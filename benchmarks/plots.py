"""Pictures of results."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

TARGET = 1.03


def plot_latency(sizes: list[int], result: dict[str, float], path: Path) -> None:
    """Time for each token over the bare backbone's, by number of experts."""
    figure, axes = pyplot.subplots(figsize=(7, 5), layout="constrained")
    places = range(len(sizes))
    labels = {"open": "every token reads an expert", "closed": "none does", "unmentioned": "no subject mentioned"}
    for (gate, label), marker in zip(labels.items(), "os^", strict=True):
        axes.plot(places, [result[f"decode_ratio_{num}_{gate}"] for num in sizes], marker=marker, label=label)
    for name, key, style in (("LoRA, rank 32", "lora", "--"), ("retrieval in context", "rag", ":")):
        axes.axhline(result[f"{key}_decode_ratio"], linestyle=style, color="gray", label=name)
    axes.axhline(TARGET, color="green", linewidth=0.8, label=f"target, {TARGET}")
    axes.set_xticks(places, [f"{num:,}" for num in sizes])
    axes.set_xlabel("experts")
    axes.set_ylabel("time for each token / bare backbone's")
    axes.set_title(f"decoding, batch 1; the bare backbone takes {result['bare_decode_ms']:.1f} ms")
    figure.legend(loc="outside lower center", ncols=2)
    axes.set_ylim(bottom=0.99)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def plot_scale(taught: list[int], indexed: list[int], result: dict, path: Path) -> None:
    """Seconds to teach a fact, to build the index, and to search it, by size."""
    figure, panels = pyplot.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
    curves = [
        (taught, "seconds_per_fact_{}", "CPU-seconds for each fact", "facts taught"),
        (indexed, "index_build_seconds_{}", "seconds to build the index", "keys"),
        (indexed, "index_search_ms_{}", "milliseconds for one query", "keys"),
    ]
    for axes, (sizes, name, title, label) in zip(panels, curves, strict=True):
        axes.plot(sizes, [result[name.format(num)] for num in sizes], marker="o")
        axes.set_xscale("log")
        axes.set_ylim(bottom=0)
        axes.set_title(title)
        axes.set_xlabel(label)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def plot_teach(runs: list[tuple[str, float, float]], path: Path) -> None:
    """Processor time and recall of every training: its name, its CPU-seconds and its recall."""
    figure, axes = pyplot.subplots(figsize=(8, 0.5 * len(runs) + 1.4), layout="constrained")
    names, seconds, recalls = zip(*runs, strict=True)
    colors = ["tab:green" if recall == 1 else "tab:gray" for recall in recalls]
    bars = axes.barh(names, seconds, color=colors)
    labels = [f" {value:,.0f} s, recall {recall:.3f}" for value, recall in zip(seconds, recalls, strict=True)]
    axes.bar_label(bars, labels)
    axes.invert_yaxis()
    axes.set_xlim(right=1.35 * max(seconds))
    axes.set_xlabel("CPU-seconds until every fact is recalled (green), or the run was stopped")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
