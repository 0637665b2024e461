"""Tables of rows that may be larger than memory: in safetensors files, written a piece at a time, and growing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

PIECE_BYTES = 2**24
MAX_COPIED_BYTES = 2**24
# As the format names them.
NAMES = {
    torch.float32: "F32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.bool: "BOOL",
}


def write_tables(path: Path, tables: Mapping[str, Sequence[Tensor]]) -> None:
    """Write a safetensors file of which every table is given in parts: the rows of the first part, then of the second.

    The parts of a table have one dtype, and one shape but for the number of rows. A scalar is one part.
    """
    header, place = {}, 0
    # The widest first, as the format asks for aligned tables.
    order = sorted(tables, key=lambda name: (-tables[name][0].element_size(), name))
    for name in order:
        parts = tables[name]
        first, num_bytes = parts[0], sum(part.numel() * part.element_size() for part in parts)
        assert all(part.dtype == first.dtype and part.shape[1:] == first.shape[1:] for part in parts), name
        shape = [sum(len(part) for part in parts), *first.shape[1:]] if first.dim() else []
        header[name] = {"dtype": NAMES[first.dtype], "shape": shape, "data_offsets": [place, place + num_bytes]}
        place += num_bytes
    described = json.dumps(header, separators=(",", ":")).encode()
    described += b" " * (-len(described) % 8)
    with path.open("wb") as file:
        file.write(len(described).to_bytes(8, "little") + described)
        for name in order:
            for part in tables[name]:
                for piece in _pieces(part):
                    file.write(piece.contiguous().view(torch.uint8).numpy().data)


def _pieces(table: Tensor) -> Sequence[Tensor]:
    """A table in pieces of whole rows, each flat."""
    table = table.detach().cpu()
    if not table.numel():
        return []
    if not table.dim():
        return [table[None]]
    row_bytes = table.element_size() * (table.numel() // len(table))
    return [piece.flatten() for piece in table.split(max(1, PIECE_BYTES // row_bytes))]


def read_tables(path: Path) -> dict[str, Tensor]:
    """The tables of a safetensors file. They stay in it: what is not used is not read.

    Raises:
        SafetensorError, OSError: the file is none.
    """
    return load_file(path)


class Rows:
    """A table to which rows are added without copying the first ones, which may be many and lie in a file.

    >>> rows = Rows(torch.arange(6).view(3, 2))
    >>> rows.add(torch.tensor([[6, 7]]))
    >>> len(rows), rows[torch.tensor([3, 0])].tolist(), rows[torch.tensor([3]), 1].tolist()
    (4, [[6, 7], [0, 1]], [7])
    """

    def __init__(self, first: Tensor):
        self.first, self._room, self._num_added = first, first[:0].clone(), 0

    def add(self, rows: Tensor) -> None:
        """Add rows behind the others."""
        end = self._num_added + len(rows)
        if end > len(self._room):
            room = self._room.new_empty(max(end, 2 * len(self._room)), *self._room.shape[1:])
            room[: self._num_added] = self.added
            self._room = room
        self._room[self._num_added : end] = rows
        self._num_added = end

    @property
    def added(self) -> Tensor:
        """The rows behind the first ones."""
        return self._room[: self._num_added]

    def __len__(self) -> int:
        return len(self.first) + self._num_added

    @property
    def shape(self) -> torch.Size:
        """As of one tensor."""
        return torch.Size([len(self), *self.first.shape[1:]])

    @property
    def device(self) -> torch.device:
        """Where the rows are."""
        return self.first.device

    def __getitem__(self, index: int | Tensor | tuple) -> Tensor:
        """Rows by number, an int or int64 of any shape; further indices select in them as in a tensor."""
        number, *rest = index if isinstance(index, tuple) else (index,)
        number = torch.as_tensor(number, device=self.device)
        behind = number - len(self.first)
        rows = self.first[(number.clamp_max(len(self.first) - 1), *rest)]
        if not bool((behind >= 0).any()):
            return rows
        added = self.added[(behind.clamp_min(0), *rest)]
        return torch.where((behind >= 0).view(*behind.shape, *[1] * (rows.dim() - behind.dim())), added, rows)


Table = Tensor | Rows


def row_of(table: Table, number: int) -> Tensor:
    """One row, without a copy.

    >>> row_of(torch.arange(6).view(3, 2), 1).tolist()
    [2, 3]
    """
    if isinstance(table, Tensor):
        return table[number]
    behind = number - len(table.first)
    return table.first[number] if behind < 0 else table.added[behind]


def parts_of(table: Table) -> list[Tensor]:
    """A table's rows as tensors, without copying them."""
    return [table] if isinstance(table, Tensor) else [table.first, table.added]


def kept_parts(table: Table, is_kept: Tensor) -> list[Tensor]:
    """The rows that are kept (bool `[rows]`) as parts of the table, without copying them.

    >>> [part.tolist() for part in kept_parts(torch.arange(5), torch.tensor([True, False, True, True, False]))]
    [[0], [2, 3]]
    """
    parts, place = [], 0
    for part in parts_of(table):
        kept = is_kept[place : place + len(part)].cpu().int()
        place += len(part)
        change = torch.nn.functional.pad(kept, (1, 1)).diff().nonzero().flatten().tolist()
        parts += [part[start:end] for start, end in zip(change[::2], change[1::2], strict=True)]
    return parts or [parts_of(table)[0][:0]]


def with_rows(table: Table, rows: Tensor) -> Table:
    """A table with rows behind the others; a large one is not copied for that."""
    if isinstance(table, Tensor) and table.numel() * table.element_size() <= MAX_COPIED_BYTES:
        return torch.cat([table, rows])
    table = Rows(table) if isinstance(table, Tensor) else table
    table.add(rows)
    return table
