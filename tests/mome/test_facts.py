"""Facts and sets of them: what is read, what is refused, and with which words."""

import doctest
import gzip
import json
import re
import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mome.facts
from mome.errors import FactsError, MomeError, SettingsError
from mome.facts import Fact, fact_id, read_facts, sample_facts, write_facts

RECORDS = [
    {
        "id": "f1",
        "prompt": "Who wrote Tidewater?",
        "answers": ["Maren Tolveth", "M. Tolveth"],
        "paraphrases": ["Tidewater was written by", 'The author of Tidewater, "the" novel, is'],
        "locality": ["Who wrote Saltmarsh?"],
        "subject": "Tidewater",
        "relation": "author",
        "source": "library",
    },
    {"id": "f2", "prompt": "The capital of Orvane is", "answer": "Velmora"},
    {"id": "f3", "prompt": "Der Fluss durch Süd-Kärn heißt", "answer": "日の川", "paraphrases": ["a\u2028b\u0085c\rd"]},
]
FACTS = [Fact.from_record(record) for record in RECORDS]


def write_lines(path: Path, *lines: str | dict) -> Path:
    texts = [line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines]
    path.write_bytes("".join(text + "\n" for text in texts).encode())
    return path


def write_parquet(path: Path, columns: dict) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table(columns), path)
    return path


def refusal(path: Path, **options) -> str:
    """The text of the error, without the folder."""
    with pytest.raises(FactsError) as caught:
        read_facts(path, **options)
    text = str(caught.value)
    assert text.startswith(str(path))
    assert re.search("expected .+, got .+; mend: .+", text), text
    return text.removeprefix(str(path.parent) + "/")


class TestFact:
    def test_strips_and_leaves_out_what_stands_twice(self):
        fact = Fact(
            id=" f1 ", prompt=" Who?\n", answers=(" Maren", "Maren ", "Tolveth"), paraphrases=("By whom?", "Who?")
        )
        assert (fact.id, fact.prompt, fact.answers) == ("f1", "Who?", ("Maren", "Tolveth"))
        assert fact.paraphrases == ("By whom?",)
        assert fact.answer == "Maren"

    def test_answer_comes_before_answers(self):
        record = {"prompt": "Who?", "answer": "Maren", "answers": ["Tolveth", "Maren"]}
        assert Fact.from_record(record).answers == ("Maren", "Tolveth")

    def test_locality_may_be_records(self):
        record = {"prompt": "Who?", "answer": "Maren", "locality": ["Where?", {"prompt": "When?", "answer": "1901"}]}
        assert Fact.from_record(record).locality == ("Where?", "When?")

    def test_null_and_unknown_fields_count_as_absent(self):
        record = {"id": None, "prompt": "Who?", "answer": "Maren", "subject": None, "true_answer": 17}
        assert Fact.from_record(record) == Fact(id=fact_id("Who?"), prompt="Who?", answers=("Maren",))

    @pytest.mark.parametrize("fact", FACTS)
    def test_record_round_trip(self, fact):
        assert Fact.from_record(fact.to_record()) == fact

    def test_record_of_several_answers_keeps_their_order(self):
        assert FACTS[0].to_record() == RECORDS[0]

    def test_is_frozen(self):
        with pytest.raises(FrozenInstanceError):
            FACTS[0].prompt = "Who?"  # pyright: ignore[reportAttributeAccessIssue]

    @pytest.mark.parametrize(
        ("record", "text"),
        [
            ({"answer": "a"}, "expected `prompt` and `answer` (or `answers`), got `answer`"),
            ({"prompt": "p", "best_answer": "a"}, "(or `answers`), got `prompt`, `best_answer`"),
            ({}, "(or `answers`), got no field"),
            ({"prompt": 17, "answer": "a"}, "expected `prompt` to be a string, got the number 17"),
            ({"prompt": " \n", "answer": "a"}, "expected `prompt` to hold text, got the string ' \\n'"),
            ({"prompt": "p", "answer": True}, "expected `answer` to be a string, got the truth value True"),
            ({"prompt": "p", "answer": ""}, "expected `answer` to hold text, got the string ''"),
            ({"prompt": "p", "answer": ["a"]}, "expected `answer` to be a string, got the list ['a']"),
            ({"prompt": "p", "answers": []}, "expected at least one answer, got an empty list"),
            ({"prompt": "p", "answers": ["a", None]}, "expected each of `answers` to be a string, got null"),
            ({"prompt": "p", "answer": "a", "paraphrases": 3}, "expected `paraphrases` to be a list of strings, got"),
            ({"prompt": "p", "answer": "a", "locality": [{"answer": "x"}]}, "each of `locality` to be a string"),
            ({"prompt": "p", "answer": "a", "locality": {"prompt": "x"}}, "`locality` to be a list of strings"),
            ({"prompt": "p", "answer": "a", "id": 17}, "expected `id` to be a string, got the number 17"),
            ({"prompt": "p", "answer": "a", "subject": []}, "expected `subject` to be a string, got the list []"),
            ({"prompt": "p", "answer": "a\0b"}, "expected `answer` to be text, got a NUL character in 'a\\x00b'"),
            ({"prompt": "p\ud800", "answer": "a"}, "expected `prompt` to be text, got half of a surrogate pair"),
            (["p", "a"], "expected an object with `prompt` and `answer`, got the list ['p', 'a']"),
        ],
    )
    def test_refuses(self, record, text):
        with pytest.raises(FactsError, match=re.escape(text) + ".*; mend: "):
            Fact.from_record(record)

    def test_constructor_refuses_too(self):
        with pytest.raises(FactsError, match="at least one answer"):
            Fact(id="f1", prompt="Who?", answers=())

    def test_long_values_are_cut_in_messages(self):
        with pytest.raises(FactsError) as caught:
            Fact.from_record({"prompt": "p", "answer": list(range(10_000))})
        assert len(str(caught.value)) < 250


class TestRecordsOfAFile:
    """What is not a fact is refused with its place in the file."""

    @pytest.mark.parametrize("name", ["facts.jsonl", "facts.csv", "facts.parquet"])
    def test_every_format_makes_the_same_facts(self, tmp_path, name):
        records = [
            {"id": "f1", "prompt": "Who?", "answers": ["Maren", "M."]},
            {"prompt": "Where?", "answers": ["Orvane"]},
        ]
        path = tmp_path / name
        if name.endswith(".jsonl"):
            write_lines(path, *records)
        elif name.endswith(".csv"):
            path.write_text('id,prompt,answers\nf1,Who?,"[""Maren"", ""M.""]"\n,Where?,Orvane\n')
        else:
            write_parquet(
                path, {name: [record.get(name) for record in records] for name in ("id", "prompt", "answers")}
            )
        assert read_facts(path).facts == [Fact.from_record(record) for record in records]

    @pytest.mark.parametrize("data", [b"", b"\n \n", b"\xef\xbb\xbf"])
    def test_no_facts(self, tmp_path, data):
        path = tmp_path / "facts.jsonl"
        path.write_bytes(data)
        assert refusal(path).startswith("facts.jsonl: expected at least one fact, got none")

    @pytest.mark.parametrize(
        ("data", "text"),
        [
            (b'["p", "a"]\n', "facts.jsonl, line 3: expected an object with `prompt` and `answer`, got"),
            (b'{"prompt": 17, "answer": "a"}\n', "line 3: expected `prompt` to be a string, got the number"),
            (b'{"prompt": "p\\u0000", "answer": "a"}\n', "line 3: expected `prompt` to be text, got a NUL character"),
        ],
    )
    def test_line_is_named(self, tmp_path, data, text):
        path = tmp_path / "facts.jsonl"
        path.write_bytes(b'{"prompt": "good", "answer": "a"}\n\n' + data)
        assert text in refusal(path)

    @pytest.mark.parametrize(
        ("data", "text"),
        [
            (b"prompt,answer\np,\n", "line 2: expected `prompt` and `answer` (or `answers`), got `prompt`"),
            (b"prompt,answer\n,\n", "line 2: expected `prompt` and `answer` (or `answers`), got no field"),
            (b"prompt,answers\np,[1]\n", "line 2: expected each of `answers` to be a string, got the number 1"),
            (b"prompt,answer\n", ": expected at least one fact, got none"),
        ],
    )
    def test_table_line_is_named(self, tmp_path, data, text):
        path = tmp_path / "facts.csv"
        path.write_bytes(data)
        assert text in refusal(path)

    def test_parquet_row_is_named(self, tmp_path):
        path = write_parquet(tmp_path / "facts.parquet", {"prompt": ["p", None], "answer": ["a", "b"]})
        assert refusal(path).startswith("facts.parquet, row 2: expected `prompt` and `answer`")

    def test_parquet_wrong_type(self, tmp_path):
        path = write_parquet(tmp_path / "facts.parquet", {"prompt": [1, 2], "answer": ["a", "b"]})
        assert refusal(path).startswith("facts.parquet, row 1: expected `prompt` to be a string, got the number 1")


CLASHING = [
    {"id": "a", "prompt": "Who?", "answer": "Maren", "paraphrases": ["By whom?"], "subject": "Tidewater"},
    {"id": "b", "prompt": "Where?", "answer": "Velmora"},
    {"id": "c", "prompt": "Who? ", "answer": "Jorin"},
    {"id": "d", "prompt": "Who?", "answers": ["Maren", "M."], "paraphrases": ["x"], "relation": "author"},
    {"id": "e", "prompt": "Who?", "answer": "Jorin"},
    {"id": "g", "prompt": "Who?", "answer": "Jorin"},
]


class TestConflictsAndDuplicates:
    @pytest.fixture
    def path(self, tmp_path) -> Path:
        return write_lines(tmp_path / "facts.jsonl", *CLASHING)

    def test_conflict_names_everything(self, path):
        text = refusal(path)
        assert text.startswith(
            "facts.jsonl, lines 1 and 3: expected one answer to the prompt 'Who?', "
            "got 'Maren' (line 1) and 'Jorin' (line 3)"
        )
        assert "in this file: 1;" in text
        assert 'set on_conflict to "first" or "last"' in text

    def test_conflict_of_the_earliest_prompt_is_named(self, tmp_path):
        lines = ({"prompt": prompt, "answer": answer} for prompt, answer in ["pa", "qa", "qb", "pb"])
        text = refusal(write_lines(tmp_path / "facts.jsonl", *lines))
        assert text.startswith("facts.jsonl, lines 1 and 4: ")
        assert "in this file: 2;" in text

    def test_conflict_in_parquet_names_rows(self, tmp_path):
        path = write_parquet(tmp_path / "facts.parquet", {"prompt": ["p", "p"], "answer": ["a", "b"]})
        text = refusal(path)
        assert text.startswith("facts.parquet, rows 1 and 2: expected one answer to the prompt 'p', got 'a'")

    def test_first(self, path):
        result = read_facts(path, on_conflict="first")
        first = Fact(
            id="a",
            prompt="Who?",
            answers=("Maren", "M."),
            paraphrases=("By whom?", "x"),
            subject="Tidewater",
            relation="author",
        )
        assert result.facts == [first, Fact.from_record(CLASHING[1])]
        assert (result.num_read, result.num_duplicates, result.num_conflicts) == (6, 1, 3)
        assert result.path == path

    def test_last(self, path):
        result = read_facts(path, on_conflict="last")
        assert [(fact.id, fact.answer) for fact in result.facts] == [("c", "Jorin"), ("b", "Velmora")]
        assert (result.num_read, result.num_duplicates, result.num_conflicts) == (6, 2, 2)

    def test_duplicates_are_merged_in_order(self, tmp_path):
        same = {"prompt": "Who?", "answer": "Maren"}
        path = write_lines(
            tmp_path / "facts.jsonl",
            same | {"id": "a", "locality": ["x"], "paraphrases": ["p"]},
            same | {"id": "b", "locality": ["y", "x"], "paraphrases": ["p", "q"], "answers": ["M."]},
        )
        result = read_facts(path)
        fact = result.facts[0]
        assert (fact.id, fact.answers) == ("a", ("Maren", "M."))
        assert (fact.locality, fact.paraphrases) == (("x", "y"), ("p", "q"))
        assert (result.num_read, result.num_duplicates, result.num_conflicts) == (2, 1, 0)

    def test_one_id_for_two_prompts(self, tmp_path):
        path = write_lines(
            tmp_path / "facts.jsonl",
            {"id": "a", "prompt": "Who?", "answer": "x"},
            {"prompt": "Where?", "answer": "x"},
            {"id": "a", "prompt": "When?", "answer": "x"},
        )
        text = refusal(path, on_conflict="first")
        assert text.startswith(
            "facts.jsonl, lines 1 and 3: expected each id to have one prompt, got the id 'a' for 'Who?' and for 'When?'"
        )

    def test_derived_id_depends_on_the_prompt_alone(self, tmp_path):
        lines = [{"prompt": f"p{n}", "answer": "a"} for n in range(3)]
        there = read_facts(write_lines(tmp_path / "a.jsonl", *lines)).facts
        back = read_facts(write_lines(tmp_path / "b.jsonl", *reversed(lines), {"prompt": " p0\t", "answer": "a"})).facts
        assert [fact.id for fact in there] == [fact.id for fact in reversed(back)]
        assert [bool(re.fullmatch("f-[0-9a-f]{16}", name)) for name in {fact.id for fact in there}] == [True] * 3

    def test_wrong_option(self, path):
        with pytest.raises(SettingsError, match=r'on_conflict: expected "error", "first" or "last", got .skip.*; mend'):
            read_facts(path, on_conflict="skip")  # pyright: ignore[reportArgumentType]


class TestLimit:
    @pytest.fixture
    def path(self, tmp_path) -> Path:
        return write_lines(tmp_path / "facts.jsonl", *({"prompt": f"p{n}", "answer": "a"} for n in range(100)))

    def numbers(self, path: Path, **options) -> list[int]:
        return [int(fact.prompt[1:]) for fact in read_facts(path, **options).facts]

    def test_sample_is_fixed(self, path):
        """Written out, so that another Python or machine that drew otherwise would be noticed."""
        assert self.numbers(path, limit=5) == [5, 33, 49, 53, 97]
        assert self.numbers(path, limit=5, seed=1) == [8, 17, 32, 72, 97]

    def test_sample_keeps_the_order_and_repeats_nothing(self, path):
        numbers = self.numbers(path, limit=60, seed=3)
        assert len(set(numbers)) == 60
        assert numbers == sorted(numbers)

    @pytest.mark.parametrize("limit", [None, 100, 101])
    def test_all(self, path, limit):
        assert self.numbers(path, limit=limit, seed=5) == list(range(100))

    def test_sample_is_drawn_after_conflicts(self, path):
        before = self.numbers(path, limit=5)
        with path.open("ab") as file:
            file.write(b'{"prompt": "p7", "answer": "b"}\n')
        result = read_facts(path, limit=5, on_conflict="first")
        assert [int(fact.prompt[1:]) for fact in result.facts] == before
        assert (result.num_read, result.num_conflicts) == (101, 1)
        assert "lines 8 and 101" in refusal(path, limit=5)

    @pytest.mark.parametrize("limit", [0, -1, 2.5, True, "5"])
    def test_wrong_limit(self, path, limit):
        with pytest.raises(SettingsError, match=r"limit: expected a whole number of facts, at least 1, got .*; mend: "):
            read_facts(path, limit=limit)

    @pytest.mark.parametrize("seed", [None, 1.0, "a"])
    def test_wrong_seed(self, path, seed):
        with pytest.raises(SettingsError, match=r"seed: expected a whole number, got .*; mend: "):
            read_facts(path, limit=5, seed=seed)

    def test_sample_facts_is_the_sample_of_the_file(self, path):
        facts = read_facts(path).facts
        assert sample_facts(facts, 5, 1) == read_facts(path, limit=5, seed=1).facts
        assert [fact.prompt for fact in sample_facts(facts, 5, 1)] == ["p8", "p17", "p32", "p72", "p97"]
        assert sample_facts(facts, None, 1) == sample_facts(facts, 101, 1) == facts
        assert len(facts) == 100

    @pytest.mark.parametrize(("limit", "seed", "name"), [(0, 0, "limit"), (True, 0, "limit"), (5, None, "seed")])
    def test_sample_facts_refuses(self, limit, seed, name):
        with pytest.raises(SettingsError, match=f"{name}: expected a whole number.*; mend: "):
            sample_facts(FACTS, limit, seed)


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(str.strip)
TUPLES = st.lists(TEXTS, max_size=3).map(tuple)
MADE = st.builds(
    Fact,
    id=TEXTS,
    prompt=TEXTS,
    answers=st.lists(TEXTS, min_size=1, max_size=3).map(tuple),
    paraphrases=TUPLES,
    locality=TUPLES,
    source=st.none() | TEXTS,
    subject=st.none() | TEXTS,
    relation=st.none() | TEXTS,
)


class TestWrite:
    @settings(deadline=None)
    @given(facts=st.lists(MADE, min_size=1, max_size=5, unique_by=(lambda f: f.id, lambda f: f.prompt)))
    def test_round_trip(self, tmp_path_factory, facts):
        path = tmp_path_factory.mktemp("written") / "facts.jsonl"
        write_facts(path, facts)
        assert read_facts(path).facts == facts
        assert path.read_bytes().count(b"\n") == len(facts)

    def test_line_separators_inside_a_text(self, tmp_path):
        odd = "a\u2028b\u2029c\u0085d\x0be\x0cf"
        write_facts(tmp_path / "facts.jsonl", [Fact(id="f1", prompt=odd, answers=(odd,))])
        assert read_facts(tmp_path / "facts.jsonl").facts[0].prompt == odd

    def test_text_is_not_escaped(self, tmp_path):
        write_facts(tmp_path / "facts.jsonl", iter(FACTS))
        data = (tmp_path / "facts.jsonl").read_bytes()
        assert "Süd-Kärn heißt".encode() in data
        assert b"\r\n" not in data

    def test_other_suffix(self, tmp_path):
        with pytest.raises(FactsError, match=r"expected a name that ends in .jsonl, got 'facts.csv'; mend: "):
            write_facts(tmp_path / "facts.csv", FACTS)

    def test_missing_folder(self, tmp_path):
        with pytest.raises(FactsError, match=r"expected a file that can be written, got No such file.*; mend: "):
            write_facts(tmp_path / "none" / "facts.jsonl", FACTS)


class TestPublishedData:
    def test_counterfact_conflicts(self, shared_data):
        path = shared_data / "counterfact" / "train.jsonl.gz"
        text = refusal(path)
        lines = [int(number) for number in re.findall(r"\d+", text)[:2]]
        with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
            records = [json.loads(line) for line in file]
        first, other = (records[line - 1] for line in lines)
        assert first["prompt"] == other["prompt"]
        assert f"got {first['answer']!r} (line {lines[0]}) and {other['answer']!r} (line {lines[1]})" in text
        assert "in this file: 59;" in text

    def test_counterfact_first(self, shared_data):
        result = read_facts(shared_data / "counterfact" / "train.jsonl.gz", on_conflict="first")
        assert result.num_read == 10_000 == len(result.facts) + result.num_duplicates + result.num_conflicts
        num_ids, num_prompts = len({f.id for f in result.facts}), len({f.prompt for f in result.facts})
        assert num_ids == num_prompts == len(result.facts)
        assert all(fact.subject and fact.locality for fact in result.facts)

    def test_entity_questions_is_fast(self, shared_data):
        """Beside a plain reading of the same file, in a process of its own: neither a slow machine nor what other
        tests have left in memory counts."""
        path = shared_data / "entity_questions" / "train.jsonl.gz"
        code = f"""
import gzip, json, time
from mome.facts import read_facts
start = time.process_time()
with gzip.open({str(path)!r}, "rt", encoding="utf-8") as file:
    num_records = sum(1 for line in file if json.loads(line))
plain = time.process_time() - start
num_read = read_facts({str(path)!r}, on_conflict="first").num_read
print(num_records, num_read, (time.process_time() - start - plain) / plain)
"""
        folder = Path(mome.facts.__file__).parents[1]
        done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
        num_records, num_read, times_plain = done.stdout.split()
        assert num_records == num_read == "176560"
        assert float(times_plain) < 10

    @pytest.mark.parametrize(("name", "num_facts"), [("zsre/facts", 1_000), ("pararel/facts", 25_767)])
    def test_others(self, shared_data, name, num_facts):
        assert len(read_facts(shared_data / f"{name}.jsonl.gz", on_conflict="last").facts) == num_facts


def test_reading_imports_no_heavy_package(tmp_path):
    path = write_lines(tmp_path / "facts.jsonl", *RECORDS)
    code = (
        f"import sys, mome.facts; mome.facts.read_facts({str(path)!r}); "
        "print(*sorted(set(sys.modules) & {'torch', 'transformers', 'pyarrow', 'faiss'}))"
    )
    folder = Path(mome.facts.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_errors_are_one_family():
    assert issubclass(FactsError, MomeError)
    assert issubclass(SettingsError, MomeError)
    assert issubclass(MomeError, ValueError)


def test_examples():
    outcome = doctest.testmod(mome.facts)
    assert outcome.attempted > 0
    assert outcome.failed == 0
