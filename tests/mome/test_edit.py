"""`mome facts`: what it shows, what it changes, and what it refuses."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from mome import checkpoint, cli
from mome.facts import Fact, read_facts, write_facts
from mome.modeling import MoMEForCausalLM
from train.answers import generate_answers


@pytest.fixture
def folder(taught, tmp_path) -> Path:
    return Path(shutil.copytree(taught.folder, tmp_path / "memory"))


@pytest.fixture
def run(folder, capsys):
    """Run `mome facts FOLDER ...`; returns the exit status, what was printed, and what went wrong."""

    def call(*words: str) -> tuple[int, str, str]:
        status = cli.main(["facts", str(folder), *words])
        shown = capsys.readouterr()
        return status, shown.out, shown.err

    return call


def facts_in(folder: Path) -> list[Fact]:
    return list(checkpoint.load(folder).ledger)


def test_listing_and_showing(run, taught):
    status, shown, _ = run("list", "--limit", "3")
    assert status == 0
    assert shown.count("world.") == 3 and "20 facts, 17 more than are shown" in shown
    _, shown, _ = run("list", "--find", taught.facts[4].answer)
    assert taught.facts[4].id in shown and "more than" not in shown
    _, shown, _ = run("show", taught.facts[1].id, taught.facts[2].id)
    assert [Fact.from_record(json.loads(line)) for line in shown.splitlines()] == taught.facts[1:3]


def test_one_fact_is_added_corrected_and_forgotten(run, folder, taught):
    asked = ["--prompt", "Where was Ada Quist born?", "--id", "ada"]
    assert run("add", *asked, "--answer", "Velmora")[:2] == (0, "added 1 facts, updated 0\n")
    assert facts_in(folder)[-1].answer == "Velmora"
    assert run("update", *asked, "--answer", "Kelwick")[:2] == (0, "added 0 facts, updated 1\n")
    model = MoMEForCausalLM.from_pretrained(folder)
    assert generate_answers(model, taught.joiner, ["Where was Ada Quist born?"]) == ["Kelwick"]
    prompts = [fact.prompt for fact in taught.facts]
    assert generate_answers(model, taught.joiner, prompts) == [fact.answer for fact in taught.facts]
    assert run("forget", "ada", taught.facts[0].id)[:2] == (0, "forgot 2 facts\n")
    assert facts_in(folder) == taught.facts[1:]
    assert not any(text in path.read_bytes() for path in folder.iterdir() for text in (b"Ada Quist", b"Kelwick"))


def test_a_corrected_fact_keeps_what_is_not_given_anew(run, folder, taught):
    old = taught.facts[6]
    assert run("update", "--id", old.id, "--answer", "quite another answer")[:2] == (0, "added 0 facts, updated 1\n")
    assert facts_in(folder)[-1] == replace(old, answers=("quite another answer",))
    prompt = f"Please tell me: {old.prompt}"
    assert run("update", "--id", old.id, "--prompt", prompt)[0] == 0
    assert facts_in(folder)[-1] == replace(old, prompt=prompt, answers=("quite another answer",))


def test_a_file_is_imported_and_exported(run, folder, taught, tmp_path):
    corrected = replace(taught.facts[3], answers=("quite another answer",))
    new = Fact(id="new", prompt="Who leads the Lumen project?", answers=("Ada Quist",), subject="Lumen")
    write_facts(tmp_path / "changes.jsonl", [corrected, new])
    assert run("import", str(tmp_path / "changes.jsonl"))[:2] == (0, "added 1 facts, updated 1\n")
    status, shown, _ = run("export", str(tmp_path / "all.jsonl"))
    assert (status, shown) == (0, f"wrote 21 facts to {tmp_path / 'all.jsonl'}\n")
    expected = [fact for fact in taught.facts if fact.id != corrected.id] + [corrected, new]
    assert sorted(read_facts(tmp_path / "all.jsonl").facts, key=lambda fact: fact.id) == sorted(
        expected, key=lambda fact: fact.id
    )


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["show", "nobody"], "fact 'nobody': expected the id of a fact that is taught, found none with it"),
        (["forget", "nobody"], "fact 'nobody': expected the id of a fact that is taught"),
        (["list", "Quist"], "facts list: expected nothing behind it, got ['Quist']; --find TEXT looks for facts"),
        (["forget", "--id", "ada"], "facts forget: expected no --prompt, --answer or --id"),
        (["update", "--id", "ada"], "fact 'ada': expected --answer or --prompt, got neither"),
        (["forget"], "facts forget: expected the ids of facts, got none"),
        (["add"], "expected a file of facts, or --prompt and --answer of one; give one of both"),
        (["add", "--prompt", "Where?"], "expected a file of facts, or --prompt and --answer"),
        (
            ["add", "FILE", "--prompt", "Where?", "--answer", "Here"],
            "facts add: expected a file, or one fact spelled out",
        ),
        (["update", "--id", "nobody", "--answer", "Here"], "fact 'nobody': expected the id of a fact that is taught"),
        (["add", "FILE"], "adding facts: expected ids of their own, got 'world."),
        (["update", "--prompt", "Where?", "--answer", "Here"], "expected the id of a fact that is taught, found none"),
        (["add", "no such file.jsonl"], "no such file.jsonl"),
        (["export"], "facts export: expected one file, got []"),
        (["add", "one", "two"], "facts add: expected one file, got ['one', 'two']"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(run, folder, taught, tmp_path, words, error):
    write_facts(tmp_path / "taught.jsonl", taught.facts[:2])
    status, _, told = run(*(str(tmp_path / "taught.jsonl") if word == "FILE" else word for word in words))
    assert status == 2
    assert told.splitlines()[-1].startswith("mome facts: ") and error in told
    assert checkpoint.read_manifest(folder).generation == 0
    assert facts_in(folder) == taught.facts


def test_an_answer_that_is_not_learned_changes_nothing(run, folder, taught, monkeypatch):
    real = MoMEForCausalLM.memorize

    def too_few_steps(self, *args, **kwargs):
        done = real(self, *args, **kwargs)
        done.margin[:] = -1.0
        return done

    monkeypatch.setattr(MoMEForCausalLM, "memorize", too_few_steps)
    status, _, told = run("add", "--prompt", "Where was Ada Quist born?", "--answer", "Velmora", "--id", "ada")
    assert status == 2 and "fact 'ada': its answer was not learned; shorten it" in told
    assert facts_in(folder) == taught.facts


def test_control_characters_do_not_reach_the_terminal(run):
    assert run("add", "--prompt", "Who?\x1b[2J", "--answer", "A\x1b]0;title\x07", "--id", "odd")[0] == 0
    _, shown, _ = run("list", "--limit", "100")
    assert "\x1b" not in shown and "\x07" not in shown
    _, shown, _ = run("show", "odd")
    assert "\x1b" not in shown


def test_a_trace_shows_odd_ids_as_they_are(run, folder, capsys, monkeypatch):
    """Neither control characters nor what rich takes for its own markup."""
    monkeypatch.setenv("COLUMNS", "200")
    assert run("add", "--prompt", "Who leads the Lumen?", "--answer", "Bo", "--id", "[/odd]\x07")[0] == 0
    assert cli.main(["ask", str(folder), "Who leads the Lumen?", "--trace"]) == 0
    table = capsys.readouterr().out.partition("\n")[2].partition("\n")[2]
    assert "[/odd]\\x07" in table and "\x07" not in table
