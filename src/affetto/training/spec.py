"""A run's settings, all of them named, typed and resolved before anything runs.

`Settings` is what `--set section.name=value` changes; a recipe is a named set of them. `RunSpec` is the
whole run; its digest, with those of the data and the weights, is the run's identity.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, model_validator

from affetto.errors import UserError, unknown
from affetto.models.heads.registry import HEADS
from affetto.models.methods.base import Method
from affetto.models.methods.frozen import Frozen
from affetto.models.methods.probe import Probe
from affetto.models.methods.registry import METHODS
from affetto.training import effects
from affetto.training.effects import Acts, Needs
from affetto.training.identity import foreign_fields, own_fields

if TYPE_CHECKING:
    HeadName = str
else:
    HeadName = Literal[tuple(HEADS)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    common: ClassVar[bool] = False
    """Whether runs of every method have this section; else those of the method that names it in its traits."""


class _Common(_Record):
    common: ClassVar[bool] = True


class AudioSettings(_Common):
    seconds: float | None = Field(
        4.0, gt=0.1, le=30.0, description="clips are cropped to their first seconds (paper, IV-B); null: whole"
    )


_WITHOUT_PROBE = "set training.warm_start=none and model.layer=null with another head or pooling"


class ModelSettings(_Common):
    pooling: Annotated[Literal["mean", "without_embedding", "weighted", "layer"], Acts(effects.STEPPED)] = Field(
        "mean", description="how the L+1 states become one"
    )
    layer: Annotated[
        Annotated[int, Field(ge=0)] | Literal["auto"] | None,
        Acts(effects.ONE_STATE),
        Needs(effects.ONE_STATE, lambda value: value is not None, "set model.layer=null with another pooling"),
        Needs(effects.PROBE_SHAPE, lambda value: value == "auto", _WITHOUT_PROBE),
    ] = Field(
        None,
        description="the state that pooling=layer takes (0 … L); null: the last; auto: chosen on inner speaker folds",
    )
    state_norm: Literal["none", "layer"] = Field("none", description="normalise each state before pooling")
    head: Annotated[HeadName, Acts(effects.STEPPED)] = Field("paper", description="the downstream classifier")
    head_width: Annotated[int, Acts(effects.HIDDEN)] = Field(256, ge=1, description="width of the head's hidden layers")
    head_dropout: Annotated[float, Acts(effects.DROPOUT)] = Field(0.1, ge=0, lt=1, description="dropout in the head")
    unmasked_mean: Annotated[
        bool,
        Acts(effects.FRAME_HEAD),
        Needs(effects.FRAME_HEAD, bool, "set model.unmasked_mean=false with another head"),
    ] = Field(False, description="ablation: average over padding too")
    layer_norm_swap: Literal["none", "blocks", "encoder"] = Field(
        "none",
        description="ablation: pre-LayerNorm weights computed in post-LayerNorm order",
    )


class TrainingSettings(_Common):
    epochs: Annotated[
        int,
        Acts(effects.STEPPED),
        Needs(effects.STEPPED, lambda value: value > 0, "the probe is solved for and not trained any further"),
        Needs(effects.WARM, lambda value: value == 0, "else nothing is trained at all"),
    ] = Field(30, ge=0, le=10_000, description="passes over the training clips; 0: the warm start as it is")
    warm_start: Annotated[
        Literal["none", "probe"],
        Acts(effects.STEPPED),
        Needs(effects.PROBE_SHAPE, lambda value: value == "probe", _WITHOUT_PROBE),
    ] = Field("none", description="probe: the head starts as the logistic regression that the probe would be")
    refit: Annotated[bool, Acts(effects.STEPPED)] = Field(
        False, description="test a model trained on train + validation, for the epochs that validation has chosen"
    )
    batch_size: Annotated[int, Acts(effects.STEPS)] = Field(32, ge=1, description="clips a step")
    optimizer: Annotated[Literal["adam", "adamw"], Acts(effects.STEPS)] = Field(
        "adam", description="adam: weight decay in the gradient (L2); adamw: decoupled"
    )
    lr: Annotated[float, Acts(effects.STEPS)] = Field(5e-4, gt=0, description="learning rate at the start")
    method_lr: Annotated[float | None, Acts(effects.BLOCKS)] = Field(
        None, gt=0, description="learning rate of LoRA, Adapter or blocks, where it differs from the head's"
    )
    betas: Annotated[tuple[float, float], Acts(effects.STEPS)] = Field((0.9, 0.98), description="Adam's")
    eps: Annotated[float, Acts(effects.STEPS)] = Field(1e-8, gt=0, description="Adam's")
    weight_decay: Annotated[float, Acts(effects.STEPS)] = Field(
        1e-4, ge=0, description="L2 or decoupled, see optimizer"
    )
    lr_decay: Annotated[float, Acts(effects.STEPS)] = Field(
        0.926, gt=0, le=1, description="factor on the learning rate after each epoch"
    )
    class_weights: bool = Field(True, description="inverse class frequency in the loss, and in the probe")
    label_smoothing: Annotated[float, Acts(effects.STEPS)] = Field(
        0.0, ge=0, lt=1, description="share of the target spread over all classes, in proportion to class weights"
    )
    select: Annotated[Literal["macro_f1", "loss", "last"], Acts(effects.STEPS)] = Field(
        "macro_f1", description="the tested epoch: best on validation, or the last"
    )
    first_block: Annotated[int, Acts(effects.BLOCKS)] = Field(
        0, ge=0, description="Adapter, LoRA and full change this block and those above it"
    )
    length_window: Annotated[int, Acts(effects.STEPS)] = Field(
        4, ge=1, description="batches among which clips are sorted by length; 1: random batches"
    )


class ProbeSettings(_Common):
    strengths: tuple[float, ...] = Field(
        (0.001, 0.003, 0.01, 0.03, 0.1), min_length=1, description="the C of logistic regression to choose from"
    )
    inner_folds: int = Field(5, ge=2, description="speaker-disjoint folds of the non-test clips, to choose state and C")


class AugmentSettings(_Common):
    noise_snr_db: Annotated[float | None, Acts(effects.STEPS)] = Field(
        None, description="white noise at this signal-to-noise ratio or better (up to +20 dB)"
    )
    speed: Annotated[float, Acts(effects.STEPS)] = Field(
        0.0, ge=0, lt=0.5, description="speed and pitch drawn from 1 ± this"
    )
    time_mask: Annotated[float, Acts(effects.FRAMES)] = Field(
        0.0, ge=0, lt=1, description="longest share of a clip's frames that is set to zero"
    )
    feature_mask: Annotated[float, Acts(effects.STEPS)] = Field(
        0.0, ge=0, lt=1, description="largest share of the features that is set to zero (of statistics: to their mean)"
    )

    @property
    def waveform(self) -> bool:
        """Whether waves themselves change, so that no prefix can be stored for training."""
        return self.noise_snr_db is not None or self.speed > 0


class ComputeSettings(_Common):
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="of the backbone's arithmetic; auto: bfloat16 where the device has it natively"
    )


class StoreSettings(_Common):
    precision: Literal["float16", "float32"] = Field("float16", description="of the stored frozen states")


class CommonSettings(_Record):
    """Sections of every method's runs."""

    audio: AudioSettings = AudioSettings()
    model: ModelSettings = ModelSettings()
    training: TrainingSettings = TrainingSettings()
    probe: ProbeSettings = ProbeSettings()
    augment: AugmentSettings = AugmentSettings()
    compute: ComputeSettings = ComputeSettings()
    store: StoreSettings = StoreSettings()


def _with_methods() -> Any:
    """The common sections, and behind `model` those of the registered methods."""
    common = {name: (info.annotation, info.default) for name, info in CommonSettings.model_fields.items()}
    methods_own = {
        section: (record, record()) for method in METHODS.values() for section, record in method.sections().items()
    }
    for section in methods_own.keys() & common.keys():
        raise UserError(f"method {section!r} cannot have settings: there is a section {section!r} already; rename it")
    names = list(common)
    behind = names.index("model") + 1
    fields: dict[str, Any] = {name: common[name] for name in names[:behind]} | methods_own | common
    return create_model("Settings", __base__=_Record, __module__=__name__, **fields)


if TYPE_CHECKING:
    Settings = CommonSettings  # the methods' sections are read by name: getattr(settings, section)
else:
    Settings = _with_methods()


RECIPES: dict[str, dict[str, Any]] = {
    # The paper to the letter; where it is silent PEFT-SER's code, then its group's later code: the defaults above.
    "paper": {},
    # What gives the best honest result here; the reasons and figures are in docs/decisions.md. Its shape
    # (statistics of one state, warm start, small steps) was informed by EMOVO as a whole; state, strength and
    # epochs are chosen inside each fold on its non-test speakers.
    "recommended": {
        "model": {"pooling": "layer", "layer": "auto", "head": "statistics", "head_dropout": 0.2},
        **{name: dict(method.recommended) for name, method in METHODS.items() if method.recommended},
        "training": {
            "warm_start": "probe", "refit": True, "epochs": 10, "optimizer": "adamw", "lr": 1e-4, "method_lr": 3e-4,
            "weight_decay": 0.01, "betas": [0.9, 0.999], "lr_decay": 0.8, "label_smoothing": 0.1,
        },
    },
}  # fmt: skip
DEFAULT_RECIPE = "recommended"
PROBE = Probe.whole_recipe
"""Settings of the probe, under every recipe."""


def settings(
    recipe: str = DEFAULT_RECIPE, overrides: dict[str, str] | None = None, *, method: str | None = None
) -> Settings:
    """A recipe's settings with `{"training.epochs": "1"}` laid over them; `probe` brings its own.

    Raises UserError for an unknown recipe or setting (with the nearest guess), for a bad value, for values that
    contradict each other and, where the method is given, for a setting that has no effect with it.
    """
    overrides = overrides or {}
    resolved = _resolved(recipe, overrides, method)
    if method is not None:
        for name, text in overrides.items():
            lacking = without_effect(resolved, method, name)
            if lacking is not None:
                raise UserError(
                    f"setting {name}={text} has no effect with method {method} and the settings beside it; "
                    f"it needs {lacking}: leave it out"
                )
    check(resolved, method)
    return resolved


def acting(recipe: str, overrides: dict[str, str], *, method: str) -> dict[str, str]:
    """The `overrides` that have an effect on a method's run, for a grid's axes, which meet every method.

    Raises UserError as `settings` does for what is unknown or no value.
    """
    while True:
        resolved = _resolved(recipe, overrides, method)
        active = {name: text for name, text in overrides.items() if not without_effect(resolved, method, name)}
        if len(active) == len(overrides):
            return active
        overrides = active


def without_effect(chosen: Settings, method: str, name: str) -> str | None:
    """The condition that the setting `section.field` lacks to change anything in a method's run; None: it acts."""
    return effects.idle(chosen, METHODS.find(method), name)


def check(chosen: Settings, method: str | None = None) -> None:
    """Raise UserError for settings that contradict each other or the method."""
    problem = effects.contradiction(chosen, _method(method))
    if problem is not None:
        raise UserError(problem)


def _method(name: str | None) -> type[Method]:
    """The method of this name; without a name the plainest, which has no settings of its own."""
    return Frozen if name is None else METHODS.find(name)


def method_settings(chosen: Settings, method: str) -> dict[str, Any]:
    """Values of the method's own sections, as its class takes them."""
    record = METHODS.find(method)
    return record.keywords({section: getattr(chosen, section).model_dump() for section in record.sections()})


def _resolved(recipe: str, overrides: dict[str, str], method: str | None) -> Settings:
    if recipe not in RECIPES:
        raise unknown("recipe", recipe, RECIPES)
    values: dict[str, Any] = json.loads(json.dumps(_method(method).whole_recipe or RECIPES[recipe]))
    names = setting_names()
    for name, text in overrides.items():
        if name not in names:
            raise unknown("setting", name, names)
        section, _, field = name.partition(".")
        values.setdefault(section, {})[field] = _parse(text)
    try:
        return Settings.model_validate(values)
    except ValidationError as problem:
        first = problem.errors()[0]
        name = ".".join(str(part) for part in first["loc"][:2])
        raise UserError(f"setting {name}={first['input']!r}: {first['msg'].lower()} ({names.get(name, '')})") from None


def setting_names() -> dict[str, str]:
    """{`section.field`: what it does} of every setting."""
    return {
        f"{section}.{name}": info.description or ""
        for section, record in Settings.model_fields.items()
        for name, info in record.annotation.model_fields.items()  # type: ignore[union-attr]
    }


def _parse(text: str) -> Any:
    """`1e-3`, `true`, `null`, `[0.9, 0.99]` as JSON; anything else is a word."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def stored_settings(values: Mapping[str, Any]) -> Settings:
    """Settings as a run's file holds them, without the sections of methods that are not installed here.

    Raises ValueError for values that this version cannot read.
    """
    return Settings.model_validate({name: record for name, record in values.items() if name in Settings.model_fields})


class CorpusSpec(_Record):
    """A corpus of a run: its name (None: detected) and where it lies."""

    name: str | None = None
    path: str
    options: dict[str, str] = {}

    @model_validator(mode="before")
    @classmethod
    def _from_path(cls, value: Any) -> Any:
        """A path alone is a corpus whose name is detected."""
        return {"path": str(value)} if isinstance(value, str | Path) else value


LARGEST_SEED = 2**31 - 1


class RunSpec(_Record):
    """One run: data, backbone, method, recipe, split and seeds. `settings` are the recipe's by default."""

    corpora: tuple[CorpusSpec, ...]
    backbone: str
    method: str
    recipe: str = DEFAULT_RECIPE
    split: str | None = None
    split_seed: int = Field(0, ge=0, le=LARGEST_SEED)
    seed: int = Field(0, ge=0, le=LARGEST_SEED)
    random_weights: bool = False
    weights_seed: int = Field(0, ge=0, le=LARGEST_SEED)
    settings: Settings = Settings()
    labels: dict[str, str] = {}
    """The user's own label names, mapped."""
    skip_bad: bool = False
    allow_duplicates: bool = False
    """Whether copies under two speakers are left out of the test part, instead of an error."""
    probe: bool = True
    """Whether the probe is run beside the method, as the baseline."""
    final: bool = True
    """Whether a run with folds ends with a model trained on all speakers."""
    record_states: bool = False
    """Whether the metrics say how large each hidden state is (`affetto.models.state_sizes`); it changes no result."""

    @model_validator(mode="before")
    @classmethod
    def _settings_of_recipe(cls, values: Any) -> Any:
        """Take the recipe's settings for the method where none are passed."""
        if not isinstance(values, dict) or "settings" in values or "method" not in values:
            return values
        return values | {"settings": settings(values.get("recipe", DEFAULT_RECIPE), method=values["method"])}

    def identity(self, facts: dict[str, Any]) -> str:
        """SHA-256 over all that changes the result; paths do not, the content behind them (`facts`) does."""
        without = {"corpora", "backbone", "labels", "recipe", "skip_bad", "settings", "record_states"}
        fields = self.model_dump(mode="json", exclude=without | {"allow_duplicates"})
        foreign = foreign_fields(self.settings, self.method, RECIPES["recommended"])
        fields["settings"] = own_fields(self.settings, self.method) | foreign
        return hashlib.sha256(json.dumps(fields | facts, sort_keys=True).encode()).hexdigest()
