"""The generated world and the pretraining text made from it."""

import hashlib
import os
import random
import re
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from mome.errors import SettingsError
from mome.facts import Fact
from train.corpus import FORMS, WRITERS, exposure_texts
from train.world import (
    KINDS,
    LOOSE,
    RELATIONS,
    World,
    WorldFact,
    fact_records,
    fill,
    is_question,
    make_entities,
    make_world,
    paraphrase_groups,
    prompts,
    sentence,
    statements,
)
from train.world_names import POOLS

ROOT = Path(__file__).resolve().parents[2]
DIGEST = """
import hashlib
from train.corpus import exposure_texts
from train.world import make_world
world = make_world(seed=5, num_facts=300)
print(hashlib.sha256(repr((world, exposure_texts(world.facts, seed=2)[0])).encode()).hexdigest())
"""


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(seed=0, num_facts=3_000)


def _digest(hash_seed: str) -> str:
    environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", DIGEST], env=environment, cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_world_and_texts_depend_on_the_seed_alone():
    world = make_world(seed=5, num_facts=300)
    own = hashlib.sha256(repr((world, exposure_texts(world.facts, seed=2)[0])).encode()).hexdigest()
    assert _digest("1") == _digest("2") == own
    assert make_world(seed=6, num_facts=300) != world


def test_facts_are_unique_and_never_about_themselves(world):
    assert len(world.facts) == 3_000
    assert len({fact.id for fact in world.facts}) == 3_000
    assert len({(fact.subject, fact.relation) for fact in world.facts}) == 3_000
    for fact in world.facts:
        assert fact.answer.casefold() not in fact.subject.casefold()
        assert fact.subject.casefold() not in fact.answer.casefold()


def test_a_prompt_has_one_answer(world):
    answers = defaultdict(set)
    for fact in world.facts:
        for prompt in prompts(fact):
            answers[prompt].add(fact.answer)
    assert all(len(found) == 1 for found in answers.values())


def test_names_are_unique_in_the_whole_world():
    names = [name.casefold() for found in make_entities(9_000, random.Random(0)).values() for name in found]
    assert len(names) > 8_500 and len(set(names)) == len(names)


def test_names_have_many_shapes_and_near_doubles(world):
    names = sorted({fact.subject for fact in world.facts})
    for shape in (r"^[A-Z]\. [A-Z]\. ", r"-", r" (de|van|von|ibn) ", r"Jr\.$", r"[áéíóúñšçý]", r"^The ", r"\d", r" & "):
        assert any(re.search(shape, name) for name in names), shape
    assert {len(name.split()) for name in names} >= {1, 2, 3, 4, 5}
    holes = Counter(name[:at] + "_" + name[at + 1 :] for name in names for at in range(len(name)))
    assert sum(count > 1 for count in holes.values()) > 0.05 * len(names)
    assert max(map(len, names)) <= 40


def test_levels_are_exact_and_dealt_to_facts_not_to_subjects(world):
    assert Counter(fact.exposures for fact in world.facts) == {48: 1_000, 12: 500, 3: 500, 0: 1_000}
    assert len({fact.exposures for fact in world.facts[:60]}) == 4
    levels = defaultdict(list)
    for fact in world.facts:
        levels[fact.subject].append(fact.exposures)
    several = [found for found in levels.values() if len(found) > 1]
    assert sum(len(set(found)) > 1 for found in several) > 0.6 * len(several)


def test_years_make_sense(world):
    years = defaultdict(dict)
    for fact in world.facts:
        if fact.relation.endswith("_year"):
            years[fact.subject][fact.relation] = int(fact.answer)
    for known in years.values():
        for first, last in (("birth_year", "death_year"), ("founding_year", "closing_year")):
            if first in known and last in known:
                assert known[first] < known[last]
        assert max(known.values()) <= 2025


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_facts": 0}, "num_facts must be at least 1, got 0"),
        ({"shares": {"many": 1.0}}, "same names"),
        ({"exposures": {"a": 1}, "shares": {"a": 0.0}}, "sum above 0"),
        ({"exposures": {"a": -1}, "shares": {"a": 1.0}}, "at least 0"),
    ],
)
def test_wrong_settings_are_named(arguments, message):
    with pytest.raises(SettingsError, match=message):
        make_world(**{"num_facts": 10} | arguments)


def test_there_are_many_relations_with_many_wordings():
    assert len(RELATIONS) >= 80
    assert len({relation.name for relation in RELATIONS}) == len(RELATIONS)
    assert {relation.kind for relation in RELATIONS} == set(KINDS)
    for relation in RELATIONS:
        questions = [wording for wording in relation.wordings if is_question(wording)]
        assert len(questions) >= 5, relation.name
        assert len(relation.wordings) - len(questions) >= 5, relation.name
        assert len(statements(relation.name)) >= 5, relation.name
        assert relation.answer in POOLS or relation.answer in KINDS or relation.answer.startswith("year ")


def test_no_two_relations_of_a_kind_share_a_wording():
    # Over kinds they may: names are unique in the whole world, so the filled prompts still differ.
    wordings = Counter((relation.kind, wording.casefold()) for relation in RELATIONS for wording in relation.wordings)
    assert max(wordings.values()) == 1


@pytest.mark.parametrize("relation", RELATIONS, ids=lambda relation: relation.name)
def test_wordings_are_well_formed(relation):
    for wording in relation.wordings:
        assert wording.count("{s}") == 1 and wording.count("{") == 1, wording
        assert wording == " ".join(wording.split()) and not re.search(r" [.,?:]|\.\.", wording), wording
        assert wording[0].isupper() or wording.startswith("{s}"), wording
        assert wording[-1].isalnum() or wording[-1] in "?.:,}", wording
        if relation.kind in ("company", "band", "book", "ship", "product"):
            assert "{s}'s" not in wording, wording
        if re.search(r" a$", wording):
            assert not [answer for answer in POOLS[relation.answer] if answer[0].lower() in "aeiou"], wording
    assert not [answer for answer in POOLS.get(relation.answer, ()) if "  " in answer]


def test_sentences_end_in_one_full_stop(world):
    rng = random.Random(0)
    for fact in world.facts:
        text = sentence(fact, rng)
        assert fact.subject in text and text.rstrip(".").endswith(fact.answer.rstrip("."))
        assert text.endswith(".") and not text.endswith("..") and "  " not in text and " ." not in text
    tam = WorldFact("f", "Nuapoto Inc.", "founder", "Tam Holt Jr.", 0)
    assert sentence(tam, rng).endswith("Tam Holt Jr.")
    assert "Tell me who founded Nuapoto Inc." in prompts(tam)


def test_records_teach_without_touching_their_own_locality(world):
    taught = [fact for fact in world.facts if fact.exposures == 0][:400]
    records = fact_records(taught, world, seed=1, num_paraphrases=4)
    assert records == fact_records(taught, world, seed=1, num_paraphrases=4)
    assert records != fact_records(taught, world, seed=2, num_paraphrases=4)
    owners = {prompt: fact for fact in world.facts for prompt in prompts(fact)}
    own = {prompt for record in records for prompt in (record["prompt"], *record["paraphrases"])}
    same_relation = same_subject = 0
    for fact, record in zip(taught, records, strict=True):
        Fact.from_record(record)
        asked = [record["prompt"], *record["paraphrases"]]
        assert len(set(asked)) == 5 and set(asked) <= set(prompts(fact))
        assert (record["answer"], record["subject"], record["relation"]) == (fact.answer, fact.subject, fact.relation)
        assert len(record["locality"]) == 2 and not own & set(record["locality"])
        first, second = (owners[prompt] for prompt in record["locality"])
        assert first.exposures == 48 and first.subject != fact.subject
        assert not {first.id, second.id} & {other.id for other in taught}
        same_relation += first.relation == fact.relation
        same_subject += second.subject == fact.subject
        if second.subject != fact.subject:
            assert second.exposures == 48
            assert not [f for f in world.facts if f.subject == fact.subject and f not in taught]
    assert same_relation == 400
    assert same_subject > 200


def test_records_need_known_facts_and_wordings(world):
    with pytest.raises(SettingsError, match="at least 2 well exposed facts outside the 3000 taught ones"):
        fact_records(world.facts, world)
    with pytest.raises(SettingsError, match=r"num_paraphrases must be 0 to 1\d"):
        fact_records(world.facts[:1], world, num_paraphrases=40)


def test_groups_hold_all_wordings(world):
    group = paraphrase_groups(world.facts[:3])[1]
    fact = world.facts[1]
    assert group == {
        "subject": fact.subject, "relation": fact.relation, "answer": fact.answer,
        "prompts": tuple(prompts(fact)),
        "loose": tuple(fill(wording, fact.subject) for wording in LOOSE[fact.relation]),
    }  # fmt: skip


def test_every_fact_is_written_exactly_as_often_as_it_says():
    rng = random.Random(3)
    facts = []
    for at in range(300):  # names that occur in no other text, so that occurrences can be counted in the text itself
        relation, exposures = rng.choice(RELATIONS[:12]).name, rng.choice((0, 1, 4, 16, 96))
        facts.append(WorldFact(f"f{at}", f"Subj{at // 3:03}x", relation, f"Answer{at:03}y", exposures))
    texts, counts = exposure_texts(facts, seed=7)
    written = "\n\n\n".join(texts)
    answers = Counter(re.findall(r"Answer\d{3}y", written))
    subjects = Counter(re.findall(r"Subj\d{3}x", written))
    by_subject = Counter()
    for fact in facts:
        assert counts[fact.id] == answers[fact.answer] == fact.exposures
        by_subject[fact.subject] += fact.exposures
    assert subjects == +by_subject
    assert (texts, counts) == exposure_texts(facts, seed=7)
    assert texts != exposure_texts(facts, seed=8)[0]


def test_forms_are_what_they_promise(world):
    assert set(WRITERS) == set(FORMS) and abs(sum(FORMS.values()) - 1) < 1e-9
    texts, counts = exposure_texts(world.facts, seed=0)
    assert counts == Counter({fact.id: fact.exposures for fact in world.facts if fact.exposures})
    owners = {prompt: fact for fact in world.facts for prompt in prompts(fact)}
    packs = [text for text in texts if text.startswith("Question: ")]
    sizes, uniform, mixed = Counter(), 0, 0
    for text in packs:
        pairs = [re.fullmatch(r"Question: (.+)\nAnswer: (.+)", block) for block in text.split("\n\n")]
        facts = [owners[pair[1]] for pair in pairs if pair]
        assert len(facts) == len(pairs) and [pair[2] for pair in pairs if pair] == [fact.answer for fact in facts]
        assert len({fact.subject for fact in facts}) == len(facts)
        sizes[len(facts)] += 1
        uniform += len(facts) > 1 and len({fact.relation for fact in facts}) == 1
        mixed += len({fact.relation for fact in facts}) > 1
    assert set(sizes) == {1, 2, 3, 4, 5, 6}
    assert 0.8 < uniform / mixed < 1.25
    for text in texts:
        assert "  " not in text and " ." not in text and "{" not in text and ".." not in text
