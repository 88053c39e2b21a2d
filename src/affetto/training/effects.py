"""Effect of settings on a run, from the metadata of their fields.

A field of the settings carries the conditions under which it acts (`Acts`) and the conditions that some of its values
need (`Needs`). A section that is not common belongs to the methods that have it. Two questions are answered here for
every setting: does it have an effect (`missing_condition`), and does it contradict the others (`find_contradiction`)?
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from affetto.models.heads.head import Head
from affetto.models.heads.registry import HEADS
from affetto.models.methods.base import Method
from affetto.models.methods.registry import METHODS

if TYPE_CHECKING:
    from affetto.targets.target import Target

Mark = TypeVar("Mark")


@dataclass(frozen=True)
class Circumstances:
    """Method and settings of a run, as far as the effect of other settings depends on them."""

    method: type[Method]
    head: Head
    head_dropout: float
    pooling: str
    epochs: int
    warm_start: str
    loss: str
    sampler: str
    average: str
    adversary: str
    cross_fit: int
    has_method_rate: bool
    has_auxiliary: bool
    has_copies: bool
    has_noise: bool

    @property
    def takes_steps(self) -> bool:
        """True if an optimiser takes a step."""
        return self.method.takes_steps and self.epochs > 0

    @property
    def has_probe_shape(self) -> bool:
        """True if the classifier can start as the probe: a linear map of one state's statistics."""
        return not self.head.takes_frames and self.pooling == "layer"

    @property
    def sees_frames(self) -> bool:
        """True if frames reach the training, and not only the stored statistics of a clip."""
        return self.method.changes_blocks or not self.has_probe_shape


@dataclass(frozen=True)
class Condition:
    """Condition on the circumstances of a run; `text` describes it."""

    text: str
    holds: Callable[[Circumstances], bool]


@dataclass(frozen=True)
class Acts:
    """Metadata of a setting that has an effect only under a condition."""

    condition: Condition


@dataclass(frozen=True)
class Needs:
    """Metadata of a setting: the values for which `values` is true need a condition. Else they are an error."""

    condition: Condition
    values: Callable[[Any], bool]
    advice: str
    """Advice for a user who cannot have the condition."""


@dataclass(frozen=True)
class NeedsTarget:
    """Metadata of a setting: the values for which `values` is true need a target with a fact. Else they are an error.

    `text` describes the fact.
    """

    fact: str
    values: Callable[[Any], bool]
    text: str


def _names(records: Mapping[str, Any], fact: str) -> str:
    """Names of the records for which the fact is true. A long list names the others instead."""
    names = [name for name, record in records.items() if getattr(record, fact)]
    rest = [name for name in records if name not in names]
    return f"all but {', '.join(rest)}" if rest and len(names) > 6 else ", ".join(names)


_STEPPED = _names(METHODS, "takes_steps")
STEPPED = Condition(f"a method that is trained in steps ({_STEPPED})", lambda c: c.method.takes_steps)
STEPS = Condition(f"training steps (method {_STEPPED}; training.epochs over 0)", lambda c: c.takes_steps)
FOCAL = Condition("training steps with training.loss=focal", lambda c: c.takes_steps and c.loss == "focal")
CLASS_BALANCED = Condition(
    "training steps with training.loss=class_balanced", lambda c: c.takes_steps and c.loss == "class_balanced"
)
EMA = Condition("training steps with training.average=ema", lambda c: c.takes_steps and c.average == "ema")
LAST_EPOCHS = Condition(
    "training steps with training.average=last_k", lambda c: c.takes_steps and c.average == "last_k"
)
AVERAGED = Condition(
    f"a method whose weights can be averaged ({_names(METHODS, 'is_averaged')})", lambda c: c.method.is_averaged
)
SHUFFLED = Condition("training.sampler=shuffled", lambda c: c.sampler == "shuffled")
BLOCKS = Condition(
    f"training steps of a method that changes blocks ({_names(METHODS, 'changes_blocks')})",
    lambda c: c.takes_steps and c.method.changes_blocks,
)
FRAME_HEAD = Condition(
    f"a head that has layers on frames ({_names(HEADS, 'takes_frames')})", lambda c: c.head.takes_frames
)
HIDDEN = Condition(f"a head that has hidden layers ({_names(HEADS, 'has_hidden')})", lambda c: c.head.has_hidden)
DROPOUT = Condition(
    f"training steps of a head that has dropout ({_names(HEADS, 'has_dropout')})",
    lambda c: c.takes_steps and c.head.has_dropout,
)
DROPPED_STATISTICS = Condition(
    "training steps of model.head=statistics with model.head_dropout over 0",
    lambda c: c.takes_steps and not c.head.takes_frames and c.head_dropout > 0,
)
FRAMES = Condition(
    "training steps on frames: the statistics head on one state of a backbone whose blocks do not change sees none",
    lambda c: c.takes_steps and c.sees_frames,
)
STORED_STATISTICS = Condition(
    "training steps of model.head=statistics and model.pooling=layer on a backbone whose blocks do not change",
    lambda c: c.takes_steps and not c.sees_frames,
)
ADAPTED_STATISTICS = Condition(
    f"training steps of model.head=statistics and a method that changes blocks ({_names(METHODS, 'changes_blocks')})",
    lambda c: c.takes_steps and c.method.changes_blocks and not c.head.takes_frames,
)
ADVERSARY = Condition(
    "training steps with training.adversary=speaker or gender", lambda c: c.takes_steps and c.adversary != "none"
)
CROSS_FIT = Condition(
    "training steps of model.head=statistics and model.pooling=layer with training.warm_start=probe, and a method that "
    f"changes blocks ({_names(METHODS, 'changes_blocks')})",
    lambda c: c.takes_steps and c.method.changes_blocks and c.has_probe_shape and c.warm_start == "probe",
)
HEAD_RATE = Condition(
    "training steps at that rate: of a head (training.cross_fit=0), of an adversary or, with training.method_lr=null, "
    "of the method",
    lambda c: c.takes_steps and (c.cross_fit == 0 or c.adversary != "none" or not c.has_method_rate),
)
ONE_STATE = Condition("model.pooling=layer", lambda c: c.pooling == "layer")
PROBE_SHAPE = Condition("model.head=statistics and model.pooling=layer", lambda c: c.has_probe_shape)
WITHOUT_PROBE = (
    "set training.warm_start=none, model.layer=null and model.states=1 with another head or pooling; a head without a "
    "start from the probe needs a higher rate, such as training.lr=0.001"
)
"""Advice where a setting needs another shape than the probe's."""
AUXILIARY = Condition("corpora that join the training (--auxiliary NAME=PATH)", lambda c: c.has_auxiliary)
NOISE = Condition("training steps with augment.noise_snr_db", lambda c: c.takes_steps and c.has_noise)
COPIES_OF_AUXILIARY = Condition(
    "augment.copies, and corpora that join the training (--auxiliary NAME=PATH)",
    lambda c: c.has_auxiliary and c.has_copies,
)
WARM = Condition("training.warm_start=probe", lambda c: c.warm_start == "probe")


def circumstances(settings: Any, method: type[Method], *, has_auxiliary: bool = True) -> Circumstances:
    """Circumstances of a method's run under these settings."""
    model, training = settings.model, settings.training
    return Circumstances(
        method=method,
        head=HEADS.find(model.head),
        head_dropout=model.head_dropout,
        pooling=model.pooling,
        epochs=training.epochs,
        warm_start=training.warm_start,
        loss=training.loss,
        sampler=training.sampler,
        average=training.average,
        adversary=training.adversary,
        cross_fit=training.cross_fit,
        has_method_rate=training.method_lr is not None,
        has_auxiliary=has_auxiliary,
        has_copies=bool(settings.augment.copies),
        has_noise=settings.augment.noise_snr_db is not None,
    )


def belongs(section: str, record: BaseModel, method: type[Method]) -> bool:
    """True if runs of the method have this section: a common one, or the method's own."""
    return bool(getattr(record, "common", False)) or section in method.sections()


def missing_condition(
    settings: BaseModel, method: type[Method], name: str, *, has_auxiliary: bool = True
) -> str | None:
    """The condition without which the setting `section.field` has no effect; None where it has one."""
    section, _, field = name.partition(".")
    record = getattr(settings, section)
    if not belongs(section, record, method):
        return f"method {' or '.join(METHODS.owners(section))}"
    situation = circumstances(settings, method, has_auxiliary=has_auxiliary)
    for mark in type(record).model_fields[field].metadata:
        if isinstance(mark, Acts) and not mark.condition.holds(situation):
            return mark.condition.text
    return None


def find_unsuited(settings: BaseModel, method: type[Method], target: Target) -> str | None:
    """The first setting of the method's sections that the run's target does not allow, as a line for the user."""
    from affetto.targets.registry import TARGETS  # which imports numpy, as `affetto settings` need not

    for name, value, mark in _marks(settings, method, NeedsTarget):
        if mark.values(value) and not getattr(target, mark.fact):
            names = ", ".join(kind.name for kind in TARGETS.values() if getattr(kind, mark.fact))
            return (
                f"setting {name}={value} needs {mark.text} ({names}), and the run learns {target.name}: "
                "leave it out, or give --target"
            )
    return None


def _marks(settings: BaseModel, method: type[Method], kind: type[Mark]) -> Iterator[tuple[str, Any, Mark]]:
    """Name, value and metadata of one kind, of all settings of the method's sections."""
    for section in type(settings).model_fields:
        record = getattr(settings, section)
        if belongs(section, record, method):
            for field, info in type(record).model_fields.items():
                for mark in info.metadata:
                    if isinstance(mark, kind):
                        yield f"{section}.{field}", getattr(record, field), mark


def find_contradiction(settings: BaseModel, method: type[Method]) -> str | None:
    """The first setting of the method's sections that contradicts the others, as a line for the user."""
    return next(contradictions(settings, method), None)


def contradictions(settings: BaseModel, method: type[Method]) -> Iterator[str]:
    """Lines on all settings of the method's sections that contradict the others."""
    situation = circumstances(settings, method)
    for name, value, mark in _marks(settings, method, Needs):
        if mark.values(value) and not mark.condition.holds(situation):
            text = str(value).lower() if isinstance(value, bool) else value
            yield f"setting {name}={text} needs {mark.condition.text}: {mark.advice}"
