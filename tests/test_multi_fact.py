"""Many facts in one text: a paragraph that states them, and a conversation that asks for them one after the other."""

from pathlib import Path

import pytest
import torch

from mome.answer import answer, lacks_support
from mome.facts import Fact
from mome.joining import Joiner
from mome.ledger import Ledger
from mome.memory import CLOSED
from mome.modeling import MoMEForCausalLM
from mome.settings import WriteSettings
from train.memorize import memorize_all
from train.prepare import choose_router, prepare
from train.settings import BackboneSettings, TrainSettings
from train.verify import UNRELATED
from train.world import make_world, prompts

NUM_FACTS = 40


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> MoMEForCausalLM:
    """Facts of a world that neither the embedded backbone nor its router has seen, in the embedded backbone."""
    work = tmp_path_factory.mktemp("teach")
    prepared = prepare(BackboneSettings())
    settings = TrainSettings(facts=Path("unused"))
    config, router, _ = choose_router(prepared, settings, [], work)
    model = MoMEForCausalLM(config, prepared.backbone, router)
    by_subject = {fact.subject: fact for fact in make_world(7, 400).facts}
    facts = [
        Fact(id=f.id, prompt=prompts(f)[0], answers=(f.answer,), subject=f.subject, relation=f.relation)
        for f in list(by_subject.values())[:NUM_FACTS]
    ]
    facts += [
        Fact(id=f"either-{answer}", prompt=f"Is {subject} a dancer or a singer?", answers=(answer,), subject=subject)
        for subject, answer in (("Orla Fennimore", "dancer"), ("Ivo Quandt", "singer"))
    ]
    model.set_bank(memorize_all(model, prepared.joiner, facts, WriteSettings(), work, seed=0)[0])
    model.ledger = Ledger(facts)
    return model


@pytest.fixture(scope="module")
def joiner(model) -> Joiner:
    return prepare(BackboneSettings()).joiner


def owners(model: MoMEForCausalLM, ids: list[int]) -> list[str | None]:
    """The fact that speaks behind every token."""
    experts = model.routing(torch.tensor([ids])).expert[0].tolist()
    return [None if e == CLOSED else model.ledger.facts[int(model.bank.fact[e])].id for e in experts]


def test_a_paragraph_of_five_facts_is_read_fact_by_fact(model, joiner):
    read = []
    for first in range(0, NUM_FACTS, 5):
        ids: list[int] = []
        spans = []
        for fact in model.ledger.facts[first : first + 5]:
            prompt = joiner.tokenizer(("\n" if ids else "") + fact.prompt, add_special_tokens=not ids).input_ids
            said = joiner.encode_answer(fact.prompt, fact.answer)[:-1]  # without the end of text
            spans.append((fact.id, len(ids) + len(prompt) - 1, len(said)))
            ids += prompt + said
        speaking = owners(model, ids)
        for fact_id, start, length in spans:
            read.append(speaking[start : start + length] == [fact_id] * length)
    assert sum(read) >= 0.95 * NUM_FACTS


def test_a_conversation_of_ten_questions_is_answered_to_the_end(model, joiner):
    history, right = "", []
    for fact in model.ledger.facts[:10]:
        given = answer(model, joiner.tokenizer, history + fact.prompt, max_new_tokens=24)
        right.append((given.fact_id, given.answer) == (fact.id, fact.answer))
        history += f"{fact.prompt} {fact.answer}\n\n"
    assert all(right)


@pytest.mark.parametrize("answer_id", ["either-dancer", "either-singer"])
def test_a_question_may_say_its_own_answer(model, joiner, answer_id):
    """The gate may open before the question ends, and the question go on as the fact was taught."""
    fact = model.facts[answer_id]
    assert answer(model, joiner.tokenizer, fact.prompt, max_new_tokens=24).answer == fact.answer


def test_a_fact_asked_twice_is_answered_twice(model, joiner):
    fact = model.ledger.facts[3]
    text = f"{fact.prompt} {fact.answer}\n\n{fact.prompt}"
    assert answer(model, joiner.tokenizer, text, max_new_tokens=24).answer == fact.answer


def test_questions_of_the_kind_without_a_fact_are_not_supported(model, joiner):
    unseen = [fact for fact in make_world(8, 400).facts if fact.subject not in {f.subject for f in model.ledger.facts}]
    kinds = {fact.relation for fact in model.ledger.facts}
    asked = [prompts(fact)[0] for fact in unseen if fact.relation in kinds][:40]

    def share_unsupported(texts: list[str]) -> float:
        given = [answer(model, joiner.tokenizer, text, abstain="?", max_new_tokens=1) for text in texts]
        assert all((one.answer == "?") == one.abstained for one in given)
        return sum(one.abstained for one in given) / len(given)

    assert share_unsupported([fact.prompt for fact in model.ledger.facts]) == 0
    unrelated = UNRELATED.read_text(encoding="utf-8").splitlines()[:40]
    assert share_unsupported(asked) > share_unsupported(unrelated) + 0.3
    with model.memory_disabled():
        assert not lacks_support(model, torch.tensor([joiner.encode_prompt(asked[0])])).any()
