"""Texts annotated fact by fact."""

import pytest

from mome.annotate import Span, annotate
from mome.errors import SettingsError


@pytest.fixture
def annotated(taught):
    return lambda text: annotate(taught.model, taught.joiner.tokenizer, text)


def test_what_facts_say_is_told_apart_from_what_they_do_not(taught, annotated):
    fact = taught.facts[4]
    right, wrong = f"{fact.prompt} {fact.answer}, and so on.", f"{fact.prompt} Zzyzx is it."
    for text in (right, wrong):
        assert "".join(span.text for span in annotated(text)) == text
    before, said, behind = annotated(right)
    assert (before.fact_id, said.text.strip(), said.fact_id, said.agrees) == (None, fact.answer, fact.id, True)
    assert (said.fact_answer, behind.text, behind.fact_id) == (fact.answer, ", and so on.", None)
    assert said.margin > 0 and said.similarity > 0.9
    before, denied, behind = annotated(wrong)
    assert (before.fact_id, denied.text, denied.fact_id, denied.agrees) == (None, " Zzyzx", fact.id, False)
    assert (denied.fact_answer, behind.text, behind.fact_id) == (fact.answer, " is it.", None)
    assert denied.margin < 0


def test_a_fact_speaks_for_every_place_where_it_stands(taught, annotated):
    fact = taught.facts[0]
    once = f"{fact.prompt} {fact.answer}"
    for text, agreements in (
        (once, [True]),
        (f"{fact.prompt} Nothing of that kind at all, they say.\n{once}", [False, True]),
    ):
        found = [span.agrees for span in annotated(text) if span.fact_id == fact.id]
        assert found == agreements


@pytest.mark.parametrize("text", ["Où est 日本 😀 né?", "a<|endoftext|>b", " two  spaces\n\tand a tab ", "x"])
def test_every_character_is_kept(annotated, text):
    assert "".join(span.text for span in annotated(text)) == text


def test_a_text_of_which_nothing_is_known_is_one_span(annotated):
    text = "The river runs to the sea, and the sea is never full."
    assert annotated(text) == [Span(text=text)]


def test_a_disabled_memory_speaks_for_nothing(taught, annotated):
    text = f"{taught.facts[0].prompt} {taught.facts[0].answer}"
    with taught.model.memory_disabled():
        assert annotated(text) == [Span(text=text)]


@pytest.mark.parametrize(
    ("text", "words"), [("  ", "got an empty text"), ("word " * 400, "tokens long, the backbone's")]
)
def test_what_cannot_be_read_is_an_error(annotated, text, words):
    with pytest.raises(SettingsError, match=words):
        annotated(text)
