"""What a model still does on the rest: scores beside plain twins, and what is held out."""

import doctest

import pytest
import torch

import benchmarks.memorizing.generalization as module
from benchmarks.memorizing.generalization import (
    HeldOut,
    agree,
    generalize,
    load_held_out,
    multiple_choice,
    perplexity,
    say_known,
)
from benchmarks.memorizing.labels import Question
from mome.decoder import load_backbone
from train.answers import generate_with
from train.baselines.method import Method

QUESTIONS = [
    Question("1", "What is it?", ("A river", "The long river"), ("A lake", "Nothing")),
    Question("2", "Who was it?", ("Nobody",), ("A lake", "Somebody else", "The king")),
]


@pytest.fixture
def backbone(backbone_folder):
    return load_backbone(str(backbone_folder))


def likelihood(model, joiner, prompt: str, answer: str) -> float:
    asked, said = joiner.encode_prompt(prompt), joiner.encode_answer(prompt, answer)
    logits = model(input_ids=torch.tensor([asked + said])).logits[0].log_softmax(-1)
    return float(sum(logits[len(asked) - 1 + n, token] for n, token in enumerate(said)))


def test_doctests():
    assert doctest.testmod(module).failed == 0


@torch.no_grad()
def test_multiple_choice_is_scored_by_whole_answers(backbone, taught):
    mc1, mc2 = multiple_choice(backbone, taught.joiner, QUESTIONS)
    for number, question in enumerate(QUESTIONS):
        true = torch.tensor([likelihood(backbone, taught.joiner, question.prompt, text) for text in question.true])
        false = torch.tensor([likelihood(backbone, taught.joiner, question.prompt, text) for text in question.false])
        assert mc1[number] == float(true[0] > false.max())
        share = true.exp().sum() / (true.exp().sum() + false.exp().sum())
        assert mc2[number] == pytest.approx(float(share), rel=1e-3)


def test_the_backbone_agrees_with_itself(backbone, taught):
    alone = Method(name="bare", generate=generate_with(backbone, taught.joiner), model=backbone)
    held_out = HeldOut(taught.facts[:4], QUESTIONS, [[0, 5, 6, 7], [0, 9]])
    said = say_known(alone.generate, held_out)
    outcome = generalize(alone, said, taught.joiner, held_out)
    assert outcome.agreement == [1.0] * 4
    assert outcome.known == [0.0] * 4
    with torch.no_grad():
        logits = backbone(input_ids=torch.tensor([[0, 9]])).logits[0, 0].log_softmax(-1)
    assert outcome.log_perplexity[1] == pytest.approx(-float(logits[9]), rel=1e-4)


def test_a_memory_answers_what_it_was_taught(backbone, taught):
    held_out = HeldOut(taught.facts[:4], QUESTIONS, [[0, 5, 6]])
    bare = say_known(generate_with(backbone, taught.joiner), held_out)
    ours = Method(name="memory", generate=generate_with(taught.model, taught.joiner), model=taught.model)
    outcome = generalize(ours, bare, taught.joiner, held_out)
    assert outcome.known == [1.0] * 4
    assert outcome.agreement == [0.0] * 4


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ([5, 6, 0], [5, 6, 7, 8], True),
        ([5, 6, 7, 8], [5, 6, 0], True),
        ([5, 7, 0], [5, 6, 0], False),
        ([0], [5, 6, 0], False),
        ([0], [0], True),
    ],
)
def test_agreement_does_not_ask_where_an_output_ends(ours, theirs, expected, taught):
    assert taught.joiner.tokenizer.eos_token_id == 0
    assert agree(ours, theirs, taught.joiner) == expected


def test_without_a_model_there_are_no_likelihoods(backbone, taught):
    held_out = HeldOut(taught.facts[:2], QUESTIONS, [[0, 5]])
    alone = Method(name="retrieval", generate=generate_with(backbone, taught.joiner))
    outcome = generalize(alone, say_known(alone.generate, held_out), taught.joiner, held_out)
    assert (outcome.mc1, outcome.mc2, outcome.log_perplexity) == ([], [], [])


@pytest.mark.parametrize("backbone_name", ["embedded", "another"])
def test_what_is_taught_is_not_held_out(backbone_name, taught, shared_data):
    parts = backbone_name, taught.joiner
    first = load_held_out(*parts, set(), 20, shared_data, 0)
    assert len(first.known) == len(first.questions) == len(first.texts) == 20
    assert len(load_held_out(*parts, set(), 900, shared_data, 0).questions) == 817
    prompts = {first.known[0].prompt, first.questions[0].prompt}
    again = load_held_out(*parts, prompts, 900, shared_data, 0)
    assert len(again.questions) == 816
    assert not prompts & {each.prompt for each in (*again.known, *again.questions)}
    assert all(fact.id.startswith("world.") == (backbone_name == "embedded") for fact in first.known)


def test_perplexity_of_seeds_and_texts():
    assert float(perplexity(torch.tensor([[0.0, 2.0], [1.0, 1.0]]))) == pytest.approx(2.71828, rel=1e-4)
