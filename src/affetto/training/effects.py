"""Effect of settings on a run, by what each of them says of itself.

A field of `affetto.training.spec.Settings` carries in its metadata the conditions under which it acts (`Acts`) and the
values that cannot stand without one (`Needs`). A section that is not `common` belongs to the method whose traits name
it. So what a setting means is written where it is defined, and the two questions here are asked of all alike: does it
have an effect (`idle`), and does it contradict the rest (`contradiction`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from affetto.models.heads.head import Head
from affetto.models.heads.registry import HEADS
from affetto.models.methods.base import Method
from affetto.models.methods.registry import METHODS


@dataclass(frozen=True)
class Circumstances:
    """Method and settings of a run, as far as the effect of other settings depends on them."""

    method: type[Method]
    head: Head
    pooling: str
    epochs: int
    warm_start: str

    @property
    def takes_steps(self) -> bool:
        """Whether an optimiser takes a step at all."""
        return self.method.takes_steps and self.epochs > 0

    @property
    def has_probe_shape(self) -> bool:
        """Whether the classifier can start as the probe: a linear map of one state's statistics."""
        return not self.head.takes_frames and self.pooling == "layer"

    @property
    def sees_frames(self) -> bool:
        """Whether frames reach the training, and not only the stored statistics of a clip."""
        return self.method.changes_blocks or not self.has_probe_shape


@dataclass(frozen=True)
class Condition:
    """`holds` in some circumstances; `text` says in which."""

    text: str
    holds: Callable[[Circumstances], bool]


@dataclass(frozen=True)
class Acts:
    """Metadata of a setting that has an effect under a condition only."""

    condition: Condition


@dataclass(frozen=True)
class Needs:
    """Metadata of a setting some of whose values cannot stand without a condition, whoever has chosen them."""

    condition: Condition
    values: Callable[[Any], bool]
    instead: str
    """Advice for where the condition is not to be had."""


def _listed(rows: Mapping[str, Any], trait: str) -> str:
    return ", ".join(name for name, row in rows.items() if getattr(row, trait))


_STEPPED = _listed(METHODS, "takes_steps")
STEPPED = Condition(f"a method that is trained in steps ({_STEPPED})", lambda c: c.method.takes_steps)
STEPS = Condition(f"training steps (method {_STEPPED}; training.epochs over 0)", lambda c: c.takes_steps)
BLOCKS = Condition(
    f"training steps of a method that changes blocks ({_listed(METHODS, 'changes_blocks')})",
    lambda c: c.takes_steps and c.method.changes_blocks,
)
FRAME_HEAD = Condition(
    f"a head that has layers on frames ({_listed(HEADS, 'takes_frames')})", lambda c: c.head.takes_frames
)
HIDDEN = Condition(f"a head that has hidden layers ({_listed(HEADS, 'has_hidden')})", lambda c: c.head.has_hidden)
DROPOUT = Condition(
    f"training steps of a head that has dropout ({_listed(HEADS, 'has_dropout')})",
    lambda c: c.takes_steps and c.head.has_dropout,
)
FRAMES = Condition(
    "training steps on frames: the statistics head on one state of a backbone whose blocks do not change sees none",
    lambda c: c.takes_steps and c.sees_frames,
)
ONE_STATE = Condition("model.pooling=layer", lambda c: c.pooling == "layer")
PROBE_SHAPE = Condition("model.head=statistics and model.pooling=layer", lambda c: c.has_probe_shape)
WARM = Condition("training.warm_start=probe", lambda c: c.warm_start == "probe")


def circumstances(settings: Any, method: type[Method]) -> Circumstances:
    """The circumstances that a method's run has under these `Settings`."""
    model, training = settings.model, settings.training
    return Circumstances(
        method=method,
        head=HEADS.find(model.head),
        pooling=model.pooling,
        epochs=training.epochs,
        warm_start=training.warm_start,
    )


def belongs(section: str, record: BaseModel, method: type[Method]) -> bool:
    """Whether a method's runs have this section: each has the common ones, and its own."""
    return bool(getattr(record, "common", False)) or section in method.sections()


def idle(settings: BaseModel, method: type[Method], name: str) -> str | None:
    """The condition that the setting `section.field` lacks to have an effect; None where it has one."""
    section, _, field = name.partition(".")
    record = getattr(settings, section)
    if not belongs(section, record, method):
        return f"method {' or '.join(METHODS.owners(section))}"
    here = circumstances(settings, method)
    for mark in type(record).model_fields[field].metadata:
        if isinstance(mark, Acts) and not mark.condition.holds(here):
            return mark.condition.text
    return None


def contradiction(settings: BaseModel, method: type[Method]) -> str | None:
    """The first setting of the method's sections that cannot stand with the rest, as a line for the user."""
    here = circumstances(settings, method)
    for section in type(settings).model_fields:
        record = getattr(settings, section)
        if not belongs(section, record, method):
            continue
        for field, info in type(record).model_fields.items():
            value = getattr(record, field)
            for mark in info.metadata:
                if isinstance(mark, Needs) and mark.values(value) and not mark.condition.holds(here):
                    shown = str(value).lower() if isinstance(value, bool) else value
                    return f"setting {section}.{field}={shown} needs {mark.condition.text}: {mark.instead}"
    return None
