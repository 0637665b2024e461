"""What comes before teaching: the backbone, its joiner, and a router for it, reused or newly trained."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mome.checkpoint import load_router, read_router_report
from mome.config import EMBEDDED, MoMEConfig
from mome.decoder import EMBEDDED_FOLDER, find_layers, fingerprint, load_backbone, load_tokenizer
from mome.errors import SettingsError
from mome.facts import Fact, read_facts
from mome.joining import Joiner
from mome.router import Router
from mome.saving import save_router
from train.calibrate import set_gate
from train.corpus import read_texts
from train.progress import console
from train.real_questions import read_real_facts
from train.route import train_router
from train.route_texts import Group
from train.settings import BackboneSettings, RouterSettings, TrainSettings
from train.verify import UNRELATED
from train.work import open_work
from train.world import make_world, paraphrase_groups

EMBEDDED_ROUTER = EMBEDDED_FOLDER / "router"
# Not the seed of the world that the embedded backbone was pretrained on and that the quick start teaches.
ROUTER_WORLD_SEED = 1


@dataclass
class Prepared:
    """A loaded backbone and what belongs to it."""

    backbone: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    joiner: Joiner
    config: MoMEConfig


def prepare(settings: BackboneSettings, **memory: int | str) -> Prepared:
    """Load backbone and tokenizer and choose the layers.

    Args:
        memory: further fields of `MoMEConfig`, such as rank and index.
    """
    backbone = load_backbone(settings.backbone, settings.revision, trust_remote_code=settings.trust_remote_code)
    tokenizer = load_tokenizer(settings.backbone, settings.revision, settings.trust_remote_code)
    num_layers = len(find_layers(backbone))
    sites = sorted(set(settings.sites or [num_layers - 1]))
    features = sorted(set(settings.feature_layers or [0, min((num_layers - 1) // 4, sites[0]), sites[0]]))
    if not 0 <= min(features) <= max(features) <= sites[0] <= sites[-1] < num_layers:
        raise SettingsError(
            f"sites {sites}, feature_layers {features}: the backbone has {num_layers} layers, numbered from 0, and the "
            "router reads no layer above the first site"
        )
    config = MoMEConfig(
        backbone=settings.backbone if settings.backbone == EMBEDDED else _absolute(settings.backbone),
        revision=settings.revision,
        fingerprint=fingerprint(backbone),
        d_model=backbone.config.get_text_config().hidden_size,
        sites=sites,
        feature_layers=features,
        join=settings.join,
        end=settings.end,
        **memory,  # type: ignore[arg-type]
    )
    return Prepared(backbone, tokenizer, Joiner(tokenizer=tokenizer, join=settings.join, end=settings.end), config)


def _absolute(name: str) -> str:
    """A local folder by its full path, so that a checkpoint finds it from anywhere; an id as it is."""
    return str(Path(name).resolve()) if Path(name).is_dir() else name


def choose_router(
    prepared: Prepared, settings: TrainSettings, facts: Sequence[Fact], work: Path
) -> tuple[MoMEConfig, Router, dict]:
    """The router that the user names, else the one that ships with the backbone, else a newly trained one."""
    chosen = settings.router
    if chosen is None and settings.backbone == EMBEDDED and not _asks_for_own_router(settings):
        chosen = EMBEDDED_ROUTER
    if chosen is None:
        return new_router(prepared, settings, facts, work)
    config, router = load_router(chosen, prepared.config)
    shown = "embedded" if chosen == EMBEDDED_ROUTER else str(chosen)
    report = {"reused": shown, **read_router_report(chosen)}
    if not {"curve", "kind_similarity"} <= report.keys():
        raise SettingsError(f"router {shown}: its report has no calibration curve; train it again with `mome route`")
    return config, router, {**report, **_set_gate(config, router, report, settings)}


def _set_gate(config: MoMEConfig, router: Router, report: dict, settings: BackboneSettings) -> dict:
    config.kind_similarity = report["kind_similarity"]
    return set_gate(router, report["curve"], settings.max_false_fire, settings.max_same_subject_fire)


def _asks_for_own_router(settings: TrainSettings) -> bool:
    return settings.paraphrases != ["world"] or settings.feature_layers is not None or settings.sites is not None


def new_router(
    prepared: Prepared, settings: BackboneSettings, facts: Sequence[Fact], work: Path
) -> tuple[MoMEConfig, Router, dict]:
    """Train a router from the paraphrase groups that the settings name; kept in `work` until the run is done."""
    done = work / "router"
    if done.exists():
        config, router = load_router(done, prepared.config)
        report = read_router_report(done)
        return config, router, {**report, **_set_gate(config, router, report, settings)}
    groups = read_groups(settings.paraphrases, facts, settings.exclude, settings.route.max_groups, settings.seed)
    texts = read_texts(settings.texts) if settings.texts else UNRELATED.read_text(encoding="utf-8").splitlines()
    console.print(f"training a router for {settings.backbone} on {len(groups):,} groups of paraphrases")
    router, report = train_router(
        prepared.backbone, prepared.tokenizer, prepared.config, groups, texts, settings.route, work, settings.seed
    )
    report = {"paraphrases": settings.paraphrases, "num_groups": len(groups), "steps": settings.route.steps, **report}
    report |= _set_gate(prepared.config, router, report, settings)
    save_router(done, prepared.config, router, report)
    return prepared.config, router, report


def read_groups(
    sources: Sequence[str], facts: Sequence[Fact], exclude: Sequence[Path] = (), max_groups: int = 10**9, seed: int = 0
) -> list[Group]:
    """Groups of paraphrases from the generated world, the taught facts, files of facts, and EntityQuestions folders.

    Args:
        facts: the taught facts, for the source "facts".
        exclude: files of facts whose subjects are left out.
        max_groups: draw about this many from each source, fixed by the seed.

    Raises:
        SettingsError: fewer than ten facts there have paraphrases.
    """
    groups = []
    for source in sources:
        found = without_subjects(_groups_of(source, facts), exclude)
        groups += found if len(found) <= max_groups else sample_subjects(found, max_groups, seed)
    if len(groups) < 10:
        raise SettingsError(
            f"paraphrases {list(sources)}: expected at least 10 facts with `paraphrases`, got {len(groups)}; use "
            '"world", or add paraphrases to the file'
        )
    return groups


def sample_subjects(groups: list[Group], num_groups: int, seed: int) -> list[Group]:
    """About that many groups, all of one subject after another: facts of one subject are what is hard to tell apart."""
    by_subject: dict[str, list[Group]] = {}
    for group in groups:
        by_subject.setdefault(group.subject, []).append(group)
    subjects = random.Random(seed).sample(sorted(by_subject), len(by_subject))
    sampled: list[Group] = []
    for subject in subjects:
        if len(sampled) >= num_groups:
            break
        sampled += by_subject[subject]
    return sampled


def _groups_of(source: str, facts: Sequence[Fact]) -> list[Group]:
    if source == "world" or Path(source).is_dir():
        generated = make_world(ROUTER_WORLD_SEED).facts if source == "world" else read_real_facts(Path(source))
        return [Group(**group) for group in paraphrase_groups(generated)]
    if source != "facts":
        facts = read_facts(Path(source), on_conflict="first").facts
    return [
        Group(fact.subject or fact.id, _relation(fact), fact.answer, (fact.prompt, *fact.paraphrases))
        for fact in facts
        if fact.paraphrases
    ]


def _relation(fact: Fact) -> str:
    """What a fact says of its subject: its relation, else its prompt without the subject."""
    return fact.relation or (fact.prompt.replace(fact.subject, "") if fact.subject else "")


def without_subjects(groups: list[Group], files: Sequence[Path]) -> list[Group]:
    """The groups whose subject no fact of these files has."""
    facts = [fact for path in files for fact in read_facts(path, on_conflict="first").facts]
    away = {fact.subject.casefold() for fact in facts if fact.subject is not None}
    return [group for group in groups if group.subject.casefold() not in away]


def make_router(settings: RouterSettings) -> dict:
    """`mome route`: train a router and write it to a folder.

    Returns:
        What calibration measured on held-out groups.
    """
    facts = read_facts(settings.facts, on_conflict="first").facts if settings.facts else []
    prepared = prepare(settings)
    work = open_work(settings, facts)
    _, _, report = new_router(prepared, settings, facts, work)
    (work / "router").rename(settings.out)
    return report
