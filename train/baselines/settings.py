"""Every setting of the methods that the memory is compared with. The docstring under a field is its help text."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(kw_only=True)
class FineTuneSettings:
    """How a copy of the backbone is fine-tuned."""

    learning_rate: float = 2e-4
    """Adam's learning rate behind the warm-up, from where on it is constant."""
    warm_up_steps: int = 10
    """Steps in which the learning rate rises from zero."""
    batch_size: int = 32
    """Facts of a step."""
    max_epochs: int = 100
    """Passes over the facts after which training stops in any case."""
    max_cpu_seconds: float | None = None
    """Processor time after which training stops in any case."""
    stop_at_recall: bool = True
    """Stop behind the first pass in which every answer token was the likeliest one when its step came, and is still."""
    checkpoint_every: int = 250
    """Steps between the checkpoints that an interrupted run resumes from."""
    seed: int = 0
    """Seed of the order of the facts and of new weights."""


@dataclass(kw_only=True)
class LoRASettings(FineTuneSettings):
    """How low-rank adapters are trained on a copy of the backbone."""

    learning_rate: float = 1e-3
    """Adam's learning rate behind the warm-up, from where on it is constant."""
    rank: int = 32
    """Rank of every adapter."""
    alpha: float = 32.0
    """Scale of the adapters' output, before it is divided by the rank or its root."""
    use_rslora: bool = True
    """Divide the scale by the root of the rank, not by the rank."""
    targets: list[str] = field(default_factory=lambda: ["mlp"])
    """What gets an adapter: mlp (the linear layers outside attention), all-linear (attention too), or the names of
    modules as `peft` understands them."""


@dataclass(kw_only=True)
class RetrievalSettings:
    """How taught facts are retrieved into the context."""

    num_retrieved: int = 5
    """Facts put before every question, as far as the context holds them."""
    seed: int = 0
    """Seed of the random signs that the embedding is made with."""


@dataclass(kw_only=True)
class KNNLMSettings:
    """How the next tokens of taught answers are mixed into what the backbone says."""

    num_neighbours: int = 64
    """Taught states that are looked up for every token."""
    temperature: float = 0.01
    """Of the softmax over squared distances, which are measured in units of the states' mean square."""
    weight: float = 0.5
    """Share of the neighbours in the mixture; with less, facts that the backbone contradicts are not said."""
