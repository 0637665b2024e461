"""Training keeps the memory that it frees, and gives it back behind it."""

from pathlib import Path

import pytest
import torch

from train.fitting import freed_memory_kept


def resident() -> int:
    """Bytes of this process that lie in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def fault() -> int:
    """Page faults of this process so far."""
    return int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[7])


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is measured on Linux alone")
def test_freed_memory_is_kept_inside_and_given_back_behind():
    def faults_of_a_step() -> int:
        before = fault()
        torch.ones(20_000_000)
        return fault() - before

    faults_of_a_step()
    without, start = faults_of_a_step(), resident()
    with freed_memory_kept():
        faults_of_a_step()
        within = faults_of_a_step()
        assert resident() > start + 60_000_000
    assert within < without / 10
    assert resident() < start + 30_000_000
    assert faults_of_a_step() > without / 2
