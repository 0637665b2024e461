"""Stages 2 and 3 over a corpus: some facts at a time are allocated and memorized, see `mome.memorize`.

Facts share no expert, so a chunk of them is independent of every other. Each is written to disk as it is done: memory
is bounded by the chunk, an interrupted run goes on behind the last one, and the result is bit-identical.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import lightning
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor
from torch.utils.data import DataLoader

from mome.bank import Bank
from mome.facts import Fact
from mome.joining import Joiner
from mome.memorize import memorize
from mome.mention import word_edges
from mome.modeling import MoMEForCausalLM
from mome.settings import WriteSettings
from mome.tables import read_tables, write_tables
from train.fitting import freed_memory_kept, quiet_lightning

MEASURED = ("margin", "num_steps")
BANK_TABLES = ("down", "up", "token", "fact", "keys", "key_expert", "subject")


class MemorizeModule(lightning.LightningModule):
    """One training step teaches one chunk of facts to the end."""

    def __init__(
        self,
        model: MoMEForCausalLM,
        joiner: Joiner,
        facts: Sequence[Fact],
        settings: WriteSettings,
        chunk_facts: int,
        work: Path,
        seed: int,
        advance: Callable[[int], None],
    ):
        super().__init__()
        self.automatic_optimization = False
        self.frozen, self.joiner, self.facts, self.settings = [model], joiner, facts, settings
        self.chunk_facts, self.work, self.seed, self.advance = chunk_facts, work, seed, advance
        self.word_edge = word_edges(joiner.tokenizer)

    def configure_optimizers(self) -> None:
        """The rows in work carry their own optimiser state, see `mome.write`."""

    def training_step(self, batch: int, _index: int) -> None:
        chunk = int(batch)
        path, facts = chunk_path(self.work, chunk), self.facts[chunk * self.chunk_facts :][: self.chunk_facts]
        if path.exists():
            self.advance(len(facts))
            return
        given = self.frozen[0], self.joiner, facts, self.word_edge, self.settings, self.seed * 1_000_003 + chunk
        done = memorize(*given, self.advance)
        tables = {**{name: getattr(done.bank, name) for name in BANK_TABLES}, **{n: getattr(done, n) for n in MEASURED}}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_tables(path.with_suffix(".tmp"), {name: [table] for name, table in tables.items()})
        path.with_suffix(".tmp").rename(path)
        self.log_dict(
            {
                "chunk": float(chunk),
                "margin_min": done.margin.min(),
                "steps_mean": done.num_steps.float().mean(),
                "rows_below_margin": (done.margin < self.settings.margin).float().sum(),
            }
        )


def chunk_path(work: Path, chunk: int) -> Path:
    """Where a finished chunk's rows stand while teaching is under way."""
    return work / "memorize" / f"chunk-{chunk:06d}.safetensors"


def memorize_all(
    model: MoMEForCausalLM,
    joiner: Joiner,
    facts: Sequence[Fact],
    settings: WriteSettings,
    work: Path,
    seed: int,
    chunk_facts: int = 1000,
    advance: Callable[[int], None] = lambda _num: None,
) -> tuple[Bank, dict[str, Tensor]]:
    """Teach all facts of a corpus.

    Returns:
        The bank of their experts and keys, which stays in a file in `work`, and for each expert its `margin` and
        `num_steps`.
    """
    quiet_lightning()
    num_chunks = -(-len(facts) // chunk_facts)
    module = MemorizeModule(model, joiner, facts, settings, chunk_facts, work, seed, advance)
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=CSVLogger(work, name="memorize", version="log"),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
    )
    with freed_memory_kept():
        trainer.fit(module, DataLoader(range(num_chunks), batch_size=None))  # type: ignore[arg-type])
    tables = assemble(work, num_chunks)
    measured = {name: tables.pop(name) for name in MEASURED}
    return Bank(**tables, word_edge=module.word_edge), measured


def assemble(work: Path, num_chunks: int) -> dict[str, Tensor]:
    """The chunks' tables behind one another, in a file, with facts and experts numbered through."""
    chunks = [read_tables(chunk_path(work, chunk)) for chunk in range(num_chunks)]
    num_facts, num_experts = 0, 0
    for chunk in chunks:
        chunk["fact"], chunk["key_expert"] = chunk["fact"] + num_facts, chunk["key_expert"] + num_experts
        num_facts, num_experts = num_facts + len(chunk["keys"]), num_experts + len(chunk["token"])
    whole = work / "memorize" / "bank.safetensors"
    write_tables(whole, {name: [chunk[name] for chunk in chunks] for name in (*BANK_TABLES, *MEASURED)})
    return read_tables(whole)
