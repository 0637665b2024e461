"""The index over the subject part of the keys: exact search in torch, or FAISS by factory string.

It is a cache, always rebuilt from the keys. Shapes: K keys, Q queries, C width of the subject part, N neighbours.

By default the number of keys decides: exact search while it is the faster one, then an inverted file, which compares a
query with a few of its lists alone. How many is not guessed: it is raised until the nearest key is the one that exact
search finds, for all but one in a thousand of queries that have a cosine of 0.9 with a key. It holds the keys in fp16,
which loses nothing there and leaves half as much to be hashed when a checkpoint is opened.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor

from mome.errors import CheckpointError, SettingsError

if TYPE_CHECKING:
    import faiss

AUTO, EXACT = "auto", "exact"
MAX_EXACT_KEYS = 10_000
NUM_LISTS = 20  # times the cube root of the number of keys
MIN_RECALL = 0.999
NUM_TUNING_QUERIES = 2_000
# Length of the random vector that makes a tuning query of a key: their cosine is then 0.9.
TUNING_NOISE = 0.48
MAX_FRESH_KEYS = 4_096
MAX_FACTORY = 200  # characters
MAX_SCORES = 2**26  # similarities held at once by exact search, 256 MB


class Index(Protocol):
    """What both kinds can do."""

    def add(self, keys: Tensor) -> None:
        """Append unit keys fp32 `[K, C]`; they are numbered in order of arrival."""
        ...

    def remove(self, numbers: Tensor) -> None:
        """Never find the keys with these numbers (int64 `[P]`) again; the others keep theirs."""
        ...

    def without(self, numbers: Tensor) -> Index | None:
        """A copy without the keys with these numbers (int64 `[P]`), the others numbered through; None where it must be
        built anew."""
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
        self.removed = torch.empty(0, dtype=torch.int64)

    def add(self, keys: Tensor) -> None:
        """See `Index.add`."""
        self.keys = torch.cat([self.keys.to(keys.device), keys.float()])

    def remove(self, numbers: Tensor) -> None:
        """See `Index.remove`."""
        self.removed = torch.cat([self.removed, numbers.to(self.removed.device)])

    def without(self, numbers: Tensor) -> TorchIndex:
        """See `Index.without`."""
        left = TorchIndex(self.keys.shape[1])
        is_left = torch.ones(len(self.keys), dtype=torch.bool, device=self.keys.device)
        left.keys = self.keys[is_left.index_fill(0, numbers.to(is_left.device), False)]
        return left

    def search(self, queries: Tensor, num_neighbours: int) -> tuple[Tensor, Tensor]:
        """See `Index.search`."""
        self.keys = self.keys.to(queries.device)
        num_found = min(num_neighbours, len(self.keys))
        parts = queries.float().split(max(1, MAX_SCORES // max(1, len(self.keys))))
        best = [self._scores(part).topk(num_found, dim=-1) for part in parts]
        similarity, number = torch.cat([b.values for b in best]), torch.cat([b.indices for b in best])
        if len(self.removed):
            number = number.masked_fill(similarity == -torch.inf, -1)
        return _pad(similarity, number, num_neighbours)

    def _scores(self, queries: Tensor) -> Tensor:
        scores = queries @ self.keys.T
        if len(self.removed):
            self.removed = self.removed.to(scores.device)
            scores[:, self.removed] = -torch.inf
        return scores


class FaissIndex:
    """A FAISS index over the inner product; kinds that need training are trained on the first keys added.

    Keys that are added to an index that lies in a file are kept beside it, and searched exactly, until there are
    `MAX_FRESH_KEYS`; only then it is read into memory and takes them in.
    """

    def __init__(self, d_subject: int, factory: str):
        import faiss

        self.factory = factory
        self.is_mapped = False
        self.fresh = TorchIndex(d_subject)
        self.removed = torch.empty(0, dtype=torch.int64)
        self._gives_up_keys = True  # until FAISS has refused: to find out takes a copy of all
        self._is_live: faiss.IDSelector | None = None  # None: all are
        try:
            if len(factory) > MAX_FACTORY:  # FAISS would crash over a very long one
                raise RuntimeError(f"a text of {len(factory):,} characters")
            self.inner: faiss.Index = faiss.index_factory(d_subject, factory, faiss.METRIC_INNER_PRODUCT)
        except (RuntimeError, MemoryError) as error:
            raise SettingsError(
                f"index: {factory[:MAX_FACTORY]!r} is not a FAISS factory string for {d_subject}-wide keys "
                f"({_last_line(error)}); "
                'use "auto", "exact", "Flat", "IVF256,Flat", "HNSW32", "PQ16" or another form of the index factory'
            ) from None

    def add(self, keys: Tensor) -> None:
        """See `Index.add`."""
        if self.is_mapped:
            self.fresh.add(keys.cpu())
            if len(self.fresh.keys) > MAX_FRESH_KEYS:
                self._take_in()
            return
        rows = _as_numpy(keys)
        try:
            if not self.inner.is_trained:
                self._train(rows)
            self.inner.add(rows)
        except RuntimeError as error:
            raise SettingsError(
                f"index: {self.factory!r} cannot be built over {len(rows)} keys ({_last_line(error)}); "
                'teach more facts, or use a form with fewer lists, or "exact"'
            ) from None

    def remove(self, numbers: Tensor) -> None:
        """See `Index.remove`. FAISS cannot take keys out of every kind, nor out of a file: they are passed over."""
        import faiss

        self.removed = torch.cat([self.removed, numbers.cpu()])
        self._is_live = faiss.IDSelectorNot(faiss.IDSelectorBatch(self.removed.numpy()))
        fresh = numbers.cpu() - self.inner.ntotal
        self.fresh.remove(fresh[fresh >= 0])

    def _search_live(self, queries: np.ndarray, num_neighbours: int) -> tuple[Tensor, Tensor]:
        """The nearest keys that have not been removed."""
        import faiss

        if self._is_live is None:
            return _tensors(*self.inner.search(queries, num_neighbours))
        # What tells a search to leave keys out replaces the index's own effort, and must repeat it.
        params = None
        if isinstance(self.inner, faiss.IndexIVF):
            params = faiss.SearchParametersIVF(sel=self._is_live, nprobe=self.inner.nprobe)  # type: ignore[call-arg]
        elif isinstance(self.inner, faiss.IndexHNSW):
            effort = self.inner.hnsw.efSearch
            params = faiss.SearchParametersHNSW(sel=self._is_live, efSearch=effort)  # type: ignore[attr-defined]
        elif isinstance(self.inner, faiss.IndexFlat):
            params = faiss.SearchParameters(sel=self._is_live)  # type: ignore[call-arg]
        if params is not None:
            return _tensors(*self.inner.search(queries, num_neighbours, params=params))
        # Other kinds cannot leave any out: as many more are looked for.
        similarity, number = _tensors(*self.inner.search(queries, num_neighbours + len(self.removed)))
        similarity = similarity.masked_fill(torch.isin(number, self.removed), -torch.inf)
        best = similarity.topk(num_neighbours, dim=1)
        return best.values, number.gather(1, best.indices).masked_fill(best.values == -torch.inf, -1)

    def _train(self, rows: np.ndarray) -> None:
        import faiss

        inverted = faiss.try_extract_index_ivf(self.inner)
        if inverted is not None:
            # Half of FAISS's usual effort: finding the lists is most of the cost, and tuning makes up for rough ones.
            inverted.cp.niter, inverted.cp.max_points_per_centroid = 10, 64
            inverted.cp.min_points_per_centroid = 1  # no warning where there are few keys
        self.inner.train(rows)

    def _take_in(self) -> None:
        import faiss

        self.inner, self.is_mapped = faiss.deserialize_index(faiss.serialize_index(self.inner)), False
        keys, self.fresh = self.fresh.keys, TorchIndex(self.inner.d)
        self.add(keys)

    def search(self, queries: Tensor, num_neighbours: int) -> tuple[Tensor, Tensor]:
        """See `Index.search`."""
        if not self.inner.ntotal:  # a kind that needs training cannot be searched before it has keys
            return TorchIndex(self.inner.d).search(queries, num_neighbours)
        scores, found = (part.to(queries.device) for part in self._search_live(_as_numpy(queries), num_neighbours))
        # A file may hold any numbers. Looking at all of them when it is opened would bring most of it into memory.
        is_none = (found < 0) | (found >= self.inner.ntotal)
        scores, found = scores.masked_fill(is_none, -torch.inf), found.masked_fill(is_none, -1)
        if not len(self.fresh.keys):
            return scores, found
        fresh_scores, fresh = self.fresh.search(queries, num_neighbours)
        fresh = torch.where(fresh < 0, fresh, fresh + self.inner.ntotal)
        best = torch.cat([scores, fresh_scores], dim=1).topk(num_neighbours, dim=1)
        return best.values, torch.cat([found, fresh], dim=1).gather(1, best.indices)

    def tune(self, keys: Tensor) -> None:
        """Raise the search's effort until it finds what exact search finds, see the module; `keys` are all keys."""
        import faiss

        name = next((name for name in ("nprobe", "efSearch") if self._takes(name)), None)
        if name is None:
            return
        generator = torch.Generator().manual_seed(0)
        chosen = torch.randperm(len(keys), generator=generator)[:NUM_TUNING_QUERIES]
        noise = torch.nn.functional.normalize(torch.randn(len(chosen), keys.shape[1], generator=generator), dim=-1)
        queries = torch.nn.functional.normalize(keys[chosen].float().cpu() + TUNING_NOISE * noise, dim=-1)
        right = nearest(queries, keys)
        best, best_recall, effort = 1, -1.0, 1
        inverted = faiss.try_extract_index_ivf(self.inner)
        most = inverted.nlist if inverted is not None and name == "nprobe" else math.inf
        # A compressed kind may never get there: enough when four times the effort found no more.
        while best_recall < MIN_RECALL and effort <= min(4 * best, most):
            faiss.ParameterSpace().set_index_parameter(self.inner, name, effort)
            recall = float((self.search(queries, 1)[1][:, 0] == right).float().mean())
            if recall > best_recall:
                best, best_recall = effort, recall
            effort *= 2
        faiss.ParameterSpace().set_index_parameter(self.inner, name, best)

    def _takes(self, name: str) -> bool:
        import faiss

        space = faiss.ParameterSpace()
        space.initialize(self.inner)
        ranges = (space.parameter_ranges.at(place) for place in range(space.parameter_ranges.size()))
        return any(found.name == name for found in ranges)

    @property
    def num_keys(self) -> int:
        """How many keys it holds."""
        return self.inner.ntotal + len(self.fresh.keys)

    def without(self, numbers: Tensor) -> FaissIndex | None:
        """See `Index.without`; nothing is trained anew. None where FAISS cannot take keys out of this kind, or the keys
        in it are not these."""
        import faiss

        if not self._gives_up_keys:
            return None
        left = FaissIndex(self.inner.d, self.factory)
        left.inner = faiss.deserialize_index(faiss.serialize_index(self.inner))
        if len(self.fresh.keys):
            left.add(self.fresh.keys)
        rank = torch.ones(left.num_keys, dtype=torch.int64).index_fill(0, numbers.cpu(), 0).cumsum(0) - 1
        lists = _lists(left.inner)
        if faiss.try_extract_index_ivf(left.inner) is not None and not _are_all(lists, left.num_keys):
            self._gives_up_keys = False
            return None
        try:
            left.inner.remove_ids(faiss.IDSelectorBatch(numbers.cpu().numpy()))
        except RuntimeError:
            self._gives_up_keys = False
            return None
        for ids in _lists(left.inner):  # an inverted file keeps the numbers that the keys had
            ids[:] = rank.numpy()[ids]
        return left

    def write(self, path: Path) -> None:
        """Write the index, for `index.faiss`.

        Raises:
            OSError: it cannot be written.
        """
        import faiss

        if len(self.fresh.keys):
            self._take_in()
        try:
            faiss.write_index(self.inner, str(path))
        except RuntimeError as error:
            raise OSError(_last_line(error)) from None

    @staticmethod
    def read(path: Path, d_subject: int, factory: str, num_keys: int) -> FaissIndex:
        """Open an index that was written, and check that it is the one expected. It stays in its file; what is not
        searched is not read.

        Raises:
            CheckpointError: the file is damaged, or holds an index of another size.
        """
        import faiss

        index = FaissIndex(d_subject, factory)
        try:
            with _sizes_bounded_by(path):
                index.inner = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        except (RuntimeError, MemoryError, OSError) as error:
            raise CheckpointError(f"index.faiss: not a readable FAISS index ({_last_line(error)})") from None
        if (index.inner.d, index.inner.ntotal) != (d_subject, num_keys):
            got = f"{index.inner.ntotal} keys of width {index.inner.d}"
            raise CheckpointError(f"index.faiss: expected {num_keys} keys of width {d_subject}, got {got}")
        inverted = faiss.try_extract_index_ivf(index.inner)
        if inverted is not None and not 1 <= inverted.nprobe <= inverted.nlist:
            raise CheckpointError(f"index.faiss: expected 1 to {inverted.nlist} lists searched, got {inverted.nprobe}")
        index.is_mapped = True
        return index


@contextmanager
def _sizes_bounded_by(path: Path) -> Iterator[None]:
    """Inside, FAISS makes no table that is larger than a file, nor reads more of them: what asks for one is damaged,
    and would keep the reader busy for as long as it takes to fill the memory."""
    import faiss

    before = faiss.get_deserialization_vector_byte_limit(), faiss.get_deserialization_loop_limit()
    num_bytes = path.stat().st_size
    faiss.set_deserialization_vector_byte_limit(num_bytes)
    faiss.set_deserialization_loop_limit(num_bytes)
    try:
        yield
    finally:
        faiss.set_deserialization_vector_byte_limit(before[0])
        faiss.set_deserialization_loop_limit(before[1])


def _lists(index: faiss.Index) -> list[np.ndarray]:
    """The numbers of the keys in every list of an inverted file, to be read or written; of other kinds none."""
    import faiss

    inverted = faiss.try_extract_index_ivf(index)
    if inverted is None:
        return []
    lists = inverted.invlists
    assert lists is not None
    sizes = [(number, lists.list_size(number)) for number in range(inverted.nlist)]
    return [faiss.rev_swig_ptr(lists.get_ids(number), size) for number, size in sizes if size]


def _are_all(lists: list[np.ndarray], num: int) -> bool:
    """Whether the numbers in these lists are those from 0 to `num`, each once."""
    numbers = np.concatenate([*lists, np.empty(0, dtype=np.int64)])
    if len(numbers) != num or (num and not 0 <= numbers.min() <= numbers.max() < num):
        return False
    is_there = np.zeros(num, dtype=bool)
    is_there[numbers] = True
    return bool(is_there.all())


def nearest(queries: Tensor, keys: Tensor) -> Tensor:
    """The key nearest to each query by exact search, int64 `[Q]`, a part of the keys at a time."""
    score, number = torch.full((len(queries),), -torch.inf), torch.zeros(len(queries), dtype=torch.int64)
    size = max(1, MAX_SCORES // max(1, len(queries)))
    for start in range(0, len(keys), size):
        part = (queries @ keys[start : start + size].float().cpu().T).max(dim=1)
        number = torch.where(part.values > score, part.indices + start, number)
        score = torch.maximum(part.values, score)
    return number


def _tensors(similarity: np.ndarray, number: np.ndarray) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(similarity), torch.from_numpy(number)


def _as_numpy(rows: Tensor) -> np.ndarray:
    return np.ascontiguousarray(rows.detach().float().cpu().numpy())


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1]


def kind_for(kind: str, num_keys: int) -> str:
    """What `"auto"` stands for, given the number of keys; any other kind is itself.

    >>> kind_for("auto", 1_000), kind_for("auto", 1_000_000), kind_for("Flat", 1_000_000)
    ('exact', 'IVF2048,SQfp16', 'Flat')
    """
    if kind != AUTO:
        return kind
    if num_keys <= MAX_EXACT_KEYS:
        return EXACT
    # Finding the lists costs their number at every key; searching, their number and their length at every query.
    return f"IVF{2 ** round(math.log2(NUM_LISTS * num_keys ** (1 / 3)))},SQfp16"


def build_index(keys: Tensor, kind: str) -> TorchIndex | FaissIndex:
    """An index of the given kind (`"auto"`, `"exact"` or a FAISS factory string) over unit keys `[K, C]`.

    Raises:
        SettingsError: the kind is unknown, or cannot be built from so few keys.
    """
    kind = kind_for(kind, len(keys))
    index = TorchIndex(keys.shape[1]) if kind == EXACT else FaissIndex(keys.shape[1], kind)
    if len(keys):
        index.add(keys)
        if isinstance(index, FaissIndex):
            index.tune(keys)
    return index
