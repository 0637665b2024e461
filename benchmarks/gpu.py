"""`mome bench gpu`: `mome bench latency` on a GPU, with the experts there and on the host.

The backbone is bf16, and the index is exact search in torch, on the GPU.
"""

from __future__ import annotations

import json

import torch

from benchmarks.latency import LatencySettings, Placement, measure, print_table
from benchmarks.plots import plot_latency
from benchmarks.record import RESULTS, record
from mome.cli import settings_from
from mome.errors import SettingsError
from train.progress import console


def main(argv: list[str]) -> None:
    """Time every method with both placements; print tables, plot and record the result, and print it as one JSON line.

    Raises:
        SettingsError: there is no GPU.
    """
    settings = settings_from("bench gpu", LatencySettings, argv)
    if not torch.cuda.is_available():
        raise SettingsError("bench gpu: expected a CUDA device, found none; `mome bench latency` measures a processor")
    result = {}
    for placement, on_host in (("device", False), ("host", True)):
        console.print(f"experts on the {placement}")
        timed, found = measure(settings, Placement("cuda", torch.bfloat16, on_host))
        print_table(timed)
        plot_latency(settings.experts, found, RESULTS / f"gpu_{placement}.png")
        result |= {f"{placement}_{name}": value for name, value in found.items()}
    record("gpu", f"mome bench gpu {' '.join(argv)}", result)
    print(json.dumps(result))
