"""Every setting of the commands that teach. The docstring under a field is its help text on the command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mome.facts import OnConflict
from mome.settings import WriteSettings


@dataclass(kw_only=True)
class PretrainSettings:
    """Settings of `mome pretrain`."""

    out: Path
    """Folder to write the backbone to."""
    data: Path | None = None
    """Folder with `retention/` and `entity_questions/`; without it the backbone sees the generated world alone."""
    seed: int = 0
    """Seed of initialisation, order and wordings."""
    world_seed: int = 0
    """Seed of the generated world."""
    num_world_facts: int = 12_000
    """Facts of the generated world; a third of them is kept out of the text."""
    exposures: dict[str, int] = field(default_factory=lambda: {"many": 48, "some": 12, "few": 3, "none": 0})
    """How often a fact of each level is stated or asked in the text."""
    num_real_facts: int = 10_000
    """Facts taken from EntityQuestions' training split."""
    text_epochs: int = 6
    """How often each text of `retention/` is seen."""
    vocab_size: int = 8192
    """Tokens of the byte-level BPE tokenizer."""
    context: int = 512
    """Tokens of a training row, and the longest sequence of the backbone."""
    d_model: int = 256
    """Width of the hidden states."""
    d_mlp: int = 512
    """Width of the feed-forward layers."""
    num_layers: int = 6
    """Decoder layers."""
    num_heads: int = 4
    """Attention heads."""
    batch_size: int = 8
    """Rows of a step."""
    learning_rate: float = 2e-3
    """Peak learning rate; 5% warm-up, then a cosine to zero."""
    weight_decay: float = 0.01
    """AdamW's weight decay."""
    num_evaluated: int = 500
    """Facts asked for each number of exposures in the model card."""
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    """Arithmetic of the training steps."""
    compile: bool = False
    """Compile the model first; needs a C++ compiler."""
    resume: bool = False
    """Go on from the last training checkpoint of an interrupted run."""


@dataclass(kw_only=True)
class RouteSettings:
    """How a router is trained."""

    steps: int = 1000
    """Gradient steps."""
    max_groups: int = 8000
    """Groups of paraphrases drawn from each source, all of one subject after another."""
    held_out: float = 0.15
    """Share of the subjects that is kept for the calibration of the gate."""
    num_variants: int = 3
    """Key texts, and query texts, drawn for each group of paraphrases."""
    num_facts_per_step: int = 128
    """Facts in a step, each in two wordings."""
    stored_share: float = 0.6
    """Share of a step's facts that have a key; questions about the others must choose the null key."""
    distracted_share: float = 0.5
    """Share of questions that stand behind earlier text."""
    loose_share: float = 0.4
    """Share of questions in a wording that only hints at what is asked, where a source has such wordings."""
    feature_dropout: float = 0.4
    """Share of the features that is dropped in training, so that unseen wordings and names are still recognised."""
    learning_rate: float = 1e-3
    """Peak learning rate of AdamW."""
    max_tokens: int = 128
    """Longest text of a step, in tokens."""
    checkpoint_every: int = 250
    """Steps between the checkpoints that an interrupted run resumes from."""


@dataclass(kw_only=True)
class BackboneSettings:
    """Which backbone, and what of it the memory reads and writes."""

    backbone: str = "embedded"
    """Folder or Hugging Face id of any decoder-only model; the one that ships with mome by default."""
    revision: str | None = None
    """Revision of a backbone on the hub."""
    trust_remote_code: bool = False
    """Run model code that comes with the backbone."""
    join: str = "plain"
    """How prompt and answer are joined: plain, qa, chat, or a text with {prompt} and, at its end, {answer}."""
    end: str = "eos"
    """What is taught after an answer: eos (end of text), none (the text goes on), or a literal text."""
    feature_layers: list[int] | None = None
    """Decoder layers that the router reads, numbered from 0; by default the first, an early one and the first site."""
    sites: list[int] | None = None
    """Decoder layers whose outputs receive the memory's residual; by default the last one alone."""
    paraphrases: list[str] = field(default_factory=lambda: ["world"])
    """What a router is trained on, one or more of: world (generated facts), facts (paraphrases of the taught file),
    files of facts with paraphrases, and folders with EntityQuestions."""
    texts: Path | None = None
    """Folder of *.jsonl.gz files with a field `text`: unrelated text for the router; else a short shipped list."""
    exclude: list[Path] = field(default_factory=list)
    """Files of facts whose subjects are left out when a router is trained, so that it has never seen them."""
    max_false_fire: float = 0.01
    """Share of questions about subjects without a fact that may pass the gate, by the router's calibration curve."""
    max_same_subject_fire: float = 0.8
    """The same for questions about a taught fact's subject that ask for something else. The smaller, the less often a
    fact answers another question about its subject, and the less often its own in a wording unlike the router's."""
    route: RouteSettings = field(default_factory=RouteSettings)
    seed: int = 0
    """Seed of everything that is drawn at random."""
    resume: bool = False
    """Go on where an interrupted run of the same command stopped."""


@dataclass(kw_only=True)
class RouterSettings(BackboneSettings):
    """Settings of `mome route`."""

    out: Path
    """Folder to write the router to."""
    facts: Path | None = None
    """File of facts, for `--paraphrases facts`."""


@dataclass(kw_only=True)
class TrainSettings(BackboneSettings):
    """Settings of `mome train`."""

    facts: Path
    """File of facts: .jsonl, .jsonl.gz, .csv, .tsv or .parquet with prompt and answer (or answers)."""
    out: Path = Path("runs/memory")
    """Folder to write the checkpoint to."""
    limit: int | None = None
    """Teach a seeded random sample of this many facts."""
    on_conflict: OnConflict = "error"
    """What to do with one prompt and two answers: stop, or keep the first or the last."""
    router: Path | None = None
    """Router made by `mome route`, or a checkpoint with one; else the embedded backbone's, or a new one."""
    rank: int = 0
    """Rank of every expert; 0 for a bare residual, which says its token whatever the wording was."""
    expert_dtype: str = "float32"
    """How experts are stored: float32, or bfloat16 in half the space. What is taught and measured is what is stored."""
    num_neighbours: int = 64
    """Keys retrieved for each token."""
    index: str = "auto"
    """Index over the keys: auto (by their number), exact (torch), or a FAISS factory string such as "IVF256,Flat"."""
    chunk_facts: int = 1000
    """Facts taught at a time; an interrupted run resumes behind the last finished chunk."""
    before: bool = True
    """Also measure the bare backbone before teaching."""
    write: WriteSettings = field(default_factory=WriteSettings)


@dataclass(kw_only=True)
class WorldSettings:
    """Settings of `mome world`."""

    out: Path
    """File to write, ending in .jsonl."""
    exposures: int = 0
    """Facts that the embedded backbone saw this often in pretraining: 48, 12, 3, or 0 for facts it does not know."""
    limit: int | None = None
    """Write a seeded random sample of this many."""
    num_paraphrases: int = 3
    """Other wordings of each prompt."""
    seed: int = 0
    """Seed of the sample and the wordings."""
