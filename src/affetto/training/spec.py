"""Spec of a run: every setting named, typed and resolved before anything runs.

A recipe is a named set of settings; `--set section.name=value` changes single ones. `RunSpec` is the whole run. Its
digest, together with digests of the data and the weights, is the identity of the run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import Field, ValidationError, model_validator

from affetto.errors import UserError, unknown
from affetto.models.methods.base import Method
from affetto.models.methods.frozen import Frozen
from affetto.models.methods.probe import Probe
from affetto.models.methods.registry import METHODS
from affetto.training import effects
from affetto.training.identity import foreign_fields, own_fields
from affetto.training.records import Record
from affetto.training.sections import ModelSettings, Settings

RECIPES: dict[str, dict[str, Any]] = {
    # The paper to the letter; where it is silent PEFT-SER's code, then its group's later code: the defaults of the
    # sections.
    "paper": {},
    # What gives the best honest result here; the reasons and figures are in docs/decisions.md. RECOMMENDED_ON has the
    # corpora that it was shaped on; states and strength are chosen inside each fold on its non-test speakers.
    "recommended": {
        "model": {
            "pooling": "layer",
            "layer": "auto",
            "states": "auto",
            "head": "statistics",
            "head_dropout": 0.2,
        },
        **{name: dict(method.recommended) for name, method in METHODS.items() if method.recommended},
        "training": {
            "warm_start": "probe",
            "refit": True,
            "epochs": 10,
            "optimizer": "adamw",
            "lr": 1e-4,
            "method_lr": 3e-4,
            "weight_decay": 0.01,
            "betas": [0.9, 0.999],
            "lr_decay": 0.8,
            "label_smoothing": 0.1,
            "select": "last",
        },
    },
}
DEFAULT_RECIPE = "recommended"
_PARTS = "its numbers of states and its tested epoch"
RECOMMENDED_ON = {"emovo": "its shape", "ravdess": _PARTS, "emodb": _PARTS, "nemo": _PARTS}
"""{corpus: what of the recommended recipe was chosen on it as a whole, test speakers too (docs/decisions.md)}."""
PROBE = Probe.whole_recipe
"""Settings of the probe, under every recipe."""


def settings(
    recipe: str = DEFAULT_RECIPE,
    overrides: dict[str, str] | None = None,
    *,
    method: str | None = None,
    has_auxiliary: bool = True,
) -> Settings:
    """Settings of a recipe with `overrides`, {"training.epochs": "1"}, laid over them. The probe brings its own.

    `has_auxiliary`: False for a run without auxiliary corpora, on which their settings have no effect.
    Raises UserError for an unknown recipe or setting (with the nearest guess), for a bad value, for values that
    contradict each other and, where the method is given, for a setting that has no effect with it.
    """
    overrides = overrides or {}
    resolved = _resolved(recipe, overrides, method)
    if method is not None:
        for name, condition in _idle(recipe, overrides, method, has_auxiliary).items():
            raise UserError(
                f"setting {name}={overrides[name]} has no effect with method {method} and the settings beside it; "
                f"it needs {condition}: leave it out"
            )
    check(resolved, method)
    return resolved


def acting(recipe: str, overrides: dict[str, str], *, method: str, has_auxiliary: bool = True) -> dict[str, str]:
    """The `overrides` that a method's run needs. An axis of a grid meets every method.

    They have an effect, or stand in place of a value of the recipe that contradicts the others (`model.states=auto`
    beside another head). Raises UserError for an unknown recipe or setting, and for a bad value.
    """
    while idle := _idle(recipe, overrides, method, has_auxiliary):
        overrides = {name: text for name, text in overrides.items() if name not in idle}
    return overrides


def _idle(recipe: str, overrides: dict[str, str], method: str, has_auxiliary: bool) -> dict[str, str]:
    """The `overrides` without effect that a run can do without, {setting: the condition of its effect}.

    It cannot do without a setting in whose place the recipe's own value would contradict the others.
    """
    resolved, record = _resolved(recipe, overrides, method), METHODS.find(method)
    before = set(effects.contradictions(resolved, record))
    idle = {}
    for name in overrides:
        condition = without_effect(resolved, method, name, has_auxiliary=has_auxiliary)
        if condition is not None:
            others = {other: text for other, text in overrides.items() if other != name}
            if before.issuperset(effects.contradictions(_resolved(recipe, others, method), record)):
                idle[name] = condition
    return idle


def without_effect(resolved: Settings, method: str, name: str, *, has_auxiliary: bool = True) -> str | None:
    """The condition without which the setting `section.field` changes nothing in a method's run; None: it acts."""
    return effects.missing_condition(resolved, METHODS.find(method), name, has_auxiliary=has_auxiliary)


def probe_counts(resolved: Settings, method: str) -> tuple[int, ...]:
    """Numbers of states among which a run's probe chooses: those of the settings, or the probe's own.

    They are its own where the method's classifier is no probe's in shape, so that `model.states` has no effect.
    """
    acts = without_effect(resolved, method, "model.states") is None
    model = resolved.model if acts else ModelSettings.model_validate(PROBE["model"])
    return model.counts


def check(resolved: Settings, method: str | None = None) -> None:
    """Raise UserError for settings that contradict each other or the method."""
    problem = effects.find_contradiction(resolved, _method(method))
    if problem is not None:
        raise UserError(problem)


def _method(name: str | None) -> type[Method]:
    """The method of that name; without a name the frozen backbone, which has no settings of its own."""
    return Frozen if name is None else METHODS.find(name)


def method_settings(resolved: Settings, method: str) -> dict[str, Any]:
    """Values of the method's own sections, as its class takes them."""
    record = METHODS.find(method)
    return record.keywords({section: getattr(resolved, section).model_dump() for section in record.sections()})


def _resolved(recipe: str, overrides: dict[str, str], method: str | None) -> Settings:
    if recipe not in RECIPES:
        raise unknown("recipe", recipe, RECIPES)
    record = _method(method)
    values: dict[str, Any] = json.loads(json.dumps(record.whole_recipe or RECIPES[recipe]))
    if recipe == DEFAULT_RECIPE and record.recommended_training:
        values["training"] |= dict(record.recommended_training)
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
        message = first["msg"].removeprefix("Value error, ")
        words = message[:1].lower() + message[1:]
        raise UserError(f"setting {name}={first['input']!r}: {words} ({names.get(name, '')})") from None


def setting_names() -> dict[str, str]:
    """{`section.field`: description} of every setting."""
    return {
        f"{section}.{name}": info.description or ""
        for section, record in Settings.model_fields.items()
        for name, info in record.annotation.model_fields.items()  # type: ignore[union-attr]
    }


def setting_choices() -> dict[str, tuple[str, ...]]:
    """{`section.field`: words that it takes}, of settings that take some of a list."""
    return {
        f"{section}.{name}": words
        for section, record in Settings.model_fields.items()
        for name, info in record.annotation.model_fields.items()  # type: ignore[union-attr]
        if len(words := tuple(_words(info.annotation))) > 1
    }


def _words(annotation: Any) -> Iterator[str]:
    if get_origin(annotation) is Literal:
        yield from (value for value in get_args(annotation) if isinstance(value, str))
        return
    for part in get_args(annotation):
        yield from _words(part)


def _parse(text: str) -> Any:
    """Read JSON (`1e-3`, `true`, `null`, `[0.9, 0.99]`); any other text is a word."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def text(value: Any) -> str:
    """A value as it is written on a command line, which `_parse` reads: words as they are, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def stored_settings(values: Mapping[str, Any]) -> Settings:
    """Settings as a run's file holds them, without the sections of methods that are not installed here.

    Raises ValueError for values that this version cannot read.
    """
    return Settings.model_validate({name: record for name, record in values.items() if name in Settings.model_fields})


class CorpusSpec(Record):
    """A corpus of a run: its name (None: to be detected), its path, and options of its reader."""

    name: str | None = None
    path: str
    options: dict[str, str] = {}

    @property
    def address(self) -> str:
        """Name by which options and labels of this corpus alone address it."""
        return self.name or Path(self.path).name or Path(self.path).resolve().name

    @model_validator(mode="before")
    @classmethod
    def _from_path(cls, value: Any) -> Any:
        """Take a path alone as a corpus whose name is to be detected."""
        return {"path": str(value)} if isinstance(value, str | Path) else value


LARGEST_SEED = 2**31 - 1


class RunSpec(Record):
    """One run: data, backbone, method, recipe, split and seeds. `settings` are the recipe's by default."""

    corpora: tuple[CorpusSpec, ...]
    auxiliary: tuple[CorpusSpec, ...] = ()
    """Corpora whose clips join the training part of every fold (`affetto.training.auxiliary`)."""
    backbone: str
    method: str
    recipe: str = DEFAULT_RECIPE
    target: str | None = None
    """Name of the target; None: the first that the clips have, classes before all others."""
    split: str | None = None
    split_seed: int = Field(0, ge=0, le=LARGEST_SEED)
    seed: int = Field(0, ge=0, le=LARGEST_SEED)
    random_weights: bool = False
    weights_seed: int = Field(0, ge=0, le=LARGEST_SEED)
    settings: Settings = Settings()
    labels: dict[str, str] = {}
    """{label of the user's: emotion}; an entry `CORPUS:LABEL` holds for that corpus alone."""
    keep_other: bool = False
    """True to make each label of a corpus beside the seven emotions a class of its own."""
    skip_bad: bool = False
    allow_duplicates: bool = False
    """True to leave copies under two speakers out of the test part, instead of an error."""
    probe: bool = True
    """True to run the probe beside the method, as the baseline."""
    final: bool = True
    """True to end a run with folds by training a model on all speakers."""
    record_states: bool = False
    """True to write the size of each hidden state to the metrics (`affetto.models.state_sizes`). No result changes."""

    @property
    def makes_final(self) -> bool:
        """True if a run with folds ends with a final model: tests of folds with fewer speakers tell nothing of it."""
        return self.final and self.settings.training.speakers == 0

    @model_validator(mode="before")
    @classmethod
    def _settings_of_recipe(cls, values: Any) -> Any:
        """Take the settings of the recipe for the method where none are passed."""
        if not isinstance(values, dict) or "settings" in values or "method" not in values:
            return values
        return values | {"settings": settings(values.get("recipe", DEFAULT_RECIPE), method=values["method"])}

    def identity(self, facts: dict[str, Any]) -> str:
        """SHA-256 over all that changes the result. In place of paths it holds digests of their content (`facts`)."""
        without = {"corpora", "backbone", "labels", "keep_other", "recipe", "skip_bad", "settings", "record_states"}
        fields = self.model_dump(mode="json", exclude=without | {"allow_duplicates", "target", "auxiliary"})
        foreign = foreign_fields(self.settings, self.method, RECIPES["recommended"])
        fields["settings"] = own_fields(self.settings, self.method) | foreign
        if self.probe and without_effect(self.settings, self.method, "model.states") is not None:
            fields["probe_counts"] = probe_counts(self.settings, self.method)
        return hashlib.sha256(json.dumps(fields | facts, sort_keys=True).encode()).hexdigest()
