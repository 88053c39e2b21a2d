"""Settings of a specialisation, typed and resolved before anything runs."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from affetto.backbones.families.registry import FAMILIES
from affetto.errors import UserError, unknown
from affetto.models.methods.registry import METHODS

OBJECTIVES = ("masked", "ctc", "seq2seq")
"""Names of all objectives; a family's record names those that it can be trained by."""
METHOD_SETTINGS: dict[str, tuple[str, ...]] = {"full": (), "lora": ("rank", "alpha", "dropout", "targets")}
"""Methods that specialise a backbone, each with those of the settings below that it takes."""
Share = Annotated[float, Field(ge=0, lt=1)]
RESULT_NEUTRAL = frozenset({"checkpoint_minutes", "gradient_checkpointing"})
"""Settings that may differ when a specialisation goes on."""
LATER = frozenset({"window_seconds"})
"""Settings that came later: left out of the identity where they are null, so that older ones still go on."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Settings(_Record):
    """Settings that `--set NAME=VALUE` changes. The defaults of `lr` are the objective's, see `settings`."""

    epochs: float = Field(10.0, gt=0, description="passes over the sample")
    steps: int | None = Field(None, ge=1, description="optimiser steps instead of epochs")
    batch_size: int = Field(32, ge=1, description="clips a step, over all processes")
    device_seconds: float = Field(
        160.0,
        gt=0,
        description="most seconds of audio, padding included, in one pass; a step takes as many as it needs",
    )
    length_window: int = Field(16, ge=1, description="batches among which clips are sorted by length")
    lr: float = Field(1e-4, gt=0, description="highest learning rate")
    warmup: float = Field(0.1, ge=0, lt=1, description="share of the steps in which it rises; then it falls to 0")
    betas: tuple[Share, Share] = Field((0.9, 0.98), description="AdamW's")
    eps: float = Field(1e-6, gt=0, description="AdamW's")
    weight_decay: float = Field(0.01, ge=0, description="of matrices; vectors have none")
    clip_norm: float = Field(1.0, gt=0, description="gradients are scaled down to this norm")
    front_end: bool | None = Field(
        None, description="train the convolutions too; null: not with ctc from a parent, nor with lora"
    )
    spec_augment: bool | None = Field(None, description="mask states in ctc; null: as the parent's configuration says")
    gradient_checkpointing: bool = Field(False, description="compute blocks twice, and keep a fraction of the memory")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="of the arithmetic; auto: bfloat16 where the device has it natively"
    )
    mask_share: float = Field(0.065, gt=0, lt=1, description="masked: share of frames at which a span begins")
    mask_span: int = Field(10, ge=1, description="masked: frames of a span")
    gumbel: tuple[float, float, float] = Field(
        (2.0, 0.5, 0.999995), description="masked: temperature of the codebook at first, at last, factor a step"
    )
    decoder: Literal["own", "new"] = Field(
        "own", description="seq2seq: the parent's decoder and tokenizer, or a small new one over characters"
    )
    window_seconds: float | None = Field(
        None,
        gt=0,
        le=30,
        description="seq2seq: length to which each clip is padded (longer clips are left out); null: the encoder's "
        "whole window, as in Whisper's training",
    )
    rank: int = Field(16, ge=1, description="lora: rank of the update")
    alpha: float = Field(32.0, gt=0, description="lora: its scaling is alpha / rank")
    dropout: float = Field(0.05, ge=0, lt=1, description="lora: dropout before A")
    targets: Literal["ff", "attention", "all"] = Field("all", description="lora: which linear layers of a block")
    shortest_seconds: float = Field(0.5, ge=0.3, description="shorter clips are left out")
    longest_seconds: float = Field(20.0, gt=0, le=30, description="longer clips are left out")
    held_out: float = Field(0.1, gt=0, lt=1, description="share of the speakers who validate")
    validation_hours: float = Field(1.0, gt=0, description="at most this much of them, and a tenth of the hours")
    validations: int = Field(10, ge=1, description="how often to validate, the end included; before the first step too")
    max_bad: float = Field(0.05, ge=0, lt=1, description="share of unreadable clips at which to stop; one is let pass")
    checkpoint_minutes: float = Field(10.0, gt=0, description="at most this much training is lost to a kill")

    @property
    def longest(self) -> float:
        """Seconds of the longest clip that is taken."""
        return min(self.longest_seconds, self.window_seconds or self.longest_seconds)


class Spec(_Record):
    """Request for a specialisation."""

    corpus: str | None
    path: str
    backbone: str
    objective: str
    method: str = "full"
    from_scratch: str | None = None
    hours: float | None = Field(None, gt=0)
    split: str | None = None
    language: str = "it"
    characters: str | None = None
    """The vocabulary; None: that of the language, or the letters of the corpus if the language has none here."""
    seed: int = Field(0, ge=0, lt=2**31)
    settings: Settings = Settings()

    def describe(self) -> dict[str, Any]:
        """All settings that change the result, in one flat dictionary.

        Paths do not: the content of their files is among the facts of `identity`.
        """
        fields = self.model_dump(mode="json", exclude={"path", "backbone", "settings", "corpus"})
        values = self.settings.model_dump(mode="json", exclude=set(RESULT_NEUTRAL))
        return fields | {name: value for name, value in values.items() if name not in LATER or value is not None}

    def identity(self, facts: dict[str, Any]) -> str:
        return hashlib.sha256(json.dumps(self.describe() | facts, sort_keys=True).encode()).hexdigest()


def settings(
    objective: str, method: str, from_scratch: str | None, overrides: dict[str, str] | None = None
) -> Settings:
    """The objective's settings with `{"epochs": "3"}` laid over them. Raises UserError for a bad name or value."""
    if objective not in OBJECTIVES:
        raise unknown("objective", objective, OBJECTIVES)
    if method not in METHOD_SETTINGS:
        raise unknown("method of specialize", method, METHOD_SETTINGS)
    values: dict[str, Any] = {"lr": {"masked": 2e-4, "ctc": 1e-4, "seq2seq": 2e-5}[objective]}
    if from_scratch or not trains_all(method):
        values["lr"] = 1e-3
    for name, text in (overrides or {}).items():
        if name not in Settings.model_fields:
            raise unknown("setting of specialize", name, Settings.model_fields)
        values[name] = _parse(text)
    try:
        resolved = Settings.model_validate(values)
    except ValidationError as problem:
        first = problem.errors()[0]
        name = str(first["loc"][0])
        raise UserError(
            f"setting {name}={first['input']!r}: {first['msg'].lower()} ({Settings.model_fields[name].description})"
        ) from None
    if resolved.shortest_seconds >= resolved.longest:
        bound = "longest_seconds" if resolved.longest == resolved.longest_seconds else "window_seconds"
        raise UserError(
            f"settings shortest_seconds={resolved.shortest_seconds:g} and {bound}={resolved.longest:g} "
            "leave no clip; the first must be below the second"
        )
    return resolved


def trains_all(method: str) -> bool:
    """True if the model's weights train. Otherwise the method's weights train, and are merged in the end."""
    return METHODS.find(method).trains_backbone


def check_family(objective: str, family: str) -> None:
    """Raise UserError for an objective that the family cannot take."""
    able = FAMILIES.find(family).objectives
    if objective not in able:
        raise UserError(
            f"objective {objective!r} cannot be had with {family}: transformers has no such model of it; "
            f"{family} takes {' or '.join(able) or 'none'}"
        )


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
