"""The manifest of a checkpoint: which files it consists of, their sizes and digests, and how often it was changed.

It vouches for every other file, and for itself: `sha256` is the digest of all else in it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mome.errors import CheckpointError

FORMAT = 5
FILE = "manifest.json"
# Larger tables are checked by size and header alone when they are opened: what is not used of them is not read.
FULL_HASH_BYTES = 256 * 2**20
MEND = "restore the file from a copy, or teach again"

Entries = dict[str, dict]  # by the name of the file: `bytes`, `sha256`, and `file` where it has a number
Read = TypeVar("Read")


@dataclass(frozen=True)
class Manifest:
    """What a manifest says."""

    files: Entries
    generation: int  # how often what the folder holds has been changed
    sha256: str  # its own, which tells this version from every other one, also of another checkpoint in its place


def sha256_of(path: Path) -> str:
    """The digest of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def entry_of(path: Path) -> dict:
    """What a manifest says of a file as it is."""
    return {"bytes": path.stat().st_size, "sha256": sha256_of(path)}


def write_manifest(path: Path, files: Entries, generation: int = 0) -> None:
    """Write a manifest over these files; `generation` is how often they were changed."""
    manifest = {"format": FORMAT, "generation": generation, "files": files}
    text = json.dumps({**manifest, "sha256": own_sha256(manifest)}, indent=1)
    path.write_text(text + "\n", encoding="utf-8")


def own_sha256(manifest: Mapping) -> str:
    """The digest of all that a manifest says but this."""
    fields = {name: value for name, value in manifest.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest of a checkpoint.

    Raises:
        CheckpointError: there is no checkpoint, or its manifest is damaged or of another format.
    """
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: expected a checkpoint folder, found none; `mome train --out` makes one")
    path = folder / FILE
    if not path.exists():
        raise CheckpointError(f"{folder}: expected a mome checkpoint, but it has no {FILE}; {MEND}")
    manifest = read_json(path)
    if manifest.get("format") != FORMAT:
        got = manifest.get("format")
        raise CheckpointError(f"{path}: expected checkpoint format {FORMAT}, got {got!r}; update mome or teach again")
    files, generation = manifest.get("files"), manifest.get("generation")
    if not isinstance(files, dict):
        raise CheckpointError(f"{path}: damaged: expected a table `files`, found none; {MEND}")
    if type(generation) is not int or generation < 0:
        raise CheckpointError(f"{path}: damaged: expected a number `generation`, got {generation!r}; {MEND}")
    for name, entry in files.items():
        _check_entry(path, name, entry)
    if manifest.get("sha256") != own_sha256(manifest):
        raise CheckpointError(f"{path}: damaged: its sha256 is not that of what it says; {MEND}")
    return Manifest(files, generation, manifest["sha256"])


def at_one_version(folder: Path, read: Callable[[Manifest], Read]) -> Read:
    """Read files of a checkpoint that another process may be changing: again, where it has just done so.

    Raises:
        CheckpointError: as `read` does, or a file cannot be read.
    """
    while True:
        manifest = read_manifest(folder)
        try:
            return read(manifest)
        except (CheckpointError, OSError) as error:
            if read_manifest(folder).sha256 != manifest.sha256:
                continue
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(f"{folder}: cannot be read ({error}); {MEND}") from None


def _check_entry(path: Path, name: str, entry: object) -> None:
    if not isinstance(entry, dict) or type(entry.get("bytes")) is not int or not isinstance(entry.get("sha256"), str):
        raise CheckpointError(f"{path}: damaged: expected `bytes` and `sha256` of {name}, got {entry!r}; {MEND}")
    file = entry.get("file", name)
    # A name with a folder in it could lead out of the checkpoint.
    if not isinstance(file, str) or without_number(file) != name or Path(file).name != file:
        raise CheckpointError(f"{path}: damaged: expected {name} in a file of that name, got {file!r}; {MEND}")


def without_number(file: str) -> str:
    """The name of a file without the number of the change that wrote it.

    >>> without_number("facts.12.jsonl"), without_number("facts.jsonl")
    ('facts.jsonl', 'facts.jsonl')
    """
    return re.sub(r"^(\w+)\.[0-9]+\.(\w+)$", r"\1.\2", file)


def path_of(folder: Path, files: Entries, name: str) -> Path | None:
    """Where a file lies, under its own name or that with the number of a change; None where there is none."""
    return folder / files[name].get("file", name) if name in files else None


def checked(folder: Path, files: Entries, name: str, in_full: bool = False) -> Path:
    """The path of a file that the manifest names, once it is known to be the one.

    Args:
        in_full: compare the digest of a large file too.

    Raises:
        CheckpointError: it is missing, or another one.
    """
    path = path_of(folder, files, name)
    if path is None:
        raise CheckpointError(f"{folder / FILE}: expected an entry for {name}, found none; {MEND}")
    if not path.is_file():
        raise CheckpointError(f"{path}: missing; {MEND}")
    size, entry = path.stat().st_size, files[name]
    if size != entry["bytes"]:
        raise CheckpointError(f"{path}: damaged: expected {entry['bytes']} bytes, got {size}; {MEND}")
    try:
        is_right = (not in_full and size > FULL_HASH_BYTES) or sha256_of(path) == entry["sha256"]
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror}); {MEND}") from None
    if not is_right:
        raise CheckpointError(f"{path}: damaged or foreign: its sha256 is not the manifest's; {MEND}")
    return path


def verify(folder: Path) -> int:
    """Compare every file of a checkpoint with its digest, however large it is; returns how many there are.

    Raises:
        CheckpointError: one is missing, or another one; or there is no checkpoint.
    """

    def read(manifest: Manifest) -> int:
        return len([checked(folder, manifest.files, name, in_full=True) for name in manifest.files])

    return at_one_version(folder, read)


def read_json(path: Path) -> dict:
    """The JSON object that a file holds.

    Raises:
        CheckpointError: it holds none.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise CheckpointError(f"{path}: damaged: expected JSON ({error}); {MEND}") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{path}: damaged: expected a JSON object, got {type(value).__name__}; {MEND}")
    return value
