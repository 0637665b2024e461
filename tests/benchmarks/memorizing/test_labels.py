"""Which answers are taught: the true ones, random strings of known entropy, or each other's."""

import doctest
import re
from collections import Counter

import pytest

import benchmarks.memorizing.labels as module
from benchmarks.memorizing.labels import load_facts, num_bits, read_questions, relabel
from mome.errors import SettingsError
from mome.facts import Fact, write_facts


def test_doctests():
    assert doctest.testmod(module).failed == 0


def test_correct_answers_stay(facts):
    assert relabel(facts, "correct", 0) == facts


def test_random_answers_are_strings_of_165_bits(facts):
    relabelled = relabel(facts, "random", 0)
    assert all(re.fullmatch("[A-Z0-9]{32}", fact.answer) and len(fact.answers) == 1 for fact in relabelled)
    assert len({fact.answer for fact in relabelled}) == len(facts)
    assert [fact.prompt for fact in relabelled] == [fact.prompt for fact in facts]
    assert [fact.paraphrases for fact in relabelled] == [fact.paraphrases for fact in facts]
    assert relabelled == relabel(facts, "random", 0) != relabel(facts, "random", 1)
    assert num_bits() == pytest.approx(165.4, abs=0.1)


def test_every_character_is_drawn_alike():
    many = [Fact(id=str(n), prompt=f"{n}?", answers=("x",)) for n in range(1000)]
    counts = Counter("".join(fact.answer for fact in relabel(many, "random", 0)))
    assert len(counts) == 36
    assert max(counts.values()) < 1.25 * min(counts.values())


@pytest.mark.parametrize("num_alike", [1, 3, 10])
def test_shuffled_answers_are_the_same_ones_and_none_stays(num_alike):
    facts = [Fact(id=str(n), prompt=f"{n}?", answers=(f"a{n // num_alike}",)) for n in range(20)]
    shuffled = relabel(facts, "shuffled", 0)
    assert Counter(fact.answer for fact in shuffled) == Counter(fact.answer for fact in facts)
    assert not any(new.answer == old.answer for new, old in zip(shuffled, facts, strict=True))
    assert num_alike == 10 or shuffled != relabel(facts, "shuffled", 1)


def test_an_answer_of_most_facts_cannot_be_shuffled():
    facts = [Fact(id=str(n), prompt=f"{n}?", answers=("same" if n < 6 else f"a{n}",)) for n in range(10)]
    with pytest.raises(SettingsError, match="6 of 10 facts have the same answer"):
        relabel(facts, "shuffled", 0)


def test_no_answer_of_truthfulqa_is_true_and_false(shared_data):
    questions = read_questions(shared_data)
    assert len(questions) == 817
    assert all(each.true and each.false and not set(each.true) & set(each.false) for each in questions)


@pytest.mark.parametrize("data", ["truthfulqa", "counterfact"])
def test_samples_differ_by_their_seed(shared_data, data):
    first = load_facts(data, 10, shared_data, 0)
    assert len({fact.prompt for fact in first}) == 10
    assert first == load_facts(data, 10, shared_data, 0) != load_facts(data, 10, shared_data, 1)


def test_facts_of_a_file(facts, tmp_path):
    write_facts(tmp_path / "facts.jsonl", facts)
    assert {fact.id for fact in load_facts(str(tmp_path / "facts.jsonl"), 5, tmp_path, 0)} < {fact.id for fact in facts}
    with pytest.raises(SettingsError, match=r"--facts 50: .* has 20; ask for fewer"):
        load_facts(str(tmp_path / "facts.jsonl"), 50, tmp_path, 0)


def test_facts_that_there_are_not(tmp_path):
    with pytest.raises(SettingsError, match="--data nothing: expected truthfulqa, counterfact, zsre, pararel, or a"):
        load_facts("nothing", 5, tmp_path, 0)
