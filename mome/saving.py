"""Writing checkpoints: a new one appears whole or not at all, a changed one is at any moment as before or as after.

A new checkpoint is written under a temporary name, flushed to disk and renamed. To change one, the files that hold
facts are written beside those that are there, under names with the number of the change; then the manifest, which tells
the files' names, is replaced by one rename, and only then the old files go. A process that is killed leaves files that
no manifest names; the next change removes them. Readers keep open what they have opened.
"""

from __future__ import annotations

import fcntl
import glob
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor

from mome.checkpoint import EXPERT_TABLES, KEY_TABLES, ROUTER_FIELDS, Parts, read_router_report
from mome.config import MoMEConfig
from mome.errors import CheckpointError, MomeError
from mome.facts import write_facts
from mome.index import EXACT, FaissIndex, build_index, kind_for
from mome.manifest import FILE, Entries, Manifest, entry_of, read_manifest, without_number, write_manifest
from mome.router import Router
from mome.tables import Table, parts_of, write_tables

# The files that a change of facts writes anew; what was measured of the facts before is left out, with their texts.
CHANGING = ("experts.safetensors", "keys.safetensors", "facts.jsonl", "index.faiss", "report.json", "report.html")
UNFINISHED = ".unfinished"


def save(folder: Path, parts: Parts, report: dict, files: dict[str, bytes] | None = None) -> None:
    """Write a checkpoint to a folder that does not exist yet, or is empty; `files` are put beside the rest.

    Raises:
        CheckpointError: the folder holds something already, or cannot be written.
    """

    def fill(new: Path) -> None:
        parts.config.to_json_file(str(new / "config.json"), use_diff=False)
        _save_tables(new / "router.safetensors", parts.router.state_dict())
        _write_facts(parts, report, lambda name: new / name)
        for name, content in (files or {}).items():
            (new / name).write_bytes(content)
        write_manifest(new / FILE, _entries(new))

    write_folder(folder, fill)


def _write_facts(parts: Parts, report: dict, place: Callable[[str], Path]) -> None:
    """Write the files that change with the facts; `place` tells where each of them goes."""
    bank, ledger = parts.bank, parts.ledger
    left, tables = bank.live(ledger.forgotten)
    for name, columns in (("experts.safetensors", EXPERT_TABLES), ("keys.safetensors", KEY_TABLES)):
        write_tables(place(name), {column: tables.get(column, [getattr(left, column)]) for column in columns})
    write_facts(place("facts.jsonl"), ledger)
    place("report.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    index = _index_of(parts, tables["keys"])
    if index is not None:
        index.write(place("index.faiss"))


def _index_of(parts: Parts, keys: list[Tensor]) -> FaissIndex | None:
    """The index over the keys that are left, in parts; None where they are searched without one."""
    num_left = sum(map(len, keys))
    kind = kind_for(parts.config.index, num_left)
    if kind == EXACT:
        return None
    index = parts.index
    if isinstance(index, FaissIndex) and index.factory == kind:
        gone = parts.bank.keys_of(sorted(parts.ledger.forgotten))
        index = index.without(gone) if len(gone) else index
    else:
        index = None  # of the kind for another number of keys
    if index is None:
        built = build_index(torch.cat(keys)[:, : parts.config.d_subject], kind)
        assert isinstance(built, FaissIndex)
        index = built
    assert index.num_keys == num_left, "the index holds the keys that are left"
    return index


def commit(folder: Path, parts: Parts) -> Manifest:
    """Replace the facts of a checkpoint, in one step; readers keep the version that they have opened.

    Args:
        parts: what was read from it, changed, with the manifest that was read.

    Returns:
        The new manifest.

    Raises:
        CheckpointError: another process is changing it, or has changed it since, or it cannot be written; it is then
            as it was.
    """
    with _lock(folder):
        before = read_manifest(folder)
        _check_unchanged(folder, before, parts.manifest)
        # A process that was killed may have left files under the very names that are written now.
        _remove_unnamed(folder, before.files)
        new = {name: folder / _numbered(name, before.generation + 1) for name in CHANGING}
        manifest = folder / f".{FILE}"
        try:
            _write_facts(parts, {"router": read_router_report(folder)}, new.__getitem__)
            entries = _describe(manifest, before.files, new, before.generation + 1)
            manifest.replace(folder / FILE)
        except (OSError, SafetensorError, MomeError) as error:
            for path in (*new.values(), manifest):
                path.unlink(missing_ok=True)
            reason = getattr(error, "strerror", None) or error
            raise CheckpointError(f"{folder}: writing failed ({reason}); the checkpoint is as it was") from None
        # From here on the manifest names the new files: whatever fails now, they must stay.
        with suppress(OSError):
            _flush(folder)
            _remove_unnamed(folder, entries)
        return read_manifest(folder)


def _check_unchanged(folder: Path, now: Manifest, opened: Manifest | None) -> None:
    if opened is None or now.generation != opened.generation:
        expected = "none" if opened is None else opened.generation
        raise CheckpointError(
            f"{folder}: expected version {expected}, which was opened, got version {now.generation}, which another "
            "process has made since; open it again and repeat the change"
        )
    if now.sha256 != opened.sha256:
        raise CheckpointError(
            f"{folder}: expected the checkpoint that was opened, got another one in its place; open that and repeat "
            "the change"
        )


def _describe(manifest: Path, files: Entries, new: dict[str, Path], generation: int) -> Entries:
    """Write a manifest that names the new files, once they are on the disk; returns its entries."""
    written = {name: path for name, path in new.items() if path.exists()}
    for path in written.values():
        _flush(path)
    entries = {name: entry for name, entry in files.items() if name not in CHANGING}
    entries |= {name: {"file": path.name, **entry_of(path)} for name, path in written.items()}
    write_manifest(manifest, entries, generation)
    _flush(manifest)
    return entries


def _numbered(name: str, generation: int) -> str:
    stem, _, kind = name.partition(".")
    return f"{stem}.{generation}.{kind}"


def _remove_unnamed(folder: Path, files: Entries) -> None:
    """Remove the files of other versions, also those that a process left which was killed while it wrote."""
    named = {entry.get("file", name) for name, entry in files.items()}
    for path in folder.iterdir():
        if without_number(path.name) in CHANGING and path.name not in named:
            path.unlink(missing_ok=True)


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Inside, no other process changes the checkpoint. A process that is killed lets go of it."""
    read_manifest(folder)  # an error that names the folder, where there is no checkpoint
    try:
        handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise CheckpointError(f"{folder}: cannot be changed ({error.strerror}); check its permissions") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise CheckpointError(f"{folder}: another process is changing it; wait until it is done") from None
    finally:
        os.close(handle)


def save_router(folder: Path, config: MoMEConfig, router: Router, report: dict) -> None:
    """Write a router that can be reused for every later set of facts on the same backbone.

    Raises:
        CheckpointError: the folder holds something already, or cannot be written.
    """

    def fill(new: Path) -> None:
        _save_tables(new / "router.safetensors", router.state_dict())
        fields = {name: getattr(config, name) for name in ROUTER_FIELDS}
        text = json.dumps({**fields, "report": report}, indent=1) + "\n"
        (new / "router.json").write_text(text, encoding="utf-8")
        write_manifest(new / FILE, _entries(new))

    write_folder(folder, fill)


def write_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """Make a folder appear whole or not at all: filled under a temporary name, flushed, renamed.

    Raises:
        CheckpointError: the folder holds something already, or cannot be written.
    """
    refuse_existing(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_unfinished(folder)
        new = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=UNFINISHED, dir=folder.parent))
        at_work = os.open(new, os.O_RDONLY)
        fcntl.flock(at_work, fcntl.LOCK_EX)
    except OSError as error:
        raise CheckpointError(f"{folder}: cannot be written ({error.strerror}); choose another folder") from None
    try:
        fill(new)
        new.chmod(0o755)
        for path in [*new.iterdir(), new]:
            _flush(path)
        if folder.exists():
            folder.rmdir()
        new.rename(folder)
    except (OSError, SafetensorError, MomeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(f"{folder}: writing failed ({reason}); nothing was left behind") from None
    finally:
        os.close(at_work)
        shutil.rmtree(new, ignore_errors=True)
    with suppress(OSError):  # it is there, and whole
        _flush(folder.parent)


def _remove_unfinished(folder: Path) -> None:
    """Remove what processes left that were killed while they filled this folder, and are no longer at work on it."""
    for path in folder.parent.glob(f".{glob.escape(folder.name)}.*{UNFINISHED}"):
        with suppress(FileNotFoundError, BlockingIOError):  # it has just been finished, or somebody is at work on it
            handle = os.open(path, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path)
            finally:
                os.close(handle)


def refuse_existing(folder: Path) -> None:
    """Raise CheckpointError if there is anything at that place that writing would replace."""
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if (folder / FILE).exists():
        raise CheckpointError(f"{folder}: already holds a checkpoint; choose another folder, or move this one away")
    if folder.exists():
        raise CheckpointError(f"{folder}: expected a new or empty folder, got one that holds other files")


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _save_tables(path: Path, tables: Mapping[str, Table]) -> None:
    write_tables(path, {name: parts_of(table) for name, table in tables.items()})


def _entries(folder: Path) -> Entries:
    return {path.name: entry_of(path) for path in sorted(folder.iterdir())}
