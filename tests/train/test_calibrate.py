"""The gate's calibration: what is stored and asked, the curve against a plain count, and the point that is chosen."""

import pytest
import torch

from mome.errors import SettingsError
from mome.facts import Fact
from mome.memory import CLOSED
from train.calibrate import MARGINS, NUM_ASKED, SHARES, THRESHOLDS, deal, measure_gate, queries_at_ends, set_gate
from train.prepare import prepare
from train.settings import BackboneSettings

CURVE = {
    "threshold": [0.1, 0.2, 0.3],
    "margin": [0.0, 2.0],
    "open_and_right": [[0.95, 1.0], [0.85, 0.9], [0.75, 0.8]],
    "false_fire": [[0.5, 0.5], [0.1, 0.1], [0.0, 0.0]],
    "same_subject_fire": [[0.6, 0.9], [0.4, 0.6], [0.1, 0.2]],
    "mention_fire": [[0.3, 0.3], [0.2, 0.2], [0.1, 0.1]],
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
    assert (curve["threshold"], curve["margin"]) == (THRESHOLDS, MARGINS)
    for name in SHARES:
        assert len(curve[name]) == len(THRESHOLDS) and all(len(row) == len(MARGINS) for row in curve[name])
        assert [row[-1] for row in curve[name]] == sorted((row[-1] for row in curve[name]), reverse=True)
        assert all(row == sorted(row) for row in curve[name])
    assert curve["open_and_right"][0][-1] > 0.1
    assert measured == measure_gate(*parts, seed=0)
    assert -1 < measured["kind_similarity"] < 1


def test_the_curve_is_what_the_memory_does(teach_memory, new_router, backbone_folder, groups):
    """Facts that the calibration stores are taught, and what it asks is asked of the memory, at two gates."""
    prepared = prepare(BackboneSettings(backbone=str(backbone_folder)))
    router, _ = new_router(prepared)
    few = groups[:150]
    parts = router, prepared.backbone, prepared.config
    curve = measure_gate(*parts, few, prepared.joiner, seed=0)["curve"]
    dealt = deal(few, 0)
    stored = [
        Fact(id=str(n), prompt=prompts[0], answers=("yes",), subject=subject)
        for n, (prompts, subject) in enumerate(zip(dealt.stored, dealt.subjects, strict=True))
    ]
    model = teach_memory(backbone_folder, stored, router=router).model

    def fact_read(prompt: str) -> int:
        expert = int(model.routing(torch.tensor([prepared.joiner.encode_prompt(prompt)])).expert[0, -1])
        return CLOSED if expert == CLOSED else int(model.bank.fact[expert])

    asked = [(number, text) for number, texts in enumerate(dealt.stored) for text in texts[1 : 1 + NUM_ASKED]]
    for threshold, margin in ((0.3, 2.0), (0.1, 0.2)):
        model.gate.null_similarity, model.gate.rival_margin = threshold, margin
        row, column = THRESHOLDS.index(threshold), MARGINS.index(margin)
        counted = {
            "open_and_right": [fact_read(text) == number for number, text in asked],
            "false_fire": [fact_read(text) != CLOSED for text in dealt.other_subject],
            "same_subject_fire": [fact_read(text) != CLOSED for text in dealt.same_subject],
        }
        assert 0 < sum(counted["open_and_right"]) < sum(fact_read(text) != CLOSED for _, text in asked)
        for name, answers in counted.items():
            assert curve[name][row][column] == pytest.approx(sum(answers) / len(answers), abs=0.02)


@pytest.mark.parametrize(
    ("other", "same", "pair"),
    [(1, 1, (0.1, 2.0)), (0.1, 1, (0.2, 2.0)), (1, 0.6, (0.1, 0.0)), (0.0, 1, (0.3, 2.0)), (0.0, 0.05, (0.3, 0.0))],
)
def test_the_gate_holds_both_rates_and_keeps_the_most_stored_facts(taught, other, same, pair):
    router = taught.reopen().router
    measured = set_gate(router, CURVE, other, same)
    assert (router.null_similarity.item(), router.rival_margin.item()) == pytest.approx(pair)
    assert (measured["threshold"], measured["margin"]) == pair
    place = CURVE["threshold"].index(pair[0]), CURVE["margin"].index(pair[1])
    assert measured["open_and_right"] == CURVE["open_and_right"][place[0]][place[1]]


def test_of_pairs_that_keep_as_many_facts_the_most_silent_is_taken(taught):
    curve = {**CURVE, "open_and_right": [[0.95, 0.95], [0.95, 0.95], [0.8, 0.8]]}
    measured = set_gate(taught.reopen().router, curve, 1, 1)
    assert (measured["threshold"], measured["margin"]) == (0.2, 2.0)
    assert set_gate(taught.reopen().router, curve, 1, 0.5)["margin"] == 0.0


def test_rates_are_shares(taught):
    with pytest.raises(SettingsError, match="max_false_fire: expected a share between 0 and 1, got 2"):
        set_gate(taught.model.router, CURVE, 2, 0.5)


def test_queries_at_ends_are_those_of_each_prompt_alone(taught):
    prompts = [taught.joiner.encode_prompt(fact.prompt) for fact in taught.facts[:5]]
    model = taught.model
    together = queries_at_ends(model.router, model.backbone, model.config, prompts)
    alone = [queries_at_ends(model.router, model.backbone, model.config, [prompt])[0] for prompt in prompts]
    assert torch.allclose(together, torch.stack(alone), atol=1e-4)
    assert torch.allclose(together, model.bank.keys[:5], atol=1e-4)
