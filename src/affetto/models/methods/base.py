"""Base of all methods: the facts of a method, and what it does to a backbone.

A method is one class in one file of this package. Its class attributes are its record, which settings, grids, help
texts, estimates, docs and reports read. Its instances are torch modules that adapt a backbone in place. A file of this
package imports torch, peft and safetensors inside functions only, so that records can be read without them; a plug-in
may import them at its top.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict

from affetto.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from affetto.backbones.backbone import Backbone
else:
    Module = object

EMBEDDING, NOTHING = -1, 10_000
"""`lowest_block` where training reaches below the blocks, and where no block trains."""
PARTS = ("linear layers", "attention", "outputs")
"""Parts of a block that methods change, from the inside to the outside: weights of linear layers, keys and values of
the attention, outputs of modules. A combination has at most one method for each, in this order."""
ADAPTER_FILE, CONFIG_FILE = "adapter_model.safetensors", "adapter_config.json"


class MethodSettings(BaseModel):
    """Section of `affetto settings` that belongs to one method. Fields have a default and a description."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Method(Module):
    """A method of adaptation: record (class attributes) and torch module (instances).

    A class with a `name` of its own is a method; one without is a base of several.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    """Name in tables and figures. Default: the name."""
    trains: ClassVar[str] = ""
    """Phrase for lists: the parameters that train beside the head."""
    source: ClassVar[str] = ""
    """Publication that the method is from."""

    settings: ClassVar[type[MethodSettings] | None] = None
    """Settings of the method's section, which has the method's name; None: there are none."""
    recommended: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """Values that the recommended recipe lays over the defaults of `settings`."""
    recommended_training: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """Values that the recommended recipe lays over its own section `training`. A combination keeps the recipe's."""
    whole_recipe: ClassVar[Mapping[str, Mapping[str, Any]] | None] = None
    """Settings by section that stand instead of any recipe; None: the recipe's."""

    takes_steps: ClassVar[bool] = True
    """True if an optimiser trains it."""
    changes_blocks: ClassVar[bool] = True
    """True if the blocks compute something else than the bare backbone's, or may do so once trained."""
    trains_backbone: ClassVar[bool] = False
    """True if the backbone's own weights train, so that no other model can use them."""
    trains_embedding: ClassVar[bool] = False
    """True if training from the first block on reaches below the blocks: the feature projection trains too."""
    is_baseline: ClassVar[bool] = False
    """True for the one method that reports compare all others with."""
    mergeable: ClassVar[bool] = False
    """True if `merge` leaves a plain backbone with nothing beside its weights."""
    is_peft: ClassVar[bool] = False
    """True if it is saved in the format of Hugging Face peft, and peft can load it."""
    starts_as_backbone: ClassVar[bool] = True
    """True if a fresh model, by the default settings, computes the same states as the bare backbone."""
    stackable: ClassVar[bool] = False
    """True if several fits can train it as one (`affetto.models.stacked`): beside the head only LoRA's factors and
    linear layers train, nothing adds to the loss, and nothing acts after a step."""
    step_cost: ClassVar[float] = 2.0
    """Operations of a training step, in forward passes of the blocks that change. Weights beside frozen weights, which
    need no gradient themselves: 2; the blocks' own weights: 3."""

    part: ClassVar[str | None] = None
    """Part of a block that the method changes, one of PARTS: methods for different parts can be combined. None for a
    method that stands alone."""

    is_averaged: ClassVar[bool] = True
    """True if the mean of its weights over the steps of a fit is a model; False where steps choose what counts."""
    has_random_start: ClassVar[bool] = False
    """True if the weights that `average` takes the mean of start from random numbers, of the run's seed."""

    lowest_block: int
    """Lowest block that changes: a number of a block, EMBEDDING or NOTHING."""

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if "name" in vars(cls) and "title" not in vars(cls):
            cls.title = cls.name

    def __new__(cls, *_args: Any, **_settings: Any) -> Self:
        """A torch module: `torch.nn.Module` joins the bases when the first instance is made, not at import."""
        return object.__new__(_module_class(cls))

    def __init__(self, backbone: Backbone, blocks: range, **_: Any) -> None:
        """Adapt `backbone` in place. `blocks` are the blocks that may change, keywords are the method's settings."""
        super().__init__()
        self.lowest_block = blocks.start if len(blocks) else NOTHING

    @classmethod
    def sections(cls) -> Mapping[str, type[MethodSettings]]:
        """{section: its settings} of the method alone."""
        return {} if cls.settings is None else {cls.name: cls.settings}

    @classmethod
    def summary(cls) -> dict[str, str | bool | list[str] | None]:
        """Facts of the method for lists; JSON-ready."""
        return {
            "title": cls.title,
            "trains": cls.trains,
            "source": cls.source,
            "sections": list(cls.sections()),
            "part": cls.part,
            "trains_backbone": cls.trains_backbone,
            "mergeable": cls.mergeable,
            "is_peft": cls.is_peft,
        }

    @classmethod
    def keywords(cls, sections: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        """Keywords of the class, from the values of its sections, {section: {field: value}}."""
        return dict(sections.get(cls.name, {}))

    @property
    def acts_in_steps(self) -> bool:
        """True if a training step is more than gradients of the loss and the optimiser.

        That is, if the method has a penalty, an action after a step or a state of its own.
        """
        return any(
            getattr(type(self), name) is not getattr(Method, name) for name in ("penalty", "after_step", "step_state")
        )

    def cast_together(self) -> list[Tensor]:
        """Weights that train and are read by `affetto.backbones.casts.lowered`, once a step each."""
        return []

    def penalty(self) -> Tensor | None:
        """Addition to the loss of a training step, a scalar with gradient; None: there is none."""
        return None

    def after_step(self, step: int, total: int) -> None:
        """Act after an optimiser step, while its gradients are still there. `step` counts from 1 to `total`."""

    def step_state(self) -> dict[str, Tensor]:
        """Tensors that `after_step` has gathered so far, beside the parameters: a checkpoint keeps them."""
        return {}

    def restore_step_state(self, state: dict[str, Tensor]) -> None:
        """Go on from what `step_state` gave. At the beginning of a fit it is empty: forget what was gathered."""

    def save(self, folder: Path) -> None:
        """Write the trained weights to `folder` (JSON and safetensors only)."""

    def merge(self) -> None:
        """Fold the trained weights into the backbone's own, where that is possible. For inference."""

    def after_merge(self) -> Method:
        """The part of the method that stays beside a merged backbone."""
        return self

    @classmethod
    def plan_after_merge(cls, plan: dict[str, Any]) -> dict[str, Any]:
        """Plan of a method, {"name", "first_block", "settings"} → that of what stays beside a merged backbone."""
        return {"name": "frozen", "first_block": 0, "settings": {}} if cls.mergeable else plan

    @classmethod
    def average(cls, folders: Sequence[Path], settings: dict[str, Any], out: Path) -> dict[str, Any] | None:
        """Write to `out` the mean of the weights that `save` wrote to `folders`, for `load`; returns its settings.

        `settings` are those of all of them. None: the mean of such weights is no mean of what they do.
        """
        return None if cls.changes_blocks else settings

    @classmethod
    def load(cls, backbone: Backbone, blocks: range, folder: Path, settings: dict[str, Any]) -> Method:
        """A method with saved weights, on a fresh backbone."""
        return cls(backbone, blocks, **settings)


_MODULE_CLASSES: dict[type, type] = {}


def _module_class(cls: type) -> type:
    """The class of a method's instances: `cls` with `torch.nn.Module` among its bases."""
    from torch import nn

    if issubclass(cls, nn.Module):
        return cls
    if cls not in _MODULE_CLASSES:
        _MODULE_CLASSES[cls] = type(cls.__name__, (cls, nn.Module), {"__module__": cls.__module__})
    return _MODULE_CLASSES[cls]


def check_blocks(blocks: range, method: str) -> None:
    """Raise UserError where a method that changes blocks has none."""
    if not len(blocks):
        raise UserError(
            f"method {method!r} has no block to adapt: the pooled state lies below the first block it may change; "
            "raise model.layer or lower first_block"
        )


def check_names(saved: dict[str, Tensor], expected: dict[str, Any], folder: Path) -> None:
    """Raise ValueError where names of saved tensors differ from the model's: the rest would silently stay random."""
    different = sorted(saved.keys() ^ expected.keys())
    if different:
        raise ValueError(f"{folder / ADAPTER_FILE}: {different[0]} is missing there, or not of this model")
