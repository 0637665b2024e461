"""The files that hold facts: every format's records with their lines, and files that are refused."""

import csv
import gzip
import json
import random
import re
import sys
from pathlib import Path

import pytest

from mome.errors import FactsError
from mome.fact_files import FIELDS, read_records

RECORDS = [
    {
        "id": "f1",
        "prompt": "Who wrote Tidewater?",
        "answers": ["Maren Tolveth", "M. Tolveth"],
        "paraphrases": ["Tidewater was written by", 'The author of Tidewater, "the" novel, is'],
        "locality": ["Who wrote Saltmarsh?"],
        "source": "library",
    },
    {"id": "f2", "prompt": "The capital of Orvane is", "answer": "Velmora"},
    {"id": "f3", "prompt": "Der Fluss durch Süd-Kärn heißt", "answer": "日の川", "paraphrases": ["a\u2028b\u0085c\rd"]},
]
PACKED = gzip.compress(b'{"prompt": "p", "answer": "a"}\n')


def write_lines(path: Path, *lines: str | dict) -> Path:
    texts = [line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines]
    path.write_bytes("".join(text + "\n" for text in texts).encode())
    return path


def write_table(path: Path, records: list[dict]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.DictWriter(file, FIELDS, delimiter="\t" if path.suffix == ".tsv" else ",")
        rows.writeheader()
        for record in records:
            rows.writerow({k: json.dumps(v) if isinstance(v, list) else v for k, v in record.items()})
    return path


def write_parquet(path: Path, columns: dict) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table(columns), path)
    return path


def numbered(start: int = 1) -> list[tuple[int, dict]]:
    return list(enumerate(RECORDS, start))


def refusal(path: Path) -> str:
    """The text of the error, without the folder."""
    with pytest.raises(FactsError) as caught:
        list(read_records(path))
    text = str(caught.value)
    assert text.startswith(str(path))
    assert re.search("expected .+, got .+; mend: .+", text), text
    return text.removeprefix(str(path.parent) + "/")


class TestFormats:
    def test_jsonl(self, tmp_path):
        assert list(read_records(write_lines(tmp_path / "facts.jsonl", *RECORDS))) == numbered()

    def test_gzip(self, tmp_path):
        plain = write_lines(tmp_path / "facts.jsonl", *RECORDS)
        packed = tmp_path / "facts.jsonl.gz"
        packed.write_bytes(gzip.compress(plain.read_bytes()))
        assert list(read_records(packed)) == numbered()

    @pytest.mark.parametrize("name", ["facts.csv", "facts.tsv"])
    def test_table(self, tmp_path, name):
        assert list(read_records(write_table(tmp_path / name, RECORDS))) == numbered(2)

    def test_parquet(self, tmp_path):
        columns = {
            "prompt": ["Who wrote Tidewater?", "The capital of Orvane is"],
            "answers": [["Maren Tolveth", "M. Tolveth"], ["Velmora"]],
            "locality": [[{"prompt": "Who wrote Saltmarsh?", "answer": "x"}], []],
            "source": ["library", None],
            "year": [1901, 1902],
        }
        read = list(read_records(write_parquet(tmp_path / "facts.parquet", columns)))
        del columns["year"]
        assert read == [(row + 1, {name: cells[row] for name, cells in columns.items()}) for row in range(2)]

    def test_parquet_rows_are_counted_over_batches(self, tmp_path):
        prompts = [f"p{n}" for n in range(70_000)]
        path = write_parquet(tmp_path / "facts.parquet", {"prompt": prompts, "answer": prompts})
        read = list(read_records(path))
        assert [row for row, _ in read] == list(range(1, 70_001))
        assert read[-1][1] == {"prompt": "p69999", "answer": "p69999"}

    def test_suffix_in_capitals(self, tmp_path):
        assert list(read_records(write_lines(tmp_path / "FACTS.JSONL", *RECORDS))) == numbered()

    def test_crlf_bom_blank_lines_and_no_last_line_feed(self, tmp_path):
        path = tmp_path / "facts.jsonl"
        path.write_bytes(b"\xef\xbb\xbf" + b"\r\n\r\n".join(json.dumps(record).encode() for record in RECORDS))
        assert list(read_records(path)) == list(zip((1, 3, 5), RECORDS, strict=True))

    def test_table_with_crlf_bom_and_plain_cells(self, tmp_path):
        path = tmp_path / "facts.csv"
        path.write_bytes(
            b'\xef\xbb\xbfprompt,answer,paraphrases,note\r\n"Who,\r\nthen?",Maren,By whom?,x\r\n\r\nq,a,,\r\n'
        )
        assert list(read_records(path)) == [
            (2, {"prompt": "Who,\r\nthen?", "answer": "Maren", "paraphrases": "By whom?", "note": "x"}),
            (5, {"prompt": "q", "answer": "a"}),
        ]

    def test_only_a_line_feed_ends_a_line(self, tmp_path):
        record = {"prompt": "a\u2028b\u2029c\u0085d", "answer": "x"}
        path = write_lines(tmp_path / "facts.jsonl", record, "", "{")
        assert next(read_records(path)) == (1, record)
        assert "line 3" in refusal(path)


class TestRefusedFiles:
    def test_missing(self, tmp_path):
        assert refusal(tmp_path / "facts.jsonl").startswith("facts.jsonl: expected a file of facts, got No such file")

    def test_folder(self, tmp_path):
        assert "got a folder" in refusal(tmp_path)

    @pytest.mark.parametrize("name", ["facts.json", "facts.txt", "facts.csv.gz", "facts"])
    def test_unknown_suffix_names_the_known_ones(self, tmp_path, name):
        text = refusal(write_lines(tmp_path / name, RECORDS[1]))
        assert all(suffix in text for suffix in (".jsonl", ".jsonl.gz", ".csv", ".tsv", ".parquet"))

    @pytest.mark.parametrize(
        ("data", "text"),
        [
            (b'{"prompt": "p", "answer": "a"\n', "facts.jsonl, line 3: expected one JSON object on each line, got"),
            (b'{"prompt": "p", "answer": "say "a""}\n', "facts.jsonl, line 3: expected one JSON object"),
            (b'{"prompt": "p", "prompt": "q", "answer": "a"}\n', "line 3: expected each field once, got `prompt` 2"),
            (b'{"prompt": "p\xff", "answer": "a"}\n', "line 3: expected UTF-8, got the byte 0xff at byte 14"),
            (b'{"prompt": "p\0", "answer": "a"}\n', "facts.jsonl, line 3: expected text, got a NUL character"),
            (b"[" * 100_000, "facts.jsonl, line 3: expected one JSON object on each line"),
            (b"1" * 5_000, "facts.jsonl, line 3: expected one JSON object on each line"),
        ],
    )
    def test_line_is_named(self, tmp_path, data, text):
        path = tmp_path / "facts.jsonl"
        path.write_bytes(b'{"prompt": "good", "answer": "a"}\n\n' + data)
        assert text in refusal(path)

    def test_utf16(self, tmp_path):
        path = tmp_path / "facts.jsonl"
        path.write_bytes(json.dumps(RECORDS[1]).encode("utf-16"))
        assert "line 1: expected UTF-8" in refusal(path)

    def test_truncated_gzip(self, tmp_path):
        lines = "".join(
            json.dumps({"prompt": f"p{n} {random.Random(n).random()}", "answer": "a"}) + "\n" for n in range(2_000)
        )
        path = tmp_path / "facts.jsonl.gz"
        packed = gzip.compress(lines.encode())
        path.write_bytes(packed[: len(packed) // 2])
        text = refusal(path)
        assert "damaged or truncated" in text
        assert 0 < int(re.findall(r"after line (\d+)", text)[0]) < 2_000

    @pytest.mark.parametrize("data", [b"no gzip at all\n", PACKED[:-9] + b"x" * 9], ids=["plain text", "damaged end"])
    def test_damaged_gzip(self, tmp_path, data):
        path = tmp_path / "facts.jsonl.gz"
        path.write_bytes(data)
        assert "expected a complete gzip file" in refusal(path)

    @pytest.mark.parametrize(
        ("data", "text"),
        [
            (b"prompt,reply\np,a\n", "line 1: expected the columns `prompt` and `answer` (or `answers`), got `prompt`"),
            (b"prompt,answer,answer\np,a,b\n", "line 1: expected one column `answer`, got 2"),
            (b"prompt,answer\np,a\n\np,a,b\n", "line 4: expected 2 cells as in the header, got 3"),
            (b'prompt,answer\n"p\nq",a\nr\n', "line 4: expected 2 cells as in the header, got 1"),
            (b'prompt,answer\np,a\n"q,b\n', "line 3: expected cells split by ',', got a row that does not parse"),
            (b'prompt,answer\n"p"q,a\n', "line 2: expected cells split by ','"),
            (b'prompt,answer\np,"a\xff"\n', "line 2: expected UTF-8, got the byte 0xff"),
            (b"prompt,answers\np,[a\n", "line 2: expected `answers` to be a JSON array or plain text, got '[a'"),
        ],
    )
    def test_table_line_is_named(self, tmp_path, data, text):
        path = tmp_path / "facts.csv"
        path.write_bytes(data)
        assert text in refusal(path)

    def test_parquet_columns(self, tmp_path):
        path = write_parquet(tmp_path / "facts.parquet", {"prompt": ["p"], "reply": ["a"]})
        assert "expected the columns `prompt` and `answer` (or `answers`), got `prompt`, `reply`" in refusal(path)

    def test_parquet_undecodable_text(self, tmp_path):
        pyarrow = pytest.importorskip("pyarrow")
        answers = pyarrow.array([b"a", b"b\xff"]).view(pyarrow.string())
        path = write_parquet(tmp_path / "facts.parquet", {"prompt": ["p", "q"], "answer": answers})
        assert "facts.parquet, row 2: expected UTF-8, got" in refusal(path)

    def test_damaged_parquet(self, tmp_path):
        path = write_parquet(tmp_path / "facts.parquet", {"prompt": ["p"], "answer": ["a"]})
        path.write_bytes(path.read_bytes()[:-20])
        assert "expected a complete Parquet file" in refusal(path)

    def test_parquet_without_pyarrow(self, tmp_path, monkeypatch):
        path = write_parquet(tmp_path / "facts.parquet", {"prompt": ["p"], "answer": ["a"]})
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        assert "install pyarrow" in refusal(path)
