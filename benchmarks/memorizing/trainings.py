"""The memory, LoRA and full fine-tuning, each taught the same facts while it is watched.

A pass over the facts is an epoch: for the memory one gradient step on the experts of every fact that is not learned
yet, for the others one step for each batch.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import Tensor

from mome.errors import SettingsError
from mome.facts import Fact
from mome.ledger import Ledger
from mome.memorize import memorize
from mome.mention import word_edges
from mome.modeling import MoMEForCausalLM
from mome.settings import WriteSettings
from mome.write import Written
from train.baselines.finetune import fine_tune
from train.baselines.knn_lm import knn_lm
from train.baselines.lora import lora
from train.baselines.memory import memory
from train.baselines.method import Method, Watch
from train.baselines.retrieval import retrieval
from train.baselines.settings import FineTuneSettings, KNNLMSettings, LoRASettings, RetrievalSettings
from train.fitting import freed_memory_kept
from train.prepare import Prepared, choose_router, prepare
from train.settings import BackboneSettings, TrainSettings

METHODS = {
    "mome": "memory",
    "lora": "LoRA",
    "full": "full fine-tuning",
    "knn_lm": "kNN-LM",
    "retrieval": "retrieval",
}
TRAINED = ("mome", "lora", "full")


@dataclass(kw_only=True)
class TrainingSettings(BackboneSettings):
    """How the methods that are compared are taught."""

    router: Path | None = None
    """Router of the backbone, made by `mome route`; by default the one that ships with it, else one is trained."""
    methods: list[str] = field(default_factory=lambda: list(METHODS))
    """What is taught, of: mome, lora, full, knn_lm, retrieval."""
    folder: Path = Path("../shared/data")
    """Folder of the published fact data."""
    rank: int = 0
    """Rank of the memory's experts."""
    write: WriteSettings = field(default_factory=WriteSettings)
    lora: LoRASettings = field(default_factory=lambda: LoRASettings(stop_at_recall=False, batch_size=8))
    full: FineTuneSettings = field(default_factory=lambda: FineTuneSettings(stop_at_recall=False, batch_size=8))
    knn_lm: KNNLMSettings = field(default_factory=KNNLMSettings)
    retrieval: RetrievalSettings = field(default_factory=RetrievalSettings)


def check_methods(methods: Sequence[str], known: Sequence[str]) -> None:
    """Stop where there is a method that an experiment does not have, or none.

    Raises:
        SettingsError: so it is.
    """
    if not methods or set(methods) - set(known):
        raise SettingsError(f"--methods {methods}: expected some of {', '.join(known)}")


@dataclass
class Stage:
    """What is loaded once for all trainings: a backbone for the rivals, and another one with a memory."""

    prepared: Prepared
    model: MoMEForCausalLM
    word_edge: Tensor


def set_stage(settings: TrainingSettings, work: Path) -> Stage:
    """Load everything; trains a router where the backbone has none."""
    shared = {name: getattr(settings, name) for name in BackboneSettings.__dataclass_fields__}
    given = TrainSettings(**shared, facts=work / "none", out=work / "memory", router=settings.router)
    prepared, of_memory = prepare(settings), prepare(settings, rank=settings.rank)
    config, router, _ = choose_router(of_memory, given, [], work)
    model = MoMEForCausalLM(config, of_memory.backbone, router)
    return Stage(prepared, model, word_edges(prepared.tokenizer))


def teach(
    stage: Stage, name: str, facts: Sequence[Fact], settings: TrainingSettings, seed: int, work: Path, watch: Watch
) -> Method:
    """Teach one method; `watch` is called before the first step and behind every epoch, if there are steps."""
    if name == "mome":
        return teach_memory(stage, facts, settings, seed, watch)
    parts = stage.prepared.backbone, stage.prepared.joiner, facts
    if name == "knn_lm":
        return knn_lm(*parts, settings.knn_lm)
    if name == "retrieval":
        return retrieval(*parts, settings.retrieval)
    if name == "lora":
        return lora(*parts, replace(settings.lora, seed=seed), work, watch)
    return fine_tune(*parts, replace(settings.full, seed=seed), work, watch)


def teach_memory(
    stage: Stage, facts: Sequence[Fact], settings: TrainingSettings, seed: int, watch: Watch | None = None
) -> Method:
    """Teach the memory, in place of what it held. It is watched when it is done, epoch by epoch: the rows of every
    epoch are kept, and put into the memory that answers. It stops at its margin, whatever `watch` says."""
    kept: list[tuple[float, Tensor, Tensor]] = []
    start = time.process_time()

    def keep(_step: int, written: Written) -> None:
        if watch is not None:
            kept.append((time.process_time() - start, written.down.clone(), written.up.clone()))

    model, joiner = stage.model, stage.prepared.joiner
    with freed_memory_kept():
        done = memorize(model, joiner, facts, stage.word_edge, settings.write, seed, watch=keep)
    cpu_seconds = time.process_time() - start
    model.ledger = Ledger(list(facts))
    model.set_bank(done.bank)
    for epoch, (seconds, *rows) in enumerate(kept):
        done.bank.down, done.bank.up = (part.to(model.config.dtype_of_experts) for part in rows)
        assert watch is not None
        watch(epoch, seconds, model)
    return memory(model, joiner, cpu_seconds=cpu_seconds, num_steps=int(done.num_steps.max()))
