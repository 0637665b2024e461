"""`mome bench editing`: recall, generality and locality on published corpora, for the memory and for its rivals.

Every method is taught the same facts on the same backbone and asked the same questions by greedy `generate()`.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from rich.table import Table

from benchmarks.editing_data import Corpus, behind_turns, load_corpus, other_questions
from benchmarks.editing_measures import abstention, unrelated_text
from benchmarks.record import count_causes, record
from mome.cli import settings_from
from mome.decoder import load_backbone
from mome.errors import SettingsError
from mome.facts import write_facts
from mome.modeling import MoMEForCausalLM
from train.answers import Generate
from train.baselines.bare import bare
from train.baselines.finetune import fine_tune
from train.baselines.knn_lm import knn_lm
from train.baselines.lora import lora
from train.baselines.method import Method
from train.baselines.retrieval import retrieval
from train.baselines.settings import FineTuneSettings, KNNLMSettings, LoRASettings, RetrievalSettings
from train.corpus import read_texts
from train.prepare import EMBEDDED_ROUTER, Prepared, make_router, prepare
from train.progress import console
from train.settings import BackboneSettings, RouterSettings, TrainSettings
from train.teach import teach
from train.verify import Questions, evaluate, examine, questions_for

BASELINES = ("retrieval", "knn-lm", "lora", "fine-tuning")


@dataclass(kw_only=True)
class EditingSettings(BackboneSettings):
    """Settings of `mome bench editing`."""

    data: str
    """What is taught: counterfact, zsre or pararel."""
    facts: int = 1000
    """How many facts, a seeded sample."""
    folder: Path = Path("../shared/data")
    """Folder of the published fact data."""
    work: Path = Path("runs/editing")
    """Folder for the taught checkpoints and the routers; a router that is there already is used again."""
    router: str = "data"
    """Router: data (trained on the generated world and paraphrases of other facts), generated (the one that ships with
    the backbone, trained on the generated world alone), or a folder made by `mome route`."""
    baselines: list[str] = field(default_factory=lambda: list(BASELINES))
    """What is taught and asked beside the memory, of: retrieval, knn-lm, lora, fine-tuning."""
    turns: list[int] = field(default_factory=lambda: [1, 4, 8])
    """Numbers of unrelated earlier turns behind which everything is asked once more."""
    full: FineTuneSettings = field(default_factory=FineTuneSettings)
    lora: LoRASettings = field(default_factory=LoRASettings)
    retrieval: RetrievalSettings = field(default_factory=RetrievalSettings)
    knn_lm: KNNLMSettings = field(default_factory=KNNLMSettings)


def main(argv: list[str]) -> None:
    """Teach and ask every method; print a table, record the result, and print it as one JSON line."""
    settings = settings_from("bench editing", EditingSettings, argv)
    unknown = set(settings.baselines) - set(BASELINES)
    if unknown:
        raise SettingsError(f"--baselines {sorted(unknown)}: expected some of {', '.join(BASELINES)}")
    corpus = load_corpus(settings.data, settings.facts, settings.folder, settings.seed)
    name = f"{settings.data}_{settings.facts}_{Path(settings.router).name}"
    folder = settings.work / name
    shutil.rmtree(folder, ignore_errors=True)
    result, rows = run_memory(settings, corpus, folder)
    print_table(settings.data, rows)
    for method in baseline_methods(settings, corpus, folder):
        row = examine_baseline(settings, corpus, method)
        rows[method.name] = row
        result |= {f"{method.name.replace('-', '_')}_{key}": value for key, value in row.items()}
        print_table(settings.data, rows)
    record(f"editing_{name}", f"mome bench editing {' '.join(argv)}", result)
    print(json.dumps(result))


def run_memory(settings: EditingSettings, corpus: Corpus, folder: Path) -> tuple[dict, dict[str, dict]]:
    """Teach a memory and ask it everything.

    Returns:
        The flat result, and the table's rows.
    """
    folder.mkdir(parents=True)
    write_facts(folder / "facts.jsonl", corpus.facts)
    router = find_router(settings, corpus, folder)
    shared = {name: getattr(settings, name) for name in BackboneSettings.__dataclass_fields__}
    report = teach(TrainSettings(**shared, facts=folder / "facts.jsonl", out=folder / "memory", router=router))
    after, before, cpu = report["after"], report["before"], report["cpu_seconds"]
    model = MoMEForCausalLM.from_pretrained(folder / "memory")
    joiner = prepare(settings).joiner
    taught_steps = len(report["steps"]) - 1
    cost = {
        "cpu_seconds": cpu["memorize"],
        "num_steps": taught_steps,
        "num_trainable": model.bank.num_parameters,
    }
    result = {**after, **cost, "causes": count_causes(report["failures"])}
    result |= {f"bare_{name}": before[name] for name in ("recall", "generality")}
    result |= {"threshold": report["router"]["threshold"], "router": settings.router}
    result |= unrelated_text(model, joiner, read_texts(settings.folder / "retention"))
    result |= abstention(model, joiner, corpus.facts, corpus.unseen)
    others = other_questions(settings.folder)
    for turns in settings.turns:
        facts = behind_turns(corpus.facts, others, turns, settings.seed)
        asked = evaluate(model, joiner, facts, f"behind {turns} turns").summary()
        result |= {f"turns_{turns}_{name}": asked[name] for name in ("recall", "generality", "locality")}
    return result, {"bare": before, "memory": {**after, **cost}}


def find_router(settings: EditingSettings, corpus: Corpus, folder: Path) -> Path:
    """The router to use; one that is trained for the data is kept in the work folder."""
    if settings.router == "generated":
        return EMBEDDED_ROUTER
    if settings.router != "data":
        return Path(settings.router)
    kept = settings.work / "routers" / f"{settings.data}_{settings.facts}_{settings.seed}"
    if kept.exists():
        return kept
    sources = ["world", *corpus.sources]
    if corpus.router_facts:
        write_facts(folder / "router_facts.jsonl", corpus.router_facts)
        sources.append(str(folder / "router_facts.jsonl"))
    shared = {name: getattr(settings, name) for name in BackboneSettings.__dataclass_fields__}
    shared |= {"paraphrases": sources, "exclude": [folder / "facts.jsonl"], "texts": settings.folder / "retention"}
    make_router(RouterSettings(**shared, out=kept))
    return kept


def baseline_methods(settings: EditingSettings, corpus: Corpus, folder: Path):
    """The other methods, each taught when its turn comes."""
    prepared = prepare(settings)
    parts = prepared.backbone, prepared.joiner, corpus.facts
    for name in settings.baselines:
        console.print(f"teaching {name}")
        if name == "retrieval":
            yield retrieval(*parts, settings.retrieval)
        elif name == "knn-lm":
            yield knn_lm(*parts, settings.knn_lm)
        elif name == "lora":
            yield lora(*parts, settings.lora, folder / "lora")
        else:
            yield fine_tune(*parts, settings.full, folder / "fine-tuning")


def examine_baseline(settings: EditingSettings, corpus: Corpus, method: Method) -> dict:
    """A method's row of the table."""
    prepared: Prepared = prepare(settings)
    asked: Questions = questions_for(corpus.facts)
    alone: Generate = bare(load_backbone(settings.backbone, settings.revision), prepared.joiner).generate
    shares = examine(method.generate, alone, prepared.joiner, asked, f"ask {method.name}").shares(asked)
    cost = {name: getattr(method, name) for name in ("cpu_seconds", "num_steps", "num_trainable")}
    return {**shares, **cost, "cpu_seconds": round(method.cpu_seconds, 2)}


def print_table(title: str, rows: dict[str, dict]) -> None:
    """Metrics by methods."""
    metrics = ("recall", "generality", "locality", "locality_same_subject", "cpu_seconds", "num_steps", "num_trainable")
    table = Table(title, *rows)
    for metric in metrics:
        table.add_row(metric, *(_shown(row.get(metric)) for row in rows.values()))
    console.print(table)


def _shown(value: float | int | None) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"
