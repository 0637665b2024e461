"""The command line: every command on a tiny backbone, and wrong inputs, which give one message and exit status 2."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mome import checkpoint, cli
from mome.facts import write_facts

QUICK = ["--route.steps", "5", "--route.num-facts-per-step", "16", "--write.margin", "2", "--route.num-variants", "1"]


def last_line(text: str) -> dict:
    return json.loads(text.strip().splitlines()[-1])


@pytest.fixture(scope="module")
def facts_file(facts, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("facts") / "facts.jsonl"
    write_facts(path, facts)
    return path


@pytest.fixture(scope="module")
def trained(facts_file, backbone_folder, taught, tmp_path_factory) -> Path:
    """A checkpoint made by `mome train`, with the router of another one."""
    out = tmp_path_factory.mktemp("cli") / "memory"
    arguments = ["--facts", str(facts_file), "--backbone", str(backbone_folder), "--out", str(out)]
    assert cli.main(["train", *arguments, "--router", str(taught.folder), "--write.margin", "2"]) == 0
    return out


def test_train_ends_with_one_json_line(facts_file, backbone_folder, taught, tmp_path, capsys):
    out = tmp_path / "memory"
    arguments = ["--facts", str(facts_file), "--backbone", str(backbone_folder), "--out", str(out), "--limit", "8"]
    assert cli.main(["train", *arguments, "--router", str(taught.folder), "--write.margin", "2"]) == 0
    result = last_line(capsys.readouterr().out)
    assert result["facts"] == 8
    assert result["recall"] == 1.0
    assert {"generality", "locality", "experts", "seconds"} <= result.keys()
    report = json.loads((out / "report.json").read_text())
    assert report["after"] == result
    assert report["before"]["recall"] < 1
    assert "<h1>8 facts" in (out / "report.html").read_text()
    assert not out.with_name("memory.work").exists()


def test_eval_measures_all_that_was_taught(trained, facts, tmp_path, capsys):
    out = tmp_path / "result.json"
    assert cli.main(["eval", str(trained), "--json", str(out)]) == 0
    result = last_line(capsys.readouterr().out)
    assert (result["facts"], result["recall"]) == (len(facts), 1.0)
    written = json.loads(out.read_text())
    assert written["recall"] == result["recall"]
    assert len(written["failures"]) == result["num_failures"]
    causes = {failure["cause"] for failure in written["failures"] if "fact_id" in failure}
    assert causes <= {"gate closed", "wrong key nearest", "expert not learned"}


def test_eval_limit_takes_the_same_sample_each_time(trained, capsys):
    results = []
    for seed in ("3", "3"):
        assert cli.main(["eval", str(trained), "--limit", "5", "--seed", seed]) == 0
        results.append(last_line(capsys.readouterr().out))
    assert results[0]["facts"] == 5
    assert {**results[0], "seconds": 0} == {**results[1], "seconds": 0}


def test_eval_of_other_facts_counts_what_was_not_taught(trained, tmp_path, capsys):
    path = tmp_path / "others.jsonl"
    path.write_text('{"prompt": "Where is Nowhere?", "answer": "nowhere at all"}\n')
    assert cli.main(["eval", str(trained), "--facts", str(path)]) == 0
    result = last_line(capsys.readouterr().out)
    assert result["recall"] == 0.0
    assert result["generality"] is None
    assert result["num_locality"] > 10  # the shipped unrelated text


def test_ask_names_the_fact(trained, facts, capsys):
    assert cli.main(["ask", str(trained), facts[0].prompt, "--json", "--trace"]) == 0
    given = json.loads(capsys.readouterr().out)
    assert given["answer"] == facts[0].answer
    assert given["fact_id"] == facts[0].id
    assert given["remembered"] is True
    assert given["similarity"] > 0.999
    assert all(entry["fact_id"] == facts[0].id for entry in given["trace"])
    assert cli.main(["ask", str(trained), facts[0].prompt, "--trace"]) == 0
    shown = capsys.readouterr().out
    assert facts[0].answer in shown
    assert facts[0].id in shown


def test_ask_says_when_no_memory_was_used(trained, capsys):
    assert cli.main(["ask", str(trained), "Hm", "--json", "--max-new-tokens", "3"]) == 0
    given = json.loads(capsys.readouterr().out)
    assert set(given) == {"prompt", "answer", "fact_id", "similarity", "confidence", "remembered", "abstained"}
    assert (given["remembered"], given["fact_id"], given["similarity"]) == (False, None, None)


def test_ask_abstains_when_told_to(trained, facts, tmp_path, capsys, monkeypatch):
    ask = ["ask", str(trained), "Hm", "--max-new-tokens", "3"]
    monkeypatch.setattr("mome.answer.lacks_support", lambda *_: [True])
    for option, said in ((["--abstain"], "I don't know."), (["--abstain", "No idea"], "No idea")):
        assert cli.main([*ask, "--json", *option]) == 0
        result = last_line(capsys.readouterr().out)
        assert (result["answer"], result["abstained"], result["fact_id"]) == (said, True, None)
    assert cli.main([*ask, "--abstain"]) == 0
    assert "no fact supports an answer" in capsys.readouterr().out
    assert cli.main([*ask, "--json"]) == 0
    assert last_line(capsys.readouterr().out)["abstained"] is False


def test_annotate_marks_what_facts_say(trained, facts, tmp_path, capsys):
    text = f"{facts[0].prompt} {facts[0].answer}"
    assert cli.main(["annotate", str(trained), text]) == 0
    shown = capsys.readouterr().out
    assert f"{facts[0].answer}[1]" in shown.splitlines()[0] and "similarity" in shown
    (tmp_path / "text.txt").write_text(text)
    assert cli.main(["annotate", str(trained), "--file", str(tmp_path / "text.txt"), "--json"]) == 0
    spans = last_line(capsys.readouterr().out)["spans"]
    assert [span["fact_id"] for span in spans if span["agrees"]] == [facts[0].id]
    assert cli.main(["annotate", str(trained), "The sea is never full."]) == 0
    assert "no taught fact speaks for any of it" in capsys.readouterr().out


def test_inspect_verifies_every_file(trained, capsys):
    assert cli.main(["inspect", str(trained), "--verify", "--json"]) == 0
    assert last_line(capsys.readouterr().out)["files_verified"] == 7


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"limit: 10\nseed: \xff\n", "expected a YAML file in UTF-8"),
        (b"write: null\n", "--write: expected a value"),
        (b"seed: " + b"9" * 5000, "expected a YAML file in UTF-8"),
    ],
)
def test_settings_that_cannot_be_read_are_an_error(facts_file, tmp_path, capsys, content, words):
    (tmp_path / "settings.yaml").write_bytes(content)
    assert cli.main(["train", "--facts", str(facts_file), "--config", str(tmp_path / "settings.yaml")]) == 2
    assert words in capsys.readouterr().err


def test_inspect_shows_what_a_checkpoint_holds(trained, facts, capsys):
    assert cli.main(["inspect", str(trained), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["facts"], summary["keys"]) == (len(facts), len(facts))
    assert summary["measured"]["recall"] == 1.0
    assert cli.main(["inspect", str(trained)]) == 0
    assert "null_similarity" in capsys.readouterr().out


def test_inspect_shows_odd_names_as_they_are(trained, capsys, monkeypatch):
    """As a checkpoint may have that somebody else has made."""
    summary = {**checkpoint.summarize(trained), "backbone": "[/b]\x1b[2J"}
    monkeypatch.setattr(checkpoint, "summarize", lambda _folder: summary)
    assert cli.main(["inspect", str(trained)]) == 0
    shown = capsys.readouterr().out
    assert "[/b]\\x1b[2J" in shown and "\x1b" not in shown


def test_config_file_is_overridden_by_the_command_line(facts_file, backbone_folder, taught, tmp_path, capsys):
    config = tmp_path / "run.yaml"
    config.write_text(
        f"facts: {facts_file}\nbackbone: {backbone_folder}\nrouter: {taught.folder}\nout: {tmp_path / 'a'}\n"
        "limit: 3\nwrite:\n  margin: 2\nbefore: false\n"
    )
    assert cli.main(["train", "--config", str(config), "--limit", "4", "--out", str(tmp_path / "b")]) == 0
    assert last_line(capsys.readouterr().out)["facts"] == 4
    assert not (tmp_path / "a").exists()


def test_route_makes_a_router_that_train_reuses(facts_file, backbone_folder, tmp_path, capsys):
    arguments = ["--backbone", str(backbone_folder), "--facts", str(facts_file), "--paraphrases", '["facts"]']
    router, out = tmp_path / "router", tmp_path / "memory"
    assert cli.main(["route", *arguments, "--out", str(router), *QUICK[:4], "--route.num-variants", "1"]) == 0
    assert last_line(capsys.readouterr().out)["num_groups"] == 20
    arguments = ["--backbone", str(backbone_folder), "--facts", str(facts_file), "--out", str(out)]
    assert cli.main(["train", *arguments, "--router", str(router), "--write.margin", "2"]) == 0
    assert last_line(capsys.readouterr().out)["recall"] == 1.0
    assert (router / "router.safetensors").read_bytes() == (out / "router.safetensors").read_bytes()


def test_world_writes_facts(tmp_path, capsys):
    out = tmp_path / "facts.jsonl"
    assert cli.main(["world", "--out", str(out), "--limit", "7"]) == 0
    assert len(out.read_text().splitlines()) == 7
    assert cli.main(["world", "--out", str(out), "--exposures", "5"]) == 2
    assert "0, 3, 12, 48" in capsys.readouterr().err


def test_bench_lists_and_refuses_names(capsys):
    assert cli.main(["bench"]) == 0
    assert "facts" in capsys.readouterr().out
    assert cli.main(["bench", "nothing"]) == 2


WRONG = {
    "malformed line": ('{"prompt": "a", "answer": "b"}\nnot json\n', "line 2"),
    "empty answer": ('{"prompt": "a", "answer": " "}\n', "line 1"),
    "conflict": ('{"prompt": "a", "answer": "b"}\n{"prompt": "a", "answer": "c"}\n', "lines 1 and 2"),
    "too long": (json.dumps({"prompt": "a", "answer": "word " * 300}) + "\n", "context"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_facts_give_one_message_and_leave_nothing(name, backbone_folder, tmp_path, capsys):
    path, out = tmp_path / "facts.jsonl", tmp_path / "memory"
    path.write_text(WRONG[name][0])
    arguments = ["--facts", str(path), "--backbone", str(backbone_folder), "--out", str(out)]
    assert cli.main(["train", *arguments]) == 2
    message = capsys.readouterr().err
    assert WRONG[name][1] in message
    assert "Traceback" not in message
    assert [entry.name for entry in tmp_path.iterdir()] == ["facts.jsonl"]


def test_an_existing_checkpoint_is_not_replaced(trained, facts_file, backbone_folder, capsys):
    before = {path.name: path.read_bytes() for path in trained.iterdir()}
    arguments = ["--facts", str(facts_file), "--backbone", str(backbone_folder), "--out", str(trained)]
    assert cli.main(["train", *arguments]) == 2
    assert "already holds a checkpoint" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in trained.iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["ask", "nowhere", "hello"], "expected a checkpoint folder"),
        (["eval", "nowhere"], "expected a checkpoint folder"),
        (["inspect", "nowhere"], "expected a checkpoint folder"),
        (["annotate", "nowhere"], "expected a text or --file, and not both"),
        (["annotate", "nowhere", "a", "--file", "b"], "expected a text or --file, and not both"),
        (["annotate", "nowhere", "--file", "gone.txt"], "gone.txt: expected a text file in UTF-8 (No such file"),
        (["train", "--facts", "nowhere.jsonl"], "nowhere.jsonl"),
        (["frobnicate"], "unknown command"),
    ],
)
def test_wrong_arguments(arguments, text, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 2
    assert text in capsys.readouterr().err


def test_wrong_settings(facts_file, backbone_folder, tmp_path, capsys):
    arguments = ["train", "--facts", str(facts_file), "--backbone", str(backbone_folder), "--out", str(tmp_path / "m")]
    for wrong, text in [
        (["--join", "no fields"], "{prompt}"),
        (["--join", "chat"], "chat template"),
        (["--sites", "[9]"], "3 layers"),
        (["--limit", "0"], "limit"),
        (["--resume"], "no interrupted run"),
        (["--router", str(tmp_path)], "router"),
        (["--backbone", str(tmp_path)], "backbone"),
    ]:
        assert cli.main([*arguments, *wrong]) == 2, wrong
        assert text in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        cli.main([*arguments, "--write.margin", "much"])
    assert caught.value.code == 2


def test_an_interrupted_run_is_neither_lost_nor_repeated(facts_file, backbone_folder, taught, tmp_path, capsys):
    arguments = ["--facts", str(facts_file), "--backbone", str(backbone_folder), "--out", str(tmp_path / "memory")]
    arguments += ["--router", str(taught.folder), "--write.margin", "2", "--limit", "4"]
    work = tmp_path / "memory.work"
    work.mkdir()
    (work / "settings.json").write_text('{"limit": 4}')
    assert cli.main(["train", *arguments]) == 2
    assert "interrupted run" in capsys.readouterr().err
    assert cli.main(["train", *arguments, "--resume"]) == 2
    assert "other settings" in capsys.readouterr().err


def test_help_answers_at_once():
    seconds = []
    for _ in range(3):  # the quickest counts: what else the machine does is not ours
        start = time.monotonic()
        shown = subprocess.run([sys.executable, "-m", "mome.cli", "--help"], capture_output=True, text=True, check=True)
        seconds.append(time.monotonic() - start)
    assert min(seconds) < 1
    assert all(command in shown.stdout for command in cli.COMMANDS)


@pytest.mark.parametrize("command", ["train", "ask", "eval", "inspect", "route", "pretrain", "world"])
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main([command, "--help"])
    assert caught.value.code == 0
    assert "usage: mome " + command in capsys.readouterr().out


def test_import_is_light():
    code = "import mome, mome.cli, sys; assert not {'torch', 'transformers', 'lightning', 'faiss'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_answering_never_imports_lightning():
    code = "import mome.modeling, mome.answer, mome.write, sys; assert 'lightning' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
