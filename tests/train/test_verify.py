"""What is asked of a taught model, and how it is counted."""

import pytest

from mome.facts import Fact
from train.calibrate import SHARES
from train.report import report_page, share
from train.verify import UNRELATED, evaluate, questions_for


def fact(number: int, prompt: str, **more) -> Fact:
    return Fact(id=str(number), prompt=prompt, answers=("x",), **more)


def test_taught_locality_prompts_are_left_out_and_counted():
    facts = [
        fact(1, "a", locality=("b", "c", "a2")),
        fact(2, "b", locality=("c", "d")),
        fact(3, "e", paraphrases=("a2",)),
    ]
    asked = questions_for(facts)
    assert asked.locality == ["c", "d"]
    assert asked.num_locality_left_out == 2
    assert [text for _, text in asked.prompts] == ["a", "b", "e"]


def test_a_paraphrase_that_is_another_facts_prompt_is_not_asked():
    asked = questions_for([fact(1, "a", paraphrases=("b", "c")), fact(2, "b")])
    assert [(f.id, text) for f, text in asked.paraphrases] == [("1", "c")]


def test_a_paraphrase_with_two_answers_is_left_out_and_counted():
    other = Fact(id="2", prompt="b", answers=("y",), paraphrases=("p", "q"))
    asked = questions_for([fact(1, "a", paraphrases=("p", "b")), other, fact(3, "c", paraphrases=("r",))])
    assert [text for _, text in asked.paraphrases] == ["q", "r"]
    assert asked.num_paraphrases_left_out == 3


def test_locality_prompts_about_a_taught_subject_stand_apart():
    texts = ("Where did Ann Lee go?", "Ann left", "the ann lee, painter", "Joann Lee sang", "Bo")
    asked = questions_for([fact(1, "Ann Lee lives in", subject="Ann Lee", locality=texts)])
    assert asked.same_subject == ["Where did Ann Lee go?", "the ann lee, painter"]
    assert asked.locality == ["Ann left", "Joann Lee sang", "Bo"]


def test_without_locality_prompts_the_shipped_text_is_used():
    asked = questions_for([fact(1, "a")])
    assert asked.locality == UNRELATED.read_text(encoding="utf-8").splitlines()
    assert len(asked.locality) >= 50
    assert asked.num_locality_left_out == 0


def test_nothing_to_measure_is_none_and_not_one(taught):
    facts = [Fact(id=f.id, prompt=f.prompt, answers=f.answers) for f in taught.facts[:3]]
    result = evaluate(taught.model, taught.joiner, facts)
    assert result.recall == 1.0
    assert result.generality is None
    assert share(None) == "–"


def test_the_bare_backbone_recalls_nothing(taught):
    with taught.model.memory_disabled():
        result = evaluate(taught.model, taught.joiner, taught.facts)
    assert result.recall == 0.0
    assert result.locality == 1.0


def test_an_answer_that_goes_on_is_wrong(taught):
    """An expert for the end of the answer that says something else makes the whole answer wrong."""
    model = taught.reopen()
    first = taught.facts[0]
    last = int((model.bank.fact == 0).nonzero().max())
    model.bank.up[last] = 0
    result = evaluate(model, taught.joiner, taught.facts)
    assert result.recall == pytest.approx(1 - 1 / len(taught.facts), abs=1e-3)
    failure = next(f for f in result.failures if f["kind"] == "recall")
    assert failure["fact_id"] == first.id
    assert failure["cause"] == "expert not learned"
    assert failure["said"].startswith(first.answer)


def test_causes_are_told_apart(taught):
    model = taught.reopen()
    model.gate.null_similarity = 1.1
    closed = evaluate(model, taught.joiner, taught.facts)
    assert {f["cause"] for f in closed.failures if f["kind"] == "recall"} == {"gate closed"}
    model = taught.reopen()
    model.bank.key_expert = model.bank.key_expert.roll(1)
    wrong = evaluate(model, taught.joiner, taught.facts)
    assert {f["cause"] for f in wrong.failures if f["kind"] == "recall"} == {"wrong key nearest"}


def test_the_report_page_shows_metrics_and_escapes_texts():
    measured = {"facts": 2, "experts": 5, "recall": 0.5, "generality": None, "locality": 1.0}
    measured["locality_same_subject"] = None
    curve = {"threshold": [0.1, 0.2], "margin": [0.0, 0.5, 2.0]}
    curve |= {name: [[0.1, 0.2, 0.3], [0.0, 0.1, 0.2]] for name in SHARES}
    failure = {"kind": "recall", "fact_id": "1", "prompt": "<script>", "expected": "a", "said": "b"}
    page = report_page(
        {
            "settings": {"facts": "f.jsonl", "backbone": "embedded", "write": {"margin": 4.0}},
            "num_read": 2, "num_duplicates": 0, "num_conflicts": 0, "after": measured, "before": measured,
            "failures": [failure], "seconds": {"route": 1.0}, "steps": [0, 3, 2], "margins": [4.0, 5.0],
            "router": {"curve": curve, "threshold": 0.1, "margin": 0.5},
        }
    )  # fmt: skip
    assert "0.500" in page
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "data:image/png;base64," in page
