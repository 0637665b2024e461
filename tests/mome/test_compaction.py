"""An open memory without gaps: smaller, and of the same answers."""

from dataclasses import replace

import pytest
import torch

from mome import compaction
from mome.compaction import MIN_GONE, is_due
from mome.errors import BackboneError, CheckpointError, SettingsError
from mome.facts import Fact, write_facts
from mome.index import TorchIndex, build_index
from mome.ledger import Ledger, StoredFacts
from mome.modeling import MoMEForCausalLM
from tests.mome.test_forget import logits_of, same
from train.answers import generate_answers


@pytest.fixture(params=["exact", "IVF4,Flat", "IVF4,SQfp16", "HNSW8"])
def model(request, teach_memory, backbone_folder, facts, taught, tmp_path) -> MoMEForCausalLM:
    """Opened from files, so that its tables lie there."""
    folder = teach_memory(backbone_folder, facts, index=request.param, router=taught.model.router).folder
    return MoMEForCausalLM.from_pretrained(folder)


def num_of(model: MoMEForCausalLM, facts: list[Fact]) -> int:
    """How many experts these facts have."""
    return sum(int((model.bank.fact == number).sum()) for number in model.ledger.numbers_of(f.id for f in facts))


def opened_in_memory(taught) -> MoMEForCausalLM:
    """With facts that lie in no file, as behind teaching."""
    model = taught.reopen()
    model.ledger = Ledger(list(model.ledger))
    return model


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
    model, joiner = opened_in_memory(taught), taught.joiner
    model.forget([fact.id for fact in taught.facts[2:]])
    assert model.bank.num_experts == num_of(model, taught.facts[:2]) and not model.ledger.forgotten, "so many at once"
    sizes = []
    for number in range(12):
        fact = replace(taught.facts[0], answers=("one answer" if number % 2 else "another one",))
        model.memorize([fact], joiner.tokenizer, write_settings, update=True)
        assert generate_answers(model, joiner, [fact.prompt]) == [fact.answer]
        sizes.append(len(model.ledger.facts))
    assert max(sizes) <= 2 + 4 + 1 and min(sizes[5:]) <= 3
    assert list(model.facts) == [taught.facts[1], fact]


def numbered(num: int) -> list[Fact]:
    return [Fact(id=f"f{number}", prompt=f"What is {number}?", answers=("it",)) for number in range(num)]


def test_it_is_due_where_more_is_gone_than_left(tmp_path):
    facts = numbered(300)
    assert not is_due(Ledger(facts)) and not is_due(Ledger(facts, forgotten=set(range(150))))
    assert is_due(Ledger(facts, forgotten=set(range(151))))
    assert is_due(Ledger(facts[:65], forgotten=set(range(65)))) and MIN_GONE == 64
    assert not is_due(Ledger(facts[:64], forgotten=set(range(64))))
    # Of those that lie in a file nothing is in memory.
    write_facts(tmp_path / "facts.jsonl", facts[:200])
    stored = StoredFacts(tmp_path / "facts.jsonl", "mend it")
    stored.extend(facts[200:])
    assert not is_due(Ledger(stored, forgotten=set(range(200))))
    assert not is_due(Ledger(stored, forgotten=set(range(100, 300))))
    assert is_due(Ledger(stored, forgotten=set(range(99, 300))))


@pytest.mark.parametrize(("kind", "gives_back"), [("IVF4,Flat", True), ("SQ8", True), ("HNSW8", False)])
def test_kinds_that_must_be_built_anew_keep_their_gaps(kind, gives_back, taught, monkeypatch, write_settings):
    """They might find other keys, or not be built at all over so few: forgetting must do neither."""
    monkeypatch.setattr(compaction, "MIN_GONE", 4)
    model, joiner, facts = opened_in_memory(taught), taught.joiner, taught.facts
    model.set_bank(model.bank, build_index(model.bank.keys[:, : model.config.d_subject], kind))
    left = facts[:6]
    before = logits_of(model, joiner, left)
    model.forget([fact.id for fact in facts[6:]])
    assert (model.bank.num_keys == 6) == gives_back == (not model.ledger.forgotten)
    assert all(same(logits_of(model, joiner, left), before)) and list(model.facts) == left
    model.memorize([facts[6]], joiner.tokenizer, write_settings)
    assert generate_answers(model, joiner, [facts[6].prompt]) == [facts[6].answer]


def test_that_an_index_gives_up_no_keys_is_found_out_once(taught, monkeypatch):
    """Or every forgetting behind the first that is due would copy all of it."""
    import faiss

    monkeypatch.setattr(compaction, "MIN_GONE", 4)
    model, facts = opened_in_memory(taught), taught.facts
    model.set_bank(model.bank, build_index(model.bank.keys[:, : model.config.d_subject], "HNSW8"))
    copies, copy = [], faiss.serialize_index
    monkeypatch.setattr(faiss, "serialize_index", lambda index: copies.append(1) or copy(index))
    model.forget([fact.id for fact in facts[6:]])
    assert len(copies) == 1
    for fact in facts[:4]:
        model.forget([fact.id])
    assert len(copies) == 1 and list(model.facts) == facts[4:6]


def test_where_no_index_can_be_built_nothing_is_changed(taught):
    model, facts = taught.reopen(), taught.facts
    model.config.index = "IVF16,Flat,RFlat"  # from which FAISS cannot take keys, nor build it over fewer than 16
    model.set_bank(model.bank)
    model.forget([fact.id for fact in facts[8:]])
    bank, before = model.bank, logits_of(model, taught.joiner, facts)
    with pytest.raises(SettingsError, match="cannot be built over 8 keys"):
        model.compact()
    assert model.bank is bank and list(model.facts) == facts[:8]
    assert all(same(logits_of(model, taught.joiner, facts), before))


def test_one_id_twice_in_a_file_is_refused(taught, tmp_path):
    model = taught.reopen()
    write_facts(tmp_path / "facts.jsonl", [taught.facts[0], *taught.facts[:-1]])
    model.ledger = Ledger(StoredFacts(tmp_path / "facts.jsonl", "mend it"), forgotten={5})
    bank = model.bank
    with pytest.raises(CheckpointError, match=r"facts\.jsonl: expected ids of their own"):
        model.compact()
    assert model.bank is bank


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
    model.memorize([other], joiner.tokenizer)  # further facts do no harm, nor does what changes nothing
    model.forget([])
    model.compact()
    model(input_ids=following, past_key_values=cache)
