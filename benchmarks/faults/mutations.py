"""Every reader beside files that were damaged: a clear error, or what the file truly says; never anything else.

Half of the damaged files of a checkpoint are vouched for by its manifest, as those of a bad person would be: these, and
settings, may say anything, and must be refused or read without harm.
"""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
import random
import re
import resource
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import torch

from benchmarks.faults.memories import Small, open_memory
from benchmarks.faults.mutate import mutate
from benchmarks.faults.processes import Journal, Lines, start
from benchmarks.record import commit
from mome import checkpoint
from mome.cli import settings_from
from mome.errors import MomeError
from mome.facts import FactSet, read_facts
from mome.manifest import entry_of, own_sha256, read_manifest, write_manifest
from mome.saving import save_router
from mome.tables import parts_of
from train.answers import generate_answers
from train.progress import bar, console
from train.settings import TrainSettings

MAX_SECONDS = 20.0  # for one input; the longest that were seen took two
MAX_BYTES = 6 * 2**30  # of memory, beyond which an allocation fails
NUM_WORKERS = 2
ANSWERED = 25  # one of so many damaged memories that can be read is also asked
CHECKPOINT_FILES = (
    *("manifest.json", "config.json", "router.safetensors", "experts.safetensors", "keys.safetensors"),
    *("facts.jsonl", "index.faiss", "report.json"),
)
FACT_FILES = ("table.jsonl", "table.jsonl.gz", "table.csv", "table.tsv", "table.parquet")
SETTINGS = "settings.yaml"


@dataclass(frozen=True)
class Target:
    """A kind of file, and what reads it."""

    file: str
    read: Callable[[Path], Any]  # a folder with that file
    is_right: Callable[[Any, Any, Path, bool], bool]  # what was read now, and from the whole file; resealed
    is_sealed: bool = False  # by the manifest beside it
    folder: str = "."


def fuzz(small: Small, num: int, seed: int, work: Path, names: Sequence[str] = ()) -> dict[str, int | str]:
    """Damage the file of every reader, or of these, so many times; by reader what came out, and at which commit."""
    result: dict[str, int | str] = {}
    folder = write_all(small, work / "whole")
    waiting, running = list(names or make_targets()), []
    with bar("damaged files", num * len(waiting)) as advance:
        while waiting or running:
            while waiting and len(running) < NUM_WORKERS:
                running.append(Run(waiting.pop(0), folder, num, seed, work))
            for run in running:
                advance(run.look())
            for run in [run for run in running if run.is_done]:
                running.remove(run)
                name = f"damaged_{re.sub('[ .]', '_', run.name)}"
                result[f"{name}_commit"] = commit()
                result |= {
                    f"{name}_{outcome}": run.found[outcome] for outcome in ("inputs", "refused", "read", "wrong")
                }
            time.sleep(0.05)
    return result


class Run:
    """One reader's damaged files, in a process that is started again where one of them ends it."""

    def __init__(self, name: str, folder: Path, num: int, seed: int, work: Path):
        self.name, self.num = name, num
        self.given = name, folder, num, seed, work / f"damaged-{name}"
        self.journal = work / f"damaged-{name}.jsonl"
        self.journal.unlink(missing_ok=True)
        self.lines = Lines(self.journal)
        self.found: Counter[str] = Counter()
        self.is_done = False
        self._begin(0)

    def _begin(self, first: int) -> None:
        self.number, self.since = first, time.monotonic()
        self.process = start(_damage_and_read, *self.given, first, self.journal)

    def look(self) -> int:
        """Collect what was found; returns of how many inputs."""
        before, is_over = self.found["inputs"], not self.process.is_alive()
        for line in self.lines.new():
            self.since = time.monotonic()
            self.number = line.get("begins", self.number)
            if "outcome" in line:
                self._count(line["outcome"])
        self.is_done = self.found["inputs"] >= self.num
        if not self.is_done and (is_over or time.monotonic() - self.since > MAX_SECONDS):
            self.process.kill()
            self.process.join()
            self._count(f"ended the process ({self.process.exitcode})" if is_over else "hung")
            self._begin(self.number + 1)
        return self.found["inputs"] - before

    def _count(self, outcome: str) -> None:
        kind = outcome if outcome in ("refused", "read") else "wrong"
        self.found.update({"inputs": 1, kind: 1})
        if kind == "wrong":
            console.print(f"{self.name}, input {self.number}: {outcome}", markup=False, soft_wrap=True)


def _damage_and_read(name: str, folder: Path, num: int, seed: int, work: Path, first: int, journal: Path) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MAX_BYTES, MAX_BYTES))
    huggingface_hub.constants.HF_HUB_OFFLINE = True  # a damaged name of a backbone is not looked for elsewhere
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(folder, work)
    target, told = make_targets()[name], Journal(journal)
    home = work / target.folder
    whole, path, manifest = target.read(home), home / target.file, home / "manifest.json"
    data, vouching = path.read_bytes(), manifest.read_bytes()
    others = [each.read_bytes() for each in sorted(folder.iterdir()) if each.is_file() and each.stat().st_size < 2**20]
    for number in range(first, num):
        told.tell({"begins": number})
        damaged, rng = data, random.Random(f"{seed} {name} {number}")
        while damaged == data:
            damaged = mutate(data, rng, others)
        path.write_bytes(damaged)
        is_resealed = bool(number % 2) and target.is_sealed
        if is_resealed:
            reseal(home, target.file)
        told.tell({"outcome": _outcome(target, whole, home, is_resealed)})
        path.write_bytes(data)
        manifest.write_bytes(vouching)
    shutil.rmtree(work)


def _outcome(target: Target, whole: Any, folder: Path, is_resealed: bool) -> str:
    try:
        with redirect_stderr(io.StringIO()):
            found = target.read(folder)
            return "read" if target.is_right(found, whole, folder, is_resealed) else "read as what it does not say"
    except MomeError as error:
        return "refused" if str(error).strip() else "refused without a word"
    except SystemExit as error:
        return "refused" if error.code == 2 else f"ended with {error.code}"
    except BaseException as error:
        return f"{type(error).__name__}: {str(error)[:200]}"


def reseal(folder: Path, file: str) -> None:
    """Let the manifest vouch for a file as it is, or for itself."""
    path = folder / "manifest.json"
    if file != path.name:
        manifest = read_manifest(folder)
        write_manifest(path, {**manifest.files, file: entry_of(folder / file)}, manifest.generation)
        return
    # What is no manifest any more stays as it is.
    with suppress(ValueError, TypeError, RecursionError, AttributeError):
        fields = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps({**fields, "sha256": own_sha256(fields)}), encoding="utf-8")


def write_all(small: Small, folder: Path) -> Path:
    """A folder with a checkpoint, a router, settings, and the facts in every form."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(small.folder, folder)
    facts = small.taught
    for name in FACT_FILES:
        target = folder / name
        records = [fact.to_record() for fact in facts]
        if name.endswith("parquet"):
            import pyarrow
            import pyarrow.parquet

            columns = {key: [record.get(key) for record in records] for record in records for key in record}
            pyarrow.parquet.write_table(pyarrow.table(columns), target)
        elif ".jsonl" in name:
            text = "".join(json.dumps(record) + "\n" for record in records).encode()
            target.write_bytes(gzip.compress(text) if name.endswith("gz") else text)
        else:
            columns = sorted({key for record in records for key in record})
            with target.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, columns, delimiter="\t" if name.endswith("tsv") else ",")
                writer.writeheader()
                cells = ({k: json.dumps(v) if isinstance(v, list) else v for k, v in each.items()} for each in records)
                writer.writerows(cells)
    parts = checkpoint.load(folder)
    save_router(folder / "router", parts.config, parts.router, checkpoint.read_router_report(folder))
    (folder / SETTINGS).write_text("facts: facts.jsonl\nlimit: 10\nwrite:\n  margin: 8.0\nsites: [3, 5]\n")
    return folder


def make_targets() -> dict[str, Target]:
    """Every reader by name."""
    targets = {}
    for file in CHECKPOINT_FILES:
        targets[f"checkpoint {file}"] = Target(file, read_checkpoint, is_right_checkpoint, is_sealed=True)
    for file in FACT_FILES:
        targets[file] = Target(file, partial(read_table, file=file), are_right_facts)
    targets["router.json"] = Target("router.json", read_router, is_right_router, is_sealed=True, folder="router")
    return {**targets, SETTINGS: Target(SETTINGS, read_settings, lambda *_given: True)}


def read_table(folder: Path, file: str) -> tuple[FactSet, Path]:
    """As `mome train --facts` does."""
    return read_facts(folder / file), folder / file


def read_router(folder: Path) -> dict[str, Any]:
    """As `mome train --router` does."""
    config, router = checkpoint.load_router(folder, checkpoint.load(folder.parent).config)
    return {"config": config.to_dict(), "tables": router.state_dict(), "report": checkpoint.read_router_report(folder)}


def is_right_router(found: dict, whole: dict, _folder: Path, is_resealed: bool) -> bool:
    """Whether it is the one that was saved."""
    return is_resealed or _is_same(found, whole)


def read_settings(folder: Path) -> TrainSettings:
    """As the command line does."""
    return settings_from("train", TrainSettings, ["--config", str(folder / SETTINGS)])


def read_checkpoint(folder: Path) -> dict[str, Any]:
    """Everything that a checkpoint says."""
    parts = checkpoint.load(folder)
    summary = checkpoint.summarize(folder)
    tables = {**vars(parts.bank), **{f"router.{name}": t for name, t in parts.router.state_dict().items()}}
    return {
        "facts": list(parts.ledger),
        "tables": {name: torch.cat(parts_of(t)) if t.dim() else t for name, t in tables.items()},
        "config": parts.config.to_dict(),
        "manifest": read_manifest(folder),
        "found": parts.index.search(parts.bank.keys[:, : parts.config.d_subject], 1)[1],
        "summary": summary,
        "report": checkpoint.read_router_report(folder),
    }


_asked = itertools.count()


def is_right_checkpoint(found: dict, whole: dict, folder: Path, is_resealed: bool) -> bool:
    """Whether it says what it said when it was whole. What a manifest vouches for may say anything, and answers."""
    if is_resealed:
        if next(_asked) % ANSWERED == 0:
            model, joiner = open_memory(folder)
            generate_answers(model, joiner, [fact.prompt for fact in found["facts"][:4]], num_new=4)
        return True
    return _is_same(found, whole)


def _is_same(found: Any, whole: Any) -> bool:
    if isinstance(whole, dict):
        return found.keys() == whole.keys() and all(_is_same(found[name], value) for name, value in whole.items())
    return torch.equal(found, whole) if isinstance(whole, torch.Tensor) else found == whole


def are_right_facts(found: tuple[FactSet, Path], _whole: object, _folder: Path, _is_resealed: bool) -> bool:
    """Whether the prompts and answers are those that a plain reading of the file finds."""
    said, path = found
    return {(fact.prompt, fact.answer) for fact in said.facts} == set(plain_reading(path))


def plain_reading(path: Path) -> list[tuple[str, str]]:
    """Prompts and first answers of a file of facts, by the shortest way."""
    if path.suffix == ".parquet":
        import pyarrow.parquet

        records = pyarrow.parquet.read_table(path).to_pylist()
    else:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        text = data.decode("utf-8-sig")
        if ".jsonl" in path.name:
            records = [json.loads(line) for line in text.split("\n") if line.strip()]
        else:
            delimiter = "\t" if path.suffix == ".tsv" else ","
            rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
            rows = [row for row in rows if any(cell.strip() for cell in row)]
            header = [name.strip() for name in rows[0]]
            records = [dict(zip(header, row, strict=False)) for row in rows[1:]]
    return [(str(each.get("prompt")).strip(), _first_answer(each)) for each in records]


def _first_answer(record: dict) -> str:
    answer = record.get("answer") or record.get("answers")
    if isinstance(answer, str) and answer.strip().startswith("[") and not record.get("answer"):
        answer = json.loads(answer)
    return str(answer[0] if isinstance(answer, list) else answer).strip()
