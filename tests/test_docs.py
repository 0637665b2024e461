"""The documentation is code: the commands of README and Makefile, and every YAML in configs/, are run or parsed."""

import json
import re
import shlex
from dataclasses import MISSING, Field, is_dataclass, replace
from pathlib import Path

import pytest
import yaml

from benchmarks.capacity import CapacitySettings
from benchmarks.random_labels import RandomLabelsSettings
from benchmarks.threshold import ThresholdSettings
from mome import cli
from mome.facts import read_facts
from train.settings import PretrainSettings, RouterSettings, TrainSettings

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
KINDS = {
    "pretrain": PretrainSettings,
    "route": RouterSettings,
    "train": TrainSettings,
    "bench facts": TrainSettings,
    "bench random-labels": RandomLabelsSettings,
    "bench threshold": ThresholdSettings,
    "bench capacity": CapacitySettings,
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)


def shell_lines(text: str) -> list[list[str]]:
    return [shlex.split(line, comments=True) for line in text.splitlines() if line.strip().startswith("mome ")]


def test_there_are_configs():
    assert len(CONFIGS) >= 5


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_fits_the_command_that_it_names(path):
    named = re.search(r"mome (bench [a-z-]+|\w+) --config", path.read_text(encoding="utf-8"))
    kind = KINDS[named[1] if named else "train"]
    settings = cli.settings_from("train", kind, ["--config", str(path)])
    default = vars(kind(**{name: Path() for name, each in kind.__dataclass_fields__.items() if is_required(each)}))
    for name, value in yaml.safe_load(path.read_text(encoding="utf-8")).items():
        if is_dataclass(default[name]):
            assert getattr(settings, name) == replace(default[name], **value), "what it leaves out stays as it is"
        else:
            assert str(getattr(settings, name)) == str(value)


def is_required(each: Field) -> bool:
    return each.default is MISSING and each.default_factory is MISSING


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder with the README's example of a fact."""
    folder = tmp_path_factory.mktemp("readme")
    record = json.loads(blocks("json")[0])
    (folder / "facts.jsonl").write_text(json.dumps(record) + "\n", encoding="utf-8")
    return folder


def test_readme_commands_run(workplace, monkeypatch, capsys):
    monkeypatch.chdir(workplace)
    fact = read_facts("facts.jsonl").facts[0]
    commands = [words for block in blocks("sh") for words in shell_lines(block)]
    ran = [words for words in commands if "PATH_OR_ID" not in words]
    assert {words[1] for words in ran} >= {"train", "ask", "eval", "inspect"}
    for words in ran:
        assert cli.main(words[1:]) == 0, words
        shown = capsys.readouterr().out
        if "--abstain" in words:
            assert shown.startswith("I don't know.")
        elif words[1] == "ask":
            assert fact.answer in shown
            assert fact.id in shown
        if words[1] in ("train", "eval"):
            assert json.loads(shown.splitlines()[-1])["recall"] == 1.0


def test_readme_python_runs(workplace, monkeypatch, capsys):
    monkeypatch.chdir(workplace)
    exec(compile(blocks("python")[0], "README.md", "exec"), {})
    assert read_facts("facts.jsonl").facts[0].answer in capsys.readouterr().out


def test_quickstart_asks_in_words_that_were_not_taught(tmp_path, monkeypatch, capsys):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("$(BIN)/", "")
    commands = shell_lines(re.search(r"quickstart: install\n(.*?)\n\n", makefile, flags=re.DOTALL)[1].replace("\t", ""))
    monkeypatch.chdir(tmp_path)
    assert cli.main(commands[0][1:]) == 0
    facts = read_facts("runs/quickstart/facts.jsonl").facts
    assert len(facts) >= 1000
    questions = [words[-1] for words in commands if words[1] == "ask"]
    assert len(questions) == 3
    assert not {fact.prompt for fact in facts} & set(questions)
    assert all(any(question in fact.paraphrases for fact in facts) for question in questions)


def test_no_page_names_a_file_that_is_not_there():
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
