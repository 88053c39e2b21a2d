"""Classifiers of a run, made from its settings one after another on the same backbone, and their stored prefixes."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import torch
from accelerate import Accelerator

from affetto import audio
from affetto.backbones.backbone import Backbone
from affetto.errors import UserError
from affetto.models import storage
from affetto.models.classifier import Classifier
from affetto.models.device import capabilities
from affetto.models.head_layers import StatisticsHead
from affetto.models.heads.registry import HEADS
from affetto.models.methods.base import Method
from affetto.models.methods.registry import METHODS
from affetto.models.pooling import LAST_STATE, StateSpan
from affetto.models.prefix import PrefixData, PrefixStore
from affetto.models.saved import assemble
from affetto.targets.registry import blueprint_of
from affetto.training import device as devices
from affetto.training.clips import refuse_or_name
from affetto.training.data import Data
from affetto.training.display import Display
from affetto.training.processes import on_all_ranks, part
from affetto.training.sections import Settings
from affetto.training.spec import PROBE, RunSpec, method_settings

STATISTICS = {
    "method": {"name": "frozen", "first_block": 0, "settings": {}},
    "head": {"name": "statistics", "width": 1, "dropout": 0.0, "unmasked_mean": False},
}
"""Parts of a blueprint by which a classifier stores the statistics of every state. The probe is fitted on them."""


@dataclass
class Builder:
    """Maker of a run's classifiers. `backbone` stays as it was loaded: methods change copies of it."""

    spec: RunSpec
    data: Data
    backbone: Backbone
    device: torch.device
    display: Display
    weights_digest: str = ""
    precision: str = "float32"
    accelerator: Accelerator | None = None
    """With several processes each prepares a part of the clips; after that all of them are in the store."""
    _prefixes: dict[tuple[Any, ...], PrefixData] = field(default_factory=dict)
    _current: dict[int, tuple[StateSpan, Classifier, dict[str, torch.Tensor]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.weights_digest = self.backbone.weights_digest()
        layer = self.spec.settings.model.layer
        if isinstance(layer, int) and layer > self.backbone.depth:
            raise UserError(f"model.layer={layer}: this backbone has states 0 … {self.backbone.depth}")
        states, highest = self.spec.settings.model.states, layer if isinstance(layer, int) else self.backbone.depth
        if states != "auto" and states > highest + 1:
            raise UserError(f"model.states={states}: there are {highest + 1} states from 0 to {highest}; lower it")
        self.backbone.to(self.device)
        self.precision = devices.resolve_precision(self.spec.settings.compute.precision, self.device)
        if self.precision == "bfloat16" and not self.method.trains_backbone:
            # Before any copy is made: what a fold starts from must not depend on what ran before it.
            self.backbone.to_bfloat16()

    @property
    def method(self) -> type[Method]:
        """The class of the run's method."""
        return METHODS.find(self.spec.method)

    def blueprint(self, span: StateSpan) -> dict[str, Any]:
        """Blueprint for `assemble`, from the settings and the states that pooling takes."""
        s: Settings = self.spec.settings
        return {
            **blueprint_of(self.data.target),
            "method": {
                "name": self.spec.method,
                "first_block": s.training.first_block,
                "settings": method_settings(s, self.spec.method),
            },
            "pooling": {
                "kind": s.model.pooling,
                "layer": span.layer,
                "state_norm": s.model.state_norm,
                **({"states": span.states} if span.states > 1 else {}),
            },
            "head": {
                "name": s.model.head,
                "width": s.model.head_width,
                "dropout": s.model.head_dropout,
                "unmasked_mean": s.model.unmasked_mean,
            },
        }

    def fresh(self, span: StateSpan = LAST_STATE, slot: int = 0) -> Classifier:
        """The run's classifier as the seed makes it, whatever was trained before.

        The previous classifier of this slot is void. Each of the fits that are trained together has a slot.
        """
        current = self._current.get(slot)
        if current is not None and current[0] == span:
            _, classifier, initial = current
            classifier.restore(initial)
            return classifier
        self._current.pop(slot, None)
        torch.manual_seed(self.spec.seed)
        # Made on the CPU, so that a seed gives the same weights whatever the device.
        backbone = self._copy().cpu() if self.method.changes_blocks else self.backbone
        frozen = (
            []
            if self.method.trains_backbone
            else list(zip(backbone.parameters(), self.backbone.parameters(), strict=True))
        )
        classifier = assemble(backbone, self.blueprint(span))
        if isinstance(classifier.head, StatisticsHead):  # of the training alone: the saved model knows nothing of it
            classifier.head.dropout_samples = self.spec.settings.model.dropout_samples
        for copied, weight in frozen:
            if not copied.requires_grad:  # one weight in the device's memory, however many classifiers there are
                copied.data = weight.data
        classifier = classifier.to(self.device).compute_in(self.precision)
        self._current[slot] = (span, classifier, classifier.snapshot())
        return classifier

    @property
    def is_stackable(self) -> bool:
        """True if fits of the run's method and head can train as one."""
        if self.spec.settings.training.adversary != "none":
            return False
        if self.spec.settings.training.cross_fit > 0:
            return False
        return self.method.stackable and HEADS.find(self.spec.settings.model.head).stackable

    def architecture(self, classifier: Classifier, span: StateSpan = LAST_STATE) -> str | None:
        """Key of the classifiers that can train as one with this one (`affetto.models.stacked`); None: with none."""
        if not self.is_stackable:
            return None
        blueprint = self.blueprint(span._replace(layer=None) if classifier.stores_statistics else span)
        samples = self.spec.settings.model.dropout_samples
        return json.dumps([blueprint, samples, self.weights_digest, self.precision, str(self.device)], sort_keys=True)

    def _copy(self) -> Backbone:
        """A backbone that a method may change. Frozen weights share memory with the run's where they need not move."""
        shared = capabilities(self.device).host_memory and not self.method.trains_backbone
        return self.backbone.copy_sharing_weights() if shared else copy.deepcopy(self.backbone)

    @property
    def current(self) -> Classifier:
        """The last classifier of the first slot."""
        return self._current[0][1]

    def prefixes(self, classifier: Classifier) -> PrefixData:
        """Stored prefixes of all clips at the classifier's cut; missing prefixes are computed."""
        if classifier.cut not in self._prefixes:
            self._prefixes[classifier.cut] = self._prepare(classifier)
        return self._prefixes[classifier.cut]

    def statistics(self) -> PrefixData:
        """Mean and deviation over time of every frozen state, (L+1, 2 width) per clip."""
        norm = self.spec.settings.model.state_norm if self.needs_probe_head else "none"
        pooling = {"kind": "layer", "layer": None, "state_norm": norm}
        blueprint = {**blueprint_of(self.data.target), "pooling": pooling, **STATISTICS}
        # Copies whose own weights train start from float32, which a narrowed backbone has no longer.
        backbone = copy.deepcopy(self.backbone) if self.method.trains_backbone else self.backbone
        return self.prefixes(assemble(backbone, blueprint).to(self.device).compute_in(self.precision))

    @property
    def needs_probe_head(self) -> bool:
        """True if the classifier has the shape of the probe, so that it can start as the probe."""
        return self.spec.settings.model.head == PROBE["model"]["head"]

    def _prepare(self, classifier: Classifier) -> PrefixData:
        s = self.spec.settings
        store = store_of(classifier, self.weights_digest, s.audio.seconds, s.store.precision, self.device)
        data = PrefixData(classifier, store, dict(self.data.sources), self.data.digests, s.audio.seconds)
        with self.display.inner(LABELS.get(str(classifier.cut[0]), "frozen states")):
            storage.prune(storage.limit_bytes(), keep=store.folder)
            if self.accelerator is not None and self.accelerator.num_processes > 1:
                share = dict(part(list(self.data.sources.items()), self.accelerator))
                partial = PrefixData(classifier, store, share, self.data.digests, s.audio.seconds)
                on_all_ranks(self.accelerator, lambda: partial.prepare(self.display.advance))
            bad = data.prepare(self.display.advance)
            storage.touch(store.folder)
            if bad:
                skip = self.spec.skip_bad and not self.data.is_final
                refuse_or_name(bad, len(self.data.sources), skip, self.display.say)
                self.data.drop(bad, self.display.say)
                self._current.clear()  # made for labels that may be fewer now
            self.display.end(f"{len(data.frames)} clips")
        return data


def store_of(
    classifier: Classifier, weights_digest: str, seconds: float | None, precision: str, device: torch.device
) -> PrefixStore:
    """Store of the prefixes at this classifier's cut. Every run that computes the same prefixes shares it."""
    identity = {
        "weights": weights_digest,
        "architecture": classifier.backbone.architecture(),
        "preprocessing": classifier.backbone.preprocessing,
        "decoding": audio.VERSION,
        "transformers": ".".join(version("transformers").split(".")[:2]),
        "seconds": seconds,
        "cut": classifier.cut,
        "device": device.type,
        "compute": classifier.precision,
    }
    return PrefixStore(identity, precision)


LABELS = {"statistics": "statistics of states", "features": "front end", "state": "frozen states"}
