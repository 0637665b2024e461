"""Stage 3, memorize: gradient steps on the experts alone, chunk by chunk, until every fact has its margin.

Shapes: P expert rows of a chunk, S sites, R rank, D hidden width, V vocabulary, B texts, T tokens.

Facts share no expert, so a chunk is independent of every other: each is written to disk as it is done, an interrupted
run goes on behind the last one, and the result is bit-identical.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import lightning
import torch
from lightning.pytorch.loggers import CSVLogger
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils.data import DataLoader

from mome.bank import Bank
from mome.decoder import Tail, find_layers
from mome.memory import CLOSED
from mome.modeling import MoMEForCausalLM
from mome.settings import WriteSettings
from mome.write import LogitsOf, cached_logits, init_down, write
from train.allocate import Allocation, right_pad
from train.fitting import quiet_lightning

TABLES = ("down", "up", "margin", "num_steps")


class MemorizeModule(lightning.LightningModule):
    """One training step teaches one chunk of facts to the end, through `mome.write.write`."""

    def __init__(
        self,
        model: MoMEForCausalLM,
        allocation: Allocation,
        settings: WriteSettings,
        chunk_facts: int,
        work: Path,
        seed: int,
        advance: Callable[[int], None],
    ):
        super().__init__()
        self.automatic_optimization = False
        self.frozen, self.allocation, self.settings = [model], allocation, settings
        self.chunk_facts, self.work, self.seed, self.advance = chunk_facts, work, seed, advance
        last_layer = len(find_layers(model.backbone)) - 1
        self.tail = [Tail(model.backbone)] if model.config.sites == [last_layer] else []

    def configure_optimizers(self) -> None:
        """The rows in work carry their own optimiser state, see `mome.write`."""

    def training_step(self, batch: int, _index: int) -> None:
        chunk = int(batch)
        path = chunk_path(self.work, chunk)
        rows = self._rows(chunk)
        if path.exists():
            self.advance(int(self.allocation.fact[rows].unique().numel()))
            return
        tables = self._write(chunk, rows)
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tables, path.with_suffix(".tmp"))
        path.with_suffix(".tmp").rename(path)
        self.log_dict(
            {
                "chunk": float(chunk),
                "margin_min": tables["margin"].min(),
                "steps_mean": tables["num_steps"].float().mean(),
                "rows_below_margin": (tables["margin"] < self.settings.margin).float().sum(),
            }
        )

    def _hooks_off(self):
        """The tail runs the backbone with the memory's hooks on it; they must not add what an earlier bank holds."""
        return self.frozen[0].memory_disabled() if self.tail else nullcontext()

    def _rows(self, chunk: int) -> Tensor:
        first, last = chunk * self.chunk_facts, (chunk + 1) * self.chunk_facts
        return ((self.allocation.fact >= first) & (self.allocation.fact < last)).nonzero().flatten()

    def _write(self, chunk: int, rows: Tensor) -> dict[str, Tensor]:
        model, work = self.frozen[0], self.allocation
        device = next(model.backbone.parameters()).device
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + chunk)
        hidden = work.hidden[rows].to(device)
        num_sites, rank = len(model.config.sites), model.config.rank
        down = init_down(hidden, rank, generator)[:, None].repeat(1, num_sites, 1, 1)
        up = torch.zeros(len(rows), num_sites, model.config.d_model, max(rank, 1), device=device)
        fact, target = work.fact[rows].to(device), work.target[rows].to(device)
        settings = self.settings
        if self.tail:
            logits_of = cached_logits(hidden, self.tail[0], self.settings, generator)
        else:
            logits_of, settings = whole_model_logits(model, work, fact), replace(settings, blending=0.0)
        with torch.enable_grad(), self._hooks_off():
            written = write(logits_of, target, fact, down, up, settings, self.advance)
        return {name: getattr(written, name).cpu().contiguous() for name in TABLES}


def whole_model_logits(model: MoMEForCausalLM, work: Allocation, fact: Tensor) -> LogitsOf:
    """`LogitsOf` for sites before the last layer: the texts of the facts in work run through the whole backbone."""
    first_row = {int(number): int((fact == number).nonzero()[0]) for number in fact.unique()}

    def logits_of(rows: Tensor, down: Tensor, up: Tensor, blended: bool) -> Tensor:
        numbers, text_of_row = fact[rows].unique(return_inverse=True)
        tokens, mask = right_pad([work.texts[int(number)] for number in numbers])
        nth = rows - torch.tensor([first_row[int(number)] for number in fact[rows]], device=rows.device)
        position = work.answer_start.to(rows.device)[fact[rows]] - 1 + nth
        experts = torch.full(tokens.shape, CLOSED, device=rows.device)
        experts[text_of_row, position] = torch.arange(len(rows), device=rows.device)
        assert not blended, "states before the last layer are not blended"
        logits = model.forward_with_experts(experts, down, up, tokens.to(rows.device), mask.to(rows.device))
        return logits[text_of_row, position].float()

    return logits_of


def chunk_path(work: Path, chunk: int) -> Path:
    """Where a finished chunk's rows stand while teaching is under way."""
    return work / "memorize" / f"chunk-{chunk:06d}.safetensors"


def memorize(
    model: MoMEForCausalLM,
    allocation: Allocation,
    settings: WriteSettings,
    work: Path,
    seed: int,
    chunk_facts: int = 1000,
    advance: Callable[[int], None] = lambda _num: None,
) -> tuple[Bank, dict[str, Tensor]]:
    """Teach all facts of an allocation.

    Returns:
        The bank of their experts and keys, and for each expert its `margin` and `num_steps`.
    """
    quiet_lightning()
    num_chunks = -(-len(allocation.keys) // chunk_facts)
    module = MemorizeModule(model, allocation, settings, chunk_facts, work, seed, advance)
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=CSVLogger(work, name="memorize", version="log"),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
    )
    trainer.fit(module, DataLoader(range(num_chunks), batch_size=None))  # type: ignore[arg-type])
    chunks = [load_file(chunk_path(work, chunk)) for chunk in range(num_chunks)]
    tables = {name: torch.cat([chunk[name] for chunk in chunks]) for name in TABLES}
    first = torch.cat([torch.zeros(1, dtype=torch.bool), allocation.fact[1:] != allocation.fact[:-1]])
    first[0] = True
    bank = Bank(
        down=tables["down"],
        up=tables["up"],
        token=allocation.target.int(),
        fact=allocation.fact.int(),
        keys=allocation.keys,
        key_expert=first.nonzero().flatten().int(),
        subject=allocation.subject,
        word_edge=allocation.word_edge,
    )
    return bank, {name: tables[name] for name in ("margin", "num_steps")}
