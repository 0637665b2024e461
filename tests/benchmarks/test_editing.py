"""`mome bench editing`, end to end on a few facts."""

import json

import pytest

import benchmarks.editing
import benchmarks.record
from benchmarks.editing import main
from mome.errors import SettingsError
from train.corpus import read_texts


@pytest.mark.slow
def test_a_small_run_prints_and_records_one_result(shared_data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(benchmarks.record, "RESULTS", tmp_path)
    monkeypatch.setattr(benchmarks.editing, "read_texts", lambda folder: read_texts(folder)[::50])
    options = ["--data", "counterfact", "--facts", "12", "--router", "generated", "--turns", "[1]"]
    options += [
        "--baselines",
        "[retrieval, knn-lm, lora]",
        "--folder",
        str(shared_data),
        "--work",
        str(tmp_path / "work"),
    ]
    main([*options, "--lora.max-epochs", "2"])
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert json.loads((tmp_path / "editing_counterfact_12_generated.json").read_text())["result"] == result
    assert result["recall"] == 1.0
    assert result["bare_recall"] < 0.2
    assert result["unrelated_identical"] is True
    assert result["unrelated_fired"] <= 0.01
    assert result["unrelated_tokens"] > 5_000
    assert 0.5 < result["auroc"] <= 1.0
    assert result["hallucination_abstaining"] <= result["hallucination"]
    for name in ("turns_1_recall", "turns_1_generality", "turns_1_locality", "generality", "locality"):
        assert 0 <= result[name] <= 1
    for method in ("retrieval", "knn_lm", "lora"):
        assert {f"{method}_{name}" for name in ("recall", "generality", "locality", "cpu_seconds")} <= result.keys()
    assert result["lora_num_steps"] == 2
    assert result["num_trainable"] == result["experts"] * 256


def test_an_unknown_baseline_is_refused(tmp_path):
    with pytest.raises(SettingsError, match=r"--baselines \['ft'\]: expected some of retrieval, knn-lm, lora"):
        main(["--data", "zsre", "--baselines", "[ft]"])
