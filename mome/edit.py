"""`mome facts`: the facts of a checkpoint, listed, added, corrected and forgotten, each change in one step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mome import checkpoint, saving
from mome.errors import FactsError
from mome.facts import Fact, write_facts
from mome.ledger import Ledger


def facts_of(folder: Path) -> Ledger:
    """The facts of a checkpoint, without its backbone.

    Raises:
        CheckpointError: the checkpoint cannot be read.
    """
    return checkpoint.load(folder).ledger


def forget(folder: Path, fact_ids: Sequence[str]) -> None:
    """Forget facts of a checkpoint; needs no backbone.

    Raises:
        FactsError: there is no fact with one of the ids.
        CheckpointError: the checkpoint cannot be read or changed.
    """
    parts = checkpoint.load(folder)
    parts.ledger.forget(parts.ledger.numbers_of(fact_ids))
    saving.commit(folder, parts)


def teach(folder: Path, facts: Sequence[Fact], add: bool, update: bool) -> tuple[int, int]:
    """Teach facts to a checkpoint.

    Args:
        add: facts whose ids are new may be added.
        update: facts with the id of one that is there take its place.

    Returns:
        How many were added, and how many updated.

    Raises:
        FactsError: a fact does not fit, or may not be added or updated, or was not learned; nothing was changed then.
        CheckpointError: the checkpoint cannot be read or changed.
    """
    from mome.decoder import load_tokenizer
    from mome.modeling import MoMEForCausalLM

    model = MoMEForCausalLM.from_pretrained(folder)
    tokenizer = load_tokenizer(model.config.backbone, model.config.revision)
    present = model.facts.present([fact.id for fact in facts]) if add and update else set()
    known: list[Fact] = []
    new: list[Fact] = []
    for fact in facts:
        (known if update and (not add or fact.id in present) else new).append(fact)
    for some, is_update in ((known, True), (new, False)):
        done = model.memorize(some, tokenizer, update=is_update) if some else None
        if done is not None and float(done.margin.min()) <= 0:
            number = int(done.bank.fact[int(done.margin.argmin())])
            raise FactsError(
                f"fact {some[number].id!r}: its answer was not learned; shorten it, or teach it with `mome train`, "
                "whose report names the cause. Nothing was changed"
            )
    if facts:
        model.save_changes()
    return len(new), len(known)


def spelled_out(folder: Path, prompt: str | None, answer: str | None, fact_id: str | None, update: bool) -> Fact:
    """The one fact that a command spells out; one that is updated keeps what is not given anew.

    Raises:
        FactsError: something is missing, or there is no fact with the id.
        CheckpointError: the checkpoint cannot be read.
    """
    if update and fact_id is not None:
        if prompt is None and answer is None:
            raise FactsError(f"fact {fact_id!r}: expected --answer or --prompt, got neither; say what is to change")
        ledger = facts_of(folder)
        (number,) = ledger.numbers_of([fact_id])
        old = ledger.facts[number]
        return replace(old, prompt=prompt or old.prompt, answers=(answer,) if answer else old.answers)
    if prompt is None or answer is None:
        raise FactsError("expected a file of facts, or --prompt and --answer of one; give one of both")
    return Fact.from_record({"prompt": prompt, "answer": answer, **({"id": fact_id} if fact_id else {})})


def export(folder: Path, file: Path) -> int:
    """Write the facts of a checkpoint to a .jsonl file, from which they can be taught again; returns how many.

    Raises:
        FactsError: the file cannot be written.
        CheckpointError: the checkpoint cannot be read.
    """
    ledger = facts_of(folder)
    write_facts(file, ledger)
    return len(ledger)
