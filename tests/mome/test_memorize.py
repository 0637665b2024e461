"""Facts that are taught to an open model: they are recalled, and nothing that was there changes."""

import pytest
import torch
from transformers import AutoModelForCausalLM

from mome import tables as tables_module
from mome.errors import FactsError, SettingsError
from mome.facts import Fact
from mome.memorize import add_facts
from mome.modeling import MoMEForCausalLM
from mome.tables import Rows, parts_of
from train.answers import generate_answers


@pytest.mark.parametrize("max_copied", [0, 2**24], ids=["large", "small"])
@pytest.mark.parametrize("index", ["exact", "Flat"])
def test_facts_are_added_to_an_open_model(
    taught, teach_memory, backbone_folder, write_settings, tmp_path, monkeypatch, max_copied, index
):
    monkeypatch.setattr(tables_module, "MAX_COPIED_BYTES", max_copied)
    first, second = taught.facts[:12], taught.facts[12:]
    model = teach_memory(backbone_folder, first, index=index, router=taught.model.router).reopen()
    prompts = [fact.prompt for fact in taught.facts]
    before, tables = generate_answers(model, taught.joiner, prompts[:12]), dict(vars(model.bank))
    for facts in (second[:1], second[1:]):
        done = add_facts(model, taught.joiner, facts, write_settings)
        assert float(done.margin.min()) >= write_settings.margin
    assert isinstance(model.bank.up, Rows) == (max_copied == 0)
    for name in ("up", "keys", "subject"):
        assert torch.equal(parts_of(getattr(model.bank, name))[0][: len(tables[name])], tables[name]), name
    answers = generate_answers(model, taught.joiner, prompts)
    assert answers[:12] == before
    assert answers[12:] == [fact.answer for fact in second]
    assert model.facts[second[-1].id] == second[-1]
    model.save_pretrained(tmp_path / "grown")
    again = MoMEForCausalLM.from_pretrained(tmp_path / "grown")
    assert list(again.facts) == taught.facts
    assert generate_answers(again, taught.joiner, prompts) == answers


def test_an_id_that_is_taken_is_refused_before_anything_is_taught(taught, write_settings, monkeypatch):
    monkeypatch.setattr("mome.memorize.memorize", None)
    model = taught.reopen()
    num_rows = len(model.bank.up), len(model.bank.keys), len(model.index.keys)
    for facts in ([taught.facts[0]], [taught.facts[0], taught.facts[0]]):
        with pytest.raises(FactsError, match="adding facts: expected ids of their own, got "):
            add_facts(model, taught.joiner, facts, write_settings)
    assert (len(model.bank.up), len(model.bank.keys), len(model.index.keys)) == num_rows
    assert len(model.ledger) == len(taught.facts)


def test_an_empty_model_can_be_taught(taught, write_settings):
    backbone = AutoModelForCausalLM.from_pretrained(taught.model.config.backbone)
    empty = MoMEForCausalLM(taught.model.config, backbone, taught.model.router)
    add_facts(empty, taught.joiner, taught.facts[:3], write_settings)
    prompts = [fact.prompt for fact in taught.facts[:3]]
    assert generate_answers(empty, taught.joiner, prompts) == [fact.answer for fact in taught.facts[:3]]
    assert len(empty.bank.word_edge) == len(taught.joiner.tokenizer) + 1


@pytest.mark.parametrize("sites", [None, [1]], ids=["last layer", "middle layer"])
def test_experts_in_bf16(teach_memory, taught, backbone_folder, write_settings, sites):
    """Half the space, and every fact is said from the rows as they are stored."""
    facts = taught.facts[:6]
    small = teach_memory(backbone_folder, facts, sites=sites, expert_dtype="bfloat16")
    model = small.reopen()
    for table in (model.bank.up, model.bank.down):
        assert table.dtype == torch.bfloat16
    said = generate_answers(model, small.joiner, [fact.prompt for fact in facts])
    assert said == [fact.answer for fact in facts]
    fact = Fact(id="one more", prompt="Where was Ada Quist born?", answers=("Velmora",))
    add_facts(model, small.joiner, [fact], write_settings)
    assert model.bank.up[torch.tensor([model.bank.num_experts - 1])].dtype == torch.bfloat16
    assert generate_answers(model, small.joiner, [fact.prompt]) == [fact.answer]


def test_experts_in_another_dtype_are_refused(teach_memory, taught, backbone_folder):
    with pytest.raises(SettingsError, match="expert_dtype 'int8': expected one of float32, bfloat16"):
        teach_memory(backbone_folder, taught.facts[:2], expert_dtype="int8")
