"""Changes to a checkpoint that its manifest agrees with."""

from pathlib import Path

from mome.manifest import FILE, entry_of, read_manifest, write_manifest


def seal(folder: Path) -> None:
    """Make the manifest agree with the files, as if they had been written so."""
    manifest = read_manifest(folder)
    write_manifest(folder / FILE, {name: entry_of(folder / name) for name in manifest.files}, manifest.generation)
