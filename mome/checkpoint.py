"""A checkpoint on disk: a folder of safetensors tables, JSON and a manifest. Exact or an error, never a guess.

    config.json           how the memory is read, and which backbone it was taught for
    router.safetensors    the router
    experts.safetensors   the bank's rows: down, up, token, fact
    keys.safetensors      keys, key_expert, subject, word_edge
    facts.jsonl           the ledger
    index.faiss           a cache of the FAISS index, rebuilt from the keys when absent or damaged
    report.json           what was measured after teaching
    manifest.json         size and sha256 of every other file

Nothing in it is ever unpickled. In a checkpoint that was changed, see `mome.saving.commit`, the files that hold facts
have the number of the change in their names, such as facts.1.jsonl, and the manifest tells so.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor

from mome.bank import Bank
from mome.config import MAX_LAYERS, MoMEConfig
from mome.errors import CheckpointError, SettingsError
from mome.index import EXACT, FaissIndex, TorchIndex, build_index, kind_for
from mome.ledger import Ledger, StoredFacts
from mome.manifest import MEND, Manifest, at_one_version, checked, path_of, read_json, read_manifest
from mome.mention import MAX_SUBJECT_TOKENS, NUM_SPELLINGS
from mome.router import Router
from mome.tables import read_tables

EXPERT_TABLES, KEY_TABLES = ("down", "up", "token", "fact"), ("keys", "key_expert", "subject", "word_edge")


@dataclass(kw_only=True)
class Parts:
    """What a checkpoint holds."""

    config: MoMEConfig
    router: Router
    bank: Bank
    ledger: Ledger
    index: TorchIndex | FaissIndex
    manifest: Manifest | None = None  # of the version that was read


def load(folder: Path) -> Parts:
    """Read a checkpoint, checking every file before it is used.

    Raises:
        CheckpointError: a file is missing, damaged, foreign, or does not fit the others.
    """
    return at_one_version(folder, lambda manifest: _load(folder, manifest))


def _load(folder: Path, manifest: Manifest) -> Parts:
    files = manifest.files
    config = _read_config(checked(folder, files, "config.json"))
    router = _read_router(checked(folder, files, "router.safetensors"), config)
    experts, keys = (checked(folder, files, name) for name in ("experts.safetensors", "keys.safetensors"))
    ledger = Ledger(StoredFacts(checked(folder, files, "facts.jsonl"), MEND))
    bank = _read_bank(experts, keys, config, len(ledger))
    index = _read_index(folder, manifest, config, bank)
    return Parts(config=config, router=router, bank=bank, ledger=ledger, index=index, manifest=manifest)


def _read_config(path: Path) -> MoMEConfig:
    fields = read_json(path)
    if fields.get("model_type") != "mome":
        raise CheckpointError(f"{path}: expected model_type 'mome', got {fields.get('model_type')!r}; {MEND}")
    return _config_of(path, fields)


def _config_of(path: Path, fields: dict) -> MoMEConfig:
    """A configuration of its own fields, each of which may hold anything."""
    known = inspect.signature(MoMEConfig.__init__).parameters.keys() - {"self", "kwargs"}
    try:
        config = MoMEConfig(**{name: value for name, value in fields.items() if name in known})
        config.check()
    except SettingsError as error:
        raise CheckpointError(f"{path}: {error}; {MEND}") from None
    return config


def _read_tensors(path: Path, shapes: dict[str, tuple[int | None, ...]]) -> dict[str, Tensor]:
    """Read a safetensors file that must hold exactly these tensors; None stands for any size."""
    try:
        tensors = read_tables(path)
    except (SafetensorError, OSError, RuntimeError) as error:  # torch's own where the file has just gone
        raise CheckpointError(f"{path}: not a readable safetensors file ({error}); {MEND}") from None
    check_tensors(path, tensors, shapes)
    return tensors


def check_tensors(path: Path, tensors: dict[str, Tensor], shapes: dict[str, tuple[int | None, ...]]) -> None:
    """Raise CheckpointError naming every tensor that is missing, not expected, or of another shape."""
    missing, extra = shapes.keys() - tensors.keys(), tensors.keys() - shapes.keys()
    if missing or extra:
        raise CheckpointError(
            f"{path}: expected the tensors {sorted(shapes)}; missing {sorted(missing)}, not expected {sorted(extra)}; "
            f"{MEND}"
        )
    for name, shape in shapes.items():
        got = tuple(tensors[name].shape)
        if len(got) != len(shape) or any(want not in (None, have) for want, have in zip(shape, got, strict=True)):
            wanted = tuple("any" if size is None else size for size in shape)
            raise CheckpointError(f"{path}: tensor {name}: expected shape {wanted}, got {got}; {MEND}")


def _read_router(path: Path, config: MoMEConfig) -> Router:
    with torch.device("meta"):  # shapes alone: a damaged configuration may ask for more than there is memory
        shapes = {name: tuple(table.shape) for name, table in new_router(config).state_dict().items()}
    tensors = _read_tensors(path, shapes)
    router = new_router(config)
    router.load_state_dict(tensors)
    return router


def new_router(config: MoMEConfig) -> Router:
    """An untrained router of the shape that a configuration asks for."""
    heads = config.num_heads, config.num_relation_heads, config.d_head
    return Router(len(config.feature_layers), config.d_model, config.d_feature, *heads)


def _read_bank(experts_path: Path, keys_path: Path, config: MoMEConfig, num_facts: int) -> Bank:
    sites, rank, width = len(config.sites), config.rank, config.d_model
    path = experts_path
    experts = _read_tensors(
        path,
        {
            "down": (None, sites, rank, width),
            "up": (None, sites, width, max(rank, 1)),
            "token": (None,),
            "fact": (None,),
        },
    )
    num_experts = len(experts["token"])
    for name, table in experts.items():
        if len(table) != num_experts:
            raise CheckpointError(f"{path}: tensor {name}: expected {num_experts} rows, got {len(table)}; {MEND}")
    for name, dtype in (("down", config.dtype_of_experts), ("up", config.dtype_of_experts), ("token", torch.int32)):
        _check_dtype(path, name, experts[name], dtype)
    _check_numbers(path, "fact", experts["fact"], num_facts)
    path = keys_path
    keys = _read_tensors(
        path,
        {
            "keys": (None, config.d_key),
            "key_expert": (None,),
            "subject": (None, NUM_SPELLINGS, MAX_SUBJECT_TOKENS),
            "word_edge": (None, 2),
        },
    )
    for name, table in keys.items():
        if name != "word_edge" and len(table) != len(keys["keys"]):
            raise CheckpointError(f"{path}: tensor {name}: expected {len(keys['keys'])} rows, got {len(table)}; {MEND}")
    for name, dtype in (("keys", torch.float32), ("subject", torch.int32), ("word_edge", torch.bool)):
        _check_dtype(path, name, keys[name], dtype)
    if not len(keys["word_edge"]):
        raise CheckpointError(f"{path}: tensor word_edge: expected one row or more, got none; {MEND}")
    _check_numbers(path, "key_expert", keys["key_expert"], num_experts)
    return Bank(**experts, **keys)


def _check_dtype(path: Path, name: str, table: Tensor, dtype: torch.dtype) -> None:
    if table.dtype != dtype:
        raise CheckpointError(f"{path}: tensor {name}: expected {dtype}, got {table.dtype}; {MEND}")


def _check_numbers(path: Path, name: str, numbers: Tensor, bound: int) -> None:
    _check_dtype(path, name, numbers, torch.int32)
    if len(numbers) and not 0 <= int(numbers.min()) <= int(numbers.max()) < bound:
        got = f"{int(numbers.min())} to {int(numbers.max())}"
        raise CheckpointError(f"{path}: tensor {name}: expected numbers from 0 to {bound - 1}, got {got}; {MEND}")


def _read_index(folder: Path, manifest: Manifest, config: MoMEConfig, bank: Bank) -> TorchIndex | FaissIndex:
    kind = kind_for(config.index, bank.num_keys)
    if kind != EXACT:
        try:
            path = checked(folder, manifest.files, "index.faiss", in_full=True)
            return FaissIndex.read(path, config.d_subject, kind, bank.num_keys)
        except CheckpointError:
            # A cache that cannot be read, by another version of FAISS for one, is no loss; one that another process has
            # just replaced is found anew.
            if read_manifest(folder).sha256 != manifest.sha256:
                raise
    return build_index(bank.keys[:, : config.d_subject], kind)


SHOWN_FIELDS = ("backbone", "fingerprint", "sites", "rank", "expert_dtype", "feature_layers", "d_key", "num_neighbours")
SHOWN_FIELDS += ("index", "join", "end")


def summarize(folder: Path) -> dict:
    """What `mome inspect` shows, without the backbone.

    Raises:
        CheckpointError: as `load` does.
    """

    def read(manifest: Manifest) -> dict:
        parts, files = _load(folder, manifest), manifest.files
        report = read_json(checked(folder, files, "report.json")) if "report.json" in files else {}
        return {
            "facts": len(parts.ledger),
            "experts": parts.bank.num_experts,
            "keys": parts.bank.num_keys,
            **{name: getattr(parts.config, name) for name in SHOWN_FIELDS},
            "null_similarity": round(parts.router.null_similarity.item(), 4),
            "bytes": sum(entry["bytes"] for entry in files.values()),
            "measured": report.get("after", {}),
        }

    return at_one_version(folder, read)


ROUTER_FIELDS = ("fingerprint", "d_model", "feature_layers", "num_heads", "num_relation_heads", "d_head", "d_feature")


def load_router(folder: Path, config: MoMEConfig) -> tuple[MoMEConfig, Router]:
    """Read a saved router, or a checkpoint's; returns the configuration with the router's shape filled in.

    Raises:
        CheckpointError: there is no router, it is damaged, or it was trained for another backbone.
    """
    path, fields = _router_description(folder)
    files = read_manifest(folder).files
    checked(folder, files, path.name)
    weights = checked(folder, files, "router.safetensors")
    missing = [name for name in ROUTER_FIELDS if name not in fields]
    if missing:
        raise CheckpointError(f"{path}: damaged: the fields {missing} are missing; {MEND}")
    if fields["fingerprint"] != config.fingerprint:
        raise CheckpointError(
            f"{folder}: trained for a backbone with fingerprint {str(fields['fingerprint'])[:12]}, got "
            f"{config.backbone!r} with {config.fingerprint[:12]}; train a router for this backbone with `mome route`"
        )
    own = {name: fields[name] for name in ROUTER_FIELDS}
    # Whether the router fits the sites is told apart from whether it is damaged: at first it may stand before any.
    merged = _config_of(path, {**config.to_dict(), **own, "sites": [MAX_LAYERS - 1]})
    if max(merged.feature_layers) > config.sites[0]:
        raise CheckpointError(
            f"{folder}: its router reads layers {merged.feature_layers}, above the first site {config.sites[0]}; train "
            "a router for these sites with `mome route`"
        )
    merged.sites = config.sites
    return merged, _read_router(weights, merged)


def read_router_report(folder: Path) -> dict:
    """What was measured when a saved router, or a checkpoint's, was calibrated."""
    path, fields = _router_description(folder)
    if path.name == "config.json":
        return at_one_version(folder, lambda manifest: _stored_report(folder, manifest))
    return fields.get("report", {})


def _stored_report(folder: Path, manifest: Manifest) -> dict:
    stored = path_of(folder, manifest.files, "report.json")
    return read_json(stored).get("router", {}) if stored is not None else {}


def _router_description(folder: Path) -> tuple[Path, dict]:
    for name in ("router.json", "config.json"):
        if (folder / name).is_file():
            return folder / name, read_json(folder / name)
    raise CheckpointError(f"{folder}: expected a router made by `mome route`, or a checkpoint; found neither")
