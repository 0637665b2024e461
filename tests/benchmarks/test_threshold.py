"""`mome bench threshold`, end to end in small, and how its numbers are put together."""

import csv
import json
import math
from collections import Counter
from dataclasses import replace

import pytest

import benchmarks.record
import benchmarks.threshold as module
from benchmarks.threshold import (
    Moment,
    ThresholdSettings,
    check_predictions,
    collapse,
    cost_of,
    main,
    mixed_facts,
    right_answers,
)

SMALL = ["--facts", "6", "--lengths", "[4,8]", "--samples", "3", "--every", "5"]
SMALL += ["--lora.max_epochs", "3", "--full.max_epochs", "12", "--full.learning_rate", "1e-3"]


@pytest.fixture
def results(tmp_path, monkeypatch):
    for each in (benchmarks.record, module):
        monkeypatch.setattr(each, "RESULTS", tmp_path)
    return tmp_path


@pytest.mark.slow
def test_all_methods_are_asked_at_many_moments(results, shared_data, capsys):
    main([*SMALL, "--folder", str(shared_data), "--work", str(results / "work")])
    flat = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert flat == json.loads((results / "threshold.json").read_text())["result"]
    assert (flat["below_ln2_not_exact"], flat["margin_disagrees"]) == (0, 0)
    assert flat["below_ln2"] > 0
    assert flat["mome_recall"] == 1.0 and flat["mome_greedy_epochs"] < flat["mome_epochs"]
    assert flat["lora_sampled_epochs"] is None, "three epochs are too few"
    rows = list(csv.DictReader((results / "threshold_moments.csv").open()))
    assert len(rows) == flat["num_moments"]
    epochs = {
        method: sorted({int(row["epoch"]) for row in rows if row["method"] == method}) for method in ("lora", "full")
    }
    assert epochs["lora"] == [0, 1, 2, 3]
    assert epochs["full"][:11] == list(range(11)) and 11 not in epochs["full"] and 12 not in epochs["full"]
    assert all((float(row["nll"]) >= 8) == (row["sampled"] == "nan") for row in rows)
    assert all((results / f"threshold{suffix}").stat().st_size > 0 for suffix in (".png", ".svg"))
    assert not (results / "work").exists()


def test_answers_of_every_kind_in_turns(shared_data):
    kinds, facts = mixed_facts(ThresholdSettings(facts=10, lengths=[4, 16], folder=shared_data))
    assert Counter(kinds) == {"correct": 4, "random 4": 3, "random 16": 3}
    for kind, fact in zip(kinds, facts, strict=True):
        assert kind == "correct" or (
            len(fact.answer) == int(kind.split()[1]) and fact.answer.isupper() | fact.answer.isalnum()
        )
    assert len({fact.prompt for fact in facts}) == 10


def test_sampled_answers_come_back_as_often_as_their_likelihood_says(taught):
    """A taught answer that is not certain."""
    model, joiner = taught.reopen(), taught.joiner
    figures = module.fact_losses(model, joiner, taught.facts)
    number = int((figures.nll - math.log(2)).abs().argmin())
    fact, expected = taught.facts[number], math.exp(-float(figures.nll[number]))
    assert 0.2 < expected < 0.8
    drawn = right_answers(model, joiner, [(fact, fact.prompt)] * 400, do_sample=True)
    deviation = (expected * (1 - expected) / 400) ** 0.5
    assert abs(float(drawn.mean()) - expected) < 4 * deviation
    assert set(right_answers(model, joiner, [(fact, fact.prompt)] * 3).tolist()) == {float(figures.margin[number] > 0)}


def moment(method="mome", epoch=0, fact=0, max_loss=0.1, margin=1.0, greedy=1.0, nll=0.1, sampled=1.0) -> Moment:
    return Moment(
        method=method, epoch=epoch, cpu_seconds=float(epoch), fact=fact, kind="correct", num_tokens=2, nll=nll,
        mean_loss=nll / 2, max_loss=max_loss, margin=margin, greedy=greedy, sampled=sampled, paraphrased=math.nan,
    )  # fmt: skip


def test_predictions_that_fail_are_counted():
    found = check_predictions([
        moment(),
        moment(max_loss=0.5, greedy=0.0),  # certain, and not exact
        moment(max_loss=0.9, margin=-1.0),  # exact without a margin
        moment(max_loss=0.9, margin=-1.0, greedy=0.0, sampled=math.nan, nll=20.0),
    ])  # fmt: skip
    assert (found["below_ln2"], found["below_ln2_not_exact"], found["margin_disagrees"]) == (2, 1, 2)
    assert found["exact_above_ln2"] == 1
    assert (found["sampled_moments"], found["sampled_observed"]) == (3, 1.0)
    assert found["sampled_expected"] == pytest.approx(math.exp(-0.1), abs=1e-4)


def test_thresholds_of_two_kinds_and_how_far_apart_they_lie():
    """Random answers are exact up to four times the mean loss, and up to the same largest loss."""

    def moments(kind: str, scale: float) -> list[Moment]:
        losses = [(n + 0.5) / 10 for n in range(20)]
        return [
            replace(
                moment(fact=n, max_loss=loss, nll=2 * scale * loss, greedy=float(loss < 1)),
                kind=kind,
                mean_loss=scale * loss,
            )
            for n, loss in enumerate(losses)
        ]

    found = collapse(moments("correct", 1.0) + moments("random 8", 4.0))
    assert found["correct_mean_loss_at_0.5"] == pytest.approx(1.0)
    assert found["random_8_mean_loss_at_0.5"] == pytest.approx(4.0)
    assert found["mean_loss_apart"] == pytest.approx(4.0)
    assert found["max_loss_apart"] == pytest.approx(1.0)
    assert "negative_margin_apart" not in found, "all margins are alike, so nothing can be told by them"


def test_the_first_moment_at_which_enough_is_exact():
    moments = [
        moment(epoch=epoch, fact=fact, greedy=float(epoch >= 2 or not fact), sampled=epoch / 4)
        for epoch in range(4)
        for fact in range(2)
    ]
    found = cost_of("mome", moments, 2)
    assert (found["mome_greedy_epochs"], found["mome_greedy_cpu_seconds"]) == (2, 2.0)
    assert found["mome_sampled_epochs"] is None
    assert (found["mome_recall"], found["mome_generality"], found["mome_epochs"]) == (1.0, None, 3)
