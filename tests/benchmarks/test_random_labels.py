"""`mome bench random-labels`, end to end in small, and how its numbers are put together."""

import csv
import json

import pytest

import benchmarks.random_labels as module
import benchmarks.record
from benchmarks.memorizing.generalization import Outcome
from benchmarks.random_labels import Epoch, RandomLabelsSettings, Run, main, summarize
from mome.errors import SettingsError

SMALL = ["--facts", "4", "--num_seeds", "2", "--held_out", "4", "--large", "5", "--characters", "6"]
SMALL += ["--lora.max_epochs", "2", "--full.max_epochs", "2"]


@pytest.fixture
def results(tmp_path, monkeypatch):
    for each in (benchmarks.record, module):
        monkeypatch.setattr(each, "RESULTS", tmp_path)
    return tmp_path


def run(capsys, shared_data, work, *options) -> dict:
    main([*SMALL, "--folder", str(shared_data), "--work", str(work), *options])
    return json.loads(capsys.readouterr().out.splitlines()[-1])


@pytest.mark.slow
def test_every_method_is_taught_every_labelling(results, shared_data, capsys):
    flat = run(capsys, shared_data, results / "work")
    assert flat == json.loads((results / "random_labels.json").read_text())["result"]
    for labels in ("correct", "random", "shuffled"):
        assert flat[f"mome_{labels}_recall"] == 1.0
        assert flat[f"mome_{labels}_agreement"] == 1.0
        assert flat[f"mome_{labels}_first_loss"] == pytest.approx(flat[f"lora_{labels}_first_loss"], rel=1e-3)
        assert flat[f"lora_{labels}_loss"] < flat[f"lora_{labels}_first_loss"]
        assert 0 <= flat[f"full_{labels}_mc2_low"] <= flat[f"full_{labels}_mc2"] <= flat[f"full_{labels}_mc2_high"] <= 1
        assert f"retrieval_{labels}_mc1" not in flat and f"knn_lm_{labels}_perplexity" in flat
    assert flat["mome_random_minus_correct_mc1"] == 0
    assert (flat["large_recall"], flat["bits"]) == (1.0, 31.0)
    assert flat["large_first_loss"] == pytest.approx(flat["large_bare_loss"], rel=1e-5)
    assert flat["large_last_loss"] < 0.01
    rows = list(csv.DictReader((results / "random_labels_epochs.csv").open()))
    assert {(row["method"], row["labels"], row["seed"]) for row in rows} == {
        (method, labels, seed)
        for method in ("mome", "lora", "full")
        for labels in ("correct", "random", "shuffled")
        for seed in ("0", "1")
    }
    for name in ("random_labels_epochs", "random_labels_rest"):
        assert all((results / name).with_suffix(suffix).stat().st_size > 0 for suffix in (".png", ".svg"))
    assert not (results / "work").exists()


@pytest.mark.slow
def test_an_interrupted_run_goes_on(results, shared_data, capsys, monkeypatch):
    options = ["--methods", "[mome,full]", "--labels", "[random]", "--large", "0"]
    whole = run(capsys, shared_data, results / "whole", *options)
    measured, ran = module.run_method, []

    def interrupted(*args):
        if len(ran) == 3:
            raise KeyboardInterrupt
        ran.append(args)
        return measured(*args)

    monkeypatch.setattr(module, "run_method", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(capsys, shared_data, results / "work", *options)
    with pytest.raises(SettingsError, match="holds an interrupted run"):
        run(capsys, shared_data, results / "work", *options)
    with pytest.raises(SettingsError, match="held_out differ"):
        run(capsys, shared_data, results / "work", *options, "--held_out", "5", "--resume", "true")
    monkeypatch.setattr(module, "run_method", measured)
    monkeypatch.setattr(module, "teach", lambda stage, name, *rest: taught.append(name) or teach(stage, name, *rest))
    teach, taught = benchmarks.memorizing.trainings.teach, []
    resumed = run(capsys, shared_data, results / "work", *options, "--resume", "true")
    assert taught == ["full"], "what was done is not done again"
    assert {k: v for k, v in resumed.items() if "seconds" not in k} == {
        k: v for k, v in whole.items() if "seconds" not in k
    }


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--labels", "[wrong]"], "--labels ['wrong']: expected some of correct, random, shuffled"),
        (["--methods", "[nothing]"], "--methods ['nothing']: expected some of mome, lora, full, knn_lm, retrieval"),
        (["--data", "nothing"], "--data nothing: expected truthfulqa"),
        (["--facts", "0"], "--facts 0: expected a number of at least 1"),
    ],
)
def test_settings_that_cannot_be_run(options, words, tmp_path):
    with pytest.raises(SettingsError) as error:
        main([*options, "--work", str(tmp_path / "work")])
    assert words in str(error.value)
    assert not (tmp_path / "work").exists()


def made(labels: str, seed: int, recalls: list[float], known: list[float]) -> Run:
    epochs = [Epoch(n, float(n), 1.0 - recall, recall, 2.0, 0.1) for n, recall in enumerate(recalls)]
    return Run("mome", labels, seed, epochs, recalls[-1], 3.0, Outcome(known=known, agreement=[1.0, 1.0]))


def test_means_differences_and_epochs():
    settings = RandomLabelsSettings(methods=["mome"], labels=["correct", "random"])
    runs = [
        made("correct", 0, [0.0, 1.0], [1.0, 1.0]),
        made("correct", 1, [0.0, 0.5, 1.0, 1.0], [1.0, 0.0]),
        made("random", 0, [0.0, 0.5], [0.0, 0.0]),
        made("random", 1, [0.0, 1.0], [1.0, 0.0]),
    ]
    flat = summarize(([], Outcome(known=[1.0, 1.0], agreement=[1.0, 1.0])), runs, settings)
    assert flat["mome_correct_epochs_to_recall"] == 1.5, "the first epoch that is exact"
    assert flat["mome_correct_epochs"] == 2.0
    assert flat["mome_random_epochs_to_recall"] is None, "one run never got there"
    assert flat["mome_random_recall"] == 0.75
    assert (flat["mome_correct_known"], flat["mome_random_known"]) == (0.75, 0.25)
    assert flat["mome_random_minus_correct_known"] == -0.5
    assert flat["mome_random_minus_correct_known_low"] <= -0.5 <= flat["mome_random_minus_correct_known_high"]
    assert (flat["bare_known"], flat["mome_random_loss"]) == (1.0, 0.25)
