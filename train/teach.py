"""`mome train`: the four stages, from a file of facts to a verified checkpoint."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import lightning

from mome.allocate import encode_facts
from mome.decoder import max_context
from mome.facts import Fact, read_facts
from mome.ledger import Ledger
from mome.modeling import MoMEForCausalLM
from mome.saving import refuse_existing
from train.memorize import memorize_all
from train.prepare import Prepared, choose_router, prepare
from train.progress import bar
from train.report import report_page
from train.settings import TrainSettings
from train.verify import evaluate
from train.work import open_work, plain


@dataclass
class Times:
    """Seconds by stage."""

    wall: dict[str, float] = field(default_factory=dict)
    cpu: dict[str, float] = field(default_factory=dict)


def teach(settings: TrainSettings) -> dict:
    """Teach a file of facts and write the checkpoint.

    Returns:
        The report that also stands in the checkpoint's `report.json`.

    Raises:
        MomeError: the settings, the facts or the backbone cannot be used; nothing was written then.
    """
    refuse_existing(settings.out)
    read = read_facts(settings.facts, on_conflict=settings.on_conflict, limit=settings.limit, seed=settings.seed)
    of_memory = {name: getattr(settings, name) for name in ("rank", "expert_dtype", "num_neighbours", "index")}
    prepared = prepare(settings, **of_memory)
    # Facts that do not fit are an error before anything is trained.
    encode_facts(read.facts, prepared.joiner, max_context(prepared.backbone))
    work = open_work(settings, read.facts)
    counts = {name: getattr(read, name) for name in ("num_read", "num_duplicates", "num_conflicts")}
    report = {"settings": plain(settings), **counts}
    model, report = _teach(read.facts, prepared, settings, work, report)
    page = report_page(report).encode()
    model.save_pretrained(settings.out, report=report, files={"report.html": page})
    shutil.rmtree(work)
    return report


def _teach(
    facts: Sequence[Fact], prepared: Prepared, settings: TrainSettings, work: Path, report: dict
) -> tuple[MoMEForCausalLM, dict]:
    lightning.seed_everything(settings.seed, verbose=False)
    seconds = Times()
    with _timed(seconds, "route"):
        config, router, report["router"] = choose_router(prepared, settings, facts, work)
    model = MoMEForCausalLM(config, prepared.backbone, router)
    joiner = prepared.joiner
    if settings.before:
        with _timed(seconds, "before"), model.memory_disabled():
            report["before"] = evaluate(model, joiner, facts, "before: bare backbone").summary()
    with _timed(seconds, "memorize"), bar("memorize", len(facts)) as advance:
        given = model, joiner, facts, settings.write, work, settings.seed, settings.chunk_facts
        bank, trained = memorize_all(*given, advance)
    model.ledger = Ledger(list(facts))
    model.set_bank(bank)
    report["num_experts_below_margin"] = int((trained["margin"] < settings.write.margin).sum())
    report["steps"] = [int(n) for n in trained["num_steps"].bincount()]
    report["margins"] = trained["margin"].numpy().round(2).tolist()
    with _timed(seconds, "verify"):
        after = evaluate(model, joiner, facts, "verify")
    report |= {"after": after.summary(), "failures": after.failures}
    report["seconds"] = {stage: round(value, 2) for stage, value in seconds.wall.items()}
    report["cpu_seconds"] = {stage: round(value, 2) for stage, value in seconds.cpu.items()}
    return model, report


@contextmanager
def _timed(times: Times, stage: str) -> Iterator[None]:
    wall, cpu = time.monotonic(), time.process_time()
    yield
    times.wall[stage], times.cpu[stage] = time.monotonic() - wall, time.process_time() - cpu
