"""Real facts from EntityQuestions and the project's own wordings of their relations."""

import gzip
import json
import random
import re
from collections import Counter

import pytest

from mome.errors import FactsError, SettingsError
from train.corpus import exposure_texts
from train.real_questions import TEMPLATES, read_real_facts
from train.world import RELATIONS, is_question, prompts, sentence, statements


def _write(folder, **parts):
    for part in ("train", "dev", "test"):
        with gzip.open(folder / f"{part}.jsonl.gz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(record) + "\n" for record in parts.get(part, []))


def _record(number, subject, *answers, relation="P19"):
    prompt = TEMPLATES[relation][0].replace("{s}", subject)
    identity = f"{relation}.train.{number}"
    return {"id": identity, "relation": relation, "subject": subject, "prompt": prompt, "answers": list(answers)}


@pytest.mark.parametrize("relation", TEMPLATES)
def test_wordings_are_well_formed(relation):
    wordings = TEMPLATES[relation]
    own = wordings[1:]
    assert len(set(wordings)) == len(wordings)
    assert sum(map(is_question, own)) >= 4 and len(statements(relation)) >= 4
    for wording in wordings:
        assert wording.count("{s}") == 1 and wording.count("{") == 1, wording
        assert wording == " ".join(wording.split()) and not re.search(r" [.,?:]| an?$", wording), wording


def test_own_wordings_belong_to_one_relation_only():
    counts = Counter(wording for wordings in TEMPLATES.values() for wording in wordings[1:])
    assert max(counts.values()) == 1
    assert not set(TEMPLATES) & {relation.name for relation in RELATIONS}


def test_the_first_wording_is_the_upstream_question(shared_data):
    upstream = json.loads((shared_data / "entity_questions" / "templates.json").read_text(encoding="utf-8"))
    assert len(TEMPLATES) == 24
    assert {name: wordings[0] for name, wordings in TEMPLATES.items()} == {
        name: upstream[name].replace("[X]", "{s}") for name in TEMPLATES
    }


def test_unusable_questions_are_left_out(tmp_path):
    records = [
        _record(0, "Ann", "Rome"), _record(1, "Ann", "Oslo"), _record(2, "Bo", "Oslo"), _record(3, "Cy", "Bern"),
        _record(4, "Di", "x" * 41), _record(5, "E" * 41, "Oslo"), _record(6, "Flo of Oslo", "Oslo"),
        _record(7, "Gus", "Paris", "Lyon"), _record(8, "Gus", "Paris", "Lyon"),
        _record(9, "Hall", "Kent", relation="P131"), _record(10, "Hall", "London", relation="P276"),
    ]  # fmt: skip
    _write(tmp_path, train=records, dev=[_record(0, "Cy", "Bern")])
    facts = read_real_facts(tmp_path, num_facts=2)
    assert {(fact.subject, fact.answer, fact.id) for fact in facts} == {
        ("Bo", "Oslo", "P19.train.2"), ("Gus", "Paris", "P19.train.7")
    }  # fmt: skip
    with pytest.raises(SettingsError, match="num_facts must be 1 to 2"):
        read_real_facts(tmp_path, num_facts=3)


def test_the_draw_is_even_and_depends_on_the_seed_alone(tmp_path):
    many = [_record(at, f"Person {at}", f"Town {at}") for at in range(60)]
    few = [_record(at, f"Club {at}", f"Founder {at}", relation="P112") for at in range(3)]
    _write(tmp_path, train=many + few)
    shares = {"many": 0.25, "some": 0.25, "few": 0.25, "none": 0.25}
    facts = read_real_facts(tmp_path, num_facts=20, shares=shares, seed=1)
    assert facts == read_real_facts(tmp_path, num_facts=20, shares=shares, seed=1)
    assert facts != read_real_facts(tmp_path, num_facts=20, shares=shares, seed=2)
    assert Counter(fact.relation for fact in facts) == {"P19": 17, "P112": 3}
    assert Counter(fact.exposures for fact in facts) == {48: 5, 12: 5, 3: 5, 0: 5}


def test_damage_is_named(tmp_path):
    with pytest.raises(FactsError, match=r"dev\.jsonl\.gz"):
        read_real_facts(tmp_path, num_facts=1)
    _write(tmp_path, train=[_record(0, "Ann", "Rome"), {"relation": "P19"}])
    with pytest.raises(FactsError, match=r"train\.jsonl\.gz, line 2: expected id"):
        read_real_facts(tmp_path, num_facts=1)
    _write(tmp_path, train=[_record(0, "Ann", "Rome") | {"relation": "P1"}])
    with pytest.raises(FactsError, match="line 1: expected one of 24 known relations"):
        read_real_facts(tmp_path, num_facts=1)
    _write(tmp_path, train=[_record(0, "Ann", "Rome")])
    whole = (tmp_path / "train.jsonl.gz").read_bytes()
    (tmp_path / "train.jsonl.gz").write_bytes(whole[:-6])
    with pytest.raises(FactsError, match="complete gzip file"):
        read_real_facts(tmp_path, num_facts=1)


def test_published_questions_become_facts(shared_data):
    folder = shared_data / "entity_questions"
    facts = read_real_facts(folder, seed=3)
    assert Counter(fact.exposures for fact in facts) == {48: 4_000, 12: 3_000, 3: 3_000}
    per_relation = Counter(fact.relation for fact in facts)
    assert set(per_relation) == set(TEMPLATES) and max(per_relation.values()) - min(per_relation.values()) <= 1
    questions = [prompts(fact)[0] for fact in facts]
    assert len(set(questions)) == len(questions)
    held_out = set()
    for part in ("dev", "test"):
        with gzip.open(folder / f"{part}.jsonl.gz", "rt", encoding="utf-8") as lines:
            held_out |= {json.loads(line)["prompt"] for line in lines}
    assert not held_out & set(questions)
    rng = random.Random(0)
    for fact in facts:
        assert len(fact.subject) <= 40 and len(fact.answer) <= 40
        assert sentence(fact, rng)[-1] in ".?!"
    counts = exposure_texts(facts[:500])[1]
    assert counts == Counter({fact.id: fact.exposures for fact in facts[:500]})
