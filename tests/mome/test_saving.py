"""Changes of a checkpoint: whole or not at all, whatever happens while they are written, and whoever reads it then."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import faiss
import pytest

from mome import checkpoint, edit, manifest, saving
from mome.errors import CheckpointError
from mome.facts import Fact
from mome.index import FaissIndex, TorchIndex
from mome.manifest import path_of, read_manifest, verify, write_manifest
from mome.modeling import MoMEForCausalLM
from train.answers import generate_answers

NEW = Fact(id="new", prompt="Where was Ada Quist born?", answers=("Velmora-on-Tarn",), subject="Ada Quist")


@pytest.fixture
def folder(taught, tmp_path) -> Path:
    return Path(shutil.copytree(taught.folder, tmp_path / "memory"))


@pytest.fixture
def model(folder) -> MoMEForCausalLM:
    return MoMEForCausalLM.from_pretrained(folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


def ids(folder: Path) -> list[str]:
    return [fact.id for fact in checkpoint.load(folder).ledger]


def test_a_change_is_there_for_whoever_opens_and_not_for_who_had(model, folder, taught, write_settings):
    facts, joiner = taught.facts, taught.joiner
    reader = MoMEForCausalLM.from_pretrained(folder)
    prompts = [fact.prompt for fact in facts]
    before = generate_answers(reader, joiner, prompts)
    model.memorize([NEW], joiner.tokenizer, write_settings)
    corrected = replace(facts[1], answers=("quite another answer",))
    model.memorize([corrected], joiner.tokenizer, write_settings, update=True)
    model.forget([facts[0].id])
    model.save_changes()
    assert not model.facts.forgotten, "what was saved has no empty places, and the open model has taken it up"
    assert model.bank.num_experts == checkpoint.load(folder).bank.num_experts
    left = [*facts[2:], NEW, corrected]
    assert generate_answers(model, joiner, [fact.prompt for fact in left]) == [fact.answer for fact in left]
    opened = MoMEForCausalLM.from_pretrained(folder)
    assert list(opened.facts) == left
    answers = [fact.answer for fact in left]
    assert generate_answers(opened, joiner, [fact.prompt for fact in left]) == answers
    assert generate_answers(reader, joiner, prompts) == before
    assert list(reader.facts) == facts
    assert reader.reload() and not reader.reload()
    assert list(reader.facts) == left
    assert generate_answers(reader, joiner, [fact.prompt for fact in left]) == answers
    model.forget(["new"])
    model.save_changes()
    assert ids(folder) == [fact.id for fact in left if fact.id != "new"]
    assert checkpoint.summarize(folder)["facts"] == len(facts) - 1


def test_no_file_keeps_what_was_forgotten(model, folder, taught, write_settings):
    model.memorize([NEW], taught.joiner.tokenizer, write_settings)
    model.save_changes()
    assert any(NEW.answer.encode() in content for content in contents(folder).values())
    model.forget([NEW.id])
    model.save_changes()
    for name, content in contents(folder).items():
        assert not any(text.encode() in content for text in (NEW.answer, NEW.prompt)), name
    assert len(contents(folder)) == len(contents(taught.folder)), "nothing is left behind"


def test_the_router_stays_known(model, folder, taught):
    before = checkpoint.read_router_report(folder)
    assert before
    model.forget([taught.facts[0].id])
    model.save_changes()
    assert checkpoint.read_router_report(folder) == before
    _, router = checkpoint.load_router(folder, taught.model.config)
    assert router.null_similarity == model.router.null_similarity


class Killed(BaseException):
    """The process is gone: nothing catches it, and nothing is tidied up."""


OPERATIONS = [(os, "fsync"), (Path, "replace"), (Path, "write_text"), (Path, "unlink"), (saving, "write_tables")]


def kill_at(monkeypatch, number: int, in_the_middle: bool) -> list[str]:
    """Let the n-th operation on files be the last one, and be done or not."""
    done: list[str] = []

    def watched(name, operation):
        def run(*args, **kwargs):
            if len(done) > number:
                raise Killed  # what a dead process does not do any more
            done.append(name)
            if len(done) > number and not in_the_middle:
                raise Killed
            result = operation(*args, **kwargs)
            if len(done) > number:
                raise Killed
            return result

        return run

    for owner, name in OPERATIONS:
        monkeypatch.setattr(owner, name, watched(name, getattr(owner, name)))
    return done


@pytest.mark.parametrize("in_the_middle", [False, True])
def test_killed_at_any_moment_it_is_as_before_or_as_after(taught, tmp_path, in_the_middle):
    facts = [fact.id for fact in taught.facts]
    found = []
    for number in range(100):
        folder = Path(shutil.copytree(taught.folder, tmp_path / f"memory{number}"))
        model = MoMEForCausalLM.from_pretrained(folder)
        model.forget([facts[3]])
        with pytest.MonkeyPatch.context() as monkeypatch:
            done = kill_at(monkeypatch, number, in_the_middle)
            try:
                model.save_changes()
                is_killed = False
            except Killed:
                is_killed = True
        now = ids(folder)
        assert now in (facts, facts[:3] + facts[4:]), done
        found.append(len(now))
        # What was left behind is in nobody's way.
        again = MoMEForCausalLM.from_pretrained(folder)
        again.forget([facts[5]])
        again.save_changes()
        assert ids(folder) == [each for each in now if each != facts[5]]
        assert len(contents(folder)) == len(contents(taught.folder))
        if not is_killed:
            break
    assert number > 8, "there were many moments"
    assert found == sorted(found, reverse=True) and len(set(found)) == 2, "first as before, then as after"


CHANGES = """
import sys
from pathlib import Path
from mome import checkpoint, edit, manifest, saving
folder = Path(sys.argv[1])
print("ready", flush=True)
while True:
    parts = checkpoint.load(folder)
    first = next(iter(parts.ledger))
    number = parts.ledger.number_of(first.id)
    parts.index.remove(parts.bank.keys_of([number]))
    parts.ledger.forget([number])
    saving.commit(folder, parts)
    if len(parts.ledger) <= 2:
        break
"""


@pytest.mark.slow
def test_a_process_that_is_killed_leaves_a_checkpoint_that_opens(folder, taught):
    facts = [fact.id for fact in taught.facts]
    for delay in (0.0, 0.01, 0.02, 0.04, 0.08):
        process = subprocess.Popen([sys.executable, "-c", CHANGES, str(folder)], stdout=subprocess.PIPE)
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        now = ids(folder)
        assert now == facts[len(facts) - len(now) :], "facts go one by one, from the first on"
    model = MoMEForCausalLM.from_pretrained(folder)
    model.forget([now[0]])
    model.save_changes()
    assert ids(folder) == now[1:]


def test_what_another_process_has_changed_is_not_overwritten(model, folder, taught):
    other = MoMEForCausalLM.from_pretrained(folder)
    other.forget([taught.facts[0].id])
    other.save_changes()
    model.forget([taught.facts[1].id])
    with pytest.raises(CheckpointError, match=r"expected version 0, which was opened, got version 1, .*open it again"):
        model.save_changes()
    assert ids(folder) == [fact.id for fact in taught.facts[1:]]
    assert model.reload()
    assert taught.facts[1].id in model.facts


def test_two_writers_at_once(model, folder, taught):
    model.forget([taught.facts[0].id])
    with saving._lock(folder), pytest.raises(CheckpointError, match="another process is changing it; wait until"):
        model.save_changes()
    assert ids(folder) == [fact.id for fact in taught.facts]
    model.save_changes()
    assert ids(folder) == [fact.id for fact in taught.facts[1:]]


@pytest.fixture
def with_faiss(teach_memory, backbone_folder, taught, tmp_path) -> Path:
    """A checkpoint with a file of FAISS."""
    made = teach_memory(backbone_folder, taught.facts, index="IVF4,Flat", router=taught.model.router).folder
    return Path(shutil.copytree(made, tmp_path / "with_faiss"))


def keys_in_index(folder: Path) -> int:
    path = path_of(folder, read_manifest(folder).files, "index.faiss")
    assert path is not None
    return faiss.read_index(str(path)).ntotal


def test_no_index_keeps_the_key_of_what_was_forgotten(with_faiss, taught):
    """Neither by the command line nor by a model."""
    parts = checkpoint.load(with_faiss)
    gone = [parts.bank.keys[number].numpy()[:128].tobytes() for number in (0, 1)]
    assert all(any(key in content for content in contents(with_faiss).values()) for key in gone)
    edit.forget(with_faiss, [taught.facts[0].id])
    model = MoMEForCausalLM.from_pretrained(with_faiss)
    model.forget([taught.facts[1].id])
    model.save_changes()
    assert not any(key in content for key in gone for content in contents(with_faiss).values())
    assert keys_in_index(with_faiss) == len(taught.facts) - 2


def test_an_index_of_the_kind_for_fewer_keys_is_built_anew(folder, taught, write_settings, monkeypatch):
    """Searched exactly until now, then with lists."""
    monkeypatch.setattr("mome.index.MAX_EXACT_KEYS", len(taught.facts))
    monkeypatch.setattr("mome.index.NUM_LISTS", 2)
    parts = checkpoint.load(folder)
    parts.config.index = "auto"
    shutil.rmtree(folder)
    saving.save(folder, parts, {})
    model = MoMEForCausalLM.from_pretrained(folder)
    assert isinstance(model.index, TorchIndex)
    model.memorize([NEW], taught.joiner.tokenizer, write_settings)
    model.save_changes()
    assert isinstance(checkpoint.load(folder).index, FaissIndex)
    assert "index.1.faiss" in contents(folder)


def test_a_full_disk_while_the_index_is_written(with_faiss, taught, monkeypatch):
    before = contents(with_faiss)
    model = MoMEForCausalLM.from_pretrained(with_faiss)
    model.forget([taught.facts[0].id])
    write = FaissIndex.write
    monkeypatch.setattr(FaissIndex, "write", lambda self, _path: write(self, Path("/dev/full")))
    with pytest.raises(CheckpointError, match=r"writing failed .*; the checkpoint is as it was"):
        model.save_changes()
    assert contents(with_faiss) == before
    with pytest.raises(CheckpointError, match=r"writing failed .*; nothing was left behind"):
        model.save_pretrained(with_faiss.with_name("copy"))
    assert not with_faiss.with_name("copy").exists()


def test_another_checkpoint_in_the_place_of_the_one_that_was_opened_is_not_overwritten(model, folder, taught):
    parts = checkpoint.load(folder)
    parts.ledger.forget([0])
    shutil.rmtree(folder)
    saving.save(folder, parts, {})
    model.forget([taught.facts[1].id])
    with pytest.raises(CheckpointError, match="expected the checkpoint that was opened, got another one in its place"):
        model.save_changes()
    assert ids(folder) == [fact.id for fact in taught.facts[1:]]
    assert model.reload() and list(model.facts) == taught.facts[1:]


def test_what_a_killed_process_left_is_not_taken_for_what_is_written(model, folder, taught):
    for name in ("report.1.html", "index.1.faiss", "facts.1.jsonl"):
        (folder / name).write_text("left behind")
    model.forget([taught.facts[0].id])
    model.save_changes()
    assert not any(b"left behind" in content for content in contents(folder).values())
    assert {"report.html", "index.faiss"}.isdisjoint(read_manifest(folder).files)


@pytest.mark.parametrize("read", [checkpoint.summarize, verify, checkpoint.read_router_report])
def test_whoever_reads_while_it_is_changed_reads_one_version(read, model, folder, taught, monkeypatch):
    real, model_is_waiting = manifest.read_manifest, [True]

    def interrupted(path):
        found = real(path)
        if model_is_waiting:
            model_is_waiting.clear()
            model.forget([taught.facts[0].id])
            model.save_changes()  # between the look at the manifest and that at the files
        return found

    before = read(folder)
    monkeypatch.setattr(manifest, "read_manifest", interrupted)
    found = read(folder)
    monkeypatch.undo()
    assert found == read(folder)
    assert read is not checkpoint.summarize or found["facts"] == before["facts"] - 1


def test_a_file_that_cannot_be_read_is_named(folder, monkeypatch):
    def refused(*_args):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(manifest, "sha256_of", refused)
    with pytest.raises(CheckpointError, match=r"config.json: cannot be read \(Input/output error\)"):
        checkpoint.load(folder)


def test_a_folder_whose_place_cannot_be_flushed_is_there_all_the_same(folder, monkeypatch):
    parts, real = checkpoint.load(folder), saving._flush

    def failing(path):
        if path == folder.parent:
            raise OSError(errno.EINVAL, "Invalid argument")
        real(path)

    monkeypatch.setattr(saving, "_flush", failing)
    saving.save(folder.with_name("copy"), parts, {})
    assert ids(folder.with_name("copy")) == ids(folder)


@pytest.mark.parametrize("name", ["write_tables", "write_facts", "_flush"])
def test_a_full_disk(model, folder, taught, monkeypatch, name):
    before, calls = contents(folder), []
    real = getattr(saving, name)

    def full(*args):
        calls.append(args)
        if len(calls) == 2 or name == "write_facts":
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*args)

    monkeypatch.setattr(saving, name, full)
    model.forget([taught.facts[0].id])
    with pytest.raises(
        CheckpointError, match=r"writing failed \(No space left on device\); the checkpoint is as it was"
    ):
        model.save_changes()
    assert contents(folder) == before
    monkeypatch.undo()
    model.save_changes()
    assert ids(folder) == [fact.id for fact in taught.facts[1:]]


def test_what_fails_behind_the_rename_loses_nothing(model, folder, taught, monkeypatch):
    """The manifest names the new files by then."""
    real = saving._flush

    def failing(path):
        if path == folder:
            raise OSError(errno.EIO, "Input/output error")
        real(path)

    monkeypatch.setattr(saving, "_flush", failing)
    model.forget([taught.facts[0].id])
    model.save_changes()
    assert ids(folder) == [fact.id for fact in taught.facts[1:]]
    monkeypatch.undo()
    model.forget([taught.facts[1].id])
    model.save_changes()
    assert ids(folder) == [fact.id for fact in taught.facts[2:]]
    assert len(contents(folder)) == len(contents(taught.folder))


def test_a_folder_that_cannot_be_written(model, folder, taught, monkeypatch):
    def refused(*_args):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(saving.os, "open", refused)
    model.forget([taught.facts[0].id])
    with pytest.raises(CheckpointError, match=r"cannot be changed \(Permission denied\); check its permissions"):
        model.save_changes()


def test_a_memory_without_a_checkpoint(taught):
    for action in ("save_changes", "reload"):
        with pytest.raises(CheckpointError, match=f"{action}: expected a memory that was opened from a checkpoint"):
            getattr(taught.model, action)()


def test_a_checkpoint_that_is_gone(model, folder, taught):
    shutil.rmtree(folder)
    model.forget([taught.facts[0].id])
    with pytest.raises(CheckpointError, match="expected a checkpoint folder, found none"):
        model.save_changes()


@pytest.mark.parametrize(
    "file", ["../facts.jsonl", "/etc/passwd", "facts.1.json", "keys.safetensors", "facts..jsonl", 3]
)
def test_a_manifest_that_points_elsewhere_is_refused(folder, file):
    files = read_manifest(folder).files
    files["facts.jsonl"]["file"] = file
    write_manifest(folder / "manifest.json", files)
    with pytest.raises(
        CheckpointError, match=r"manifest.json: damaged: expected facts.jsonl in a file of that name, got"
    ):
        checkpoint.load(folder)


@pytest.mark.parametrize("generation", [-1, "1", 1.5, True, None])
def test_a_manifest_with_a_strange_number_is_refused(folder, generation):
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"generation": generation}))
    with pytest.raises(CheckpointError, match=r"manifest.json: damaged: expected a number `generation`, got"):
        checkpoint.load(folder)


def test_a_reader_that_meets_a_change_reads_the_new_version(folder, taught, monkeypatch):
    """Between its look at the manifest and at the files, another process changes them."""
    writer, real = MoMEForCausalLM.from_pretrained(folder), checkpoint._load
    writer.forget([taught.facts[0].id])

    def interrupted(*args):
        monkeypatch.setattr(checkpoint, "_load", real)
        writer.save_changes()
        return real(*args)

    monkeypatch.setattr(checkpoint, "_load", interrupted)
    assert ids(folder) == [fact.id for fact in taught.facts[1:]]


def test_what_a_killed_process_left_goes_when_the_folder_is_written_again(taught, tmp_path, monkeypatch):
    def left() -> list[str]:
        return [path.name for path in tmp_path.iterdir() if path.name != "memory"]

    monkeypatch.setattr(saving.shutil, "rmtree", lambda *_args, **_kwargs: None)  # what a dead process does not do
    with pytest.raises(Killed):
        saving.write_folder(tmp_path / "memory", killed)
    monkeypatch.undo()
    assert len(left()) == 1 and not (tmp_path / "memory").exists()
    for name in (".memory.backup01", ".memory2.abcdefgh.unfinished"):
        (tmp_path / name).mkdir()

    def fill(new: Path) -> None:
        saving._remove_unfinished(tmp_path / "memory")  # as another process does meanwhile
        (new / "file").write_text("whole")

    saving.write_folder(tmp_path / "memory", fill)
    assert (tmp_path / "memory" / "file").read_text() == "whole"
    assert sorted(left()) == [".memory.backup01", ".memory2.abcdefgh.unfinished"], "others are none of its business"


def killed(_folder: Path) -> None:
    raise Killed
