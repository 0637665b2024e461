"""The working folder of a run: what it has done so far, so that `--resume` goes on exactly where it stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mome.errors import SettingsError
from mome.facts import Fact
from train.settings import BackboneSettings, RouterSettings, TrainSettings


def plain(settings: Any) -> dict:
    """Settings as JSON-ready fields, without `resume`, which says nothing about the result."""
    fields = {name: value for name, value in asdict(settings).items() if name != "resume"}
    return json.loads(json.dumps(fields, default=str))


def open_work(settings: TrainSettings | RouterSettings, facts: Sequence[Fact]) -> Path:
    """The working folder beside `settings.out`, see `open_folder`."""
    return open_folder(settings.out.with_name(settings.out.name + ".work"), settings, facts)


def open_folder(work: Path, settings: BackboneSettings, facts: Sequence[Fact]) -> Path:
    """A working folder: a new one, or with `resume` the one that an interrupted run left.

    Raises:
        SettingsError: there is an interrupted run that would be lost, none to resume, or one with other settings.
    """
    digest = hashlib.sha256(json.dumps([fact.to_record() for fact in facts]).encode()).hexdigest()
    wanted = {**plain(settings), "facts_sha256": digest}
    stored = work / "settings.json"
    if settings.resume:
        _check_same(stored, wanted)
        return work
    if stored.exists():
        raise SettingsError(
            f"{work}: holds an interrupted run; go on with it by --resume, or delete that folder to start again"
        )
    work.mkdir(parents=True, exist_ok=True)
    new = stored.with_suffix(".tmp")  # a process that is killed leaves no half of it
    new.write_text(json.dumps(wanted, indent=1) + "\n", encoding="utf-8")
    new.rename(stored)
    return work


def _check_same(stored: Path, wanted: dict) -> None:
    if not stored.exists():
        raise SettingsError(f"--resume: no interrupted run stands in {stored.parent}; run without --resume")
    before = json.loads(stored.read_text(encoding="utf-8"))
    changed = sorted(name for name in wanted.keys() | before.keys() if wanted.get(name) != before.get(name))
    if changed:
        raise SettingsError(
            f"--resume: {stored.parent} was begun with other settings: {', '.join(changed)} differ; give the same "
            "settings and facts, or delete that folder to start again"
        )
