"""A generated world of fictional facts, and the wordings in which a fact is asked, stated, taught and tested.

Facts of `train.real_questions` have the same form, and every function here serves them too. Everything that is drawn
is drawn from a seed alone.
"""

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mome.errors import SettingsError
from mome.facts import Fact, write_facts
from train.loose_people import LOOSE_PEOPLE
from train.loose_places import LOOSE_PLACES
from train.loose_works import LOOSE_WORKS
from train.real_text import TEMPLATES
from train.relation import Relation
from train.settings import WorldSettings
from train.world_names import POOLS, near_name, new_name
from train.world_people import PEOPLE
from train.world_places import PLACES
from train.world_works import WORKS

RELATIONS = PEOPLE + PLACES + WORKS
# Every wording of every relation, generated and real (real ones are named by their Wikidata property).
WORDINGS: Mapping[str, tuple[str, ...]] = {relation.name: relation.wordings for relation in RELATIONS} | TEMPLATES
LOOSE: Mapping[str, tuple[str, ...]] = {**LOOSE_PEOPLE, **LOOSE_PLACES, **LOOSE_WORKS}
EXPOSURES: Mapping[str, int] = {"many": 48, "some": 12, "few": 3, "none": 0}
SHARES: Mapping[str, float] = {"many": 1 / 3, "some": 1 / 6, "few": 1 / 6, "none": 1 / 3}
# How many of all entities are of each kind.
KINDS: Mapping[str, float] = {
    "person": 0.31, "town": 0.12, "company": 0.11, "book": 0.10, "school": 0.06, "band": 0.07, "river": 0.03,
    "lake": 0.03, "mountain": 0.04, "festival": 0.05, "product": 0.05, "ship": 0.03,
}  # fmt: skip
# The first year of an entity (birth, founding, publication, ...) is drawn from these bounds, else from the last.
FIRST_YEARS = {
    "person": (1740, 1930), "town": (1150, 1790), "book": (1780, 2019), "product": (1890, 2022), "band": (1948, 2021),
    "company": (1790, 1930),
}  # fmt: skip
OTHER_YEARS = (1800, 1999)
NEAR_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class WorldFact:
    """One fact; `exposures` is how often pretraining text states it."""

    id: str
    subject: str
    relation: str
    answer: str
    exposures: int


@dataclass(frozen=True, slots=True)
class World:
    """Facts in random order, each subject and relation at most once."""

    facts: tuple[WorldFact, ...]


def make_world(
    seed: int = 0,
    num_facts: int = 12_000,
    exposures: Mapping[str, int] = EXPOSURES,
    shares: Mapping[str, float] = SHARES,
) -> World:
    """Make a world of `num_facts` facts about people, towns, companies, books and so on.

    `exposures` maps a level's name to a number of exposures and `shares` the same names to their share of the facts.
    Levels are dealt to facts, not to subjects: one subject has facts of different levels.
    Raises SettingsError for `num_facts` < 1, or levels whose names differ, are negative or sum to nothing.

    >>> world = make_world(seed=0, num_facts=50)
    >>> len(world.facts), world == make_world(seed=0, num_facts=50)
    (50, True)
    """
    if num_facts < 1:
        raise SettingsError(f"make_world: num_facts must be at least 1, got {num_facts}; ask for one fact or more")
    rng = random.Random(seed)
    entities = make_entities(num_facts // 3 + len(KINDS), rng)
    pairs = []
    for kind, names in entities.items():
        relations = [relation for relation in RELATIONS if relation.kind == kind]
        for name in names:
            first_year = rng.randint(*FIRST_YEARS.get(kind, OTHER_YEARS))
            num_relations = min(len(relations), rng.randint(2, 6))
            pairs += [(name, relation, first_year) for relation in rng.sample(relations, num_relations)]
    rng.shuffle(pairs)
    assert len(pairs) >= num_facts
    levels = deal_levels(num_facts, exposures, shares, rng)
    facts = []
    for number, ((subject, relation, first_year), level) in enumerate(zip(pairs, levels, strict=False)):
        answer = _answer(subject, relation, first_year, entities, rng)
        facts.append(WorldFact(f"world.{relation.name}.{number}", subject, relation.name, answer, level))
    return World(tuple(facts))


def make_entities(num_entities: int, rng: random.Random) -> dict[str, list[str]]:
    """Names by kind, about `num_entities` in all and at least four of a kind, no two alike in the whole world."""
    taken: set[str] = set()
    entities: dict[str, list[str]] = {}
    for kind, share in KINDS.items():
        names: list[str] = []
        while len(names) < max(4, round(share * num_entities)):
            near = names and rng.random() < NEAR_SHARE
            name = near_name(kind, rng.choice(names), rng) if near else new_name(kind, rng)
            if name.casefold() not in taken and len(name) <= 40:
                taken.add(name.casefold())
                names.append(name)
        entities[kind] = names
    return entities


def deal_levels(
    num_facts: int, exposures: Mapping[str, int], shares: Mapping[str, float], rng: random.Random
) -> list[int]:
    """The number of exposures of each of `num_facts` facts, in random order and exactly in the given shares."""
    if set(exposures) != set(shares) or min(shares.values(), default=-1) < 0 or sum(shares.values()) <= 0:
        raise SettingsError(
            f"levels of exposure: expected the same names in exposures and shares, and shares of at least 0 with a sum "
            f"above 0; got exposures {dict(exposures)} and shares {dict(shares)}; give each level one of both"
        )
    if min(exposures.values()) < 0:
        raise SettingsError(f"levels of exposure: expected counts of at least 0, got {dict(exposures)}; raise them")
    levels: list[int] = []
    dealt, total = 0.0, sum(shares.values())
    for name, share in shares.items():
        dealt += share / total
        levels += [exposures[name]] * (round(dealt * num_facts) - len(levels))
    rng.shuffle(levels)
    return levels


def _answer(
    subject: str, relation: Relation, first_year: int, entities: Mapping[str, list[str]], rng: random.Random
) -> str:
    if relation.answer.startswith("year"):
        low, high = (int(word) for word in relation.answer.split()[1:])
        return str(first_year + rng.randint(low, high))
    pool: Sequence[str] = entities[relation.answer] if relation.answer in entities else POOLS[relation.answer]
    while (answer := rng.choice(pool)).casefold() in subject.casefold() or subject.casefold() in answer.casefold():
        pass
    return answer


def is_question(wording: str) -> bool:
    """True for a question or a request, whose answer stands apart; False for a beginning that the answer completes."""
    return wording[-1] in "?."


def prompts(fact: WorldFact) -> list[str]:
    """Every wording of the fact, filled with its subject, in the order of the wordings.

    >>> prompts(WorldFact("f", "Maren Tolveth", "birthplace", "Velmora", 0))[0]
    'Where was Maren Tolveth born?'
    """
    return [fill(wording, fact.subject) for wording in WORDINGS[fact.relation]]


def fill(wording: str, subject: str) -> str:
    """`wording` about `subject`; a subject such as ``Nuapoto Inc.`` at its end brings the full stop along."""
    text = wording.replace("{s}", subject)
    return text[:-1] if text.endswith("..") and wording.endswith("{s}.") else text


def statements(relation: str) -> list[str]:
    """The wordings of `relation` that the answer completes to a sentence (neither questions nor labels)."""
    return [wording for wording in WORDINGS[relation] if wording[-1] not in "?.:"]


def sentence(fact: WorldFact, rng: random.Random) -> str:
    """A random statement of the fact with a full stop: ``Maren Tolveth was born in Velmora.``"""
    return complete(rng.choice(statements(fact.relation)), fact)


def complete(statement: str, fact: WorldFact) -> str:
    """`statement` with subject, answer and full stop; an answer such as ``Tam Holt Jr.`` gives no second stop."""
    text = f"{statement.replace('{s}', fact.subject)} {fact.answer}"
    return text if text[-1] in ".?!" else text + "."


def fact_records(facts: Sequence[WorldFact], world: World, seed: int = 0, num_paraphrases: int = 3) -> list[dict]:
    """Records (fields of `mome.facts`) that teach `facts`, in random wordings.

    `locality` holds two prompts about facts that are not among `facts`: one of the same relation about another subject
    whose fact has the most exposures in the world, so a pretrained backbone knows it; one about another fact of the
    same subject or, where there is none left, another such known fact.
    Raises SettingsError where no known fact outside `facts` remains, or a relation has too few wordings.
    """
    rng = random.Random(seed)
    taught = {fact.id for fact in facts}
    rest = [fact for fact in world.facts if fact.id not in taught]
    most = max((fact.exposures for fact in world.facts), default=0)
    known = [fact for fact in rest if fact.exposures == most > 0]
    if len(known) < 2:
        raise SettingsError(
            f"fact_records: expected at least 2 well exposed facts outside the {len(facts)} taught ones for locality "
            f"prompts, got {len(known)}; teach fewer facts or make a larger world"
        )
    known_by_relation, rest_by_subject = _grouped(known, "relation"), _grouped(rest, "subject")
    records = []
    for fact in facts:
        if not 0 <= num_paraphrases < len(WORDINGS[fact.relation]):
            raise SettingsError(
                f"fact_records: num_paraphrases must be 0 to {len(WORDINGS[fact.relation]) - 1} for relation "
                f"{fact.relation}, got {num_paraphrases}; choose one in that range"
            )
        prompt, *paraphrases = rng.sample(prompts(fact), num_paraphrases + 1)
        first = _draw(known_by_relation[fact.relation], known, fact.subject, rng)
        others = rest_by_subject[fact.subject]
        second = rng.choice(others) if others else _draw(known, known, fact.subject, rng)
        locality = [rng.choice(prompts(other)) for other in (first, second)]
        records.append({
            "id": fact.id, "prompt": prompt, "answer": fact.answer, "paraphrases": paraphrases, "locality": locality,
            "subject": fact.subject, "relation": fact.relation, "source": f"exposures={fact.exposures}",
        })  # fmt: skip
    return records


def _grouped(facts: Iterable[WorldFact], field: str) -> dict[str, list[WorldFact]]:
    groups: dict[str, list[WorldFact]] = defaultdict(list)
    for fact in facts:
        groups[getattr(fact, field)].append(fact)
    return groups


def _draw(first: list[WorldFact], otherwise: list[WorldFact], subject: str, rng: random.Random) -> WorldFact:
    """A fact of `first`, else of `otherwise`, that is not about `subject` (unless nothing else is left)."""
    for pool in (first, otherwise):
        candidates = [fact for fact in rng.sample(pool, min(8, len(pool))) if fact.subject != subject]
        if candidates:
            return candidates[0]
    return rng.choice(otherwise)


def paraphrase_groups(facts: Iterable[WorldFact]) -> list[dict]:
    """For each fact: subject, relation, answer, `prompts`, all its wordings, and `loose` ones; the router's training
    material. Loose wordings only hint at what is asked, as people do, and no other text has them."""
    return [
        {
            "subject": fact.subject,
            "relation": fact.relation,
            "answer": fact.answer,
            "prompts": tuple(prompts(fact)),
            "loose": tuple(fill(wording, fact.subject) for wording in LOOSE.get(fact.relation, ())),
        }
        for fact in facts
    ]


def write_world(settings: WorldSettings) -> int:
    """`mome world`: write facts of the embedded backbone's world that it saw a given number of times.

    Returns:
        How many facts were written.

    Raises:
        SettingsError: no fact of that world has this number of exposures.
    """
    world = make_world()
    facts = [fact for fact in world.facts if fact.exposures == settings.exposures]
    if not facts:
        levels = ", ".join(map(str, sorted({fact.exposures for fact in world.facts})))
        raise SettingsError(f"--exposures {settings.exposures}: expected one of {levels}, the numbers that occur")
    if settings.limit is not None:
        facts = random.Random(settings.seed).sample(facts, min(settings.limit, len(facts)))
    records = fact_records(facts, world, settings.seed, settings.num_paraphrases)
    settings.out.parent.mkdir(parents=True, exist_ok=True)
    write_facts(settings.out, [Fact.from_record(record) for record in records])
    return len(records)
