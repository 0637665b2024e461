"""What `mome bench editing` teaches, and that its router sees nothing of it."""

import pytest

from benchmarks.editing_data import NAMES, behind_turns, load_corpus, other_questions, with_locality
from mome.errors import SettingsError
from mome.facts import Fact
from train.prepare import read_groups


@pytest.fixture(scope="module", params=[("counterfact", 300), ("counterfact", 2500), ("zsre", 300), ("pararel", 300)])
def corpus(request, shared_data):
    return load_corpus(*request.param, shared_data, seed=0), request.param


def test_as_many_facts_as_asked_for_are_taught(corpus):
    found, (_, num_facts) = corpus
    assert len(found.facts) == num_facts == len({fact.prompt for fact in found.facts})
    assert all(fact.subject for fact in found.facts)


def test_unseen_facts_are_about_other_subjects(corpus):
    found, _ = corpus
    assert found.unseen
    assert not {fact.subject for fact in found.unseen} & {fact.subject for fact in found.facts}


def test_the_router_sees_no_taught_subject(corpus, tmp_path):
    from mome.facts import write_facts

    found, (name, _) = corpus
    write_facts(tmp_path / "taught.jsonl", found.facts)
    sources = list(found.sources)
    if found.router_facts:
        write_facts(tmp_path / "router.jsonl", found.router_facts)
        sources.append(str(tmp_path / "router.jsonl"))
    groups = read_groups(sources, [], [tmp_path / "taught.jsonl"])
    assert len(groups) > 500
    assert not {group.subject.casefold() for group in groups} & {str(f.subject).casefold() for f in found.facts}
    if name == "pararel":
        assert not {group.relation for group in groups} & {fact.relation for fact in found.facts}


def test_pararel_gets_locality_prompts_that_are_not_taught(shared_data):
    found = load_corpus("pararel", 200, shared_data, seed=1)
    prompts = {fact.prompt for fact in found.facts}
    assert all(fact.locality for fact in found.facts)
    assert not prompts & {text for fact in found.facts for text in fact.locality}


def test_locality_is_of_the_relation_or_of_the_subject():
    def fact(number: int, subject: str, relation: str) -> Fact:
        return Fact(id=str(number), prompt=f"{relation} {subject}", answers=("x",), subject=subject, relation=relation)

    taught = [fact(1, "Ann", "home"), fact(2, "Bo", "home")]
    left = [fact(3, "Cy", "home"), fact(4, "Ann", "job"), fact(5, "Cy", "job"), fact(6, "Bo", "home2")]
    first, second = with_locality(taught, taught + left, seed=0)
    assert set(first.locality) == {"home Cy", "job Ann"}
    assert set(second.locality) == {"home Cy", "home2 Bo"}


def test_turns_stand_before_everything_that_is_asked(shared_data):
    facts = [Fact(id="1", prompt="Where is X?", answers=("y",), paraphrases=("X is in",), locality=("Where is Z?",))]
    others = other_questions(shared_data)
    (turned,) = behind_turns(facts, others, num_turns=4, seed=0)
    texts = turned.prompt, *turned.paraphrases, *turned.locality
    for text, bare in zip(texts, ("Where is X?", "X is in", "Where is Z?"), strict=True):
        assert text.endswith("\n\n" + bare)
        assert text.count("\n\n") == 4
    assert turned.answer == "y"
    assert behind_turns(facts, others, 4, seed=0) == [turned]


def test_what_cannot_be_taught_is_an_error(shared_data):
    with pytest.raises(SettingsError, match="--data wiki: expected one of counterfact, zsre, pararel"):
        load_corpus("wiki", 10, shared_data, 0)
    with pytest.raises(SettingsError, match="--facts 5000: zsre has 1,000 that can be taught; ask for fewer"):
        load_corpus("zsre", 5000, shared_data, 0)
    assert len(NAMES) == 3
