"""The index over the subject part of the keys: exact search in torch, or FAISS by factory string.

It is a cache, always rebuilt from the keys. Shapes: K keys, Q queries, C width of the subject part, N neighbours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor

from mome.errors import CheckpointError, SettingsError

if TYPE_CHECKING:
    import faiss

EXACT = "exact"
MAX_SCORES = 2**26  # similarities held at once by exact search, 256 MB


class Index(Protocol):
    """What both kinds can do."""

    def add(self, keys: Tensor) -> None:
        """Append unit keys fp32 `[K, C]`; they are numbered in order of arrival."""
        ...

    def search(self, queries: Tensor, num_neighbours: int) -> tuple[Tensor, Tensor]:
        """Similarities fp32 `[Q, N]`, falling, and key numbers int64 `[Q, N]` (-1 and -inf where there are fewer)."""
        ...


def _pad(similarity: Tensor, number: Tensor, num_neighbours: int) -> tuple[Tensor, Tensor]:
    missing = num_neighbours - similarity.shape[-1]
    if missing:
        similarity = torch.nn.functional.pad(similarity, (0, missing), value=-torch.inf)
        number = torch.nn.functional.pad(number, (0, missing), value=-1)
    return similarity, number


class TorchIndex:
    """Exact search: one matrix product. Works without FAISS and on any device.

    >>> index = TorchIndex(2)
    >>> index.add(torch.eye(2))
    >>> index.search(torch.tensor([[0.0, 1.0]]), 1)[1].tolist()
    [[1]]
    """

    def __init__(self, d_subject: int):
        self.keys = torch.empty(0, d_subject)

    def add(self, keys: Tensor) -> None:
        """See `Index.add`."""
        self.keys = torch.cat([self.keys.to(keys.device), keys.float()])

    def search(self, queries: Tensor, num_neighbours: int) -> tuple[Tensor, Tensor]:
        """See `Index.search`."""
        self.keys = self.keys.to(queries.device)
        num_found = min(num_neighbours, len(self.keys))
        parts = queries.float().split(max(1, MAX_SCORES // max(1, len(self.keys))))
        best = [(part @ self.keys.T).topk(num_found, dim=-1) for part in parts]
        return _pad(torch.cat([b.values for b in best]), torch.cat([b.indices for b in best]), num_neighbours)


class FaissIndex:
    """A FAISS index over the inner product; kinds that need training are trained on the first keys added."""

    def __init__(self, d_subject: int, factory: str):
        import faiss

        self.factory = factory
        try:
            self.inner: faiss.Index = faiss.index_factory(d_subject, factory, faiss.METRIC_INNER_PRODUCT)
        except RuntimeError as error:
            raise SettingsError(
                f"index: {factory!r} is not a FAISS factory string for {d_subject}-wide keys ({_last_line(error)}); "
                'use "exact", "Flat", "IVF256,Flat", "HNSW32", "PQ16" or another form of the FAISS index factory'
            ) from None

    def add(self, keys: Tensor) -> None:
        """See `Index.add`."""
        rows = _as_numpy(keys)
        try:
            if not self.inner.is_trained:
                self.inner.train(rows)
            self.inner.add(rows)
        except RuntimeError as error:
            raise SettingsError(
                f"index: {self.factory!r} cannot be built over {len(rows)} keys ({_last_line(error)}); "
                'teach more facts, or use a form with fewer lists, or "exact"'
            ) from None

    def search(self, queries: Tensor, num_neighbours: int) -> tuple[Tensor, Tensor]:
        """See `Index.search`."""
        if not self.inner.ntotal:  # a kind that needs training cannot be searched before it has keys
            return TorchIndex(self.inner.d).search(queries, num_neighbours)
        similarity, number = self.inner.search(_as_numpy(queries), num_neighbours)
        found = torch.from_numpy(number).to(queries.device)
        scores = torch.from_numpy(similarity).to(queries.device).masked_fill(found < 0, -torch.inf)
        return scores, found

    def to_bytes(self) -> bytes:
        """The serialised index, for `index.faiss`."""
        import faiss

        return faiss.serialize_index(self.inner).tobytes()

    @staticmethod
    def from_bytes(data: bytes, d_subject: int, factory: str, num_keys: int) -> FaissIndex:
        """Read a serialised index and check that it is the one expected.

        Raises:
            CheckpointError: the bytes are damaged, or hold an index of another size.
        """
        import faiss

        index = FaissIndex(d_subject, factory)
        try:
            index.inner = faiss.deserialize_index(np.frombuffer(data, dtype=np.uint8))
        except RuntimeError as error:
            raise CheckpointError(f"index.faiss: not a readable FAISS index ({_last_line(error)})") from None
        if (index.inner.d, index.inner.ntotal) != (d_subject, num_keys):
            got = f"{index.inner.ntotal} keys of width {index.inner.d}"
            raise CheckpointError(f"index.faiss: expected {num_keys} keys of width {d_subject}, got {got}")
        return index


def _as_numpy(rows: Tensor) -> np.ndarray:
    return np.ascontiguousarray(rows.detach().float().cpu().numpy())


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1]


def build_index(keys: Tensor, kind: str) -> TorchIndex | FaissIndex:
    """An index of the given kind (`"exact"` or a FAISS factory string) over unit keys `[K, C]`.

    Raises:
        SettingsError: the kind is unknown, or cannot be built from so few keys.
    """
    index = TorchIndex(keys.shape[1]) if kind == EXACT else FaissIndex(keys.shape[1], kind)
    if len(keys):
        index.add(keys)
    return index
