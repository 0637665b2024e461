"""The gate: cross-attention over the nearest keys and the null key, against a plain twin."""

import pytest
import torch
from torch import Tensor

from mome.attention import Gate, attend
from mome.index import build_index
from mome.lookup import retrieve
from mome.memory import CLOSED
from tests.mome.readings import tables_of

NULL = 0.6


def unit(*degrees: float) -> Tensor:
    angles = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    return torch.stack([angles.cos(), angles.sin()], dim=-1).float()


NO_RIVALS = torch.zeros(1, 2)


def read_keys(query: Tensor, keys: Tensor, num_neighbours: int, gate: Gate, kind: str = "exact") -> list[Tensor]:
    found = retrieve(query, build_index(keys[:, :2], kind), keys, 2, num_neighbours)
    return tables_of(attend(query, found, keys, gate))


def both(subject: Tensor, relation: Tensor | None = None) -> Tensor:
    """Queries or keys of these two parts, by default the same."""
    return torch.cat([subject, subject if relation is None else relation], dim=-1)


class TestAttend:
    @pytest.mark.parametrize("kind", ["exact", "Flat"])
    def test_equals_the_plain_twin(self, kind):
        gate = Gate(NULL, 2.0, 0.07, NO_RIVALS)
        keys = both(unit(0, 40, 90, 200), unit(10, 35, 60, 190))
        queries = both(unit(5, 50, 130, 260, 199, 20), unit(15, 45, 140, 250, 199, 80))
        key, similarity, confidence = read_keys(queries.view(2, 3, 4), keys, 3, gate, kind)
        assert key.shape == similarity.shape == confidence.shape == (2, 3)
        for number, query in enumerate(queries.double()):
            nearness, relations = (keys[:, part].double() @ query[part] for part in (slice(0, 2), slice(2, 4)))
            found = nearness.sort(descending=True).indices[:3].tolist()
            opened = [one for one in found if float(relations[one]) > NULL]
            best = max(opened, key=lambda one: float(nearness[one] + relations[one]), default=None)
            shown = best if best is not None else max(found, key=lambda one: float(relations[one]))
            row = divmod(number, 3)
            assert int(key[row]) == (CLOSED if best is None else best)
            assert float(similarity[row]) == pytest.approx(float(relations[shown]), abs=1e-6)
            seen = torch.cat([relations[shown][None], relations[found], torch.tensor([NULL])]) / 0.07
            sure = 0.0 if best is None else float((seen[0] - seen[1:].logsumexp(0)).exp())
            assert float(confidence[row]) == pytest.approx(sure, abs=1e-5)
        assert (key == CLOSED).any() and (key != CLOSED).any()

    def test_the_gate_opens_strictly_above_the_null_similarity(self):
        keys, query = both(unit(0)), both(unit(60))[None]
        similarity = float(read_keys(query, keys, 1, Gate(NULL, 2.0, 0.1, NO_RIVALS))[1])
        below = float(torch.nextafter(torch.tensor(similarity), torch.tensor(0.0)))
        assert int(read_keys(query, keys, 1, Gate(similarity, 2.0, 0.1, NO_RIVALS))[0]) == CLOSED
        assert int(read_keys(query, keys, 1, Gate(below, 2.0, 0.1, NO_RIVALS))[0]) == 0

    @pytest.mark.parametrize(("rival", "margin", "opens"), [(70, 0.0, False), (70, 0.8, True), (-70, 0.0, True)])
    def test_the_gate_closes_where_a_rival_is_nearer(self, rival, margin, opens):
        """The query stands between the key and what another question is like."""
        gate = Gate(NULL, margin, 0.1, unit(rival, 170))
        key, similarity, confidence = read_keys(both(unit(40))[None], both(unit(0)), 1, gate)
        assert (int(key) == 0) == opens
        assert float(similarity) == pytest.approx(0.766, abs=1e-3)
        assert (float(confidence) > 0.5) == opens

    def test_a_rival_that_asks_for_the_same_is_none(self):
        gate = Gate(NULL, 0.0, 0.1, unit(50, 30))
        assert int(read_keys(both(unit(40))[None], both(unit(0)), 1, gate)[0]) == 0

    def test_attention_sums_to_one(self):
        """The weights of two keys and the null key, each taken as the nearest in turn."""
        keys, query, temperature = both(unit(0, 30)), both(unit(10)), 0.2
        similarity = (keys @ query[0] / 2).sort(descending=True).values
        first = read_keys(query[None], keys, 2, Gate(NULL, 2.0, temperature, NO_RIVALS))[2]
        ratio = ((similarity[1] - similarity[0]) / temperature).exp()
        null = ((NULL - similarity[0]) / temperature).exp()
        assert float(first * (1 + ratio + null)) == pytest.approx(1.0, abs=1e-6)

    def test_at_the_null_similarity_the_attention_is_even(self):
        gate = Gate(1.0 - 1e-6, 2.0, 0.1, NO_RIVALS)
        assert float(read_keys(both(unit(0))[None], both(unit(0)), 1, gate)[2]) == pytest.approx(0.5, abs=1e-4)

    @pytest.mark.parametrize("kind", ["exact", "Flat", "IVF4,Flat"])
    def test_no_keys(self, kind):
        gate = Gate(NULL, 0.5, 0.1, NO_RIVALS)
        key, similarity, confidence = read_keys(both(unit(0, 10))[None], torch.empty(0, 4), 4, gate, kind)
        assert key.tolist() == [[CLOSED, CLOSED]]
        assert (similarity == -torch.inf).all() and not confidence.any()

    def test_fewer_keys_than_neighbours(self):
        gate = Gate(NULL, 0.5, 0.1, NO_RIVALS)
        few = read_keys(both(unit(20))[None], both(unit(0, 90)), 5, gate)
        enough = read_keys(both(unit(20))[None], both(unit(0, 90)), 2, gate)
        assert all(torch.equal(a, b) for a, b in zip(few, enough, strict=True))
