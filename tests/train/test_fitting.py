"""Training keeps the memory that it frees, and gives it back behind it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

# In a process of its own, whose heap no other test has used.
MEASURE = """
import json
from pathlib import Path
import torch
from train.fitting import freed_memory_kept

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

def faults_of_a_step():
    faults = []
    for _ in range(2):
        faults.append(int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[7]))
        if len(faults) == 1:
            torch.ones(20_000_000)
    return faults[1] - faults[0]

faults_of_a_step()
told = {"before": min(faults_of_a_step() for _ in range(5)), "resident": [resident()]}
with freed_memory_kept():
    with freed_memory_kept():
        pass  # the end of an inner one gives nothing back
    faults_of_a_step()
    told["inside"] = min(faults_of_a_step() for _ in range(5))  # the system may take pages away meanwhile
    told["resident"].append(resident())
told["resident"].append(resident())
told["behind"] = faults_of_a_step()
print(json.dumps(told))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="page faults are read on Linux alone")
def test_freed_memory_is_kept_inside_and_given_back_behind():
    root = Path(__file__).resolve().parents[2]
    run = subprocess.run([sys.executable, "-c", MEASURE], check=True, capture_output=True, text=True, cwd=root)
    told = json.loads(run.stdout.splitlines()[-1])
    start, inside, behind = told["resident"]
    assert told["inside"] < told["before"] / 10
    assert inside > start + 60_000_000 and behind < start + 30_000_000
    assert told["behind"] > told["before"] / 2
