"""The statistics of answers, beside their plain twins and beside what is really generated."""

import doctest
import math
from dataclasses import replace

import pytest
import torch

import benchmarks.memorizing.answer_losses as module
from benchmarks.memorizing.answer_losses import answer_losses, fact_losses
from mome.tables import parts_of
from train.answers import generate_with


def test_doctests():
    assert doctest.testmod(module).failed == 0


def plain(model, prompt: list[int], answer: list[int]) -> tuple[float, float, float]:
    """NLL, largest loss and least margin, a forward for each token."""
    losses, margins = [], []
    for number, token in enumerate(answer):
        logits = model.generate(
            input_ids=torch.tensor([prompt + answer[:number]]),
            max_new_tokens=1,
            do_sample=False,
            output_logits=True,
            return_dict_in_generate=True,
        ).logits[0][0]
        others = torch.cat([logits[:token], logits[token + 1 :]])
        losses.append(float(logits.logsumexp(0) - logits[token]))
        margins.append(float(logits[token] - others.max()))
    return sum(losses), max(losses), min(margins)


@pytest.mark.parametrize("is_disabled", [False, True], ids=["memory", "bare"])
def test_statistics_are_those_of_one_token_after_the_other(taught, is_disabled):
    model, joiner, facts = taught.reopen(), taught.joiner, taught.facts[:6]
    model.enabled = not is_disabled
    figures = fact_losses(model, joiner, facts)
    for number, fact in enumerate(facts):
        prompt, answer = joiner.encode_prompt(fact.prompt), joiner.encode_answer(fact.prompt, fact.answer)
        nll, max_loss, margin = plain(model, prompt, answer)
        assert figures.num_tokens[number] == len(answer)
        assert float(figures.nll[number]) == pytest.approx(nll, rel=1e-3, abs=1e-4)
        assert float(figures.max_loss[number]) == pytest.approx(max_loss, rel=1e-3, abs=1e-4)
        assert float(figures.margin[number]) == pytest.approx(margin, rel=1e-3, abs=1e-3)
        assert float(figures.mean_loss[number]) == pytest.approx(nll / len(answer), rel=1e-3, abs=1e-4)


def test_a_margin_above_zero_is_an_exact_answer(taught):
    """Half of the facts with another answer than was taught."""
    joiner = taught.joiner
    asked = [
        replace(fact, answers=(fact.answer + " " * (n % 2) + "x" * (n % 2),)) for n, fact in enumerate(taught.facts)
    ]
    num_new = [len(joiner.encode_answer(fact.prompt, fact.answer)) for fact in asked]
    said = generate_with(taught.model, joiner)([fact.prompt for fact in asked], num_new, lambda _num: None)
    exact = [joiner.decode(ids) == fact.answer for ids, fact in zip(said, asked, strict=True)]
    assert (fact_losses(taught.model, joiner, asked).margin > 0).tolist() == exact
    assert any(exact) and not all(exact)


def test_below_ln_2_every_token_is_the_likeliest(taught):
    model, num_sure = taught.reopen(), 0
    whole = torch.cat(parts_of(model.bank.up))
    for part in (0.6, 0.8, 0.9, 1.0, 1.5):  # answers that are partly learned
        model.bank.up = part * whole
        figures = fact_losses(model, taught.joiner, taught.facts)
        sure = figures.max_loss < math.log(2)
        assert (figures.margin[sure] > 0).all()
        num_sure += int(sure.sum())
    assert 10 < num_sure < 90


def test_what_an_answer_mentions_brings_up_no_fact(taught):
    """As in `generate`, where a subject that the model itself has named brings up none."""
    model, joiner, fact = taught.reopen(), taught.joiner, taught.facts[0]
    asked, answer = joiner.encode_prompt(fact.prompt), joiner.encode_answer(fact.prompt, fact.answer)
    # The prompt ends before its subject; what is "answered" is the rest of the taught prompt, and the taught answer.
    beginning, rest = asked[:2], asked[2:] + answer
    figures = answer_losses(model, [beginning], [rest])
    whole = answer_losses(model, [asked], [answer])
    with model.memory_disabled():
        assert torch.equal(figures.nll, answer_losses(model, [beginning], [rest]).nll)
        assert float(whole.nll) < float(answer_losses(model, [asked], [answer]).nll) - 1, "the prompt brings it up"


def test_order_and_company_change_nothing(taught):
    model, joiner = taught.model, taught.joiner
    prompts = [joiner.encode_prompt(fact.prompt) for fact in taught.facts]
    answers = [joiner.encode_answer(fact.prompt, fact.answer) for fact in taught.facts]
    together = answer_losses(model, prompts, answers)
    back = answer_losses(model, prompts[::-1], answers[::-1])
    alone = answer_losses(model, prompts[3:4], answers[3:4])
    assert torch.allclose(together.nll, back.nll.flip(0), rtol=1e-4, atol=1e-5)
    assert torch.allclose(together.nll[3:4], alone.nll, rtol=1e-4, atol=1e-5)
