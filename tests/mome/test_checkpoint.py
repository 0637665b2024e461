"""Checkpoints on disk: written whole or not at all, read exactly or refused with a message that helps."""

import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import fields
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM

from mome.bank import Bank
from mome.checkpoint import load, summarize
from mome.config import MoMEConfig
from mome.errors import BackboneError, CheckpointError
from mome.facts import Fact, write_facts
from mome.ledger import StoredFacts
from mome.manifest import FORMAT, read_manifest, verify, write_manifest
from mome.modeling import MoMEForCausalLM
from mome.saving import write_folder
from tests.mome.damage import seal

FILES = ["config.json", "router.safetensors", "experts.safetensors", "keys.safetensors", "facts.jsonl"]
MEND = "restore the file from a copy, or teach again"
TABLES = {"experts": ("down", "up", "token", "fact"), "keys": ("keys", "key_expert", "subject", "word_edge")}
ALL_TABLES = [(file, table) for file, tables in TABLES.items() for table in tables]


@pytest.fixture
def folder(taught, tmp_path) -> Path:
    """A checkpoint to be damaged."""
    return shutil.copytree(taught.folder, tmp_path / "memory")


@pytest.fixture(scope="module")
def other(taught, teach_memory) -> Path:
    """A checkpoint of other facts at another site of the same backbone."""
    return teach_memory(Path(taught.model.config.backbone), taught.facts[3:8], sites=[1]).folder


def refused(folder: Path, *words: str, mend: str = MEND) -> None:
    """Opening fails, and the message holds all words and ends with a way to mend it."""
    with pytest.raises(CheckpointError) as caught:
        MoMEForCausalLM.from_pretrained(folder)
    message = str(caught.value)
    assert str(folder) in message
    for word in words:
        assert word in message
    assert message.endswith(mend), message


def change_tensors(folder: Path, file: str, change: Callable[[dict[str, Tensor]], None]) -> None:
    path = folder / f"{file}.safetensors"
    tensors = {name: tensor.clone() for name, tensor in load_file(path).items()}
    change(tensors)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    seal(folder)


def change_json(path: Path, **values) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


# Saving.


def test_a_checkpoint_holds_these_files_and_none_of_them_is_a_pickle(taught, folder):
    assert sorted(path.name for path in folder.iterdir()) == sorted([*FILES, "manifest.json", "report.json"])
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["format"] == FORMAT
    for name, entry in manifest["files"].items():
        data = (folder / name).read_bytes()
        assert entry == {"bytes": len(data), "sha256": sha256(data).hexdigest()}
        assert data[:1] == b"{" or name.endswith(".safetensors")
    assert len((folder / "facts.jsonl").read_text().splitlines()) == len(taught.facts)


def test_a_checkpoint_reads_back_exactly(taught, folder):
    parts, model = load(folder), taught.model
    assert parts.config.to_dict() == model.config.to_dict()
    assert list(parts.ledger.facts) == list(model.ledger.facts)
    for field in fields(Bank):
        saved, got = getattr(model.bank, field.name), getattr(parts.bank, field.name)
        assert got.dtype == saved.dtype
        assert torch.equal(got, saved)
    saved, got = model.router.state_dict(), parts.router.state_dict()
    assert list(got) == list(saved)
    assert all(torch.equal(got[name], saved[name]) and got[name].dtype == saved[name].dtype for name in saved)


def test_saving_a_loaded_checkpoint_writes_the_same_bytes(folder, tmp_path):
    report = json.loads((folder / "report.json").read_text())
    MoMEForCausalLM.from_pretrained(folder).save_pretrained(tmp_path / "again", report)
    for path in folder.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), path.name


def test_an_empty_memory_can_be_saved_and_loaded(taught, tmp_path):
    backbone = AutoModelForCausalLM.from_pretrained(taught.model.config.backbone)
    MoMEForCausalLM(taught.model.config, backbone, taught.model.router).save_pretrained(tmp_path / "empty")
    model = MoMEForCausalLM.from_pretrained(tmp_path / "empty")
    assert (model.bank.num_experts, model.bank.num_keys, len(model.ledger)) == (0, 0, 0)
    tokens = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        logits = model(tokens).logits
        with model.memory_disabled():
            assert torch.equal(model(tokens).logits, logits)


def test_further_files_stand_beside_the_rest_and_in_the_manifest(taught, tmp_path):
    taught.model.save_pretrained(tmp_path / "new", report={"after": {"recall": 1.0}}, files={"report.html": b"<p>"})
    assert (tmp_path / "new" / "report.html").read_bytes() == b"<p>"
    assert "report.html" in json.loads((tmp_path / "new" / "manifest.json").read_text())["files"]
    assert summarize(tmp_path / "new")["measured"] == {"recall": 1.0}


def test_nothing_is_overwritten(taught, folder, tmp_path):
    with pytest.raises(CheckpointError, match="already holds a checkpoint; choose another folder"):
        taught.model.save_pretrained(folder)
    occupied = tmp_path / "occupied"
    occupied.mkdir()
    (occupied / "thesis.txt").write_text("the only copy")
    with pytest.raises(CheckpointError, match="expected a new or empty folder, got one that holds other files"):
        taught.model.save_pretrained(occupied)
    assert [path.name for path in occupied.iterdir()] == ["thesis.txt"]
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="expected a new or empty folder"):
        taught.model.save_pretrained(tmp_path / "file")
    with pytest.raises(CheckpointError, match=r"below: cannot be written \(.*\); choose another folder"):
        taught.model.save_pretrained(tmp_path / "file" / "below")
    (tmp_path / "empty").mkdir()
    taught.model.save_pretrained(tmp_path / "empty")
    assert load(tmp_path / "empty").bank.num_experts == taught.model.bank.num_experts
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file", "memory", "occupied"]


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    seen = []

    def fill(new: Path) -> None:
        (new / "first").write_text("1")
        seen.append([path.name for path in tmp_path.iterdir()])
        if len(seen) == 1:
            raise OSError(28, "No space left on device")
        if len(seen) == 2:
            save_file({"a": torch.zeros(1)}, new / "no" / "such" / "folder")

    for reason in ("No space left on device", "No such file or directory"):
        with pytest.raises(CheckpointError, match=rf"whole: writing failed \(.*{reason}.*\); nothing was left behind"):
            write_folder(tmp_path / "whole", fill)
        assert list(tmp_path.iterdir()) == []
    write_folder(tmp_path / "whole", fill)
    assert [path.name for path in tmp_path.iterdir()] == ["whole"]
    assert (tmp_path / "whole" / "first").read_text() == "1"
    assert all(names != ["whole"] for names in seen)
    assert (tmp_path / "whole").stat().st_mode & 0o777 == 0o755


# Damaged files.


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["deleted", "folder", "truncated", "emptied", "longer", "flipped", "foreign"])
def test_a_damaged_file_is_refused(folder, other, name, damage):
    path = folder / name
    data = path.read_bytes()
    half = len(data) // 2
    if damage == "deleted":
        path.unlink()
        refused(folder, f"{path}: missing")
    elif damage == "folder":
        path.unlink()
        path.mkdir()
        refused(folder, f"{path}: missing")
    elif damage == "flipped":
        path.write_bytes(data[:half] + bytes([data[half] ^ 4]) + data[half + 1 :])
        refused(folder, f"{path}: damaged or foreign: its sha256 is not the manifest's")
    elif damage == "foreign":
        shutil.copy(other / name, path)
        refused(folder, f"{path}: damaged")
    else:
        new = {"truncated": data[:half], "emptied": b"", "longer": data + b"\n"}[damage]
        path.write_bytes(new)
        refused(folder, f"{path}: damaged: expected {len(data)} bytes, got {len(new)}")


def test_a_foreign_file_of_the_same_size_is_refused(taught, folder, tmp_path):
    """As when a checkpoint is taught again and half of it is copied over the old one."""
    bank = taught.model.bank
    moved = Bank(**{**vars(bank), "up": bank.up.flip(0)})
    backbone = AutoModelForCausalLM.from_pretrained(taught.model.config.backbone)
    MoMEForCausalLM(taught.model.config, backbone, taught.model.router, moved, taught.model.ledger).save_pretrained(
        tmp_path / "moved"
    )
    shutil.copy(tmp_path / "moved" / "experts.safetensors", folder)
    refused(folder, "experts.safetensors: damaged or foreign")


def test_a_large_file_is_checked_by_size_and_header_alone(folder, monkeypatch):
    monkeypatch.setattr("mome.manifest.FULL_HASH_BYTES", 1000)
    path = folder / "experts.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 4]))
    load(folder)
    with pytest.raises(CheckpointError, match=f"{path}: damaged or foreign"):
        verify(folder)
    path.write_bytes(bytes([data[0] ^ 4]) + data[1:])
    refused(folder, f"{path}: not a readable safetensors file")
    path.write_bytes(data[:-1])
    refused(folder, f"{path}: damaged: expected {len(data)} bytes")
    path.write_bytes(data)
    assert verify(folder) == len(list(folder.iterdir())) - 1, "all but the manifest itself"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, ["no manifest.json"]),
        (b"", ["manifest.json: damaged: expected JSON"]),
        (f'{{"format": {FORMAT}, "files"'.encode(), ["manifest.json: damaged: expected JSON"]),
        (b"\xff\xfe\x00", ["manifest.json: damaged: expected JSON"]),
        (b"[1]", ["manifest.json: damaged: expected a JSON object, got list"]),
        (b'{"files": {}}', [f"manifest.json: expected checkpoint format {FORMAT}, got None"]),
        (b'{"format": 99, "files": {}}', [f"manifest.json: expected checkpoint format {FORMAT}, got 99"]),
        (
            f'{{"format": {FORMAT}, "files": []}}'.encode(),
            ["manifest.json: damaged: expected a table `files`, found none"],
        ),
        (
            f'{{"format": {FORMAT}, "generation": 0, "files": {{}}}}'.encode(),
            ["manifest.json: damaged: its sha256 is not that of what it says"],
        ),
        (b'{"format":' + b"[" * 5000, ["manifest.json: damaged: expected JSON"]),
    ],
    ids=[
        "missing",
        "empty",
        "truncated",
        "bytes",
        "list",
        "no_format",
        "later_format",
        "no_table",
        "no_digest",
        "deep",
    ],
)
def test_a_damaged_manifest_is_refused(folder, content, words):
    path = folder / "manifest.json"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    mend = "update mome or teach again" if "checkpoint format" in words[0] else MEND
    refused(folder, *words, mend=mend)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("entry", [None, 5, "deleted"])
def test_a_manifest_without_an_entry_is_refused(folder, name, entry):
    path = folder / "manifest.json"
    files = read_manifest(folder).files
    if entry == "deleted":
        write_manifest(path, {key: value for key, value in files.items() if key != name})
        refused(folder, f"{path}: expected an entry for {name}, found none")
    else:
        write_manifest(path, {**files, name: entry})
        refused(folder, f"{path}: damaged: expected `bytes` and `sha256` of {name}, got {entry!r}")


@pytest.mark.parametrize("name", [b"bytes", b"generation", b"sha256"])
def test_a_manifest_that_was_changed_by_hand_is_refused(folder, name):
    path = folder / "manifest.json"
    content = path.read_bytes()
    digit = re.search(rb'"%s": "?(\w)' % name, content)
    assert digit is not None
    path.write_bytes(content[: digit.start(1)] + (b"3" if digit[1] != b"3" else b"4") + content[digit.end(1) :])
    refused(folder, f"{path}: damaged: its sha256 is not that of what it says")


def test_a_folder_that_is_no_checkpoint_is_refused(tmp_path):
    refused(tmp_path / "nowhere", "expected a checkpoint folder, found none", mend="`mome train --out` makes one")
    (tmp_path / "file").write_text("")
    refused(tmp_path / "file", "expected a checkpoint folder, found none", mend="`mome train --out` makes one")
    refused(tmp_path, "expected a mome checkpoint, but it has no manifest.json")


# Files that are whole but do not fit; the manifest agrees with them.


@pytest.mark.parametrize(("file", "table"), ALL_TABLES)
@pytest.mark.parametrize("damage", ["missing", "renamed", "extra"])
def test_tables_are_exactly_those_expected(folder, file, table, damage):
    def change(tensors: dict[str, Tensor]) -> None:
        if damage == "extra":
            tensors["spare"] = tensors[table].clone()
            return
        tensor = tensors.pop(table)
        if damage == "renamed":
            tensors["spare"] = tensor

    change_tensors(folder, file, change)
    missing = [] if damage == "extra" else [table]
    extra = [] if damage == "missing" else ["spare"]
    words = f"expected the tensors {sorted(TABLES[file])}; missing {missing}, not expected {extra}"
    refused(folder, f"{folder / file}.safetensors: {words}")


@pytest.mark.parametrize("damage", ["missing", "renamed", "extra", "wider", "scalar"])
def test_the_routers_tensors_are_exactly_those_expected(folder, damage):
    path = folder / "router.safetensors"

    def change(tensors: dict[str, Tensor]) -> None:
        tensor = tensors["value.weight"]
        if damage in ("missing", "renamed"):
            del tensors["value.weight"]
        if damage in ("renamed", "extra"):
            tensors["values.weight"] = tensor.clone()
        if damage == "wider":
            tensors["value.weight"] = torch.cat([tensor, tensor], 1)
        if damage == "scalar":
            tensors["null_similarity"] = torch.tensor([0.5])

    change_tensors(folder, "router", change)
    words = {
        "missing": "missing ['value.weight'], not expected []",
        "renamed": "missing ['value.weight'], not expected ['values.weight']",
        "extra": "missing [], not expected ['values.weight']",
        "wider": "tensor value.weight: expected shape (192, 128), got (192, 256)",
        "scalar": "tensor null_similarity: expected shape (), got (1,)",
    }
    refused(folder, f"{path}: ", words[damage])


@pytest.mark.parametrize(
    ("file", "table", "change", "expected"),
    [
        ("experts", "down", lambda t: t[..., :-1], r"\('any', 1, 0, 64\), got \(\d+, 1, 0, 63\)"),
        ("experts", "down", lambda t: t[:, 0], r"\('any', 1, 0, 64\), got \(\d+, 0, 64\)"),
        ("experts", "up", lambda t: t.transpose(2, 3), r"\('any', 1, 64, 1\), got \(\d+, 1, 1, 64\)"),
        ("experts", "up", lambda t: t.repeat(1, 1, 1, 2), r"\('any', 1, 64, 1\), got \(\d+, 1, 64, 2\)"),
        ("experts", "up", lambda t: t.repeat(1, 2, 1, 1), r"\('any', 1, 64, 1\), got \(\d+, 2, 64, 1\)"),
        ("experts", "token", lambda t: t[:, None], r"\('any',\), got \(\d+, 1\)"),
        ("keys", "keys", lambda t: t[:, :100], r"\('any', 192\), got \(20, 100\)"),
        ("keys", "key_expert", lambda t: t[:0, None], r"\('any',\), got \(0, 1\)"),
        ("keys", "subject", lambda t: t[:, :1], r"\('any', 5, 16\), got \(20, 1, 16\)"),
        ("keys", "word_edge", lambda t: t[:, :1], r"\('any', 2\), got \(\d+, 1\)"),
    ],
    ids=["narrow", "no_site", "transposed", "other_rank", "other_sites", "token", "key", "first", "subject", "edge"],
)
def test_a_misshaped_table_is_refused(folder, file, table, change, expected):
    change_tensors(folder, file, lambda tensors: tensors.update({table: change(tensors[table]).contiguous()}))
    refused(folder, f"{folder / file}.safetensors: tensor {table}: expected shape ")
    with pytest.raises(CheckpointError, match=f"expected shape {expected}; {MEND}"):
        load(folder)


@pytest.mark.parametrize(("file", "table"), [(f, t) for f, t in ALL_TABLES if t not in ("token", "keys", "word_edge")])
def test_tables_of_different_lengths_are_refused(folder, file, table):
    change_tensors(folder, file, lambda tensors: tensors.update({table: tensors[table][:-1]}))
    num_rows = len(load_file(folder / f"{file}.safetensors")[table]) + 1
    refused(folder, f"{file}.safetensors: tensor {table}: expected {num_rows} rows, got {num_rows - 1}")


@pytest.mark.parametrize(("file", "table"), [("experts", "fact"), ("keys", "key_expert")])
@pytest.mark.parametrize("damage", ["negative", "beyond", "dtype"])
def test_numbers_that_lead_nowhere_are_refused(folder, file, table, damage):
    bound = {"fact": 20, "key_expert": len(load_file(folder / "experts.safetensors")["token"])}[table]

    def change(tensors: dict[str, Tensor]) -> None:
        if damage == "dtype":
            tensors[table] = tensors[table].float()
        else:
            tensors[table][2] = -1 if damage == "negative" else bound

    change_tensors(folder, file, change)
    words = f"expected numbers from 0 to {bound - 1}, got "
    if damage == "dtype":
        words = "expected torch.int32, got torch.float32"
    refused(folder, f"{folder / file}.safetensors: tensor {table}: {words}")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda t: t.int(), "expected torch.bool, got torch.int32"),
        (lambda t: t[:0], "expected one row or more, got none"),
    ],
    ids=["dtype", "empty"],
)
def test_word_edges_are_checked(folder, change, expected):
    change_tensors(folder, "keys", lambda tensors: tensors.update(word_edge=change(tensors["word_edge"])))
    refused(folder, f"keys.safetensors: tensor word_edge: {expected}")


def test_facts_that_do_not_fit_the_experts_are_refused(folder, other):
    shutil.copy(other / "facts.jsonl", folder)
    seal(folder)
    refused(folder, "experts.safetensors: tensor fact: expected numbers from 0 to 4, got 0 to 19")


@pytest.mark.parametrize("line", ["{", "[]", '{"prompt": "p"}', '{"prompt": "", "answer": "a"}', "null", "[" * 5000])
def test_a_damaged_line_of_the_ledger_is_named(folder, line):
    path = folder / "facts.jsonl"
    lines = path.read_text(encoding="utf-8").split("\n")
    lines[6] = line
    path.write_text("\n".join(lines), encoding="utf-8")
    seal(folder)
    ledger = MoMEForCausalLM.from_pretrained(folder).ledger
    assert ledger.facts[5] == Fact.from_record(json.loads(lines[5]))
    with pytest.raises(CheckpointError, match=rf"facts.jsonl, line 7: expected a fact \(.*; {MEND}"):
        ledger.facts[6]
    with pytest.raises(KeyError):
        ledger["none"]


def test_a_fact_is_found_by_its_id_and_not_by_a_text_like_it(folder, monkeypatch):
    """The file is searched for ids as bytes."""
    first, second = Fact(id="a", prompt="p", answers=("b", "é")), Fact(id="é", prompt="q", answers=("a",))
    third = Fact(id="b", prompt="r", answers=("s",))
    write_facts(folder / "facts.jsonl", [first, second, third])
    facts = StoredFacts(folder / "facts.jsonl", MEND)
    assert [list(facts.find("id", [name])) for name in ("a", "é", "b", "s", "none")] == [
        [("a", 0)],
        [("é", 1)],
        [("b", 2)],
        [],
        [],
    ]
    monkeypatch.setattr("mome.ledger.MAX_SEARCHED", 2)  # then all facts are parsed
    assert sorted(facts.find("id", ["b", "a", "s"])) == [("a", 0), ("b", 2)]
    facts.extend([Fact(id="new", prompt="t", answers=("u",))])
    assert sorted(facts.find("prompt", ["t", "q", "a"])) == [("q", 1), ("t", 3)]
    assert (list(facts.find("id", ["new"])), facts[3].prompt, len(facts)) == ([("new", 3)], "t", 4)
    assert [list(facts.find("prompt", [text])) for text in ("q", "t", "a")] == [[("q", 1)], [("t", 3)], []]


def test_facts_are_read_when_they_are_asked_for(taught, folder):
    taught_facts, ledger = taught.facts, load(folder).ledger
    shutil.rmtree(folder)
    assert len(ledger) == len(taught_facts)
    assert ledger.facts[-1] == taught_facts[-1] and ledger.facts[2:5] == taught_facts[2:5]
    assert list(ledger) == taught_facts and ledger[taught_facts[3].id] == taught_facts[3]
    with pytest.raises(IndexError):
        ledger.facts[len(taught_facts)]


def test_a_config_of_another_model_is_refused(folder):
    path = folder / "config.json"
    change_json(path, model_type="llama")
    seal(folder)
    refused(folder, f"{path}: expected model_type 'mome', got 'llama'")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("sites", [2, 3], "tensor down: expected shape ('any', 2, 0, 64)"),
        ("rank", 3, "tensor down: expected shape ('any', 1, 3, 64)"),
        ("expert_dtype", "bfloat16", "tensor down: expected torch.bfloat16, got torch.float32"),
        ("expert_dtype", "int8", "config.json: expert_dtype 'int8': expected one of float32, bfloat16"),
        ("d_model", 32, "router.safetensors: tensor "),
        ("d_model", 2**19, "router.safetensors: tensor "),  # and not that there is no room for a router so wide
        ("num_neighbours", -1, "num_neighbours: expected a whole number from 1 to 4,096, got -1"),
        ("num_heads", 10**9, "num_heads: expected a whole number from 1 to 1,024, got 1000000000"),
        ("rank", True, "rank: expected a whole number from 0 to 4,096, got True"),
        ("index", 5, "index: expected a text, got 5"),
        ("join", None, "join: expected a text, got None"),
        ("end", "half \ud800", "end: expected a text, got 'half \\ud800'"),
        ("backbone", "a\0b", "backbone: expected a text, got 'a\\x00b'"),
        ("subject_weight", "5", "subject_weight: expected a number, got '5'"),
        ("kind_similarity", float("nan"), "kind_similarity: expected a number, got nan"),
        ("sites", "2", "sites: expected numbers of layers, got '2'"),
        ("sites", [2, 1], "sites: expected one layer or more, each once, ascending, got [2, 1]"),
        ("feature_layers", [0, 5], "feature_layers [0, 5]: expected none above the first site, got sites "),
        ("feature_layers", [0, 1, 2], "router.safetensors: tensor "),
        ("num_heads", 4, "router.safetensors: tensor "),
        ("d_head", 8, "router.safetensors: tensor "),
    ],
)
def test_a_config_that_does_not_fit_the_tensors_is_refused(folder, field, value, words):
    change_json(folder / "config.json", **{field: value})
    seal(folder)
    refused(folder, words)


# The backbone.


def test_another_backbone_is_refused(taught, folder):
    other = AutoModelForCausalLM.from_pretrained(taught.model.config.backbone)
    with torch.no_grad():
        other.model.layers[1].mlp.up_proj.weight.mul_(1.01)
    own = re.escape(taught.model.config.fingerprint[:12])
    expected = rf"fingerprint {own}, got LlamaForCausalLM with [0-9a-f]{{12}}; load the same weights, or teach"
    with pytest.raises(BackboneError, match=expected) as caught:
        MoMEForCausalLM.from_pretrained(folder, backbone=other)
    assert str(folder) in str(caught.value)


def test_a_backbone_that_is_gone_is_named(folder, tmp_path):
    change_json(folder / "config.json", backbone=str(tmp_path / "gone"))
    seal(folder)
    with pytest.raises(BackboneError, match=r"gone': expected a folder with config\.json, weights and a tokenizer"):
        MoMEForCausalLM.from_pretrained(folder)


# The index; tests/test_properties.py shows that every answer stays.


@pytest.mark.parametrize("entry", ["none", "another's", "matching"])
def test_an_index_that_cannot_be_read_is_rebuilt(taught, tmp_path, entry):
    backbone = AutoModelForCausalLM.from_pretrained(taught.model.config.backbone)
    config = MoMEConfig.from_dict({**taught.model.config.to_dict(), "index": "Flat"})
    model = MoMEForCausalLM(config, backbone, taught.model.router, taught.model.bank, taught.model.ledger)
    model.save_pretrained(tmp_path / "memory")
    data = (tmp_path / "memory" / "index.faiss").read_bytes()
    (tmp_path / "memory" / "index.faiss").write_bytes(b"an index of a later version")
    if entry == "matching":
        seal(tmp_path / "memory")
    elif entry == "none":
        files = read_manifest(tmp_path / "memory").files
        del files["index.faiss"]
        write_manifest(tmp_path / "memory" / "manifest.json", files)
    index = load(tmp_path / "memory").index
    index.write(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == data
    found = index.search(taught.model.bank.keys[:, : config.d_subject], 1)[1].flatten()
    assert torch.equal(found, torch.arange(len(taught.facts)))


# The summary.


def test_a_summary_needs_no_backbone(taught, folder, tmp_path):
    change_json(folder / "config.json", backbone=str(tmp_path / "gone"))
    seal(folder)
    summary = summarize(folder)
    assert (summary["facts"], summary["keys"]) == (20, 20)
    assert summary["experts"] == taught.model.bank.num_experts
    assert summary["fingerprint"] == taught.model.config.fingerprint
    files = [path for path in folder.iterdir() if path.name != "manifest.json"]
    assert summary["bytes"] == sum(path.stat().st_size for path in files)
    (folder / "report.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"report\.json: damaged: expected \d+ bytes, got 1"):
        summarize(folder)


def test_files_of_a_checkpoint_are_flushed_before_the_folder_appears(taught, tmp_path, monkeypatch):
    flushed, fsync = [], os.fsync

    def watched(handle: int) -> None:
        flushed.append((Path(f"/proc/self/fd/{handle}").readlink().name, (tmp_path / "memory").exists()))
        fsync(handle)

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("open files cannot be named on this system")
    monkeypatch.setattr(os, "fsync", watched)
    taught.model.save_pretrained(tmp_path / "memory")
    before = {name for name, appeared in flushed if not appeared}
    assert before >= {*FILES, "manifest.json", "report.json"}
    assert flushed[-1] == (tmp_path.name, True)
