"""`mome bench latency`, `mome bench scale` and `mome bench teach`, end to end at sizes that say nothing about speed."""

import json

import pytest
import torch

import benchmarks.gpu
import benchmarks.latency
import benchmarks.record
import benchmarks.scale
import benchmarks.teach
from benchmarks.synthetic import keys_like
from benchmarks.teach import Taught, summarize
from mome.errors import SettingsError


@pytest.fixture
def results(tmp_path, monkeypatch):
    for module in (benchmarks.record, benchmarks.gpu, benchmarks.latency, benchmarks.scale, benchmarks.teach):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
    return tmp_path


@pytest.mark.slow
def test_latency(results, backbone_folder, capsys):
    sizes = ["--experts", "[0,50]", "--tokens", "4", "--prefill", "32", "--prefills", "2", "--batch", "3"]
    benchmarks.latency.main(["--backbone", str(backbone_folder), "--prompt", "8", *sizes])
    flat = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert flat == json.loads((results / "latency.json").read_text())["result"]
    expected = {f"decode_ratio_{num}_{gate}" for num in (0, 50) for gate in ("open", "closed", "following")}
    expected |= {f"{name}_ratio_{num}" for name in ("batch3", "prefill") for num in (0, 50)}
    assert flat.keys() >= {*expected, "lora_decode_ratio", "rag_decode_ratio"}
    assert all(value > 0 for name, value in flat.items() if "ratio" in name)
    assert (flat["open_share_0"], flat["open_share_50"] > 0.5) == (0, True), "the gate is open where it says so"
    assert (flat["following_share_0"], flat["following_share_50"]) == (0, 1), "a fact is being said"
    assert (results / "latency.png").stat().st_size > 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_its_benchmark_says_so():
    with pytest.raises(SettingsError, match="expected a CUDA device, found none"):
        benchmarks.gpu.main([])


@pytest.mark.slow
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_gpu(results, backbone_folder, capsys):
    sizes = ["--experts", "[0,50]", "--tokens", "4", "--prefill", "32", "--prefills", "2", "--batch", "3"]
    benchmarks.gpu.main(["--backbone", str(backbone_folder), "--prompt", "8", *sizes])
    flat = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert flat["device_open_share_50"] > 0.5 and flat["host_open_share_50"] > 0.5


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
    assert flat["index_kind_12000"] == "IVF512,SQfp16" and flat["index_recall_12000"] >= 0.99
    assert flat["below_margin_20"] == 0
    assert flat.keys() >= {f"{part}_commit" for part in benchmarks.scale.PARTS}
    assert (results / "scale.png").stat().st_size > 0 and not (tmp_path / "work").exists()


def test_a_part_of_scale_alone_leaves_the_rest_as_it_was_recorded(results, tmp_path, capsys):
    options = ["--parts", "[indexed]", "--indexed", "[30]", "--observed", "40", "--work", str(tmp_path / "work")]
    with pytest.raises(SettingsError, match="expected an earlier result"):
        benchmarks.scale.main(options)
    earlier = {"seconds_per_fact_20": 0.25, "taught_commit": "abc"}
    benchmarks.record.record("scale", "earlier", {**earlier, "index_build_seconds_20": 0.5})
    benchmarks.scale.main(options)
    flat = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert flat.items() >= earlier.items() and flat["index_kind_30"] == "exact" and "opened_commit" not in flat
    assert "index_build_seconds_20" not in flat, "what is measured now takes the place of what was"


@pytest.mark.slow
def test_teach(results, shared_data, tmp_path, capsys):
    rates = ["--lora_learning_rates", "[2e-3]", "--full_learning_rates", "[1e-3,2e-3]"]
    sizes = ["--facts", "12", "--max_ratio", "1e6", "--lora.max_epochs", "2", "--lora.batch_size", "4"]
    where = ["--folder", str(shared_data), "--work", str(tmp_path / "work")]
    benchmarks.teach.main([*rates, *sizes, *where])
    flat = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (flat["mome_recall"], flat["full_recall"], flat["lora_num_steps"]) == (1, 1, 6)
    assert flat["full_over_mome_ratio"] == pytest.approx(flat["full_cpu_seconds"] / flat["mome_cpu_seconds"], abs=0.01)
    assert flat.keys() >= {"lora_recall", "lora_cpu_seconds", "lora_over_mome_ratio", "full_0.002_recall"}
    assert (results / "teach.png").stat().st_size > 0 and not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    ("bench", "options", "words"),
    [
        ("latency", ["--tokens", "0"], "--tokens 0"),
        ("latency", ["--batch", "0"], "--batch 0: expected a number of at least 1"),
        ("latency", ["--experts", "[]"], "sizes of 0 or more"),
        ("scale", ["--opened", "[0]"], "--opened [0]: expected sizes of at least 1"),
        ("scale", ["--taught", "[]"], "--taught []: expected sizes"),
        ("scale", ["--parts", "[opening]"], "expected some of capacity, taught, indexed, opened"),
        ("teach", ["--facts", "0"], "--facts 0"),
        ("teach", ["--max_ratio", "0"], "--max-ratio 0.0: expected a number above 0"),
    ],
)
def test_a_size_that_cannot_be_measured_is_refused(bench, options, words):
    with pytest.raises(SettingsError) as caught:
        getattr(benchmarks, bench).main(options)
    assert words in str(caught.value)


def test_the_best_of_a_method_recalls_most_and_costs_least():
    def run(method: str, rate: float | None, recall: float, seconds: float) -> Taught:
        return Taught(method=method, learning_rate=rate, recall=recall, cpu_seconds=seconds, num_steps=1)

    rivals = [run("lora", 1.0, 0.9, 10), run("lora", 2.0, 1.0, 50), run("lora", 3.0, 1.0, 40)]
    flat = summarize([run("mome", None, 1.0, 2), *rivals])
    assert (flat["lora_learning_rate"], flat["lora_over_mome_ratio"]) == (3.0, 20)


def test_keys_lie_between_queries_in_both_parts():
    queries = torch.nn.functional.normalize(torch.randn(30, 6), dim=-1)
    keys = keys_like(queries, 200, d_relation=2)
    assert keys.shape == (200, 6)
    for part in keys.split([4, 2], dim=1):
        assert torch.allclose(part.norm(dim=1), torch.ones(200), atol=1e-5)
