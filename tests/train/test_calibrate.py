"""The gate's calibration: what is stored and asked, the curve against a plain count, and the point that is chosen."""

import pytest
import torch

from mome.errors import SettingsError
from train.calibrate import THRESHOLDS, deal, end_queries, measure_gate, set_gate

CURVE = {
    "threshold": [0.1, 0.2, 0.3],
    "open_and_right": [1.0, 0.9, 0.8],
    "false_fire": [0.5, 0.1, 0.0],
    "same_subject_fire": [0.9, 0.6, 0.2],
}


def test_no_unstored_question_is_about_a_stored_fact(groups):
    dealt = deal(groups, 0)
    stored = {prompt for prompts in dealt.stored for prompt in prompts}
    assert not stored & {*dealt.same_subject, *dealt.other_subject}
    assert len(dealt.subjects) == len(dealt.stored) > 20
    assert all(
        subject in prompt for subject, prompts in zip(dealt.subjects, dealt.stored, strict=True) for prompt in prompts
    )
    assert len(dealt.other_subject) > 20 and len(dealt.same_subject) > 20
    assert all(any(subject in prompt for subject in dealt.subjects) for prompt in dealt.same_subject)


def test_the_curve_falls_and_is_that_of_the_opened_gate(taught, groups):
    model = taught.model
    parts = model.router, model.backbone, model.config, groups, taught.joiner
    measured = measure_gate(*parts, seed=0)
    curve = measured["curve"]
    assert curve["threshold"] == THRESHOLDS
    for name in ("open_and_right", "false_fire", "same_subject_fire"):
        assert len(curve[name]) == len(THRESHOLDS)
        assert curve[name] == sorted(curve[name], reverse=True)
    assert curve["open_and_right"][0] > 0.1
    assert measured == measure_gate(*parts, seed=0)
    assert -1 < measured["kind_similarity"] < 1


@pytest.mark.parametrize(
    ("other", "same", "threshold"), [(1, 1, 0.1), (0.1, 1, 0.2), (1, 0.6, 0.2), (0.0, 1, 0.3), (0.1, 0.1, 0.3)]
)
def test_the_gate_holds_both_rates_and_keeps_the_most_stored_facts(taught, other, same, threshold):
    router = taught.reopen().router
    measured = set_gate(router, CURVE, other, same)
    assert router.null_similarity.item() == pytest.approx(threshold)
    assert measured["threshold"] == threshold
    assert measured["open_and_right"] == CURVE["open_and_right"][CURVE["threshold"].index(threshold)]


def test_of_thresholds_that_keep_as_many_facts_the_highest_is_taken(taught):
    curve = {**CURVE, "open_and_right": [0.9, 0.9, 0.8]}
    assert set_gate(taught.reopen().router, curve, 1, 1)["threshold"] == 0.2


def test_rates_are_shares(taught):
    with pytest.raises(SettingsError, match="max_false_fire: expected a share between 0 and 1, got 2"):
        set_gate(taught.model.router, CURVE, 2, 0.5)


def test_end_queries_are_those_of_each_prompt_alone(taught):
    prompts = [taught.joiner.encode_prompt(fact.prompt) for fact in taught.facts[:5]]
    model = taught.model
    together = end_queries(model.router, model.backbone, model.config, prompts)
    alone = [end_queries(model.router, model.backbone, model.config, [prompt])[0] for prompt in prompts]
    assert torch.allclose(together, torch.stack(alone), atol=1e-4)
    assert torch.allclose(together, model.bank.keys[:5], atol=1e-4)
