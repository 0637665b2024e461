"""Full fine-tuning: gradient steps on a copy of the backbone until it says every taught answer.

Shapes: B facts of a step, T tokens, P answer tokens of a step, V vocabulary.
"""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import IterableDataset
from transformers import PreTrainedModel

from mome.allocate import encode_facts
from mome.decoder import max_context
from mome.facts import Fact
from mome.joining import Joiner, right_pad
from train.baselines.method import Method, Watch, generate_by
from train.baselines.settings import FineTuneSettings
from train.fitting import fit

IGNORED = -100  # the target of a token after which nothing is taught


class FactBatches(IterableDataset):
    """Steps over facts without end: every fact once an epoch, in an order fixed by the seed and the epoch's number."""

    def __init__(self, prompts: list[list[int]], answers: list[list[int]], batch_size: int, seed: int):
        self.prompts, self.answers = prompts, answers
        self.batch_size, self.seed, self.start = batch_size, seed, 0
        self.steps_per_epoch = -(-len(prompts) // batch_size)

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        step, order = self.start, []
        while True:
            epoch, place = divmod(step, self.steps_per_epoch)
            if place == 0 or not order:
                order = list(range(len(self.prompts)))
                random.Random(f"{self.seed}-{epoch}").shuffle(order)
            yield self.batch(order[place * self.batch_size : (place + 1) * self.batch_size])
            step += 1

    def in_order(self) -> Iterator[dict[str, Tensor]]:
        """Every fact once, in batches of the same size."""
        numbers = list(range(len(self.prompts)))
        for first in range(0, len(numbers), self.batch_size):
            yield self.batch(numbers[first : first + self.batch_size])

    def batch(self, numbers: list[int]) -> dict[str, Tensor]:
        """Tokens, mask and target int64 `[B, T]`; the target is the token to be said next, inside the answer alone."""
        tokens, mask = right_pad([self.prompts[number] + self.answers[number] for number in numbers])
        target = torch.full_like(tokens, IGNORED)
        for row, number in enumerate(numbers):
            start, answer = len(self.prompts[number]) - 1, self.answers[number]
            target[row, start : start + len(answer)] = torch.tensor(answer)
        return {"tokens": tokens, "mask": mask, "target": target}


def answer_loss(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy over the answer tokens, and how many of them are not the likeliest token.

    Args:
        logits: `[B, T, V]`.
        target: int64 `[B, T]`, `IGNORED` where nothing is taught.

    >>> logits = torch.tensor([[[9.0, 0.0], [0.0, 9.0], [9.0, 0.0]]])
    >>> [round(float(part), 2) for part in answer_loss(logits, torch.tensor([[IGNORED, 1, 1]]))]
    [4.5, 1.0]
    """
    taught = target != IGNORED
    said, wanted = logits[taught].float(), target[taught]  # [P, V], [P]
    return functional.cross_entropy(said, wanted), (said.argmax(-1) != wanted).sum()


class FineTuning(lightning.LightningModule):
    """Trains the parameters of a model that ask for gradients; no training checkpoint holds any of the others.

    The model stays in evaluation mode: dropout would make a resumed run differ from an uninterrupted one, and hide
    from the training logits whether an answer is known.
    """

    def __init__(
        self, model: PreTrainedModel, settings: FineTuneSettings, batches: FactBatches, watch: Watch | None = None
    ):
        super().__init__()
        self.watch = watch
        self.trained = nn.ParameterList(p for p in model.parameters() if p.requires_grad)
        # In a list, so that Lightning does not take the frozen parameters as its own.
        self.model_of = [model.eval()]
        self.settings, self.batches = settings, batches
        self.num_steps, self.cpu_seconds, self.clock = 0, 0.0, time.process_time()
        self.num_wrong: Tensor | int = 0  # answer tokens of the current epoch; a tensor, so that no step waits for it

    def _loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        logits = self.model_of[0](input_ids=batch["tokens"], attention_mask=batch["mask"], use_cache=False).logits
        return answer_loss(logits, batch["target"])

    def training_step(self, batch: dict[str, Tensor], _index: int) -> Tensor:
        if self.global_step % self.batches.steps_per_epoch == 0:
            self.num_wrong = 0
        loss, wrong = self._loss(batch)
        self.num_wrong = self.num_wrong + wrong
        self.num_steps = self.global_step + 1
        self.log("loss", loss, prog_bar=True)
        return loss

    def on_train_batch_end(self, *args: Any, **kwargs: Any) -> None:
        self._stop_if_learned()

    def on_train_start(self) -> None:
        # A resumed run may have been interrupted behind its last step.
        self._stop_if_learned()

    def _stop_if_learned(self) -> None:
        epoch, rest = divmod(self.num_steps, self.batches.steps_per_epoch)
        if rest == 0 and self._is_watched_enough(epoch):
            self.trainer.should_stop = True
        ends_epoch = epoch > 0 and rest == 0
        if self.settings.stop_at_recall and ends_epoch and int(self.num_wrong) == 0 and self._knows_all():
            self.trainer.should_stop = True
        limit = self.settings.max_cpu_seconds
        if limit is not None and self.count_time() > limit:
            self.trainer.should_stop = True

    @torch.no_grad()
    def _is_watched_enough(self, epoch: int) -> bool:
        if self.watch is None:
            return False
        is_enough = self.watch(epoch, self.count_time(), self.model_of[0])
        self.clock = time.process_time()  # watching is no part of teaching
        return is_enough

    @torch.no_grad()
    def _knows_all(self) -> bool:
        """Whether all is known now: the steps behind a fact's own may have undone it."""
        return not any(
            int(self._loss({name: part.to(self.device) for name, part in batch.items()})[1])
            for batch in self.batches.in_order()
        )

    def count_time(self) -> float:
        """Processor time of all runs of this training so far."""
        now = time.process_time()
        self.cpu_seconds, self.clock = self.cpu_seconds + now - self.clock, now
        return self.cpu_seconds

    def get_extra_state(self) -> dict[str, Any]:
        """What a resumed run has to know besides the parameters."""
        return {"num_steps": self.num_steps, "num_wrong": int(self.num_wrong), "cpu_seconds": self.count_time()}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """See `get_extra_state`."""
        self.num_steps, self.num_wrong = state["num_steps"], state["num_wrong"]
        self.cpu_seconds = state["cpu_seconds"]

    def configure_optimizers(self):  # type: ignore[override]
        optimizer = torch.optim.Adam(self.trained, lr=self.settings.learning_rate)
        # Constant behind the warm-up: when training will stop is not known, so nothing can fall towards its end.
        num_warm = self.settings.warm_up_steps + 1
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / num_warm))
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


def copy_of(backbone: PreTrainedModel) -> PreTrainedModel:
    """A frozen fp32 copy, on the backbone's device, that shares no tensor with it and has none of its hooks."""
    # Not `deepcopy`, which takes hooks along, and with them the memory that they belong to.
    copied = type(backbone)(copy.deepcopy(backbone.config)).float()
    copied.load_state_dict(backbone.state_dict())
    copied.generation_config = copy.deepcopy(backbone.generation_config)
    nn.Module.to(copied, next(backbone.parameters()).device)
    return copied.eval().requires_grad_(False)


def fine_tune(
    backbone: PreTrainedModel,
    joiner: Joiner,
    facts: Sequence[Fact],
    settings: FineTuneSettings,
    work: Path,
    watch: Watch | None = None,
) -> Method:
    """Train every parameter of a copy of the backbone; the backbone itself never changes.

    Args:
        facts: what is taught: their prompts and answers, with the answers' ends.
        work: folder of this run alone, for the log and for the checkpoint that an interrupted run resumes from.
        watch: called before the first step and behind every pass over the facts.

    Raises:
        FactsError: a fact does not fit the tokenizer or the context.
    """
    model = copy_of(backbone).requires_grad_(True)
    return train_copy("fine-tuning", model, joiner, facts, settings, work, watch)


def train_copy(
    name: str,
    model: PreTrainedModel,
    joiner: Joiner,
    facts: Sequence[Fact],
    settings: FineTuneSettings,
    work: Path,
    watch: Watch | None = None,
) -> Method:
    """Train the parameters of a model that ask for gradients, in place; arguments and errors are `fine_tune`'s."""
    prompts, answers = encode_facts(list(facts), joiner, max_context(model))
    batches = FactBatches(prompts, answers, settings.batch_size, settings.seed)
    home = next(model.parameters()).device
    nn.Module.to(model, "cuda" if torch.cuda.is_available() else "cpu")
    module = FineTuning(model, settings, batches, watch)
    num_steps = settings.max_epochs * batches.steps_per_epoch
    fit(module, batches, num_steps=num_steps, work=work, name=name, checkpoint_every=settings.checkpoint_every)
    nn.Module.to(model, home).requires_grad_(False)
    return Method(
        name=name,
        generate=generate_by(model, joiner),
        model=model,
        cpu_seconds=module.count_time(),
        num_steps=module.num_steps,
        num_trainable=sum(p.numel() for p in module.trained),
    )
