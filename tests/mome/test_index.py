"""Both kinds of index: the same neighbours, few keys and none, the bytes of the cache, and what is refused."""

import subprocess
import sys
from pathlib import Path

import faiss
import pytest
import torch
from torch import Tensor

from mome import index as index_module
from mome.errors import CheckpointError, SettingsError
from mome.index import FaissIndex, TorchIndex, build_index, nearest

NUM_KEYS, WIDTH = 400, 16
EXACT_KINDS = ["exact", "Flat"]
KINDS = [*EXACT_KINDS, "HNSW32", "IVF8,Flat", "IVF8,SQfp16", "PQ4x4", "IVF8,PQ4x4", "SQ8"]


def unit_rows(num_rows: int, seed: int = 0) -> Tensor:
    rows = torch.randn(num_rows, WIDTH, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(rows, dim=-1)


@pytest.fixture
def keys() -> Tensor:
    return unit_rows(NUM_KEYS)


@pytest.fixture
def queries() -> Tensor:
    return unit_rows(20, seed=1)


class TestSearch:
    @pytest.mark.parametrize("kind", EXACT_KINDS)
    def test_equals_the_plain_twin(self, kind, keys, queries):
        similarity, number = build_index(keys, kind).search(queries, 5)
        assert similarity.shape == number.shape == (20, 5)
        assert similarity.dtype == torch.float32 and number.dtype == torch.int64
        for row, query in enumerate(queries):
            cosines = [float((key.double() * query.double()).sum()) for key in keys]
            expected = sorted(range(NUM_KEYS), key=lambda k: -cosines[k])[:5]
            assert number[row].tolist() == expected
            assert similarity[row].tolist() == pytest.approx([cosines[k] for k in expected], abs=1e-6)

    def test_kinds_agree(self, keys, queries):
        similarity, number = build_index(keys, "exact").search(queries, 7)
        other, found = build_index(keys, "Flat").search(queries, 7)
        assert torch.equal(number, found)
        assert torch.allclose(similarity, other, atol=1e-6)

    @pytest.mark.parametrize("kind", KINDS)
    def test_every_kind_finds_the_key_itself(self, kind, keys):
        """A taught prompt's query is its key."""
        similarity, number = build_index(keys, kind).search(keys, 3)
        assert number.shape == (NUM_KEYS, 3) and similarity.isfinite().all()
        assert (similarity.diff(dim=1) <= 0).all()
        hits = (number[:, 0] == torch.arange(NUM_KEYS)).float().mean()
        assert hits == 1.0 if "PQ" not in kind else hits > 0.5

    @pytest.mark.parametrize("kind", ["HNSW32", "IVF8,Flat"])
    def test_uncompressed_kinds_give_exact_similarities(self, kind, keys, queries):
        similarity, number = build_index(keys, kind).search(queries, 3)
        assert torch.allclose(similarity, (keys[number] * queries[:, None]).sum(-1), atol=1e-6)

    @pytest.mark.parametrize("kind", ["exact", "Flat", "HNSW32"])
    def test_fewer_keys_than_neighbours(self, kind, keys, queries):
        similarity, number = build_index(keys[:3], kind).search(queries, 5)
        assert (number[:, 3:] == -1).all() and (similarity[:, 3:] == -torch.inf).all()
        assert number[:, :3].sort().values.tolist() == [[0, 1, 2]] * len(queries)
        assert similarity[:, :3].isfinite().all()

    @pytest.mark.parametrize("kind", KINDS)
    def test_no_keys(self, kind, keys, queries):
        """A memory is searched before anything is taught, whatever kind it will have."""
        similarity, number = build_index(keys[:0], kind).search(queries, 4)
        assert similarity.shape == (20, 4) and similarity.dtype == torch.float32
        assert (number == -1).all() and (similarity == -torch.inf).all()

    @pytest.mark.parametrize("kind", KINDS)
    def test_no_queries(self, kind, keys):
        similarity, number = build_index(keys, kind).search(keys[:0], 4)
        assert similarity.shape == number.shape == (0, 4)

    @pytest.mark.parametrize("kind", EXACT_KINDS)
    def test_add_in_pieces(self, kind, keys, queries):
        index = build_index(keys[:0], kind)
        for piece in keys.split([1, 150, 249]):
            index.add(piece)
        similarity, number = index.search(queries, 6)
        whole, found = build_index(keys, kind).search(queries, 6)
        assert torch.equal(number, found) and torch.allclose(similarity, whole, atol=1e-6)

    @pytest.mark.parametrize("kind", [*KINDS, "PCA8,Flat", "OPQ4,IVF8,PQ4x4"])
    def test_removed_keys_are_never_found_and_the_others_are_as_before(self, kind, keys, queries):
        index = build_index(keys, kind)
        similarity, number = index.search(queries, 12)
        gone = number[:, [0, 2]].unique()
        index.remove(gone[:-3])
        index.remove(gone[-3:])
        left, found = index.search(queries, 5)
        assert not torch.isin(found, gone).any()
        for row in range(len(queries)):
            stays = ~torch.isin(number[row], gone)
            assert stays.sum() >= 5
            assert torch.allclose(left[row], similarity[row][stays][:5], atol=1e-6)

    @pytest.mark.parametrize("kind", ["exact", "Flat", "IVF8,Flat", "SQ8"])
    def test_all_but_one_are_removed(self, kind, keys, queries):
        index = build_index(keys, kind)
        index.remove(torch.arange(NUM_KEYS - 1))
        similarity, number = index.search(keys[-1:], 3)
        assert number.tolist() == [[NUM_KEYS - 1, -1, -1]]
        assert similarity[0].isfinite().tolist() == [True, False, False]
        index.add(queries[:1])
        assert index.search(queries[:1], 1)[1].tolist() == [[NUM_KEYS]], "numbers go on"

    @pytest.mark.parametrize("kind", ["HNSW32", "IVF8,Flat", "PQ4x4"])
    def test_keys_added_later_are_found(self, kind, keys):
        index = build_index(keys, kind)
        index.add(unit_rows(5, seed=9))
        assert index.search(unit_rows(5, seed=9), 1)[1].flatten().tolist() == list(range(NUM_KEYS, NUM_KEYS + 5))

    def test_many_queries_are_searched_in_parts(self, monkeypatch, keys, queries):
        whole = TorchIndex(WIDTH)
        whole.add(keys)
        expected = whole.search(queries, 4)
        monkeypatch.setattr(index_module, "MAX_SCORES", 3 * NUM_KEYS)
        similarity, number = whole.search(queries, 4)
        assert torch.equal(number, expected[1]) and torch.allclose(similarity, expected[0], atol=1e-6)

    def test_the_keys_follow_the_queries_to_their_device(self, keys):
        """The bank's keys lie on the CPU, the queries where the backbone computes."""
        index = build_index(keys, "exact")
        similarity, number = index.search(torch.empty(2, WIDTH, device="meta"), 3)
        assert index.keys.device == similarity.device == number.device == torch.device("meta")

    @pytest.mark.parametrize("kind", EXACT_KINDS)
    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
    def test_any_float_dtype(self, kind, dtype, keys, queries):
        similarity, _ = build_index(keys.to(dtype), kind).search(queries.to(dtype), 2)
        assert similarity.dtype == torch.float32
        assert torch.allclose(similarity, build_index(keys, kind).search(queries, 2)[0], atol=0.02)


def written(index: FaissIndex, folder: Path) -> Path:
    index.write(folder / "index.faiss")
    return folder / "index.faiss"


class TestFile:
    @pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "exact"])
    def test_round_trip(self, kind, keys, queries, tmp_path):
        index = build_index(keys, kind)
        again = FaissIndex.read(written(index, tmp_path), WIDTH, kind, NUM_KEYS)
        for got, expected in zip(again.search(queries, 4), index.search(queries, 4), strict=True):
            assert torch.equal(got, expected)

    @pytest.mark.parametrize("kind", ["Flat", "IVF8,Flat", "IVF8,SQfp16", "HNSW32"])
    @pytest.mark.parametrize("max_fresh", [1000, 100])
    def test_keys_can_be_added_afterwards(self, kind, max_fresh, keys, queries, tmp_path, monkeypatch):
        """First beside the file, then taken in; the file stays as it is."""
        monkeypatch.setattr(index_module, "MAX_FRESH_KEYS", max_fresh)
        path = written(build_index(keys[:200], kind), tmp_path)
        data = path.read_bytes()
        again = FaissIndex.read(path, WIDTH, kind, 200)
        for piece in keys[200:].split(90):
            again.add(piece)
        assert again.is_mapped == (max_fresh == 1000)
        assert again.search(keys, 1)[1].flatten().tolist() == list(range(NUM_KEYS))
        similarity, number = again.search(queries, 5)
        assert (similarity.diff(dim=1) <= 0).all()
        if kind == "Flat":
            expected = build_index(keys, "exact").search(queries, 5)
            assert torch.equal(number, expected[1]) and torch.allclose(similarity, expected[0], atol=1e-6)
        assert path.read_bytes() == data
        (tmp_path / "new").mkdir()
        reread = FaissIndex.read(written(again, tmp_path / "new"), WIDTH, kind, NUM_KEYS)
        assert reread.search(keys, 1)[1].flatten().tolist() == list(range(NUM_KEYS))

    @pytest.mark.parametrize("kind", ["Flat", "IVF8,Flat", "IVF8,SQfp16", "HNSW32"])
    def test_keys_are_removed_from_the_file_and_from_beside_it(self, kind, keys, tmp_path, monkeypatch):
        monkeypatch.setattr(index_module, "MAX_FRESH_KEYS", 100)
        again = FaissIndex.read(written(build_index(keys[:200], kind), tmp_path), WIDTH, kind, 200)
        again.add(keys[200:290])
        gone = torch.tensor([3, 199, 200, 289])
        again.remove(gone)
        for _ in range(2):
            found = again.search(keys[:290], 1)[1].flatten()
            right = found == torch.arange(290)
            assert (~right).nonzero().flatten().tolist() == gone.tolist() and not torch.isin(found, gone).any()
            again.add(keys[290:])  # taken in, and the removed ones stay out
        assert not again.is_mapped

    @pytest.mark.parametrize("kind", ["Flat", "SQ8", "IVF8,Flat", "IVF4,PQ4x4", "PCAR8,IVF8,Flat", "HNSW32"])
    def test_what_is_left_is_numbered_through_and_not_trained_anew(self, kind, keys, queries, tmp_path, monkeypatch):
        index = FaissIndex.read(written(build_index(keys[:200], kind), tmp_path), WIDTH, kind, 200)
        index.add(keys[200:])
        gone = torch.tensor([0, 77, 199, 200, NUM_KEYS - 1])
        index.remove(gone)
        with monkeypatch.context() as patched:
            patched.setattr(FaissIndex, "_train", lambda *_args: pytest.fail("trained anew"))
            left = index.without(gone)
        if kind == "HNSW32":
            assert left is None
            return
        assert left is not None and left.inner.ntotal == NUM_KEYS - len(gone) and not left.is_mapped
        kept = torch.ones(NUM_KEYS, dtype=torch.bool).index_fill(0, gone, False).nonzero().flatten()
        similarity, number = left.search(queries, 3)
        index._take_in()  # so that both compare with the same compressed keys
        expected = index.search(queries, 3)
        assert torch.equal(torch.where(number < 0, number, kept[number]), expected[1])
        assert torch.equal(similarity, expected[0])
        again = FaissIndex.read(written(left, tmp_path), WIDTH, kind, len(kept))
        assert torch.equal(again.search(queries, 3)[1], number)

    @pytest.mark.parametrize("nprobe", [0, 9])
    def test_a_search_that_is_none_is_refused(self, nprobe, keys, tmp_path):
        index = build_index(keys, "IVF8,Flat")
        index.inner.nprobe = nprobe
        with pytest.raises(CheckpointError, match=f"expected 1 to 8 lists searched, got {nprobe}"):
            FaissIndex.read(written(index, tmp_path), WIDTH, "IVF8,Flat", NUM_KEYS)

    @pytest.mark.parametrize("number", [-1, NUM_KEYS, 2**40, "another's"])
    def test_a_key_that_is_not_there_is_not_found_and_goes_with_the_next_change(self, number, keys, tmp_path):
        """Its number would lead out of the bank."""
        index = build_index(keys, "IVF8,Flat")
        lists = index_module._lists(index.inner)
        lost = int(lists[0][0])
        lists[0][0] = lists[1][0] if number == "another's" else number
        index = FaissIndex.read(written(index, tmp_path), WIDTH, "IVF8,Flat", NUM_KEYS)
        index.inner.nprobe = 8
        similarity, found = index.search(keys[lost][None], NUM_KEYS)
        assert found.min() >= -1 and found.max() < NUM_KEYS and lost not in found
        assert ((similarity == -torch.inf) == (found == -1)).all()
        assert index.without(torch.tensor([1])) is None

    @pytest.mark.parametrize(
        "damage",
        [
            lambda data: b"",
            lambda data: data[:20],
            lambda data: data[:-100],
            lambda data: b"no index at all",
            lambda data: bytes([data[0] ^ 255]) + data[1:],
            lambda data: data[:8] + b"\xff" * 8 + data[16:],
        ],
        ids=["empty", "header cut", "rows cut", "text", "kind", "count"],
    )
    def test_damaged(self, damage, keys, tmp_path):
        path = written(build_index(keys, "Flat"), tmp_path)
        path.write_bytes(damage(path.read_bytes()))
        with pytest.raises(CheckpointError, match=r"index\.faiss: not a readable FAISS index"):
            FaissIndex.read(path, WIDTH, "Flat", NUM_KEYS)

    def test_a_table_larger_than_its_file_is_not_made(self, keys, tmp_path):
        """FAISS would fill it with zeros first, gigabytes of them, and then find that there is nothing to read."""
        index = build_index(keys, "IVF8,Flat")
        path = written(index, tmp_path)
        data = path.read_bytes()
        sizes = b"".join(len(numbers).to_bytes(8, "little") for numbers in index_module._lists(index.inner))
        assert data.count(sizes) == 1
        path.write_bytes(data.replace(sizes, (2**24).to_bytes(8, "little") + sizes[8:]))
        limit = faiss.get_deserialization_vector_byte_limit()
        with pytest.raises(CheckpointError, match="inverted list 0 ids size 16777216 exceeds"):
            FaissIndex.read(path, WIDTH, "IVF8,Flat", NUM_KEYS)
        assert faiss.get_deserialization_vector_byte_limit() == limit

    def test_wrong_number_of_keys(self, keys, tmp_path):
        with pytest.raises(CheckpointError, match="expected 401 keys of width 16, got 400 keys of width 16"):
            FaissIndex.read(written(build_index(keys, "Flat"), tmp_path), WIDTH, "Flat", NUM_KEYS + 1)

    def test_wrong_width(self, keys, tmp_path):
        with pytest.raises(CheckpointError, match="expected 400 keys of width 32, got 400 keys of width 16"):
            FaissIndex.read(written(build_index(keys, "Flat"), tmp_path), 32, "Flat", NUM_KEYS)


class TestRefused:
    @pytest.mark.parametrize("kind", ["", "nonsense", "flat", "IVF0x,Flat", "PQ3", "x" * 20_000])
    def test_unknown_factory_string(self, kind, keys):
        with pytest.raises(SettingsError, match=r'is not a FAISS factory string for 16-wide keys .*use "auto"'):
            build_index(keys, kind)

    @pytest.mark.parametrize("kind", ["IVF256,Flat", "PQ4"])
    def test_too_few_keys_to_train(self, kind, keys):
        with pytest.raises(SettingsError, match=f"index: {kind!r} cannot be built over 100 keys .*teach more facts"):
            build_index(keys[:100], kind)

    def test_a_kind_that_takes_no_keys(self, keys):
        with pytest.raises(SettingsError, match="index: 'IDMap,Flat' cannot be built over 400 keys"):
            build_index(keys, "IDMap,Flat")


class TestTuning:
    @pytest.mark.parametrize("kind", ["IVF32,Flat", "HNSW4"])
    def test_the_effort_is_raised_until_exact_search_is_met(self, kind):
        keys = unit_rows(3000)
        noise = unit_rows(3000, seed=2)
        queries = torch.nn.functional.normalize(keys + 0.48 * noise, dim=-1)
        exact = build_index(keys, "exact").search(queries, 1)[1]
        tuned, untuned = build_index(keys, kind), FaissIndex(WIDTH, kind)
        untuned.add(keys)
        recall, before = ((index.search(queries, 1)[1] == exact).float().mean() for index in (tuned, untuned))
        assert before < 0.99
        assert recall >= 0.998  # of other queries than those that it was tuned on

    def test_nearest_is_exact_search_in_parts(self, keys, queries, monkeypatch):
        expected = build_index(keys, "exact").search(queries, 1)[1][:, 0]
        monkeypatch.setattr(index_module, "MAX_SCORES", 7 * len(queries))
        assert torch.equal(nearest(queries, keys), expected)

    def test_a_kind_that_never_finds_all_takes_no_needless_effort(self, keys):
        assert build_index(keys, "IVF8,PQ4x4").inner.nprobe <= 8

    def test_no_more_lists_are_searched_than_there_are(self, keys, tmp_path):
        index = build_index(keys, "IVF3,PQ4x4")
        assert index.inner.nprobe <= 3
        FaissIndex.read(written(index, tmp_path), WIDTH, "IVF3,PQ4x4", NUM_KEYS)

    def test_auto_goes_by_the_number_of_keys(self, monkeypatch, keys):
        assert isinstance(build_index(keys, "auto"), TorchIndex)
        monkeypatch.setattr(index_module, "MAX_EXACT_KEYS", 300)
        index = build_index(keys, "auto")
        assert isinstance(index, FaissIndex) and index.factory == "IVF128,SQfp16"


def test_faiss_is_imported_only_where_it_is_used():
    """Answering from an exact index, and so the model's module, must not need FAISS."""
    code = """
import sys
sys.modules["faiss"] = None
import torch
import mome.modeling
from mome.index import build_index
print(build_index(torch.eye(3), "exact").search(torch.eye(3), 1)[1].flatten().tolist())
try:
    build_index(torch.eye(3), "Flat")
except ImportError:
    print("no faiss")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["[0, 1, 2]", "no faiss"], done.stderr
