"""Everything a checkpoint must remember about how its memory is read."""

from __future__ import annotations

import torch
from transformers import PreTrainedConfig

from mome.errors import SettingsError

EMBEDDED = "embedded"
EXPERT_DTYPES = ("float32", "bfloat16")
# Least and most of what counts, beyond which a stored configuration is taken to be damaged.
COUNTS = (
    ("d_model", 1, 2**20),
    ("rank", 0, 2**12),
    ("num_heads", 1, 2**10),
    ("num_relation_heads", 1, 2**10),
    ("d_head", 1, 2**12),
    ("d_feature", 1, 2**20),
    ("num_neighbours", 1, 2**12),
)
TEXTS = ("backbone", "revision", "fingerprint", "index", "join", "end")
MAX_LAYERS = 2**12


class MoMEConfig(PreTrainedConfig):
    """Configuration of a memory and of the backbone that it was taught for.

    Args:
        backbone: folder or Hugging Face id of the backbone; `"embedded"` is the one that ships with the package.
        revision: revision of a backbone on the hub, or None.
        fingerprint: digest of the backbone's weights, see `mome.decoder.fingerprint`; checked on load.
        d_model: width of the hidden states at the sites.
        sites: decoder layers (0-based) whose outputs receive the memory's residual, ascending.
        rank: rank r of every expert; 0 for a bare residual, which is the same whatever the wording.
        expert_dtype: `"float32"` or `"bfloat16"`, in which experts are stored; they are computed in fp32.
        feature_layers: decoder layers whose outputs the router reads, ascending, none above the first site.
        num_heads: pooling heads of a query's subject part.
        num_relation_heads: pooling heads of its relation part.
        d_head: width of a pooling head.
        d_feature: width of the whitened features taken from each feature layer.
        num_neighbours: how many keys are retrieved for each token (k).
        kind_similarity: a question whose relation part comes this near to a key's is one of the taught kind.
        subject_weight: how much a similarity is lowered where the fact's subject is not mentioned, see `mome.mention`.
        index: `"auto"` to choose by the number of keys, `"exact"` for a torch search, or a FAISS factory string such as
            `"Flat"`, `"IVF256,Flat"`, `"HNSW32"`.
        join: how prompt and answer are joined, see `mome.joining`.
        end: what follows an answer: `"eos"`, `"none"` or a literal text.

    Raises:
        SettingsError: experts cannot be stored in that dtype.

    >>> MoMEConfig(sites=[5]).d_subject, MoMEConfig(sites=[5]).d_relation
    (128, 64)
    """

    model_type = "mome"

    def __init__(
        self,
        backbone: str = EMBEDDED,
        revision: str | None = None,
        fingerprint: str = "",
        d_model: int = 0,
        sites: list[int] | None = None,
        rank: int = 0,
        expert_dtype: str = "float32",
        feature_layers: list[int] | None = None,
        num_heads: int = 8,
        num_relation_heads: int = 4,
        d_head: int = 16,
        d_feature: int = 256,
        num_neighbours: int = 64,
        subject_weight: float = 5.0,
        kind_similarity: float = 1.0,
        index: str = "auto",
        join: str = "plain",
        end: str = "eos",
        **kwargs,
    ):
        self.backbone = backbone
        self.revision = revision
        self.fingerprint = fingerprint
        self.d_model = d_model
        self.sites = sites or []
        self.rank = rank
        if expert_dtype not in EXPERT_DTYPES:
            raise SettingsError(f"expert_dtype {expert_dtype!r}: expected one of {', '.join(EXPERT_DTYPES)}")
        self.expert_dtype = expert_dtype
        self.feature_layers = feature_layers or []
        self.num_heads = num_heads
        self.num_relation_heads = num_relation_heads
        self.d_head = d_head
        self.d_feature = d_feature
        self.num_neighbours = num_neighbours
        self.subject_weight = subject_weight
        self.kind_similarity = kind_similarity
        self.index = index
        self.join = join
        self.end = end
        super().__init__(**kwargs)

    @property
    def dtype_of_experts(self) -> torch.dtype:
        """The dtype that `expert_dtype` names."""
        return getattr(torch, self.expert_dtype)

    @property
    def d_subject(self) -> int:
        """Width of the subject part of queries and keys, by which the index is searched."""
        return self.num_heads * self.d_head

    @property
    def d_relation(self) -> int:
        """Width of their relation part."""
        return self.num_relation_heads * self.d_head

    @property
    def d_key(self) -> int:
        """Width of both parts."""
        return self.d_subject + self.d_relation

    def check(self) -> None:
        """Stop where a field of a stored configuration holds what no memory was made with.

        Raises:
            SettingsError: so it is; the message names the field.
        """
        for name, least, most in COUNTS:
            value = getattr(self, name)
            if type(value) is not int or not least <= value <= most:
                raise SettingsError(f"{name}: expected a whole number from {least} to {most:,}, got {_shown(value)}")
        for name in TEXTS:
            value = getattr(self, name)
            if not _is_text(value) and not (name == "revision" and value is None):
                raise SettingsError(f"{name}: expected a text, got {_shown(value)}")
        for name in ("subject_weight", "kind_similarity"):
            value = getattr(self, name)
            if type(value) not in (int, float) or not abs(value) < 1e6:
                raise SettingsError(f"{name}: expected a number, got {_shown(value)}")
        for name in ("sites", "feature_layers"):
            value = getattr(self, name)
            if not isinstance(value, list) or not all(type(n) is int and 0 <= n < MAX_LAYERS for n in value):
                raise SettingsError(f"{name}: expected numbers of layers, got {_shown(value)}")
            if not value or value != sorted(set(value)):
                raise SettingsError(f"{name}: expected one layer or more, each once, ascending, got {_shown(value)}")
        if max(self.feature_layers) > min(self.sites):
            raise SettingsError(
                f"feature_layers {self.feature_layers}: expected none above the first site, got sites {self.sites}"
            )


def _is_text(value: object) -> bool:
    """Whether it is one that other libraries take: JSON can hold halves of characters, which they do not."""
    return isinstance(value, str) and "\0" not in value and value.encode(errors="replace").decode() == value


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
