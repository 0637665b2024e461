"""`mome bench latency` and `mome bench scale`, end to end at sizes that say nothing about speed."""

import json

import pytest
import torch

import benchmarks.latency
import benchmarks.record
import benchmarks.scale
from benchmarks.synthetic import keys_like


@pytest.fixture
def results(tmp_path, monkeypatch):
    for module in (benchmarks.record, benchmarks.latency, benchmarks.scale):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
    return tmp_path


@pytest.mark.slow
def test_latency(results, backbone_folder, capsys):
    sizes = ["--experts", "[0,50]", "--tokens", "4", "--prefill", "32", "--prefills", "2", "--batch", "3"]
    benchmarks.latency.main(["--backbone", str(backbone_folder), "--prompt", "8", *sizes])
    flat = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert flat == json.loads((results / "latency.json").read_text())["result"]
    expected = {f"decode_ratio_{num}_{gate}" for num in (0, 50) for gate in ("open", "closed")}
    expected |= {f"{name}_ratio_{num}" for name in ("batch3", "prefill") for num in (0, 50)}
    assert flat.keys() >= {*expected, "lora_decode_ratio", "rag_decode_ratio"}
    assert all(value > 0 for name, value in flat.items() if "ratio" in name)
    assert (flat["open_share_0"], flat["open_share_50"] > 0.5) == (0, True), "the gate is open where it says so"
    assert (results / "latency.png").stat().st_size > 0


@pytest.mark.slow
def test_scale(results, tmp_path, capsys):
    sizes = {"taught": [20], "capacity": [10, 1000], "opened": [30], "indexed": [40, 12_000]}
    options = [word for name, value in sizes.items() for word in (f"--{name}", json.dumps(value))]
    options += ["--observed", "500"]
    benchmarks.scale.main([*options, "--work", str(tmp_path / "work")])
    flat = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert flat.keys() >= {"seconds_per_fact_20", "step_ratio_capacity", "open_seconds_30", "open_extra_mb_30"}
    assert flat.keys() >= {"add_one_seconds_30", "index_build_seconds_40", "index_build_seconds_12000"}
    assert (flat["index_kind_40"], flat["index_recall_40"]) == ("exact", 1.0)
    assert flat["index_kind_12000"] == "IVF512,Flat" and flat["index_recall_12000"] >= 0.99
    assert flat["below_margin_20"] == 0
    assert (results / "scale.png").stat().st_size > 0 and not (tmp_path / "work").exists()


def test_keys_lie_between_queries_in_both_parts():
    queries = torch.nn.functional.normalize(torch.randn(30, 6), dim=-1)
    keys = keys_like(queries, 200, d_relation=2)
    assert keys.shape == (200, 6)
    for part in keys.split([4, 2], dim=1):
        assert torch.allclose(part.norm(dim=1), torch.ones(200), atol=1e-5)
