"""`mome bench reliability`, end to end in small, and whether its checks would see what they look for."""

import json
import random
import shutil
from collections import Counter

import pytest

import benchmarks.record
from benchmarks.faults import kills, mutations, readers, sequences
from benchmarks.faults.memories import Small, apart, make_small
from benchmarks.faults.mutate import KINDS, mutate, odd_json
from benchmarks.faults.processes import Journal, Lines
from benchmarks.reliability import ReliabilitySettings, main
from mome import checkpoint, saving
from mome.errors import SettingsError
from mome.facts import Fact, read_facts

SMALL = ["--kills", "4", "--training-kills", "1", "--mutations", "12", "--sequences", "2", "--operations", "10"]
SMALL += ["--large", "40", "--changes", "2", "--readers", "2", "--seconds", "3"]


@pytest.fixture(scope="module")
def small(shared_data, tmp_path_factory) -> Small:
    facts = shared_data / "entity_questions" / "dev.jsonl.gz"
    return make_small(ReliabilitySettings(), facts, tmp_path_factory.mktemp("reliability"))


@pytest.mark.slow
def test_all_parts_run(shared_data, tmp_path, monkeypatch, capsys):
    for module in (benchmarks.record, benchmarks.reliability):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
    facts = shared_data / "entity_questions" / "dev.jsonl.gz"
    main([*SMALL, "--facts", str(facts), "--work", str(tmp_path / "work")])
    flat = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert flat == json.loads((tmp_path / "reliability.json").read_text())["result"]
    bad = (
        "not_opening",
        "lost",
        "wrong_answers",
        "not_identical",
        "other_facts",
        "errors",
        "failed",
        "wrong",
        "unlike",
    )
    assert {name: value for name, value in flat.items() if value and any(word in name for word in bad)} == {}
    assert sum(flat[f"kills_in_{name}"] for name in kills.CHANGES) <= flat["kills"] == 4
    assert flat["training_kills"] >= 1 and flat["training_trained"] >= 1
    inputs = [name for name in flat if name.endswith("_inputs")]
    assert len(inputs) == 15 and all(flat[name] == 12 for name in inputs)
    assert flat["sequences"] == 2 and flat["readers_answers"] > 0 and flat["others_exact"] == 1
    assert flat["others_changed"] == 0 and flat["num_facts"] == 40
    assert flat["added_right"] == flat["corrected_right"] == 1 and flat["forgotten_as_before"] == 2
    assert flat["sequence_operations_compact"] > 0
    assert not (tmp_path / "work").exists()
    # One part more leaves what was recorded of the others as it is.
    one = ["--parts", "[mutations]", "--damaged", "[table.csv]", "--mutations", "7"]
    main([*SMALL, "--facts", str(facts), "--work", str(tmp_path / "work"), *one])
    again = json.loads(capsys.readouterr().out.splitlines()[-1])
    stored = json.loads((tmp_path / "reliability.json").read_text())["result"]
    assert again["damaged_table_csv_inputs"] == 7 and "kills" not in again
    assert stored == {**flat, **again} and (tmp_path / "work" / "mutations.json").exists()


# Each part must see what it is there to see.


def test_a_lost_change_is_seen(small, tmp_path):
    folder, journal = tmp_path / "memory", tmp_path / "changes.jsonl"
    shutil.copytree(small.folder, folder)
    facts = {fact.id: fact for fact in small.taught}
    left = kills.answers_of({key: fact for key, fact in facts.items() if key != small.taught[0].id})
    told = Journal(journal)
    for line in ({"change": "forget", "after": left}, {"change": "done"}):
        told.tell(line)
    found: Counter[str] = Counter()
    assert kills.check_changes(found, folder, small, facts, journal) == facts
    assert (found["lost"], found["wrong_answers"]) == (1, 0), "it told that it was done, and the fact is still there"
    journal.unlink()
    Journal(journal).tell({"change": "forget", "after": left})
    found.clear()
    kills.check_changes(found, folder, small, facts, journal)
    assert (found["lost"], found["in_forget"], found["committed"]) == (0, 1, 0)


def test_a_wrong_answer_is_seen(small, tmp_path):
    """The rows of two facts in each other's places."""
    parts = checkpoint.load(small.folder)
    parts.bank.up = parts.bank.up.flip(0)
    saving.save(tmp_path / "memory", parts, {})
    journal = tmp_path / "changes.jsonl"
    Journal(journal).tell({"change": "open"})
    found: Counter[str] = Counter()
    kills.check_changes(found, tmp_path / "memory", small, {fact.id: fact for fact in small.taught}, journal)
    assert found["lost"] == 0 and found["wrong_answers"] > 10


def test_a_sequence_that_loses_a_fact_is_seen(small, tmp_path, monkeypatch):
    learned = sequences.learn(small, 0)

    def outcome(number: int) -> Counter[str]:
        folder = tmp_path / str(number) / "memory"
        shutil.copytree(small.folder, folder)
        return sequences.run_sequence(small, learned, folder, 30, random.Random(number))

    right = outcome(0)
    assert right["sequences_of_other_facts"] == right["sequences_with_wrong_answers"] == 0
    monkeypatch.setattr(sequences.MoMEForCausalLM, "save_changes", lambda _self: None)
    assert sum(outcome(number)["sequences_of_other_facts"] for number in range(1, 4)) >= 2


def test_damage_that_is_not_noticed_is_seen(small, tmp_path, monkeypatch):
    folder = mutations.write_all(small, tmp_path / "whole")
    target = mutations.make_targets()["checkpoint experts.safetensors"]
    whole = target.read(folder)
    assert mutations._outcome(target, whole, folder, False) == "read"
    data = (folder / target.file).read_bytes()
    (folder / target.file).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert mutations._outcome(target, whole, folder, False) == "refused"
    monkeypatch.setattr("mome.manifest.FULL_HASH_BYTES", 0)
    assert mutations._outcome(target, whole, folder, False) == "read as what it does not say"
    monkeypatch.setattr(checkpoint, "load", lambda _folder: 1 / 0)
    assert mutations._outcome(target, whole, folder, False) == "ZeroDivisionError: division by zero"


def test_a_reader_that_there_is_none_of_is_refused_before_anything_is_taught(tmp_path):
    with pytest.raises(SettingsError, match=r"expected some of checkpoint manifest\.json, "):
        main(["--damaged", "[table.xml]", "--work", str(tmp_path / "work")])
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("file", mutations.FACT_FILES)
def test_a_file_of_facts_is_read_plainly_too(small, tmp_path, file):
    folder = mutations.write_all(small, tmp_path / "whole")
    found = read_facts(folder / file)
    assert mutations.plain_reading(folder / file) == [(fact.prompt, fact.answer) for fact in small.taught]
    assert mutations.are_right_facts((found, folder / file), None, folder, False)
    others = mutations.FactSet(
        facts=[*found.facts[1:], Fact(id="x", prompt=found.facts[0].prompt, answers=("Another",))],
        num_read=0,
        num_duplicates=0,
        num_conflicts=0,
        path=folder / file,
    )
    assert not mutations.are_right_facts((others, folder / file), None, folder, False)


def test_every_kind_of_damage_changes_something():
    data, other = json.dumps({"a": [1, {"b": "text"}], "c": 2.5}, indent=1).encode() * 5, b"another file"
    for kind in (*KINDS, odd_json):
        changed = [kind(data, random.Random(number)) for number in range(20)]
        assert sum(each != data for each in changed) > 15, kind
    assert len({mutate(data, random.Random(number), [other]) for number in range(100)}) > 90
    assert mutate(data, random.Random(3), [other]) == mutate(data, random.Random(3), [other])


def test_a_part_of_a_line_waits_for_its_rest(tmp_path):
    path = tmp_path / "journal.jsonl"
    lines = Lines(path)
    assert lines.new() == []
    path.write_bytes(b'{"a": 1}\n{"a"')
    assert lines.new() == [{"a": 1}]
    assert lines.new() == []
    with path.open("ab") as file:
        file.write(b": 2}\n")
    assert lines.new() == [{"a": 2}]


def test_facts_that_would_bring_each_other_up_are_not_drawn():
    facts = [
        Fact(id=str(number), prompt=f"Who wrote {name}?", answers=("x",), subject=name)
        for number, name in enumerate(["Tidewater", "The Tidewater Years", "Ashes", "Ashes"])
    ]
    drawn = apart(facts, 2, 0)
    assert sorted(fact.subject for fact in drawn)[0] == "Ashes" and len({fact.subject for fact in drawn}) == 2
    with pytest.raises(SettingsError, match="expected 3 facts with a subject that no other's prompt names, got 2"):
        apart(facts, 3, 0)


def test_versions_are_told_apart_by_what_facts_say():
    first = Fact(id="a", prompt="Who?", answers=("x",))
    assert readers.digest({"a": first}) != readers.digest({"a": Fact(id="a", prompt="Who?", answers=("y",))})
    assert readers.digest({"a": first}) == readers.digest({"a": Fact(id="a", prompt="What?", answers=("x",))})
