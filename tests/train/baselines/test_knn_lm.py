"""kNN-LM: the mixture beside its plain twin, and what it knows."""

from dataclasses import replace

import pytest
import torch

from train.answers import generate_with
from train.baselines.knn_lm import Neighbours, knn_lm
from train.baselines.settings import KNNLMSettings


def recall(method, joiner, facts) -> float:
    said = method.generate([fact.prompt for fact in facts], [40] * len(facts), lambda _num: None)
    return sum(joiner.decode(row) == fact.answer for row, fact in zip(said, facts, strict=True)) / len(facts)


def test_the_mixture_is_that_of_the_paper():
    generator = torch.Generator().manual_seed(0)
    states, tokens = torch.randn(30, 8, generator=generator), torch.randint(5, (30,), generator=generator)
    settings = KNNLMSettings(num_neighbours=7, temperature=0.3, weight=0.4)
    asked, logits = torch.randn(2, 3, 8, generator=generator), torch.randn(2, 3, 5, generator=generator)
    mixed = Neighbours(states, tokens, settings).mix(logits, asked).exp()
    unit = states.square().sum(1).mean()
    for row in range(2):
        for column in range(3):
            squared = (states - asked[row, column]).square().sum(1) / unit
            nearest = squared.argsort()[:7]
            weight = (-squared[nearest] / 0.3).exp()
            near = torch.zeros(5)
            for number, share in zip(nearest, weight / weight.sum(), strict=True):
                near[tokens[number]] += share
            expected = 0.4 * near + 0.6 * logits[row, column].softmax(0)
            assert torch.allclose(mixed[row, column], expected, atol=1e-5)
    assert torch.allclose(mixed.sum(-1), torch.ones(2, 3), atol=1e-5)


def test_with_a_large_weight_all_taught_answers_are_said(backbone, joiner, facts):
    assert recall(knn_lm(backbone, joiner, facts, KNNLMSettings(weight=0.9)), joiner, facts) == 1.0


def test_without_weight_it_is_the_backbone(backbone, joiner, facts):
    method = knn_lm(backbone, joiner, facts, KNNLMSettings(weight=0.0))
    prompts = [fact.prompt for fact in facts]
    alone = generate_with(backbone, joiner)(prompts, [8] * len(prompts), lambda _num: None)
    assert method.generate(prompts, [8] * len(prompts), lambda _num: None) == alone
    tokens = torch.tensor([joiner.encode_prompt(prompts[0])])
    with torch.no_grad():
        expected = backbone(input_ids=tokens).logits.log_softmax(-1)
        assert torch.allclose(method.model(input_ids=tokens).logits, expected, atol=1e-4)


def test_the_backbone_stays_as_it_was(backbone, joiner, facts):
    knn_lm(backbone, joiner, facts, KNNLMSettings())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in backbone.modules())


def test_one_fact_alone(backbone, joiner, facts):
    """Fewer states than neighbours asked for."""
    fact = replace(facts[0], answers=("x",))
    assert recall(knn_lm(backbone, joiner, [fact], KNNLMSettings(weight=0.9)), joiner, [fact]) == 1.0


@pytest.mark.parametrize("share", [0.25, 0.75])
def test_what_is_near_decides_only_with_its_share(share):
    states = torch.eye(4)
    near = Neighbours(states, torch.arange(4), KNNLMSettings(num_neighbours=1, weight=share))
    logits = torch.tensor([[[0.0, 9.0, 0.0, 0.0]]])
    assert int(near.mix(logits, states[2].view(1, 1, 4)).argmax()) == (1 if share < 0.5 else 2)
