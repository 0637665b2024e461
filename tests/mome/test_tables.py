"""Tables: files like those of safetensors itself, in pieces and parts; rows that are added, against a plain tensor."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from mome import tables as tables_module
from mome.tables import Rows, parts_of, read_tables, row_of, with_rows, write_tables

DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.int64, torch.int32, torch.bool]


def some_tables() -> dict[str, Tensor]:
    torch.manual_seed(0)
    tables = {str(dtype): (torch.randn(37, 3, 2) * 9).to(dtype) for dtype in DTYPES}
    return {**tables, "empty": torch.empty(0, 4), "no_columns": torch.empty(5, 0), "scalar": torch.tensor(2.5)}


@pytest.mark.parametrize("piece_bytes", [1, 50, 2**24])
def test_a_file_reads_as_the_library_reads_it(piece_bytes, tmp_path, monkeypatch):
    monkeypatch.setattr(tables_module, "PIECE_BYTES", piece_bytes)
    tables = some_tables()
    write_tables(tmp_path / "own", {name: [table] for name, table in tables.items()})
    save_file(tables, tmp_path / "library")
    for path in (tmp_path / "own", tmp_path / "library"):
        for got in (load_file(path), read_tables(path)):
            assert got.keys() == tables.keys()
            for name, table in tables.items():
                assert got[name].dtype == table.dtype and torch.equal(got[name], table), name
    assert (tmp_path / "own").stat().st_size == (tmp_path / "library").stat().st_size


def test_parts_stand_behind_one_another(tmp_path):
    table = torch.randn(10, 2)
    write_tables(tmp_path / "parts", {"table": [table[:3], table[3:3], table[3:].T.contiguous().T]})
    assert torch.equal(read_tables(tmp_path / "parts")["table"], table)


def test_a_table_stays_in_its_file(tmp_path):
    write_tables(tmp_path / "file", {"table": [torch.zeros(4)]})
    table = read_tables(tmp_path / "file")["table"]
    table[1] = 5.0
    assert table.tolist() == [0, 5, 0, 0]
    assert read_tables(tmp_path / "file")["table"].tolist() == [0, 0, 0, 0], "the file is not written"


@given(st.integers(1, 4), st.lists(st.integers(0, 4), max_size=5), st.data())
def test_rows_are_a_growing_tensor(num_first, additions, data):
    first = torch.randn(num_first, 2, 3)
    rows, plain = Rows(first), first.clone()
    for count in additions:
        new = torch.randn(count, 2, 3)
        rows.add(new)
        plain = torch.cat([plain, new])
    assert rows.shape == plain.shape and len(rows) == len(plain)
    assert torch.equal(torch.cat(parts_of(rows)), plain)
    shape = data.draw(st.sampled_from([(), (5,), (2, 3)]))
    index = torch.randint(len(plain), shape)
    assert torch.equal(rows[index], plain[index])
    assert torch.equal(rows[index, 1], plain[index, 1])
    assert torch.equal(rows[index, -1:], plain[index, -1:])
    assert torch.equal(rows[int(index.flatten()[0])], plain[int(index.flatten()[0])])


def test_only_a_small_table_is_copied(monkeypatch):
    table = torch.randn(4, 2)
    assert isinstance(with_rows(table, table), Tensor)
    monkeypatch.setattr(tables_module, "MAX_COPIED_BYTES", 16)
    grown = with_rows(table, table[:1])
    assert isinstance(grown, Rows) and grown.first is table
    assert with_rows(grown, table[1:2]) is grown
    assert torch.equal(torch.cat(parts_of(grown)), torch.cat([table, table[:2]]))


def test_one_row_of_any_table():
    plain = torch.arange(12).view(6, 2)
    rows = Rows(plain[:3])
    rows.add(plain[3:5])
    rows.add(plain[5:])
    for number in range(6):
        assert torch.equal(row_of(rows, number), plain[number]) and torch.equal(row_of(plain, number), plain[number])
