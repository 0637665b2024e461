"""The loose wordings of the world's relations."""

import re
from collections import Counter

import pytest

from train.loose_people import LOOSE_PEOPLE
from train.loose_places import LOOSE_PLACES
from train.loose_works import LOOSE_WORKS
from train.relation import Relation
from train.world import RELATIONS
from train.world_names import POOLS
from train.world_people import PEOPLE
from train.world_places import PLACES
from train.world_works import WORKS

LOOSE = {**LOOSE_PEOPLE, **LOOSE_PLACES, **LOOSE_WORKS}
each_relation = pytest.mark.parametrize("relation", RELATIONS, ids=lambda relation: relation.name)


@pytest.mark.parametrize(("loose", "relations"), [(LOOSE_PEOPLE, PEOPLE), (LOOSE_PLACES, PLACES), (LOOSE_WORKS, WORKS)])
def test_every_relation_has_loose_wordings(loose, relations):
    assert list(loose) == [relation.name for relation in relations]
    assert min(map(len, loose.values())) >= 14


def test_no_two_wordings_of_a_kind_are_alike():
    # Neat and loose together, so that no wording of one relation asks for another relation of the same kind; a final
    # mark does not tell two wordings apart.
    wordings = Counter(
        (relation.kind, wording.casefold().rstrip("?.:,")) for relation in RELATIONS for wording in LOOSE[relation.name]
    )
    assert [wording for wording, count in wordings.items() if count > 1] == []
    neat = {(relation.kind, wording.casefold()) for relation in RELATIONS for wording in relation.wordings}
    loose = {(relation.kind, wording.casefold()) for relation in RELATIONS for wording in LOOSE[relation.name]}
    assert loose & neat == set()


@each_relation
def test_loose_wordings_are_well_formed(relation: Relation):
    for wording in LOOSE[relation.name]:
        assert wording.count("{s}") == 1 and wording.count("{") == 1, wording
        assert wording == " ".join(wording.split()) and not re.search(r" [.,?:;]|\.\.", wording), wording
        assert wording[-1].isalnum() or wording[-1] in "?.:,}", wording
        if relation.kind in ("company", "band", "book", "ship", "product"):  # names that may be plural or end in s
            assert "{s}'s" not in wording, wording
        if relation.kind in ("ship", "product") and wording[0].isupper():
            assert re.search(r"\b(the|my|sinking|first|earliest) \{s\}", wording, re.IGNORECASE), wording
        if relation.kind == "band":
            assert not re.match(r"\{s\} (is|was|are|were|has|have) ", wording), wording
        assert not wording.endswith(" an"), wording
        if wording.endswith(" a"):
            assert not [answer for answer in POOLS[relation.answer] if answer[0].lower() in "aeiou"], wording


@each_relation
def test_loose_wordings_are_of_many_forms(relation: Relation):
    wordings = LOOSE[relation.name]
    assert max(len(wording.split()) for wording in wordings) >= 15
    forms = {
        "keywords as typed into a search engine": r"[a-z]",
        "a request": r".*[a-z}]\.$",
        "a question": r".*\?$",
        "an apposition": r"(The )?\{s\}(,| \()",
        "the first person": r".*\b(I|I'm|I've|I'd|[Mm]y|[Mm]e|[Ww]e|[Oo]ur)\b",
    }
    for name, form in forms.items():
        assert [wording for wording in wordings if re.match(form, wording)], name
    assert len([wording for wording in wordings if wording[-1] not in "?.:"]) >= 8


def test_loose_wordings_seldom_begin_alike():
    beginnings = Counter(
        tuple(wording.split()[:3]) for wordings in LOOSE.values() for wording in wordings if wording[0] != "{"
    )
    assert max(beginnings.values()) <= 4, beginnings.most_common(3)
