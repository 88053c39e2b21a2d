"""Base of all objectives: clips to tensors, tensors to a loss, frames to text, and a folder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from affetto.errors import UserError
from affetto.models.methods.base import Method
from affetto.models.methods.registry import METHODS
from affetto.quiet import quiet_transformers
from affetto.specialize.frontend import Lengths, mask_norm
from affetto.specialize.parents import Parent
from affetto.specialize.spec import METHOD_SETTINGS, Settings, trains_all
from affetto.specialize.text import Vocabulary

NEW, PARENTS, PARTLY = "new", "of the parent", "in part of the parent"
"""Origins of the parts that a model has beside its encoder."""


@dataclass(frozen=True)
class Item:
    """One clip, ready for a batch: the front end's input and, by objective, labels, a mask, distractors."""

    input: Tensor
    samples: int
    """Samples of the clip at 16 kHz."""
    labels: tuple[int, ...] = ()
    mask: np.ndarray | None = None
    negatives: np.ndarray | None = None


class Objective(ABC):
    """A model with its loss.

    `loss` returns a sum over units and their number, so that the gradient of a step does not depend on how its clips
    are put into batches or dealt out to processes.
    """

    name: ClassVar[str]
    unit: ClassVar[str]
    """Units that the loss is a mean of: characters, tokens or masked frames."""
    has_window: ClassVar[bool] = False
    """True if each clip is padded to one length, which `window_seconds` may shorten."""
    model: Any
    """Model that trains: transformers' own class for the objective (`SpeechEncoderCTC` around Whisper's encoder)."""
    heads: str = NEW
    """Origin of the parts beside its encoder: `NEW`, `PARENTS` or `PARTLY`."""
    notes: list[str]
    """Remarks for the user on how the model was built."""

    def __init__(self, parent: Parent, settings: Settings, method: str, vocabulary: Vocabulary | None) -> None:
        self.parent, self.settings, self.method, self.vocabulary = parent, settings, method, vocabulary
        self.adaptation: Method | None = None
        self.notes = []
        if settings.window_seconds is not None and not self.has_window:
            raise UserError(f"setting window_seconds: {self.name} does not pad clips to a window; leave it out")
        self.build()
        self._choose_what_trains()
        if settings.gradient_checkpointing:
            for owner in self.checkpointed():
                # The older name is deprecated in transformers 5.23; versions before have no other.
                enable = getattr(owner, "activation_checkpointing_enable", owner.gradient_checkpointing_enable)
                enable({"use_reentrant": False})

    # Defined by each objective ----------------------------------------------------------------

    @abstractmethod
    def build(self) -> None:
        """Make `model` around the parent's encoder."""

    @abstractmethod
    def item(self, wave: np.ndarray, text: str, random: np.random.Generator) -> Item:
        """One clip: wave (samples,) at 16 kHz."""

    @abstractmethod
    def batch(self, items: list[Item]) -> dict[str, Tensor]:
        """Tensors of equal length, padded, on the CPU."""

    @abstractmethod
    def loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The loss summed over units, and their number, both (); padding is in neither."""

    def transcribe(self, batch: dict[str, Tensor]) -> list[str] | None:
        """Plain text of each clip by the model; None for an objective without text."""
        return None

    def fits(self, samples: int, text: str) -> bool:
        """True if a clip of so many samples can carry the text."""
        return True

    def padded(self, samples: int) -> int:
        """Samples that a clip is padded to, independent of the rest of its batch."""
        return samples

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write an ordinary checkpoint folder, all but `preprocessor_config.json`."""

    def facts(self) -> dict[str, Any]:
        """Facts of a specialisation's identity beside its settings: JSON."""
        return {}

    def doubt(self, loss: float) -> str | None:
        """Remark on an implausible validation loss per unit before training; None if it is plausible."""
        return None

    def at_step(self, step: int) -> None:
        """Prepare for a step; most objectives need nothing."""
        return

    def new_parts(self) -> list[nn.Module]:
        """Modules of the model that are not the parent's encoder: they train under every method."""
        return []

    def checkpointed(self) -> list[Any]:
        return [self.model]

    # Shared by all objectives -----------------------------------------------------------------

    @property
    def backbone(self) -> Any:
        return self.parent.backbone

    @property
    def trains_front_end(self) -> bool:
        choice = self.settings.front_end
        if choice is not None:
            return choice
        return trains_all(self.method) and (self.name != "ctc" or self.parent.folder is None)

    def _choose_what_trains(self) -> None:
        encoder = self.backbone.model
        self.model.requires_grad_(trains_all(self.method))
        if not trains_all(self.method):
            keywords = {name: getattr(self.settings, name) for name in METHOD_SETTINGS[self.method]}
            self.adaptation = METHODS.find(self.method)(self.backbone, range(self.backbone.depth), **keywords)
        for module in self.new_parts():
            module.requires_grad_(True)
        for module in front_end(encoder):
            module.requires_grad_(self.trains_front_end)
            if hasattr(module, "_requires_grad"):
                module._requires_grad = self.trains_front_end  # transformers reads it to mark the wave
        if hasattr(encoder, "embed_positions"):
            encoder.embed_positions.requires_grad_(False)

    def trainable(self) -> dict[str, nn.Parameter]:
        """Parameters that train, by name, each once."""
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}

    def merge(self) -> None:
        """Fold the method into the weights: the plain model again."""
        if self.adaptation is not None:
            self.adaptation.merge()
            self.adaptation = None

    def save_model(self, model: Any, folder: Path) -> None:
        """Write transformers' files, with the parent's values of the configuration fields that affetto sets."""
        for config in {id(c): c for c in (model.config, self.backbone.model.config)}.values():
            for name, value in self.parent.config_values.items():
                setattr(config, name, value)
        with quiet_transformers():
            model.save_pretrained(folder)


def front_end(encoder: Any) -> list[Any]:
    """The convolutions that affetto's methods keep frozen."""
    if hasattr(encoder, "feature_extractor"):
        return [encoder.feature_extractor]
    return [encoder.conv1, encoder.conv2]


class WaveObjective(Objective):
    """wav2vec 2.0, HuBERT and WavLM: waves padded with zeros, which no clip's result depends on."""

    lengths: Lengths

    def exact(self) -> None:
        """Make the front end ignore padding; `build` calls it."""
        self.lengths = mask_norm(self.backbone.model.feature_extractor)

    def frames(self, samples: int) -> int:
        return int(self.model._get_feat_extract_output_lengths(samples))

    def waves(self, items: list[Item]) -> dict[str, Tensor]:
        samples = torch.tensor([len(item.input) for item in items])
        longest = int(samples.max())
        padded = torch.zeros(len(items), longest)
        for row, item in enumerate(items):
            padded[row, : len(item.input)] = item.input
        mask = (torch.arange(longest)[None] < samples[:, None]).long()
        return {"input_values": padded, "attention_mask": mask, "samples": samples}

    def inputs(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Keywords of the model; the front end gets the lengths."""
        self.lengths.samples = batch["samples"]
        return {"input_values": batch["input_values"], "attention_mask": batch["attention_mask"]}


def padded_labels(items: list[Item]) -> Tensor:
    """(batch, longest), -100 beyond each clip's own."""
    longest = max(len(item.labels) for item in items)
    return torch.tensor([[*item.labels, *[-100] * (longest - len(item.labels))] for item in items])
