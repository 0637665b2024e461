"""The files that hold facts: their records, with the line of each (the row in Parquet).

A record is what one line of a JSONL file says, before it is known to be a fact.
"""

import csv
import gzip
import json
import stat
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mome.errors import FactsError

SUFFIXES = (".jsonl", ".jsonl.gz", ".csv", ".tsv", ".parquet")
LIST_FIELDS = ("answers", "paraphrases", "locality")
OPTIONAL_FIELDS = ("subject", "relation", "source")
FIELDS = ("id", "prompt", "answer", *LIST_FIELDS, *OPTIONAL_FIELDS)

_BOM = "\ufeff"


def read_records(path: Path) -> Iterator[tuple[int, Any]]:
    """The records of a file, each with its line (row in Parquet), counted from 1.

    Columns name the fields of .csv, .tsv and .parquet; a record of .jsonl may be any JSON value.

    Raises:
        FactsError: the file cannot be read, is damaged, or has a line that does not parse.
    """
    try:
        is_folder = stat.S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError) as error:
        raise FactsError(
            f"{path}: expected a file of facts, got {getattr(error, 'strerror', error)}; mend: check the path"
        ) from None
    if is_folder:
        raise FactsError(f"{path}: expected a file of facts, got a folder; mend: name one file in it")
    name = path.name.lower()
    if name.endswith((".jsonl", ".jsonl.gz")):
        return _jsonl_records(path)
    if name.endswith((".csv", ".tsv")):
        return _table_records(path, "\t" if name.endswith(".tsv") else ",")
    if name.endswith(".parquet"):
        return _parquet_records(path)
    raise FactsError(
        f"{path}: expected a name that ends in {', '.join(SUFFIXES)}, got {path.name!r}; "
        "mend: convert the file, or rename it if it is one of these"
    )


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a text file, ended by a line feed alone: other separators may stand inside a JSON string."""
    number = 0
    try:
        with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as file:
            for number, data in enumerate(file, start=1):
                yield number, _decoded(path, number, data)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FactsError(
            f"{path}: expected a complete gzip file, got a damaged or truncated one after line {number} "
            f"({error}); mend: copy or compress it again"
        ) from error
    except OSError as error:
        raise FactsError(
            f"{path}: expected a file that can be read, got {error.strerror}; mend: check its permissions"
        ) from error


def _decoded(path: Path, number: int, data: bytes) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FactsError(
            f"{place(path, number)}: expected UTF-8, got the byte 0x{data[error.start]:02x} at byte "
            f"{error.start + 1} of the line; mend: save the file as UTF-8"
        ) from None
    if "\0" in text:
        raise FactsError(
            f"{place(path, number)}: expected text, got a NUL character; "
            "mend: remove it, or save the file as UTF-8 if it is UTF-16"
        )
    return text.removeprefix(_BOM) if number == 1 else text


def _jsonl_records(path: Path) -> Iterator[tuple[int, Any]]:
    for number, line in _lines(path):
        if line.strip():
            yield number, _json(line, path, number, "one JSON object on each line")


def _table_records(path: Path, delimiter: str) -> Iterator[tuple[int, Any]]:
    rows = csv.reader((line for _, line in _lines(path)), delimiter=delimiter, strict=True)
    header: list[str] = []
    while True:
        number = rows.line_num + 1  # a quoted cell may span lines: name the one where the record begins
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            raise FactsError(
                f"{place(path, number)}: expected cells split by {delimiter!r}, got a row that does not "
                f'parse ({error}); mend: put cells that hold quotes or line breaks in "...", with '
                "each inner quote doubled, or save the facts as .jsonl"
            ) from None
        if len(row) <= 1 and not "".join(row).strip():
            continue
        if not header:
            header = [name.strip() for name in row]
            _check_columns(place(path, number), header)
            continue
        if len(row) != len(header):
            raise FactsError(
                f"{place(path, number)}: expected {len(header)} cells as in the header, got {len(row)}; "
                f'mend: put cells that hold {delimiter!r} in "..."'
            )
        cells = {name: cell.strip() for name, cell in zip(header, row, strict=True) if cell.strip()}
        for name in LIST_FIELDS:
            if cells.get(name, "").startswith("["):
                cells[name] = _json(cells[name], path, number, f"`{name}` to be a JSON array or plain text")
        yield number, cells


def _parquet_records(path: Path) -> Iterator[tuple[int, Any]]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise FactsError(
            f"{path}: expected pyarrow to read Parquet with, got {error}; "
            "mend: install pyarrow, or save the facts as .jsonl"
        ) from error
    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as table:
            columns = table.schema_arrow.names
            _check_columns(str(path), columns)
            for batch in table.iter_batches(columns=[name for name in columns if name in FIELDS]):
                for record in _batch_records(path, number, batch):
                    number += 1
                    yield number, record
    except (pyarrow.ArrowException, UnicodeDecodeError, OSError) as error:
        raise FactsError(
            f"{path}: expected a complete Parquet file, got a damaged one after row {number} ({error}); "
            "mend: copy or write it again"
        ) from error


def _batch_records(path: Path, num_before: int, batch: Any) -> list[dict[str, Any]]:
    try:
        return batch.to_pylist()
    except UnicodeDecodeError:
        for row in range(batch.num_rows):
            try:
                batch.slice(row, 1).to_pylist()
            except UnicodeDecodeError as error:
                raise FactsError(
                    f"{place(path, num_before + row + 1)}: expected UTF-8, got {error}; "
                    "mend: write the file again with valid strings"
                ) from None
        raise


def _check_columns(where: str, columns: list[str]) -> None:
    if "prompt" not in columns or not ("answer" in columns or "answers" in columns):
        raise FactsError(
            f"{where}: expected the columns `prompt` and `answer` (or `answers`), "
            f"got {named(columns) or 'none'}; mend: name the columns so"
        )
    for name in FIELDS:
        if columns.count(name) > 1:
            raise FactsError(f"{where}: expected one column `{name}`, got {columns.count(name)}; mend: rename others")


def _json(text: str, path: Path, number: int, expected: str) -> Any:
    try:
        return _DECODER.decode(text)
    except FactsError as error:
        raise FactsError(f"{place(path, number)}: {error}") from None
    except (ValueError, RecursionError) as error:
        why = f"{error.msg}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else error
        raise FactsError(
            f"{place(path, number)}: expected {expected}, got {short(text.strip())}, which does not "
            f'parse ({why}); mend: complete it, and write quotes inside strings as \\"'
        ) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; of two equal names `json` alone would drop one in silence."""
    record = dict(pairs)
    if len(record) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise FactsError(f"expected each field once, got `{twice}` {names.count(twice)} times; mend: keep one")
    return record


_DECODER = json.JSONDecoder(object_pairs_hook=_object)


def unit_of(path: Path) -> str:
    """What a record's number counts."""
    return "row" if path.name.lower().endswith(".parquet") else "line"


def place(path: Path, *lines: int) -> str:
    """A file and one or two of its lines, as messages name them."""
    unit = unit_of(path)
    return f"{path}, {unit} {lines[0]}" if len(lines) == 1 else f"{path}, {unit}s {lines[0]} and {lines[1]}"


def named(names: Iterable[Any]) -> str:
    """Field names in backquotes."""
    return ", ".join(f"`{name}`" for name in names)


def short(text: str) -> str:
    """A text in quotes, cut where a message would become long."""
    return repr(text if len(text) <= 80 else text[:77] + "...")
