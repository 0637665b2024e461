"""Pictures of results."""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib
import torch

from benchmarks.memorizing.thresholds import share_exact

matplotlib.use("Agg")
from matplotlib import pyplot

TARGET = 1.03


def plot_latency(sizes: list[int], result: dict[str, float], path: Path) -> None:
    """Time for each token over the bare backbone's, by number of experts."""
    figure, axes = pyplot.subplots(figsize=(7, 5), layout="constrained")
    places = range(len(sizes))
    labels = {
        "open": "every token finds an expert",
        "following": "a fact is being said",
        "closed": "no token does",
        "unmentioned": "no subject mentioned",
    }
    for (gate, label), marker in zip(labels.items(), "oDs^", strict=True):
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


def plot_scale(result: dict, path: Path) -> None:
    """Seconds to teach a fact, to build the index, and to search it, by size."""
    figure, panels = pyplot.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
    curves = [
        ("seconds_per_fact_", "CPU-seconds for each fact", "facts taught"),
        ("index_build_seconds_", "seconds to build the index", "keys"),
        ("index_search_ms_", "milliseconds for one query", "keys"),
    ]
    for axes, (name, title, label) in zip(panels, curves, strict=True):
        points = sorted((int(key.removeprefix(name)), value) for key, value in result.items() if key.startswith(name))
        axes.plot(*zip(*points, strict=True), marker="o")
        axes.set_xscale("log")
        if label == "keys":  # seconds from less than a thousandth to many minutes
            axes.set_yscale("log")
        else:
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


LABEL_COLORS = {"correct": "tab:blue", "random": "tab:red", "shuffled": "tab:green"}


def plot_epochs(runs: list, names: dict[str, str], path: Path) -> None:
    """Loss and recall by epoch: a column for each method that is trained, a line for each seed of each labelling."""
    trained = [name for name in names if any(run.method == name and run.epochs for run in runs)]
    figure, panels = pyplot.subplots(
        2, len(trained), figsize=(4 * len(trained), 6), sharey="row", layout="constrained", squeeze=False
    )
    for column, name in enumerate(trained):
        for run in (run for run in runs if run.method == name):
            epochs = [row.epoch for row in run.epochs]
            label = f"{run.labels} answers" if run.seed == min(other.seed for other in runs) else None
            style = {"color": LABEL_COLORS[run.labels], "linewidth": 1, "alpha": 0.8}
            panels[0, column].plot(epochs, [max(row.loss, 1e-6) for row in run.epochs], label=label, **style)
            panels[1, column].plot(epochs, [row.recall for row in run.epochs], **style)
        panels[0, column].set_yscale("log")
        panels[0, column].set_title(names[name])
        panels[1, column].set_xlabel("epoch")
    panels[0, 0].set_ylabel("training loss, nats a token")
    panels[1, 0].set_ylabel("answers exact")
    panels[0, 0].legend()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def plot_differences(result: dict, methods: list[str], names: dict[str, str], path: Path) -> None:
    """What each method still does on everything else, with 95% intervals; the line is the bare backbone."""
    titles = {
        "known": "known questions answered",
        "agreement": "said as by the bare backbone",
        "mc1": "TruthfulQA MC1",
        "mc2": "TruthfulQA MC2",
        "perplexity": "perplexity on other text",
    }
    figure, panels = pyplot.subplots(
        1, len(titles), figsize=(3.2 * len(titles), 3.4), sharey=True, layout="constrained"
    )
    for axes, (measure, title) in zip(panels, titles.items(), strict=True):
        axes.axvline(result[f"bare_{measure}"], color="gray", linestyle=":", label="bare backbone")
        for place, name in enumerate(methods):
            for shift, (labels, color) in enumerate(LABEL_COLORS.items()):
                value = result.get(f"{name}_{labels}_{measure}")
                if value is not None:
                    ends = [
                        [value - result[f"{name}_{labels}_{measure}_low"]],
                        [result[f"{name}_{labels}_{measure}_high"] - value],
                    ]
                    label = f"{labels} answers" if place == 0 else None
                    axes.errorbar(
                        value, place + 0.22 * (shift - 1), xerr=ends, fmt="o", color=color, label=label, markersize=4
                    )
        axes.set_title(title, fontsize=10)
        if measure == "perplexity":
            axes.set_xscale("log")
    panels[0].set_yticks(range(len(methods)), [names[name] for name in methods])
    panels[0].invert_yaxis()
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def plot_threshold(moments: list, names: dict[str, str], path: Path) -> None:
    """How often an answer is exact, by three statistics and for each kind of answer (isotonic fits), and how often a
    sampled one is beside exp(-NLL)."""
    figure, panels = pyplot.subplots(2, 2, figsize=(11, 8), layout="constrained")
    kinds = list(dict.fromkeys(each.kind for each in moments))
    colors = dict(
        zip(kinds, pyplot.get_cmap("viridis")([n / max(len(kinds) - 1, 1) for n in range(len(kinds))]), strict=True)
    )
    statistics = {"mean_loss": "mean loss of a token", "max_loss": "largest loss of a token", "margin": "least margin"}
    for axes, (statistic, title) in zip(panels.flat, statistics.items(), strict=False):
        for kind in kinds:
            some = [each for each in moments if each.kind == kind]
            sign = -1 if statistic == "margin" else 1  # the fit expects that less is better
            values = torch.tensor([sign * getattr(each, statistic) for each in some])
            values, share = share_exact(values, torch.tensor([each.greedy for each in some]))
            label = "correct answers" if kind == "correct" else f"{kind.removeprefix('random ')} random characters"
            axes.step(sign * values, share, where="mid", color=colors[kind], label=label)
        axes.set_xlabel(f"{title}, nats")
        axes.set_ylabel("greedy answer exact")
    for axes in panels.flat[:2]:
        axes.set_xscale("log")
    panels.flat[1].axvline(math.log(2), color="gray", linestyle=":", label="ln 2")
    panels.flat[2].axvline(0, color="gray", linestyle=":")
    panels.flat[2].set_xlim(-5, 5)
    panels.flat[0].legend()
    sampled = panels.flat[3]
    for name in dict.fromkeys(each.method for each in moments):
        some = sorted(
            (math.exp(-each.nll), each.sampled) for each in moments if each.method == name and each.sampled >= 0
        )
        sampled.plot(*_running_mean(some), label=names[name])
    sampled.plot([0, 1], [0, 1], color="gray", linestyle=":")
    sampled.set_xlabel("exp(-NLL of the answer)")
    sampled.set_ylabel("sampled answers that are exact")
    sampled.legend()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def _running_mean(points: list[tuple[float, float]], width: int = 15) -> tuple[list[float], list[float]]:
    """Means over so many neighbouring points."""
    width = min(width, len(points))
    windows = [points[start : start + width] for start in range(len(points) - width + 1)] if points else []
    return [sum(x for x, _ in each) / width for each in windows], [sum(y for _, y in each) / width for each in windows]


def plot_capacity(held: list, path: Path) -> None:
    """Bits memorized by trained parameters; the lines are what 2 bits and a hundredth of that would hold in each."""
    figure, axes = pyplot.subplots(figsize=(7, 5), layout="constrained")
    for method, rank in dict.fromkeys((each.method, each.rank) for each in held):
        some = [each for each in held if (each.method, each.rank) == (method, rank)]
        marker, name = ("o", "memory") if method == "mome" else ("s", "LoRA")
        points = [each.num_parameters for each in some], [each.bits for each in some]
        axes.plot(*points, marker=marker, label=f"{name}, rank {rank}")
    ends = [min(each.num_parameters for each in held), max(each.num_parameters for each in held)]
    for bits, style in ((2.0, ":"), (0.02, "--")):
        label = f"{bits:g} bits a parameter"
        axes.plot(ends, [end * bits for end in ends], color="gray", linestyle=style, label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("trained parameters")
    axes.set_ylabel("bits memorized")
    axes.legend()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
