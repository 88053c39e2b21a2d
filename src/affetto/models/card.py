"""The card of a saved model (`affetto.json`), checked before it is used: models may come from strangers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from affetto.errors import UserError
from affetto.targets.label_sets import KINDS
from affetto.targets.registry import target_of

LARGEST_BYTES = 4 << 20
LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.05, 20.0
"""Wider than calibration ever goes; beyond them probabilities have no meaning."""
SHOWN = 60
MOST_MEMBERS = 1000
"""Models in an ensemble, at most: leave-one-speaker-out folds of a large corpus."""


ORIGIN = ("affetto", "run", "corpus", "licence")
"""Version, run and corpus of a model, for people."""


def _each_once(labels: list[str]) -> list[str]:
    if len(set(labels)) < len(labels):
        raise ValueError("each label may occur once")
    return labels


class _Part(BaseModel):
    """A part of the card. Unknown fields of later versions pass; known fields must have their type, unconverted."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)


class _Method(_Part):
    name: str
    first_block: int = Field(ge=0)
    settings: dict[str, Any]


class _Pooling(_Part):
    kind: Literal["mean", "without_embedding", "weighted", "layer"]
    layer: int | None = Field(ge=0)
    state_norm: Literal["none", "layer"]
    states: int = Field(1, ge=1)


class _Head(_Part):
    name: str
    width: int = Field(ge=1)
    dropout: float = Field(ge=0, lt=1)
    unmasked_mean: bool


class _Outputs(_Part):
    target: dict[str, Any] | None = None
    labels: Annotated[list[Annotated[str, Field(min_length=1)]], AfterValidator(_each_once)]

    @field_validator("labels")
    @classmethod
    def _are_enough(cls, labels: list[str], facts: ValidationInfo) -> list[str]:
        if facts.data.get("target") is None and len(labels) < 2:
            raise ValueError("labels should be two or more")
        return labels


class _Blueprint(_Outputs):
    method: _Method
    pooling: _Pooling
    head: _Head


class _Audio(_Part):
    seconds: float | None = Field(ge=0.1, le=600)


class _BackboneFacts(_Part):
    name: str
    digest: str = Field(pattern="^[0-9a-f]{64}$")
    random_weights: bool
    weights_seed: int = Field(ge=0)
    layer_norm_swap: str = "none"
    preprocessing: dict[str, Any] = {}


class _Interval(_Part):
    half_width: float = Field(ge=0)


class _Conformal(_Part):
    level: float = Field(gt=0, lt=1)
    dimensions: dict[str, _Interval]


_Share = Annotated[float, Field(ge=0, le=1)]
_Limits = Annotated[list[_Share], Field(min_length=1)]


class _LabelSets(_Part):
    levels: _Limits
    limits: dict[str, _Limits | dict[str, _Limits]]
    measured: dict[str, Any] = {}


class _Confidence(_Part):
    temperature: float = Field(1.0, ge=LOWEST_TEMPERATURE, le=HIGHEST_TEMPERATURE)
    thresholds: dict[str, _Share] = {}
    conformal: _Conformal = _Conformal(level=0.9, dimensions={})
    sets: _LabelSets | None = None


class _LicenceFacts(_Part):
    corpus: str
    licence: str = ""
    commercial_use: bool | None = None


class _AnyCard(_Part):
    """Fields that no model can be used without, and its origin, which may be left out."""

    blueprint: _Outputs
    audio: _Audio
    precision: Literal["float32", "bfloat16"]
    synthetic: bool
    confidence: _Confidence = _Confidence()
    affetto: str = ""
    run: str = ""
    corpus: str = ""
    licence: str = ""
    licences: list[_LicenceFacts] = []


class _Card(_AnyCard):
    blueprint: _Blueprint
    backbone: _BackboneFacts


class _MemberFacts(_Part):
    name: str
    digest: str = Field(pattern="^[0-9a-f]{64}$")


class _EnsembleCard(_AnyCard):
    members: list[_MemberFacts] = Field(min_length=2, max_length=MOST_MEMBERS)


def checked(card: Any, where: str) -> dict[str, Any]:
    """The card, with "" for missing fields of its origin.

    Raises UserError, which names the file `where`, for the first invalid field.
    """
    return _checked(_Card, card, where)


def checked_ensemble(card: Any, where: str) -> dict[str, Any]:
    """The card of an ensemble, as `checked` has that of a model."""
    return _checked(_EnsembleCard, card, where)


def _checked(schema: type[_AnyCard], card: Any, where: str) -> dict[str, Any]:
    try:
        valid = schema.model_validate(card)
    except ValidationError as problem:
        first = problem.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the card"
        value = "" if first["type"] == "missing" else f", not {_shorten(first['input'])}"
        raise UserError(
            f"{where}: {field}: {first['msg'].lower()}{value}; this is no model card of affetto's as it was written: "
            "copy the model again, or train it again"
        ) from None
    _check_target(card["blueprint"], where)
    _check_thresholds(card, where)
    _check_sets(card, where)
    return {name: getattr(valid, name) for name in ORIGIN} | card


def _check_target(blueprint: dict[str, Any], where: str) -> None:
    """Raise UserError for a target that cannot be made, or whose labels are not those of the blueprint."""
    try:
        target = target_of(blueprint)
        if list(target.labels) != blueprint["labels"]:
            raise ValueError("its labels are not those of the blueprint")
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise UserError(
            f"{where}: blueprint.target: {_shorten(blueprint['target'])} is broken ({problem}); copy the model again, "
            "or train it again"
        ) from None


def _check_thresholds(card: dict[str, Any], where: str) -> None:
    """Raise UserError for thresholds that some labels lack."""
    thresholds = card.get("confidence", {}).get("thresholds")
    absent = [] if thresholds is None else [name for name in card["blueprint"]["labels"] if name not in thresholds]
    if absent:
        raise UserError(
            f"{where}: confidence.thresholds: no threshold of {_shorten(absent[0])}; copy the model again, or train it "
            "again"
        )


def _check_sets(card: dict[str, Any], where: str) -> None:
    """Raise UserError for sets of labels that lack limits of a label or a level."""
    sets = card.get("confidence", {}).get("sets")
    if sets is None:
        return
    labels, levels = card["blueprint"]["labels"], len(sets["levels"])
    for name, limits in sets["limits"].items():
        by_class = name in KINDS and KINDS[name].by_class
        rows = limits if isinstance(limits, dict) else {"": limits}
        if set(rows) != (set(labels) if by_class else {""}) or any(len(row) != levels for row in rows.values()):
            raise UserError(
                f"{where}: confidence.sets.limits.{_shorten(name)}: not a limit for each level"
                f"{' and label' * by_class}; copy the model again, or train it again"
            )


def read_json(file: Path) -> Any:
    """The content of a card's file. Raises UserError for what is no JSON of a card's size and depth."""
    try:
        if file.stat().st_size > LARGEST_BYTES:
            raise ValueError(f"larger than {LARGEST_BYTES >> 20} MB")
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as problem:
        raise UserError(f"{file}: broken ({problem}); train the run again or copy its folder again") from None


def different_preprocessing(card: dict[str, Any], preprocessing: dict[str, Any]) -> str | None:
    """Phrase for a backbone that prepares waves differently from the one a model was trained on; None: it does not.

    Models that were saved without their preprocessing, or without some field of it, are taken as they are.
    """
    stored = card["backbone"].get("preprocessing") or {}
    different = [name for name, value in stored.items() if preprocessing.get(name) != value]
    if not different:
        return None
    return ", ".join(
        f"{name} {_shorten(preprocessing.get(name))} instead of {_shorten(stored[name])}" for name in different
    )


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
