"""MoMEForCausalLM: a frozen backbone with a memory attached to its decoder layers by hooks.

Shapes: B batch, T tokens, D hidden width. The backbone's own `forward` and `generate` do the work; the hooks read the
router's features on the way up and add the experts' residual at the sites.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    Cache,
    GenerationMixin,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from mome import checkpoint, compaction, saving
from mome.attention import Gate
from mome.bank import Bank, residual
from mome.cache import load_state, store_state
from mome.config import MoMEConfig
from mome.decoder import (
    find_layers,
    fingerprint,
    hidden_of,
    load_backbone,
    load_tokenizer,
    real_tokens,
    uncompiled,
    with_hidden,
)
from mome.errors import BackboneError, CheckpointError
from mome.facts import Fact
from mome.index import FaissIndex, TorchIndex, build_index
from mome.joining import Joiner
from mome.ledger import Ledger
from mome.manifest import Manifest, read_manifest
from mome.memory import CLOSED, Call, Features, Flight, Routing
from mome.reading import read_memory
from mome.router import Router
from mome.settings import WriteSettings
from mome.step import Step
from mome.tables import Table, parts_of, row_of
from mome.trace import TokenTrace, trace_tokens

if TYPE_CHECKING:
    from mome.memorize import Memorized


class MoMEForCausalLM(PreTrainedModel, GenerationMixin):
    """A causal language model with a memory of exact facts.

    Use `from_pretrained` to open a checkpoint, or build one around a loaded backbone and a router.

    Args:
        config: the memory's configuration; its fingerprint must be the backbone's.
        backbone: any Hugging Face decoder-only model. It is frozen and never changed.
        router: reads the layers in `config.feature_layers`.
        bank: experts and keys; empty by default.
        ledger: the facts that own them.
        index: over the bank's keys; built when None.
    """

    config_class = MoMEConfig
    config: MoMEConfig
    base_model_prefix = "backbone"

    def __init__(
        self,
        config: MoMEConfig,
        backbone: PreTrainedModel,
        router: Router,
        bank: Bank | None = None,
        ledger: Ledger | None = None,
        index: TorchIndex | FaissIndex | None = None,
    ):
        super().__init__(config)
        self.backbone = backbone.eval().requires_grad_(False)
        self.router = router.eval().requires_grad_(False)
        self.generation_config = backbone.generation_config
        tied = backbone.all_tied_weights_keys
        self.all_tied_weights_keys = {f"backbone.{name}": f"backbone.{source}" for name, source in tied.items()}
        self.ledger = ledger or Ledger([])
        self.enabled = True
        self._opened: tuple[Path, Manifest] | None = None  # the checkpoint, and which version of it
        self._flight = Flight()
        self._feature_layers = config.feature_layers  # a configuration's own attributes take time to get
        self._forced: tuple[Tensor, Tensor, Tensor] | None = None
        self._observing = False
        self._num_asked: int | None = None
        self._parameters_of_forward = inspect.signature(backbone.forward)
        shape = len(config.sites), config.rank, config.d_model, config.d_key, config.dtype_of_experts
        self.set_bank(bank or Bank.empty(*shape), index)
        self._attach()

    def set_bank(self, bank: Bank, index: TorchIndex | FaissIndex | None = None) -> None:
        """Replace experts and keys; the index is built from the keys when none is given."""
        if index is None:
            index = build_index(torch.cat(parts_of(bank.keys))[:, : self.config.d_subject], self.config.index)
        self.bank, self.index = bank, index
        self.gate = Gate.of(self.router)

    def extend(self, bank: Bank, facts: Sequence[Fact]) -> None:
        """Add facts and their rows, see `mome.memorize`. No row that is there is touched, and no index built anew.

        Raises:
            FactsError: a fact has the id of one that is there, or of another new one.
        """
        self.ledger.check_new(facts)
        self.bank.append(self._beside(bank))
        self.index.add(bank.keys[:, : self.config.d_subject])
        self.ledger.facts.extend(facts)

    @property
    def facts(self) -> Ledger:
        """The facts that are taught: by id, and in the order in which they were taught."""
        return self.ledger

    def memorize(
        self,
        facts: Sequence[Fact],
        tokenizer: PreTrainedTokenizerBase | None = None,
        settings: WriteSettings | None = None,
        update: bool = False,
    ) -> Memorized:
        """Teach further facts, or correct some; see `mome.memorize.add_facts` and `update_facts`.

        Args:
            facts: with ids of their own; with `update`, each takes the place of the fact with its id.
            tokenizer: the backbone's; loaded when None.
            settings: how experts are written.
            update: correct facts that are there.

        Raises:
            FactsError: a fact does not fit the tokenizer or the context, or its id is taken, or with `update` is none.
        """
        from mome.memorize import add_facts, update_facts

        tokenizer = tokenizer or load_tokenizer(self.config.backbone, self.config.revision)
        joiner = Joiner(tokenizer=tokenizer, join=self.config.join, end=self.config.end)
        return (update_facts if update else add_facts)(self, joiner, facts, settings)

    def forget(self, fact_ids: Sequence[str]) -> None:
        """Forget facts: their prompts get what they got before, bit for bit, and what other facts say does not change.

        In the open model their rows are out of reach, see `mome.compaction`; a checkpoint that is saved does not hold
        them any more. Caches that were filled before, and may be about to say them, are refused.

        Raises:
            FactsError: there is no fact with one of the ids; nothing was forgotten then.
        """
        numbers = self.ledger.numbers_of(fact_ids)
        if not numbers:
            return
        self.index.remove(self.bank.keys_of(numbers))
        self.ledger.forget(numbers)
        self.bank = replace(self.bank)  # another one than caches know that were filled before
        compaction.compact_if_due(self)

    def compact(self) -> None:
        """Give back the rows of all forgotten facts, see `mome.compaction.compact`."""
        compaction.compact(self)

    def _attach(self) -> None:
        layers = find_layers(self.backbone)
        sites, features = self.config.sites, self.config.feature_layers
        assert sites and features and max(features) <= min(sites), "the router reads at or below the first site"
        if max(sites) >= len(layers):
            raise BackboneError(f"sites {sites}: the backbone has {len(layers)} decoder layers, numbered from 0")
        recurrent = self._parameters_of_forward.parameters.keys() & {"cache_params", "state"}
        if recurrent:
            raise BackboneError(
                f"{type(self.backbone).__name__}: expected a transformer with `past_key_values`, which carry the "
                f"memory's state, got a recurrent model with {sorted(recurrent)}; use a transformer"
            )
        self.backbone.register_forward_pre_hook(self._begin, with_kwargs=True)
        for number in sorted({*features, *sites}):
            layers[number].register_forward_hook(self._layer_hook(number))
        self.backbone.register_forward_hook(self._end)

    # The hooks of one forward, in the order in which they run.

    @uncompiled
    def _begin(self, _module: torch.nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict] | None:
        self._flight.now = None
        if not self.enabled:
            return None
        bound = kwargs
        if args:
            bound = self._parameters_of_forward.bind_partial(*args, **kwargs).arguments
            bound = {**bound, **bound.get("kwargs", {})}
        tokens, mask, cache = (bound.get(k) for k in ("input_ids", "attention_mask", "past_key_values"))
        if tokens is None:
            raise BackboneError(
                "forward: the memory follows the taught tokens and needs `input_ids`; got only `inputs_embeds`. Pass "
                "input_ids, or stay inside `model.memory_disabled()`"
            )
        num_before = int(cache.get_seq_length()) if cache is not None else 0
        self._flight.now = Call(tokens, real_tokens(mask, tokens.shape[1], num_before), load_state(cache, self.bank))
        if not isinstance(mask, Tensor) or mask.dim() != 2 or bound.get("position_ids") is not None:
            return None
        if "position_ids" not in self._parameters_of_forward.parameters:
            return None
        # Without positions, padding on the left would shift them and change every answer.
        positions = (mask.long().cumsum(-1) - 1).clamp_min(0)[:, -tokens.shape[1] :]
        return args, {**kwargs, "position_ids": positions}

    def _layer_hook(self, number: int):
        site = self.config.sites.index(number) if number in self.config.sites else None

        @uncompiled
        def hook(_module: torch.nn.Module, _args: tuple, output: Tensor | tuple) -> Tensor | tuple | None:
            call = self._flight.now
            if call is None:
                return None
            call.features[number] = hidden_of(output)
            if site is None or self._observing:
                return None
            if self._forced is not None:
                return self._add_residual(*self._forced, site, output)
            if call.routing is None:
                features = Features([call.features[layer] for layer in self._feature_layers], call.mask)
                read_memory(self, call, features, self._num_asked)
            assert call.routing is not None
            if call.routing.is_silent:
                return None
            if isinstance(call.routing, Step) and len(call.routing.expert) == 1:
                return self._add_one_residual(call.routing.expert[0], site, output)
            experts = call.routing.expert
            experts = experts if isinstance(experts, Tensor) else torch.tensor(experts)[:, None]
            return self._add_residual(experts, self.bank.down, self.bank.up, site, output)

        return hook

    def _add_residual(
        self, experts: Tensor, down: Table, up: Table, site: int, output: Tensor | tuple
    ) -> Tensor | tuple | None:
        row, column = (experts != CLOSED).nonzero(as_tuple=True)
        if not len(row):
            return None
        hidden = hidden_of(output)
        chosen = experts[row, column]
        row, column = row.to(hidden.device), column.to(hidden.device)
        read = [table[chosen.to(table.device), site].to(hidden.device).float() for table in (down, up)]
        before = hidden[row, column]  # [P, D]
        return with_hidden(output, hidden.index_put((row, column), before + residual(before, *read)))

    def _add_one_residual(self, expert: int, site: int, output: Tensor | tuple) -> Tensor | tuple:
        """`_add_residual` for one token of one row."""
        hidden = hidden_of(output)  # [1, 1, D]
        read = [row_of(table, expert)[site][None].to(hidden.device).float() for table in (self.bank.down, self.bank.up)]
        return with_hidden(output, hidden + residual(hidden[0], *read))

    @uncompiled
    def _end(self, _module: torch.nn.Module, _args: tuple, output: Any) -> None:
        flight = self._flight
        call, flight.now, flight.last = flight.now, None, flight.now
        parts = output if isinstance(output, tuple) else [getattr(output, "past_key_values", None)]
        cache = next((part for part in parts if isinstance(part, Cache)), None)
        if call is not None and call.after is not None and cache is not None:
            store_state(cache, call.after, self.bank)

    # What users call.

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The backbone's forward, with the memory; arguments and outputs are the backbone's own."""
        return self.backbone(*args, **kwargs)

    @torch.no_grad()
    def generate(self, *args: Any, return_trace: bool = False, follow_own_mentions: bool = False, **kwargs: Any) -> Any:
        """The backbone's `generate`, with the memory: greedy, sampled or beam search, with its cache.

        Args:
            return_trace: also return `self.trace(sequences)`, the memory's part in every token.
            follow_own_mentions: whether a subject that the model itself has named may bring up its facts too; else
                those of the prompt alone do, and the answer to any other question stays the backbone's to its end.
        """
        given = (*args[:1], kwargs.get("inputs"), kwargs.get("input_ids"))
        prompt = next((tokens for tokens in given if tokens is not None), None)
        num_asked = None if follow_own_mentions or prompt is None else prompt.shape[1]
        with self.asked(num_asked):
            output = self.backbone.generate(*args, **kwargs)  # type: ignore[operator]
        if not return_trace:
            return output
        sequences = output if isinstance(output, Tensor) else output.sequences
        mask = kwargs.get("attention_mask")
        if mask is not None:
            grown = mask.new_ones(len(mask), sequences.shape[1] - mask.shape[1])
            mask = torch.cat([mask, grown], dim=1).repeat_interleave(len(sequences) // len(mask), dim=0)
        return output, self.trace(sequences, mask, num_asked)

    @contextmanager
    def asked(self, num_tokens: int | None) -> Iterator[None]:
        """Inside, only the first so many tokens of a text can mention a subject: in `generate` those of its prompt."""
        self._num_asked = num_tokens
        try:
            yield
        finally:
            self._num_asked = None

    @torch.no_grad()
    def trace(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, num_asked: int | None = None
    ) -> list[list[TokenTrace]]:
        """For every token of every sequence `[B, T]`: the expert that spoke for it, its fact, and how sure.

        A token's entry tells what the memory added when that token was predicted, one position earlier.

        Args:
            num_asked: how many tokens of the sequences were the prompt of a `generate`; None: all.
        """
        if not self.enabled:
            return [[] for _ in input_ids]
        with self.asked(num_asked):
            routing, logits = self._read(input_ids, attention_mask)
        return trace_tokens(input_ids, routing, logits, self.bank, self.ledger)

    @torch.no_grad()
    def routing(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Routing:
        """Which expert every token of `[B, T]` reads, from one forward."""
        return self._read(input_ids, attention_mask)[0]

    def _read(self, input_ids: Tensor, attention_mask: Tensor | None) -> tuple[Routing, Tensor]:
        logits = self.backbone(input_ids=input_ids, attention_mask=attention_mask, use_cache=False).logits
        assert self.last_routing is not None
        return self.last_routing, logits

    @property
    def last_routing(self) -> Routing | None:
        """The routing of the last forward; None before the first, and where the memory was disabled."""
        routing = self._flight.last.routing if self._flight.last is not None else None
        return routing.routing() if isinstance(routing, Step) else routing

    @property
    def last_query(self) -> Tensor | None:
        """The router's queries `[B, T, C]` of the last forward; None where `last_routing` is."""
        return self._flight.last.query if self._flight.last is not None else None

    @torch.no_grad()
    def observe(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What teaching needs of texts `[B, T]`: states `[B, T, D]` at the first site before any residual, queries
        `[B, T, C]`, and logits `[B, T]` of the tokens that belong to a subject. The memory itself is not read."""
        self._observing = True
        try:
            self.backbone(input_ids=input_ids, attention_mask=attention_mask, use_cache=False)
        finally:
            self._observing = False
        assert self._flight.last is not None
        features = [self._flight.last.features[layer] for layer in self.config.feature_layers]
        query, _ = self.router(features, self._flight.last.mask)
        subject = self.router.subject_logits(self.router.features(features))
        return self._flight.last.features[self.config.sites[0]], query, subject

    def forward_with_experts(
        self, experts: Tensor, down: Tensor, up: Tensor, input_ids: Tensor, attention_mask: Tensor
    ) -> Tensor:
        """Logits `[B, T, V]` with the expert of every token given: rows int64 `[B, T]` of `down` and `up`, or CLOSED.

        The way to write experts at sites before the last layer; differentiable in `down` and `up`.
        """
        self._forced = (experts, down, up)
        try:
            return self.backbone(input_ids=input_ids, attention_mask=attention_mask, use_cache=False).logits
        finally:
            self._forced = None

    @contextmanager
    def memory_disabled(self) -> Iterator[None]:
        """Inside, the model is the bare backbone, bit for bit."""
        before, self.enabled = self.enabled, False
        try:
            yield
        finally:
            self.enabled = before

    def get_input_embeddings(self) -> torch.nn.Module:
        """The backbone's."""
        return self.backbone.get_input_embeddings()

    def get_output_embeddings(self) -> torch.nn.Module | None:
        """The backbone's."""
        return self.backbone.get_output_embeddings()

    def save_pretrained(  # type: ignore[override]
        self,
        save_directory: str | Path,
        report: dict | None = None,
        files: dict[str, bytes] | None = None,
    ) -> None:
        """Write a checkpoint folder; it holds no tensor of the backbone. See `mome.saving.save`."""
        saving.save(Path(save_directory), self._parts(), report or {}, files)

    def save_changes(self) -> None:
        """Put the facts as they are now in place of those of the checkpoint that was opened.

        It happens in one step: a process that is killed, or a disk that is full, leaves the facts from before. Other
        processes keep the version that they have opened until they `reload`.

        Raises:
            CheckpointError: this memory was opened from none, or it has been changed since, or is being changed now,
                or cannot be written.
        """
        folder, _ = self._opened_from("save_changes")
        self._opened = folder, saving.commit(folder, self._parts())
        if self.ledger.forgotten:  # the file that was written has no empty places
            self._take_up(checkpoint.load(folder))

    def reload(self) -> bool:
        """Take up the facts that the checkpoint holds by now; returns whether they have been changed. If they have,
        changes of this memory that were not saved are lost.

        Raises:
            CheckpointError: as `from_pretrained` does, and where this memory was opened from none.
        """
        folder, opened = self._opened_from("reload")
        if read_manifest(folder).sha256 == opened.sha256:
            return False
        self._take_up(checkpoint.load(folder))
        return True

    def _take_up(self, parts: checkpoint.Parts) -> None:
        """Put what a checkpoint holds in the place of what this memory held, on the same device."""
        assert self._opened is not None and parts.manifest is not None
        self.ledger, self._opened = parts.ledger, (self._opened[0], parts.manifest)
        self.set_bank(self._beside(parts.bank), parts.index)

    def _beside(self, bank: Bank) -> Bank:
        """A bank on the devices where this memory's lies."""
        home = self.bank.token.device
        return bank if home.type == "cpu" else bank.to(home, experts_on_host=self.bank.up.device != home)

    def _opened_from(self, action: str) -> tuple[Path, Manifest]:
        if self._opened is None:
            raise CheckpointError(
                f"{action}: expected a memory that was opened from a checkpoint, got one that was not; use "
                "save_pretrained, then from_pretrained"
            )
        return self._opened

    def _parts(self) -> checkpoint.Parts:
        return checkpoint.Parts(
            config=self.config,
            router=self.router,
            bank=self.bank,
            ledger=self.ledger,
            index=self.index,
            manifest=self._opened[1] if self._opened else None,
        )

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls,
        pretrained_model_name_or_path: str | Path,
        *_args: Any,
        backbone: PreTrainedModel | None = None,
        dtype: torch.dtype | str = "auto",
        trust_remote_code: bool = False,
        **_kwargs: Any,
    ) -> MoMEForCausalLM:
        """Open a checkpoint.

        Args:
            pretrained_model_name_or_path: the checkpoint's folder.
            backbone: a loaded backbone to use; by default the one that the checkpoint names is loaded.
            dtype: dtype of the backbone when it is loaded here.
            trust_remote_code: passed on when the backbone is loaded here.

        Raises:
            CheckpointError: a file is missing, damaged or foreign.
            BackboneError: the backbone cannot be loaded, or is not the one the memory was taught for.
        """
        parts = checkpoint.load(Path(pretrained_model_name_or_path))
        config = parts.config
        if backbone is None:
            backbone = load_backbone(config.backbone, config.revision, dtype, trust_remote_code)
        found = fingerprint(backbone)
        if found != config.fingerprint:
            raise BackboneError(
                f"{pretrained_model_name_or_path}: taught for backbone {config.backbone!r} with fingerprint "
                f"{config.fingerprint[:12]}, got {type(backbone).__name__} with {found[:12]}; load the same weights, "
                "or teach the facts again for this backbone"
            )
        model = cls(config, backbone, parts.router, parts.bank, parts.ledger, parts.index)
        assert parts.manifest is not None
        model._opened = Path(pretrained_model_name_or_path), parts.manifest
        return model


AutoConfig.register("mome", MoMEConfig)
AutoModelForCausalLM.register(MoMEConfig, MoMEForCausalLM)
