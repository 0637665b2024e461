"""Pretrain the embedded backbone: a small Llama on a generated world and on real text, with every exposure counted.

Shapes: N rows, T tokens of a row.
"""

from __future__ import annotations

import json
import random
import shutil
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import lightning
import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor
from torch.utils.data import IterableDataset
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, get_cosine_schedule_with_warmup

from mome.joining import Joiner
from mome.saving import write_folder
from train.answers import generate_answers
from train.corpus import exposure_texts, read_texts
from train.fitting import fit
from train.real_questions import read_real_facts
from train.settings import PretrainSettings
from train.world import WorldFact, make_world, prompts

EOS, PAD = "<|endoftext|>", "<|pad|>"


def pretrain(settings: PretrainSettings) -> dict:
    """Train tokenizer and backbone, measure what the backbone knows, and write it to `settings.out`.

    Returns:
        The report that also stands in the folder's `report.json`.

    Raises:
        SettingsError: the data folder lacks what is needed.
        CheckpointError: the output folder already holds something.
    """
    lightning.seed_everything(settings.seed, verbose=False)
    worlds, texts = training_texts(settings)
    tokenizer = train_tokenizer(texts, settings.vocab_size)
    rows = pack(texts, tokenizer, settings.context)
    model = LlamaForCausalLM(_llama_config(settings, tokenizer))
    batches = _Rows(rows, settings.batch_size, settings.seed)
    seconds = _fit(model, batches, settings)
    model = model.bfloat16().float().eval()
    report = {
        "parameters": sum(p.numel() for p in model.parameters()),
        "documents": len(texts),
        "exposures": sum(fact.exposures for facts in worlds.values() for fact in facts),
        "tokens": int(rows.ne(_id(tokenizer.pad_token_id)).sum()),
        "steps": batches.num_steps,
        "seconds": round(seconds),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else f"{torch.get_num_threads()} CPU cores",
        "accuracy": accuracy_by_exposure(model, tokenizer, worlds, settings),
    }
    write_folder(settings.out, lambda folder: _save(folder, model, tokenizer, report))
    return report


def training_texts(settings: PretrainSettings) -> tuple[dict[str, list[WorldFact]], list[str]]:
    """The facts by source (`world`, `real`), and all documents in training order."""
    worlds = {"world": list(make_world(settings.world_seed, settings.num_world_facts, settings.exposures).facts)}
    texts: list[str] = []
    if settings.data is not None:
        folder = settings.data / "entity_questions"
        worlds["real"] = read_real_facts(folder, settings.num_real_facts, settings.exposures)
        texts += [text for text in read_texts(settings.data / "retention") for _ in range(settings.text_epochs)]
    for facts in worlds.values():
        texts += exposure_texts(facts, settings.seed)[0]
    random.Random(settings.seed).shuffle(texts)
    return worlds, texts


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer that opens every text with its end token, which separates documents in training."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[EOS, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(texts, trainer)
    inner.post_processor = processors.TemplateProcessing(single=f"{EOS} $A", special_tokens=[(EOS, 0)])
    names = ["input_ids", "attention_mask"]
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token=EOS, eos_token=EOS, pad_token=PAD, model_input_names=names
    )


def pack(texts: list[str], tokenizer: PreTrainedTokenizerFast, context: int) -> Tensor:
    """Whole documents side by side in rows int32 `[N, context]`; the rest is padding, long texts are cut up."""
    rows: list[list[int]] = [[]]
    for encoded in tokenizer.backend_tokenizer.encode_batch_fast(texts):
        for start in range(0, len(encoded.ids), context):
            piece = encoded.ids[start : start + context]
            if len(rows[-1]) + len(piece) > context:
                rows.append([])
            rows[-1].extend(piece)
    packed = np.full((len(rows), context), tokenizer.pad_token_id, dtype=np.int32)
    for number, ids in enumerate(rows):
        packed[number, : len(ids)] = ids
    return torch.from_numpy(packed)


def _id(token: object) -> int:
    assert isinstance(token, int)
    return token


def _llama_config(settings: PretrainSettings, tokenizer: PreTrainedTokenizerFast) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=settings.d_model,
        intermediate_size=settings.d_mlp,
        num_hidden_layers=settings.num_layers,
        num_attention_heads=settings.num_heads,
        num_key_value_heads=settings.num_heads,
        max_position_embeddings=settings.context,
        tie_word_embeddings=True,
        bos_token_id=_id(tokenizer.bos_token_id),
        eos_token_id=_id(tokenizer.eos_token_id),
        pad_token_id=_id(tokenizer.pad_token_id),
    )


class _Pretraining(lightning.LightningModule):
    """Next-token loss over packed rows."""

    def __init__(self, model: LlamaForCausalLM, settings: PretrainSettings, num_steps: int):
        super().__init__()
        self.model, self.settings, self.num_steps = model, settings, num_steps
        # In a list, so that the compiled twin adds no second set of names to the training checkpoint.
        self.forward_of = [torch.compile(model) if settings.compile else model]

    def training_step(self, batch: Tensor, _index: int) -> Tensor:
        rows = batch.long()
        labels = rows.masked_fill(rows == self.model.config.pad_token_id, -100)
        loss = self.forward_of[0](input_ids=rows, labels=labels, use_cache=False).loss
        self.log("loss", loss, prog_bar=True)
        return loss

    def configure_optimizers(self):  # type: ignore[override]
        settings = self.settings
        optimizer = torch.optim.AdamW(
            self.parameters(), lr=settings.learning_rate, betas=(0.9, 0.98), weight_decay=settings.weight_decay
        )
        schedule = get_cosine_schedule_with_warmup(optimizer, self.num_steps // 20, self.num_steps)
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


class _Rows(IterableDataset):
    """Batches of packed rows in a random order that is fixed by the seed."""

    def __init__(self, rows: Tensor, batch_size: int, seed: int):
        self.rows = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))]
        self.batch_size, self.start = batch_size, 0
        self.num_steps = len(rows) // batch_size

    def __iter__(self):
        for step in range(self.start, self.num_steps):
            yield self.rows[step * self.batch_size : (step + 1) * self.batch_size]


def _fit(model: LlamaForCausalLM, batches: _Rows, settings: PretrainSettings) -> float:
    start = time.monotonic()
    work = settings.out.with_name(settings.out.name + ".work")
    if not settings.resume:
        shutil.rmtree(work, ignore_errors=True)
    module = _Pretraining(model.train(), settings, batches.num_steps)
    fit(
        module,
        batches,
        num_steps=batches.num_steps,
        work=work,
        name="pretrain",
        checkpoint_every=250,
        precision=settings.precision,
    )
    return time.monotonic() - start


def accuracy_by_exposure(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    worlds: dict[str, list[WorldFact]],
    settings: PretrainSettings,
) -> list[dict]:
    """Exact greedy answers by source and number of exposures, asked in question form without and with two examples."""
    torch.nn.Module.to(model, "cuda" if torch.cuda.is_available() else "cpu")
    table = []
    for source, facts in worlds.items():
        by_exposure = defaultdict(list)
        for fact in facts:
            by_exposure[fact.exposures].append(fact)
        for exposures, members in sorted(by_exposure.items(), reverse=True):
            rng = random.Random(settings.seed)
            asked = rng.sample(members, min(settings.num_evaluated, len(members)))
            row = {"source": source, "exposures": exposures, "facts": len(members), "asked": len(asked)}
            row |= _accuracy(model, tokenizer, asked, by_exposure[max(by_exposure)], rng)
            table.append(row)
    torch.nn.Module.to(model, "cpu")
    return table


def _accuracy(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    asked: list[WorldFact],
    known: list[WorldFact],
    rng: random.Random,
) -> dict[str, float]:
    questions = [rng.choice(prompts(fact)) for fact in asked]

    def share(join: str, prompts_: list[str]) -> float:
        said = generate_answers(model, Joiner(tokenizer=tokenizer, join=join), prompts_)
        right = [a.split("\n")[0].strip() == fact.answer for a, fact in zip(said, asked, strict=True)]
        return round(sum(right) / len(right), 4)

    def with_examples(question: str) -> str:
        shots = [f"Question: {rng.choice(prompts(f))}\nAnswer: {f.answer}" for f in rng.sample(known, 2)]
        return "\n\n".join([*shots, f"Question: {question}"])

    return {
        "zero_shot": share("qa", questions),
        "few_shot": share("{prompt}\nAnswer: {answer}", [with_examples(question) for question in questions]),
        "plain": share("plain", questions),
    }


def _save(folder: Path, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, report: dict) -> None:
    model.bfloat16().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(model_card(report), encoding="utf-8")


def model_card(report: dict) -> str:
    """The backbone's model card, from its report."""
    head = f"""# The embedded backbone of mome

A Llama of {report["parameters"]:,} parameters with its own byte-level BPE tokenizer, weights in bf16, made by
`mome pretrain --config configs/backbone.yaml`. It exists so that the quick start, the tests and the small experiments
run without a network; it is not a general assistant.

**Data.** A generated fictional world (`train/world.py`), statements and questions for facts of EntityQuestions'
training split in wordings of our own (`train/real_questions.py`), and the texts of `retention/` (WikiText and
TinyStories). No CounterFact, no zsRE, no test split.

**Training.** {report["exposures"]:,} exposures of facts in {report["documents"]:,} documents,
{report["tokens"]:,} tokens, {report["steps"]:,} steps, {report["seconds"]} s on {report["device"]}.

**What it knows.** Exact greedy answers, by how often a fact was seen in training (a random wording each time):

| source | exposures of each | facts | asked | zero-shot question | after two examples | plain prompt |
|---|---|---|---|---|---|---|
"""
    rows = "".join(
        f"| {r['source']} | {r['exposures']} | {r['facts']:,} | {r['asked']:,} | {r['zero_shot']:.3f} | "
        f"{r['few_shot']:.3f} | {r['plain']:.3f} |\n"
        for r in report["accuracy"]
    )
    return head + rows
