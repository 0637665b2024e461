"""Facts of an open model that are forgotten or corrected: theirs alone, and without a trace."""

import json
from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mome.errors import FactsError
from mome.facts import Fact
from mome.modeling import MoMEForCausalLM
from mome.tables import parts_of
from train.answers import generate_answers


def logits_of(model, joiner, facts) -> list[torch.Tensor]:
    """Of each fact's prompt and answer, alone in its batch."""
    found = []
    for fact in facts:
        prompt = joiner.encode_prompt(fact.prompt)
        tokens = torch.tensor([prompt + joiner.encode_answer(fact.prompt, fact.answer)])
        with torch.no_grad(), model.asked(len(prompt)):
            found.append(model(input_ids=tokens).logits)
    return found


def same(first, second) -> list[bool]:
    return [torch.equal(one, other) for one, other in zip(first, second, strict=True)]


def alone(facts) -> list[int]:
    """Numbers of the facts whose subject no other one has, which might answer in their place."""
    subjects = [fact.subject for fact in facts]
    return [number for number, subject in enumerate(subjects) if subjects.count(subject) == 1]


@pytest.fixture(scope="module", params=["exact", "Flat", "IVF4,Flat", "IVF4,SQfp16", "HNSW8", "SQ8"])
def folder(request, teach_memory, backbone_folder, facts, taught):
    return teach_memory(backbone_folder, facts, index=request.param, router=taught.model.router).folder


@pytest.fixture
def model(folder) -> MoMEForCausalLM:
    return MoMEForCausalLM.from_pretrained(folder)


def test_the_bare_answer_is_back_and_nothing_else_changes(model, taught):
    facts, joiner = taught.facts, taught.joiner
    before = logits_of(model, joiner, facts)
    with model.memory_disabled():
        bare = logits_of(model, joiner, facts)
    assert not any(same(before, bare))
    gone = alone(facts)[2:5]
    model.forget([facts[number].id for number in gone])
    after = logits_of(model, joiner, facts)
    assert same(after, before) == [number not in gone for number in range(len(facts))]
    assert same(after, bare) == [number in gone for number in range(len(facts))]
    assert [fact.id for fact in model.facts] == [fact.id for number, fact in enumerate(facts) if number not in gone]
    assert len(model.facts) == len(facts) - 3 and facts[gone[0]].id not in model.facts


def test_a_corrected_fact_says_its_new_answer_and_no_other_changes(model, taught, write_settings):
    facts, joiner = taught.facts, taught.joiner
    before = logits_of(model, joiner, facts)
    corrected = replace(facts[5], answers=("quite another answer",))
    done = model.memorize([corrected], joiner.tokenizer, write_settings, update=True)
    assert float(done.margin.min()) >= write_settings.margin
    assert same(logits_of(model, joiner, facts), before) == [number != 5 for number in range(len(facts))]
    assert generate_answers(model, joiner, [corrected.prompt]) == ["quite another answer"]
    assert model.facts[corrected.id] == corrected and len(model.facts) == len(facts)
    trace = model.trace(
        torch.tensor(
            [joiner.encode_prompt(corrected.prompt) + joiner.encode_answer(corrected.prompt, corrected.answer)]
        )
    )
    assert {entry.fact_id for entry in trace[0] if entry.fact_id} == {corrected.id}


def test_what_was_forgotten_can_be_taught_again(model, taught, write_settings):
    fact, joiner = taught.facts[2], taught.joiner
    for answer in ("one answer", "another one", fact.answer):
        model.forget([fact.id])
        assert generate_answers(model, joiner, [fact.prompt]) != [answer]
        model.memorize([replace(fact, answers=(answer,))], joiner.tokenizer, write_settings)
        assert generate_answers(model, joiner, [fact.prompt]) == [answer]
    others = [each for each in taught.facts if each.id != fact.id]
    assert generate_answers(model, joiner, [each.prompt for each in others]) == [each.answer for each in others]


def test_no_file_of_a_checkpoint_holds_what_was_forgotten(model, taught, write_settings, tmp_path):
    facts, joiner = taught.facts, taught.joiner
    first, second, third = alone(facts)[:3]
    gone, old = [facts[first], facts[third]], facts[second]
    corrected = replace(old, answers=("quite another answer",))
    rows = torch.cat(parts_of(model.bank.up))
    numbers = [model.ledger.number_of(fact.id) for fact in [*gone, old]]
    lost = rows[torch.isin(model.bank.fact, torch.tensor(numbers))].flatten(1)
    keys = model.bank.keys_of(numbers[:2])
    lost_keys = torch.cat(parts_of(model.bank.keys))[keys]
    model.forget([fact.id for fact in gone])
    model.memorize([corrected], joiner.tokenizer, write_settings, update=True)
    model.save_pretrained(tmp_path / "left")
    left = "".join(json.dumps(fact.to_record(), ensure_ascii=False) for fact in facts if fact not in [*gone, old])
    texts = [fact.answer for fact in [*gone, old]] + [text for fact in gone for text in (fact.id, fact.prompt)]
    lost_texts = [text for text in texts if text not in left]  # another fact's subject may be an answer
    assert len(lost_texts) >= 5
    for path in (tmp_path / "left").iterdir():
        content = path.read_bytes()
        for text in lost_texts:
            assert text.encode() not in content, (path.name, text)
        for row in [*lost[lost.abs().amax(1) > 0], *lost_keys]:
            assert row.numpy().tobytes() not in content, path.name
    again = MoMEForCausalLM.from_pretrained(tmp_path / "left")
    left = [fact for fact in facts if fact not in gone and fact.id != corrected.id]
    assert list(again.facts) == [*left, corrected]
    assert generate_answers(again, joiner, [fact.prompt for fact in again.facts]) == [
        fact.answer for fact in again.facts
    ]
    assert again.bank.num_experts == model.bank.num_experts - len(lost)
    with again.memory_disabled():
        bare = logits_of(again, joiner, gone)
    assert all(same(logits_of(again, joiner, gone), bare))


@pytest.mark.parametrize("ids", [["nobody"], [0, "nobody"], ["nobody", "nothing"]])
def test_a_fact_that_is_not_there_is_an_error_and_nothing_is_forgotten(model, taught, ids):
    ids = [taught.facts[each].id if isinstance(each, int) else each for each in ids]
    with pytest.raises(FactsError, match="fact 'nobody': expected the id of a fact that is taught, found none with it"):
        model.forget(ids)
    with pytest.raises(FactsError, match="expected the id of a fact that is taught"):
        model.memorize([replace(taught.facts[0], id="nobody")], taught.joiner.tokenizer, update=True)
    assert list(model.facts) == taught.facts
    model.forget([taught.facts[0].id])
    with pytest.raises(FactsError, match="expected the id of a fact that is taught"):
        model.forget([taught.facts[0].id])


def test_a_prompt_that_is_taught_is_not_taught_a_second_answer(model, taught, monkeypatch):
    monkeypatch.setattr("mome.memorize.memorize", None)
    fact = replace(taught.facts[1], id="another", answers=("another",))
    with pytest.raises(FactsError, match=r"expected prompts of their own, got .* which is taken; .*update the one"):
        model.memorize([fact], taught.joiner.tokenizer)
    with pytest.raises(FactsError, match="expected prompts of their own"):
        model.memorize([replace(fact, id=taught.facts[0].id)], taught.joiner.tokenizer, update=True)


OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["add", "update", "forget", "save"]), st.integers(0, 5), st.integers(0, 2)), max_size=10
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=OPERATIONS)
def test_any_sequence_of_changes_is_that_of_a_dictionary(operations, taught, write_settings, tmp_path_factory):
    joiner, tokenizer = taught.joiner, taught.joiner.tokenizer
    model, truth = taught.reopen(), {}
    model.forget([fact.id for fact in taught.facts])
    for kind, number, variant in operations:
        source = taught.facts[number]
        fact = Fact(
            id=f"f{number}", prompt=source.prompt, answers=(f"{source.answer} {variant}",), subject=source.subject
        )
        if kind == "save":
            folder = tmp_path_factory.mktemp("saved") / "memory"
            model.save_pretrained(folder)
            model = MoMEForCausalLM.from_pretrained(folder)
        elif (kind == "add") != (fact.id in truth):
            if kind == "forget":
                model.forget([fact.id])
                del truth[fact.id]
            else:
                model.memorize([fact], tokenizer, write_settings, update=kind == "update")
                truth[fact.id] = fact
        else:
            with pytest.raises(FactsError):
                model.forget([fact.id]) if kind == "forget" else model.memorize(
                    [fact], tokenizer, write_settings, kind == "update"
                )
    assert {fact.id: fact for fact in model.facts} == truth
    prompts = [fact.prompt for fact in taught.facts[:6]]
    with model.memory_disabled():
        expected = generate_answers(model, joiner, prompts)
    for number in range(6):
        if f"f{number}" in truth:
            expected[number] = truth[f"f{number}"].answer
    assert generate_answers(model, joiner, prompts) == expected
