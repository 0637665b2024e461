"""The properties of teaching that must hold: 9, resume is exact, and 10, headline metrics come from `generate()`.

Properties 1 to 8 stand in test_properties.py.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import LlamaForCausalLM

import mome.memorize
import train.pretrain
import train.route
import train.teach
from mome.allocate import encode_facts
from mome.facts import write_facts
from mome.modeling import MoMEForCausalLM
from mome.saving import save_router
from train.calibrate import SHARES
from train.memorize import chunk_path, memorize_all
from train.prepare import prepare
from train.pretrain import _fit, _llama_config, _Rows, pack
from train.route import train_router
from train.settings import BackboneSettings, PretrainSettings, RouteSettings, TrainSettings
from train.teach import teach
from train.verify import evaluate

UNRELATED = "It rained all morning, and the ferry to the island did not leave."
ROOT = Path(__file__).resolve().parents[1]
KILLED_RUN = """
import os
from pathlib import PosixPath, WindowsPath
import mome.memorize
from train.settings import *
from train.teach import teach

whole, calls = mome.memorize.write, []

def write(*args):
    calls.append(1)
    return whole(*args) if len(calls) == 1 else os._exit(9)

mome.memorize.write = write
teach({settings!r})
"""


class KilledError(Exception):
    """Stands for a run that stops without warning."""


# 9. Resume is exact.


@contextmanager
def killed_at(monkeypatch: pytest.MonkeyPatch, owner, name: str, nth: int) -> Iterator[None]:
    """What runs inside is killed when it calls a function for the nth time."""
    function, calls = getattr(owner, name), count(1)

    def limited(*args, **kwargs):
        if next(calls) == nth:
            raise KilledError
        return function(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, limited)
        with pytest.raises(KilledError):
            yield


def same_tensors(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.parametrize("stage", ["training", "calibration"])
def test_property_09_route_resumes_exactly(backbone_folder, groups, tmp_path, monkeypatch, stage):
    prepared = prepare(BackboneSettings(backbone=str(backbone_folder)))
    settings = RouteSettings(steps=8, num_facts_per_step=8, max_tokens=32, checkpoint_every=4)

    def run(work: Path) -> dict[str, Tensor]:
        given = prepared.backbone, prepared.tokenizer, prepared.config, groups[:100], [UNRELATED], settings
        return train_router(*given, work, 0)[0].state_dict()

    whole = run(tmp_path / "whole")
    where = (train.route.RouteModule, "training_step", 7) if stage == "training" else (train.route, "measure_gate", 1)
    with killed_at(monkeypatch, *where):
        run(tmp_path / "killed")
    resumed = run(tmp_path / "killed")
    assert same_tensors(resumed, whole)


def test_property_09_memorize_resumes_exactly(taught_at, write_settings, tmp_path, monkeypatch):
    def run(work: Path) -> dict[str, Tensor]:
        given = taught_at.model, taught_at.joiner, taught_at.facts, write_settings, work
        bank, written = memorize_all(*given, seed=3, chunk_facts=7)
        return {**vars(bank), **written}

    whole = run(tmp_path / "whole")
    with killed_at(monkeypatch, mome.memorize, "write", 2):
        run(tmp_path / "killed")
    first, second = (chunk_path(tmp_path / "killed", nth) for nth in (0, 1))
    assert not second.exists()
    written_at = first.stat().st_mtime_ns
    assert same_tensors(run(tmp_path / "killed"), whole)
    assert first.stat().st_mtime_ns == written_at, "a finished chunk is not written again"


@pytest.mark.slow
def test_property_09_a_killed_run_resumes_to_the_same_checkpoint(taught, tmp_path, monkeypatch):
    """The first kill is a real one: a process that ends at once, between two chunks."""
    router = taught.model.router
    curve = {"threshold": [router.null_similarity.item()], "margin": [router.rival_margin.item()]}
    report = {"curve": curve | {name: [[0.0]] for name in SHARES}, "kind_similarity": 0.5}
    save_router(tmp_path / "router", taught.model.config, taught.model.router, report)
    write_facts(tmp_path / "facts.jsonl", taught.facts)
    settings = TrainSettings(
        backbone=taught.model.config.backbone,
        facts=tmp_path / "facts.jsonl",
        out=tmp_path / "whole",
        router=tmp_path / "router",
        before=False,
        chunk_facts=12,
    )
    teach(settings)
    killed = replace(settings, out=tmp_path / "killed")
    script = KILLED_RUN.format(settings=killed)
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 9
    work = tmp_path / "killed.work"
    assert [chunk_path(work, nth).exists() for nth in (0, 1)] == [True, False]
    with killed_at(monkeypatch, train.teach, "evaluate", 1):
        teach(replace(killed, resume=True))
    assert not killed.out.exists()
    report = teach(replace(killed, resume=True))
    assert report["after"]["recall"] == 1.0
    for name in ("experts.safetensors", "keys.safetensors", "router.safetensors", "facts.jsonl", "config.json"):
        assert (killed.out / name).read_bytes() == (settings.out / name).read_bytes(), name
    assert sorted(path.name for path in tmp_path.iterdir()) == ["facts.jsonl", "killed", "router", "whole"]


def test_property_09_pretraining_resumes_exactly(tokenizer, tmp_path, monkeypatch):
    rows = pack([UNRELATED] * 270, tokenizer, context=16)
    settings = PretrainSettings(
        out=tmp_path / "whole", d_model=8, d_mlp=8, num_layers=1, num_heads=1, context=16, batch_size=2
    )

    def run(settings: PretrainSettings) -> dict[str, Tensor]:
        torch.manual_seed(0)
        model = LlamaForCausalLM(_llama_config(settings, tokenizer))
        batches = _Rows(rows, settings.batch_size, seed=0)
        assert batches.num_steps > 262
        _fit(model, batches, settings)
        return model.state_dict()

    whole = run(settings)
    killed = replace(settings, out=tmp_path / "killed")
    with killed_at(monkeypatch, train.pretrain._Pretraining, "training_step", 262):
        run(killed)
    assert same_tensors(run(replace(killed, resume=True)), whole)


# 10. Headline metrics come from generate().


@torch.no_grad()
def teacher_forced(model: MoMEForCausalLM, taught) -> list[list[bool]]:
    """For every answer token of every fact: is it the best one after the taught tokens before it?"""
    right = []
    for prompt, answer in zip(*encode_facts(taught.facts, taught.joiner, None), strict=True):
        best = model(torch.tensor([prompt + answer]), use_cache=False).logits[0].argmax(-1)
        right.append([int(best[len(prompt) - 1 + nth]) == token for nth, token in enumerate(answer)])
    return right


def test_property_10_recall_is_what_generate_says_and_not_the_best_tokens_after_taught_ones(taught):
    """Every taught token is the best one after those before it, yet generate() is not free to say the first."""
    model = taught.reopen()
    assert evaluate(model, taught.joiner, taught.facts).recall == 1.0
    _, answers = encode_facts(taught.facts, taught.joiner, None)
    model.generation_config.suppress_tokens = sorted({answer[0] for answer in answers})
    assert all(all(row) for row in teacher_forced(model, taught))
    measured = evaluate(model, taught.joiner, taught.facts)
    assert measured.recall == 0.0
    assert [f["fact_id"] for f in measured.failures if f["kind"] == "recall"] == [fact.id for fact in taught.facts]


@pytest.mark.parametrize("lost", ["first", "end"])
def test_property_10_one_lost_expert_makes_a_whole_answer_wrong(taught_at, lost):
    """Without its first expert an answer never starts; without that of its end it goes on."""
    model = taught_at.reopen()
    first = model.bank.key_expert.tolist()
    ends = [start - 1 for start in first[1:]] + [model.bank.num_experts - 1]
    up = model.bank.up.clone()
    up[first if lost == "first" else ends] = 0
    model.set_bank(replace(model.bank, up=up))
    forced = teacher_forced(model, taught_at)
    kept = [row[1:] if lost == "first" else row[:-1] for row in forced]
    if model.config.sites[-1] == 2 and len(model.config.sites) == 1:
        assert all(all(row) for row in kept)
    measured = evaluate(model, taught_at.joiner, taught_at.facts)
    assert measured.recall == 0.0
