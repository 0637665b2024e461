"""The methods as they are taught and watched."""

import time
from dataclasses import replace

import pytest
import torch

from benchmarks.memorizing.answer_losses import fact_losses
from benchmarks.memorizing.trainings import TRAINED, Stage, TrainingSettings, check_methods, set_stage, teach
from mome.errors import SettingsError
from mome.mention import word_edges
from train.baselines.settings import FineTuneSettings, LoRASettings
from train.prepare import prepare
from train.settings import BackboneSettings


@pytest.fixture
def stage(taught, backbone_folder) -> Stage:
    prepared = prepare(BackboneSettings(backbone=str(backbone_folder)))
    return Stage(prepared, taught.reopen(), word_edges(prepared.tokenizer))


@pytest.fixture
def settings(write_settings) -> TrainingSettings:
    quick = {"learning_rate": 3e-3, "batch_size": 4, "max_epochs": 3, "stop_at_recall": False}
    return TrainingSettings(write=write_settings, lora=LoRASettings(**quick), full=FineTuneSettings(**quick))


def watched(stage, name, facts, settings, tmp_path, stop_at=10**9):
    seen = []

    def watch(epoch, cpu_seconds, model):
        figures = fact_losses(model, stage.prepared.joiner, facts)
        seen.append((epoch, cpu_seconds, float(figures.nll.sum()), float(figures.margin.min())))
        return epoch >= stop_at

    return teach(stage, name, facts, settings, 0, tmp_path, watch), seen


@pytest.mark.parametrize("name", ["mome", "lora", "full"])
def test_a_training_is_watched_from_the_bare_backbone_to_its_end(name, stage, settings, facts, tmp_path):
    facts = facts[:6]
    bare = float(fact_losses(stage.prepared.backbone, stage.prepared.joiner, facts).nll.sum())
    method, seen = watched(stage, name, facts, settings, tmp_path)
    epochs, seconds, losses, margins = zip(*seen, strict=True)
    assert list(epochs) == list(range(len(epochs))) and len(epochs) > 2
    assert losses[0] == pytest.approx(bare, rel=1e-4), "nothing is taught yet"
    assert losses[-1] < losses[0]
    assert list(seconds) == sorted(seconds)
    last = fact_losses(method.model, stage.prepared.joiner, facts)
    assert float(last.nll.sum()) == pytest.approx(losses[-1], rel=1e-4), "the last moment is what is handed over"
    if name == "mome":
        assert margins[-1] >= 0.99 * settings.write.margin
        assert margins[0] < 0
        assert method.num_steps == epochs[-1]


@pytest.mark.parametrize("name", ["lora", "full"])
def test_watching_ends_a_training_but_is_no_part_of_it(name, stage, settings, facts, tmp_path):
    seen, watching = [], 0.0

    def watch(epoch, _cpu_seconds, _model):
        nonlocal watching
        start = time.process_time()
        while time.process_time() < start + 1.0:
            pass
        seen.append(epoch)
        watching += time.process_time() - start
        return epoch >= 1

    start = time.process_time()
    method = teach(stage, name, facts[:6], settings, 0, tmp_path, watch)
    spent = time.process_time() - start
    assert (seen, method.num_steps) == ([0, 1], 2)
    assert method.cpu_seconds < spent - 0.9 * watching


def test_what_a_memory_held_before_is_gone(stage, settings, facts, tmp_path):
    watched(stage, "mome", facts[:6], settings, tmp_path)
    watched(stage, "mome", facts[6:8], settings, tmp_path)
    assert [fact.id for fact in stage.model.ledger.facts] == [fact.id for fact in facts[6:8]]
    assert stage.model.bank.num_keys == 2


def test_methods_without_steps_are_not_watched(stage, settings, facts, tmp_path):
    for name in ("knn_lm", "retrieval"):
        method, seen = watched(stage, name, facts[:4], settings, tmp_path)
        assert not seen and method.num_steps == 0


@pytest.mark.parametrize("methods", [[], ["nothing"], ["mome", "nothing"]])
def test_an_unknown_method_is_refused(methods):
    with pytest.raises(SettingsError, match=r"--methods \[.*\]: expected some of mome, lora, full"):
        check_methods(methods, TRAINED)
    check_methods(["lora"], TRAINED)


def test_the_stage_has_the_rank_that_is_asked_for(tmp_path, facts):
    stage = set_stage(TrainingSettings(rank=2), tmp_path)
    method = teach(stage, "mome", facts[:2], TrainingSettings(), 0, tmp_path, lambda *_: False)
    assert stage.model.bank.down.shape[2] == 2
    assert method.num_trainable == stage.model.bank.num_experts * 4 * 256
    assert torch.isfinite(fact_losses(stage.model, stage.prepared.joiner, facts[:2]).nll).all()
    assert replace(TrainingSettings(), rank=2).lora.stop_at_recall is False
