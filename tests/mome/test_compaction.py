"""An open memory without gaps: smaller, and of the same answers."""

from dataclasses import replace

import pytest
import torch

from mome import compaction
from mome.compaction import MIN_GONE, is_due
from mome.errors import BackboneError
from mome.index import TorchIndex
from mome.ledger import Ledger
from mome.modeling import MoMEForCausalLM
from tests.mome.test_forget import logits_of, same
from train.answers import generate_answers


@pytest.fixture(params=["exact", "IVF4,Flat", "IVF4,SQfp16", "HNSW8"])
def model(request, teach_memory, backbone_folder, facts, taught, tmp_path) -> MoMEForCausalLM:
    """Opened from files, so that its tables lie there."""
    folder = teach_memory(backbone_folder, facts, index=request.param, router=taught.model.router).folder
    return MoMEForCausalLM.from_pretrained(folder)


def num_indexed(model: MoMEForCausalLM) -> int:
    return len(model.index.keys) if isinstance(model.index, TorchIndex) else model.index.num_keys


def test_all_that_is_left_stays_as_it_was(model, taught, write_settings, tmp_path):
    facts, joiner = taught.facts, taught.joiner
    corrected = replace(facts[3], answers=("quite another answer",))
    model.memorize([corrected], joiner.tokenizer, write_settings, update=True)
    model.forget([facts[0].id, facts[7].id])
    left, before = list(model.facts), logits_of(model, joiner, facts)
    num_rows = model.bank.num_experts
    num_gone = sum(int((model.bank.fact == number).sum()) for number in model.ledger.forgotten)
    model.compact()
    assert model.bank.num_experts == num_rows - num_gone > 0 and num_gone >= 3
    assert model.bank.num_keys == len(model.facts) == num_indexed(model) == len(facts) - 2
    assert list(model.facts) == left and not model.ledger.forgotten
    # A graph is built anew, and may lead to other keys where none is near.
    assert "HNSW" in model.config.index or all(same(logits_of(model, joiner, facts), before))
    assert generate_answers(model, joiner, [fact.prompt for fact in left]) == [fact.answer for fact in left]
    said = joiner.encode_prompt(corrected.prompt) + joiner.encode_answer(corrected.prompt, corrected.answer)
    trace = model.trace(torch.tensor([said]))
    assert trace[0][-1].fact_id == corrected.id, "facts are numbered through"
    back = replace(facts[0], answers=("one more",))
    model.memorize([back], joiner.tokenizer, write_settings)
    model.forget([facts[5].id])
    assert generate_answers(model, joiner, [back.prompt, corrected.prompt]) == ["one more", "quite another answer"]
    model.save_pretrained(tmp_path / "saved")
    saved = MoMEForCausalLM.from_pretrained(tmp_path / "saved")
    assert list(saved.facts) == list(model.facts)
    again = same(logits_of(saved, joiner, facts), logits_of(model, joiner, facts))
    assert "HNSW" in model.config.index or all(again)


def test_nothing_may_be_left(taught):
    model, facts, joiner = taught.reopen(), taught.facts, taught.joiner
    with model.memory_disabled():
        bare = logits_of(model, joiner, facts)
    model.forget([fact.id for fact in facts])
    model.compact()
    assert model.bank.num_experts == model.bank.num_keys == len(model.facts) == 0
    assert all(same(logits_of(model, joiner, facts), bare))


def test_correcting_one_fact_forever_takes_no_more_room(taught, write_settings, monkeypatch):
    monkeypatch.setattr(compaction, "MIN_GONE", 4)
    model, joiner = taught.reopen(), taught.joiner
    model.forget([fact.id for fact in taught.facts[2:]])
    assert len(model.bank.token) == model.bank.num_experts and not model.ledger.forgotten, "so many gone at once"
    sizes = []
    for number in range(12):
        fact = replace(taught.facts[0], answers=("one answer" if number % 2 else "another one",))
        model.memorize([fact], joiner.tokenizer, write_settings, update=True)
        assert generate_answers(model, joiner, [fact.prompt]) == [fact.answer]
        sizes.append(len(model.ledger.facts))
    assert max(sizes) <= 2 + 4 + 1 and min(sizes[5:]) <= 3
    assert list(model.facts) == [taught.facts[1], fact]


def test_it_is_due_where_more_is_gone_than_left(facts):
    assert MIN_GONE == 64
    assert not is_due(Ledger(list(facts)))
    assert not is_due(Ledger(list(facts), forgotten=set(range(len(facts)))))
    assert len(facts) <= MIN_GONE


def test_caches_from_before_are_refused(taught):
    """They may be in the midst of an answer that is gone, and tell experts by numbers that others have now."""
    model, joiner = taught.reopen(), taught.joiner
    fact, other = taught.facts[2], taught.facts[9]
    tokens = torch.tensor([joiner.encode_prompt(fact.prompt)])
    following = torch.tensor([joiner.encode_answer(fact.prompt, fact.answer)])[:, :1]
    for change in (lambda: model.forget([other.id]), model.compact):
        cache = model(input_ids=tokens, use_cache=True).past_key_values
        change()
        with pytest.raises(BackboneError, match=r"past_key_values: .* were forgotten or corrected"):
            model(input_ids=following, past_key_values=cache)
    cache = model(input_ids=tokens, use_cache=True).past_key_values
    model.memorize([other], joiner.tokenizer)  # further facts do no harm
    model(input_ids=following, past_key_values=cache)
