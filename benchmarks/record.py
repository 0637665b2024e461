"""Results of benchmarks, each with the command, the versions and the machine that made it."""

from __future__ import annotations

import csv
import datetime
import json
import os
import platform
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

import torch

from mome.errors import SettingsError

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("torch", "transformers", "lightning", "faiss-cpu", "safetensors")


def record(name: str, command: str, result: dict) -> Path:
    """Write `results/NAME.json`; an earlier result of that name is replaced, its history is git's.

    Returns:
        The file.
    """
    path = RESULTS / f"{name}.json"
    fields = {
        "command": command,
        "date": datetime.date.today().isoformat(),
        "commit": commit(),
        "machine": machine(),
        "versions": {package: version(package) for package in PACKAGES},
        "result": result,
    }
    path.write_text(json.dumps(fields, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def recorded(name: str) -> dict:
    """The result in `results/NAME.json`.

    Raises:
        SettingsError: there is none.
    """
    path = RESULTS / f"{name}.json"
    if not path.exists():
        raise SettingsError(f"--parts: expected an earlier result in {path}, found none; run without --parts first")
    return json.loads(path.read_text(encoding="utf-8"))["result"]


def keep(path: Path, value: object) -> None:
    """Write what a long command has measured so far as JSON, whole or not at all, for `--resume`."""
    path.with_suffix(".tmp").write_text(json.dumps(value), encoding="utf-8")
    path.with_suffix(".tmp").rename(path)


def write_rows(path: Path, columns: Iterable[str], rows: Iterable[Sequence[object]]) -> None:
    """Write rows as CSV under the names of their columns, floats with six digits."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows([f"{value:.6g}" if isinstance(value, float) else value for value in row] for row in rows)


def check_sizes(settings: object, *names: str) -> None:
    """Stop where a size, or one of a list of sizes, cannot be measured.

    Raises:
        SettingsError: a size is below 1, or a list is empty.
    """
    for name in names:
        value = getattr(settings, name)
        sizes = value if isinstance(value, list) else [value]
        if not sizes or min(sizes) < 1:
            raise SettingsError(f"--{name} {value}: expected {'sizes' if sizes is value else 'a number'} of at least 1")


def machine() -> str:
    """The machine in words: GPU or processor, and how many cores were used."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{_processor()}, {torch.get_num_threads()} of {os.cpu_count()} cores"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def commit() -> str:
    """The commit of this checkout, and whether it was changed since, apart from the results in it."""
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ":/", ":(exclude,top)benchmarks/results")
    return (_git("describe", "--always") or "unknown") + ("-dirty" if changed else "")


def _git(*command: str) -> str:
    """What git says of this checkout; nothing where there is none."""
    command = ("git", "-C", str(Path(__file__).parent), *command)
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def count_causes(failures: list[dict]) -> dict[str, int]:
    """How many failures there were of every kind and cause."""
    return dict(Counter(f"{failure['kind']}: {failure.get('cause', 'memory spoke')}" for failure in failures))
