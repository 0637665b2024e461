"""Processes that may be killed: forked from one that has loaded everything and computed nothing."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch
from transformers.utils.logging import disable_progress_bar

from train.progress import console

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["benchmarks.faults.memories", "train.teach", "lightning.pytorch.loggers", "faiss"])
KILLED = -9
MAX_WAIT = 120.0  # seconds


def start(function, *given) -> BaseProcess:
    """Run a function of a module in a process of its own, which ends with this one."""
    process = CONTEXT.Process(target=_alone, args=(function, given), daemon=True)
    process.start()
    return process


def _alone(function, given) -> None:
    torch.set_num_threads(1)
    console.quiet = True
    disable_progress_bar()
    function(*given)


class Lines:
    """The lines of a journal, while it is written; a process that was killed may have left a part of one at the end."""

    def __init__(self, path: Path):
        self.path, self.place = path, 0

    def new(self) -> list[dict]:
        """Those that have come since."""
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            file.seek(self.place)
            whole = file.read().rpartition(b"\n")[0]
        self.place += len(whole) + 1 if whole else 0
        return [json.loads(line) for line in whole.splitlines()]


def wait_for(process: BaseProcess, path: Path, is_wanted: Callable[[dict], bool]) -> None:
    """Until a process has written such a line.

    Raises:
        AssertionError: it has ended, or does not.
    """
    lines, end = Lines(path), time.monotonic() + MAX_WAIT
    while not any(map(is_wanted, lines.new())):
        assert process.is_alive(), f"{path}: the process that writes it has ended by itself ({process.exitcode})"
        assert time.monotonic() < end, f"{path}: what was waited for is not written"
        time.sleep(0.001)


class Journal:
    """Lines of JSON in a file, each of which is there in the moment in which it is told."""

    def __init__(self, path: Path):
        self.handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def tell(self, line: dict) -> None:
        """Add a line."""
        os.write(self.handle, json.dumps(line).encode() + b"\n")
