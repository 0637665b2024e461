"""One way to run a Lightning module for a number of steps, with a progress bar, a log and an exact resume."""

from __future__ import annotations

import ctypes
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch.utils.data import DataLoader

# Numbers of mallopt's parameters, and its defaults, from glibc's malloc.h.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
KEPT = {M_MMAP_MAX: 0, M_TRIM_THRESHOLD: 2**31 - 1, M_TOP_PAD: 2**28}
GIVEN_BACK = {M_MMAP_MAX: 65_536, M_TRIM_THRESHOLD: 128 * 1024, M_TOP_PAD: 0}


class Batches(Protocol):
    """Batches that depend on nothing but the number of their step, from `start` on."""

    start: int

    def __iter__(self) -> Iterator[Any]: ...


_is_kept = False  # the allocator is the process's, and so is what is known of it


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Inside, this process keeps the memory that it frees, where the C library is glibc.

    Inside another one it changes nothing.

    Every step makes tensors of many megabytes and frees them. glibc gives such blocks back to the system, which must
    clear them anew for the next step: a quarter of the processor time of teaching (docs/performance.md). Behind it
    everything is given back: large tables are not to lie in the heap.
    """
    global _is_kept
    if _is_kept:
        yield
        return
    try:
        libc = ctypes.CDLL(None)
        mallopt, trim = libc.mallopt, libc.malloc_trim
    except (OSError, AttributeError):
        yield
        return
    for parameter, value in KEPT.items():
        mallopt(parameter, value)
    _is_kept = True
    try:
        yield
    finally:
        _is_kept = False
        for parameter, value in GIVEN_BACK.items():
            mallopt(parameter, value)
        trim(0)


def quiet_lightning() -> None:
    """Keep Lightning's remarks about hardware and loggers off the screen; errors still show."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    for pattern in (
        ".*isinstance.treespec.*",
        ".*does not have many workers.*",
        ".*exists and is not empty.*",
        ".*fit will run with no optimizer.*",
    ):
        warnings.filterwarnings("ignore", pattern)


def fit(
    module: lightning.LightningModule,
    batches: Batches,
    *,
    num_steps: int,
    work: Path,
    name: str,
    checkpoint_every: int,
    precision: str = "32-true",
) -> None:
    """Train for `num_steps` steps in all; goes on from `work/name/last.ckpt` where an interrupted run left one.

    The log stands in `work/name` as CSV and for TensorBoard.
    """
    quiet_lightning()
    last = work / name / "last.ckpt"
    resume = {}
    if last.exists():
        saved = torch.load(last, weights_only=True, map_location="cpu")
        batches.start = saved["global_step"]
        # A run that stopped behind its last step has nothing left to train, but its weights to take up.
        module.load_state_dict(saved["state_dict"])
        resume = {"ckpt_path": last, "weights_only": True}
    trainer = lightning.Trainer(
        accelerator="auto",
        devices=1,
        max_steps=num_steps,
        precision=precision,  # type: ignore[arg-type]
        gradient_clip_val=1.0,
        logger=[CSVLogger(work, name=name, version=""), TensorBoardLogger(work, name=name, version="")],
        callbacks=[
            ModelCheckpoint(work / name, save_last=True, save_top_k=0, every_n_train_steps=checkpoint_every),
            RichProgressBar(),
        ],
        enable_model_summary=False,
        log_every_n_steps=10,
    )
    if batches.start < num_steps:
        with freed_memory_kept():
            trainer.fit(module, DataLoader(batches, batch_size=None), **resume)  # type: ignore[arg-type]
