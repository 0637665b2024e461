"""The report page: what was taught, before and after, and every failure, in one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_FAILURES_SHOWN = 200
METRICS = ("recall", "generality", "locality", "locality_same_subject")


def report_page(report: dict) -> str:
    """The page for a report of `train.teach.teach`."""
    settings, after = report["settings"], report["after"]
    title = f"{after['facts']:,} facts taught to {html.escape(settings['backbone'])}"
    parts = [
        f"<h1>{title}</h1>",
        f"<p>From <code>{html.escape(settings['facts'])}</code>: {report['num_read']:,} records read, "
        f"{report['num_duplicates']:,} duplicates merged, {report['num_conflicts']:,} conflicting records dropped. "
        f"{after['experts']:,} experts. Every metric is taken from greedy <code>generate()</code>.</p>",
        _metrics_table(report),
        _image(report),
        f"<h2>Seconds</h2>{_table(['stage', 'seconds'], report['seconds'].items())}",
        _failures(report["failures"]),
    ]
    style = (
        "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}"
        "table{border-collapse:collapse;margin:1rem 0}td,th{padding:.3rem .8rem;border-bottom:1px solid #ddd;"
        "text-align:left}img{max-width:100%}code{background:#f3f3f3;padding:0 .2rem}"
    )
    body = "\n".join(parts)
    head = f'<meta charset="utf-8"><title>{title}</title><style>{style}</style>'
    return f'<!doctype html><html lang="en">{head}{body}</html>\n'


def _metrics_table(report: dict) -> str:
    rows = []
    for name, key in (("bare backbone", "before"), ("with the memory", "after")):
        if key in report:
            rows.append([name, *(share(report[key][metric]) for metric in METRICS)])
    return _table(["", *METRICS], rows)


def share(value: float | None) -> str:
    """A metric for a person to read; a dash where there was nothing to measure."""
    return "–" if value is None else f"{value:.3f}"


def _table(head: list[str], rows: Iterable[Iterable]) -> str:
    cells = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{cells}</tr>{body}</table>"


def _image(report: dict) -> str:
    from matplotlib.figure import Figure  # slow to import, and needed here alone

    figure = Figure(figsize=(17, 3.2), layout="constrained")
    left, right, gate, rivals = figure.subplots(1, 4)
    steps = report["steps"]
    learned = [sum(steps[: n + 1]) / max(1, sum(steps)) for n in range(len(steps))]
    left.plot(range(len(learned)), learned)
    left.set(xlabel="gradient steps", ylabel="experts that left", title="Memorizing", ylim=(0, 1.02))
    right.hist(report["margins"], bins=40)
    right.axvline(report["settings"]["write"]["margin"], color="k", linestyle=":")
    right.set(xlabel="logit margin when left (nats)", ylabel="experts", title="Margins")
    _draw_gate(gate, rivals, report["router"])
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="learning curve, margins and gate" src="data:image/png;base64,{data}">'


def _draw_gate(by_threshold: Axes, by_margin: Axes, router: dict) -> None:
    """The router's calibration: what each setting of the gate would let through, and the one that was chosen."""
    curve = router["curve"]
    row, column = curve["threshold"].index(router["threshold"]), curve["margin"].index(router["margin"])
    labels = {
        "open_and_right": "stored, found by another wording",
        "false_fire": "unstored, other subject",
        "same_subject_fire": "unstored, stored subject",
        "mention_fire": "stored subject named, nothing asked",
    }
    for name, label in labels.items():
        by_threshold.plot(curve["threshold"], [shares[column] for shares in curve[name]], label=label)
        by_margin.plot(curve["margin"], curve[name][row], label=label)
    for axes, name, title in ((by_threshold, "threshold", "Gate"), (by_margin, "margin", "Rivals")):
        axes.axvline(router[name], color="k", linestyle=":")
        axes.set(xlabel=name, ylabel="share that passes", title=f"{title}, on held-out facts", ylim=(0, 1.02))
    by_threshold.legend(fontsize="x-small")


def _failures(failures: list[dict]) -> str:
    if not failures:
        return "<h2>Failures</h2><p>None.</p>"
    head = ["kind", "cause", "fact_id", "prompt", "expected", "said"]
    rows = [[failure.get(name, "") for name in head] for failure in failures[:MAX_FAILURES_SHOWN]]
    more = len(failures) - len(rows)
    note = f"<p>{more:,} more stand in report.json.</p>" if more else ""
    return f"<h2>Failures ({len(failures):,})</h2>{_table(head, rows)}{note}"
