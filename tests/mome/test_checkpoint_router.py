"""Routers on disk on their own: reused exactly, or refused with a message that helps."""

import json
from pathlib import Path

import pytest
import torch

from mome.checkpoint import load_router, read_router_report
from mome.config import MoMEConfig
from mome.errors import CheckpointError
from mome.saving import save_router
from tests.mome.damage import seal


@pytest.fixture
def router_folder(taught, tmp_path) -> Path:
    save_router(tmp_path / "router", taught.model.config, taught.model.router, {"threshold": 0.5})
    return tmp_path / "router"


def unfilled(taught, **values) -> MoMEConfig:
    """A configuration as before a router is chosen."""
    given = {"num_heads": 1, "d_head": 1, "d_feature": 1, "feature_layers": [0], **values}
    return MoMEConfig.from_dict({**taught.model.config.to_dict(), **given})


@pytest.mark.parametrize("source", ["router", "checkpoint"])
def test_a_router_reads_back_exactly_from_its_folder_and_from_a_checkpoint(taught, router_folder, source):
    place = router_folder if source == "router" else taught.folder
    config, router = load_router(place, unfilled(taught))
    assert config.to_dict() == taught.model.config.to_dict()
    saved, got = taught.model.router.state_dict(), router.state_dict()
    assert list(saved) == list(got)
    assert all(torch.equal(saved[name], got[name]) for name in saved)
    threshold = read_router_report(place)["threshold"]
    assert threshold == (0.5 if source == "router" else pytest.approx(router.null_similarity.item()))


def test_a_router_for_another_backbone_or_another_site_is_refused(taught, router_folder):
    with pytest.raises(CheckpointError, match=r"fingerprint [0-9a-f]{12}, got .* with 0123456789ab; train a router"):
        load_router(router_folder, unfilled(taught, fingerprint="0123456789abcdef"))
    with pytest.raises(CheckpointError, match=r"reads layers \[0, 2\], above the first site 1; train a router"):
        load_router(router_folder, unfilled(taught, sites=[1]))


def test_a_folder_without_a_router_is_refused(taught, tmp_path):
    with pytest.raises(CheckpointError, match="expected a router made by `mome route`, or a checkpoint; found neither"):
        load_router(tmp_path, unfilled(taught))


@pytest.mark.parametrize("name", ["router.json", "router.safetensors"])
@pytest.mark.parametrize("damage", ["truncated", "flipped", "deleted"])
def test_a_damaged_router_is_refused(taught, router_folder, name, damage):
    path = router_folder / name
    data = path.read_bytes()
    # In the description this turns layer 0 into layer 1, which fits just as well.
    at = data.index(b"0", data.index(b"feature_layers")) if name == "router.json" else len(data) // 2
    if damage == "deleted":
        path.unlink()
    else:
        path.write_bytes(data[:at] if damage == "truncated" else data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    with pytest.raises(CheckpointError, match=name if damage != "deleted" else "missing|found neither"):
        load_router(router_folder, unfilled(taught))


def test_a_router_whose_description_lacks_fields_is_refused(taught, router_folder):
    (router_folder / "router.json").write_text(json.dumps({"fingerprint": taught.model.config.fingerprint}))
    seal(router_folder)
    with pytest.raises(CheckpointError, match=r"router\.json: damaged: the fields \['d_model', 'feature_layers', "):
        load_router(router_folder, unfilled(taught))
