"""`mome bench facts --config FILE`: teach the facts of a configuration and record what came out."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.record import count_causes, record
from mome.cli import print_metrics, settings_from
from train.settings import TrainSettings
from train.teach import teach


def main(argv: list[str]) -> None:
    """Teach as `mome train` does with the same options; the result is added to `benchmarks/results/`."""
    settings = settings_from("bench facts", TrainSettings, argv)
    report = teach(settings)
    after, before = report["after"], report["before"]
    result = {
        **after,
        **{f"bare_{metric}": before[metric] for metric in ("recall", "generality", "locality")},
        **{f"{stage}_seconds": value for stage, value in report["seconds"].items()},
        **{name: report[name] for name in ("num_read", "num_duplicates", "num_conflicts", "num_experts_below_margin")},
        "causes": count_causes(report["failures"]),
    }
    print_metrics({"bare backbone": before, "with the memory": after})
    name = next((Path(word).stem for word in argv if word.endswith(".yaml")), settings.facts.name.split(".")[0])
    record(name, f"mome bench facts {' '.join(argv)}", result)
    print(json.dumps(result))
