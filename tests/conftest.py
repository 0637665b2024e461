"""Fixtures that several tests share: a tiny backbone with random weights, and memories taught to it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from mome.facts import Fact
from mome.joining import Joiner
from mome.ledger import Ledger
from mome.modeling import MoMEForCausalLM
from mome.settings import WriteSettings
from train.calibrate import set_gate
from train.corpus import exposure_texts
from train.memorize import memorize_all
from train.prepare import Prepared, prepare
from train.pretrain import train_tokenizer
from train.route import train_router
from train.route_texts import Group
from train.settings import BackboneSettings, RouteSettings
from train.world import fact_records, make_world, paraphrase_groups

NUM_FACTS = 20
# Random weights of this spread give logits as far apart as a trained backbone's, so that margins are soon reached.
SPREAD = 0.2
ROUTE = RouteSettings(steps=15, num_facts_per_step=24, max_tokens=48)
WRITE = WriteSettings(margin=2.0, learning_rate=0.05)


@dataclass
class Taught:
    """A memory that was taught, and the checkpoint that was written of it."""

    model: MoMEForCausalLM
    joiner: Joiner
    facts: list[Fact]
    folder: Path

    def reopen(self) -> MoMEForCausalLM:
        """The checkpoint opened anew, around a backbone of its own, for tests that change what they touch."""
        return MoMEForCausalLM.from_pretrained(self.folder)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of published fact data, which lies beside the repository and is not part of it."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the published fact data is not at {folder}")
    return folder


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerBase:
    """A byte-level tokenizer of 600 tokens; 0 opens and ends a text, 1 is padding."""
    return train_tokenizer(exposure_texts(make_world(0, 300).facts)[0], 600)


@pytest.fixture(scope="session")
def facts() -> list[Fact]:
    """Facts of a generated world; no two have the same answer."""
    world = make_world(0, 300)
    by_answer = {fact.answer: fact for fact in world.facts}
    return [Fact.from_record(r) for r in fact_records(list(by_answer.values())[:NUM_FACTS], world)]


@pytest.fixture(scope="session")
def groups() -> list[Group]:
    """Paraphrases of another world's facts, for training routers."""
    records = paraphrase_groups(make_world(1, 300).facts)
    return [Group(**record) for record in records]


@pytest.fixture(scope="session")
def backbone_folder(tokenizer: PreTrainedTokenizerBase, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of three layers, 64 wide, with its tokenizer."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=256,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=1,
        initializer_range=SPREAD,
    )
    folder = tmp_path_factory.mktemp("backbone") / "llama"
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def write_settings() -> WriteSettings:
    """Settings under which the facts are taught."""
    return WRITE


@pytest.fixture(scope="session")
def new_router(groups: list[Group], tmp_path_factory: pytest.TempPathFactory) -> Callable:
    """Train a router briefly: good enough to know the taught prompts, not to know paraphrases."""

    def train(prepared: Prepared):
        work = tmp_path_factory.mktemp("route")
        texts = ["The river runs to the sea, and the sea is never full."]
        parts = prepared.backbone, prepared.tokenizer, prepared.config
        router, report = train_router(*parts, groups, texts, ROUTE, work, 0)
        gate = set_gate(router, report["curve"], max_false_fire=0.02, max_same_subject_fire=0.02)
        return router, {**report, **gate}

    return train


@pytest.fixture(scope="session")
def teach_memory(new_router: Callable, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Taught]:
    """Train a router, teach the facts, and write a checkpoint."""

    def run(folder: Path, facts: Sequence[Fact], sites: list[int] | None = None, router=None, **memory: str) -> Taught:
        work = tmp_path_factory.mktemp("teach")
        prepared = prepare(BackboneSettings(backbone=str(folder), sites=sites), **{"index": "exact", **memory})
        report = {}
        if router is None:
            router, report = new_router(prepared)
        model = MoMEForCausalLM(prepared.config, prepared.backbone, router)
        bank, _ = memorize_all(model, prepared.joiner, list(facts), WRITE, work, seed=0, chunk_facts=12)
        model.ledger = Ledger(list(facts))
        model.set_bank(bank)
        model.save_pretrained(work / "memory", report={"router": report})
        return Taught(model, prepared.joiner, list(facts), work / "memory")

    return run


@pytest.fixture(scope="session")
def taught(teach_memory: Callable[..., Taught], backbone_folder: Path, facts: list[Fact]) -> Taught:
    """The facts taught at the last layer."""
    return teach_memory(backbone_folder, facts)


@pytest.fixture(scope="session", params=[None, [1], [0, 2]], ids=["last_layer", "middle_layer", "two_layers"])
def taught_at(request: pytest.FixtureRequest, teach_memory: Callable[..., Taught], backbone_folder, facts) -> Taught:
    """The facts taught at different sites."""
    if request.param is None:
        return request.getfixturevalue("taught")
    return teach_memory(backbone_folder, facts, sites=request.param)
