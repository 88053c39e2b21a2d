"""Predictor of an outside model: its scores become values of one of affetto's targets, clip by clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from affetto.errors import UserError
from affetto.inference.outside.label_table import LabelTable, check_map, entries_for, label_table, softmax
from affetto.inference.outside.model import CLASSES, DIMENSIONS, SEVERAL, UNIT, OutsideModel, digest_of
from affetto.inference.predictor import Predictor
from affetto.models.parallel import side_by_side
from affetto.targets.classes import Classes
from affetto.targets.dimensions import Dimensions, Interval
from affetto.targets.multilabel import Multilabel
from affetto.targets.registry import blueprint_of
from affetto.targets.target import Scale, Target

UNKNOWN = "unknown"
THRESHOLD = 0.5
"""Probability from which a label applies, of a model by which several may."""


class OutsidePredictor(Predictor):
    """Answers of an outside model. Each clip is computed alone."""

    precision = "float32"

    def __init__(
        self,
        model: OutsideModel,
        facts: Mapping[str, Any],
        *,
        label_map: Mapping[str, str] | None = None,
        scales: Mapping[str, Scale] | None = None,
        long_clips: str = "windows",
    ) -> None:
        """`facts` are those of its source; the card has them as `outside`, with the table of labels.

        `scales`: ranges onto which dimensions are mapped; others are left out. None: all of them, in their own.
        """
        self.model, self.facts, self.label_map = model, facts, label_map
        self.table = label_table(model.outputs, label_map, are_emotions=model.kind != DIMENSIONS)
        target = _target_of(model, self.table, scales)
        card = {
            "blueprint": blueprint_of(target),
            "audio": {"seconds": None},
            "precision": self.precision,
            "synthetic": False,
            **dict.fromkeys(("affetto", "run", "licence"), ""),
            "corpus": "+".join(facts.get("datasets") or ()) or UNKNOWN,
            "outside": {
                **facts,
                "class": model.title,
                "labels": {name: label for name, label in self.table.rows if label is not None},
                "unmapped": list(self.table.unmapped),
                "left_out": list(self.table.dropped),
                "renormalised": self._is_renormalised,
                **({"ranges": {name: list(ends) for name, ends in model.ranges.items()}} if model.ranges else {}),
            },
        }
        super().__init__(
            target.labels, card, longest_seconds=model.longest_seconds, long_clips=long_clips, target=target
        )
        self.decoders, self.files = model.decoders, model.files

    @property
    def _is_renormalised(self) -> bool:
        """True if probabilities are divided by the sum of those that are not left out."""
        return bool(self.table.dropped) and self.model.kind == CLASSES

    @property
    def protocol(self) -> str | None:
        dropped = ", ".join(self.table.dropped)
        share = " and the rest renormalised" if self._is_renormalised else ""
        parts = [f"left out: {dropped}{share}" if dropped else None, super().protocol]
        return "; ".join(part for part in parts if part) or None

    @property
    def notes(self) -> tuple[str, ...]:
        share = "; what is left is divided by its sum" if self._is_renormalised else ""
        return (
            f"{self.model.title}, a model of others, not calibrated; its outputs: {self.table}{share}",
            *self._scale_notes(),
            *self._revision_notes(),
            *([f"licence of the model, by its card: {self.facts['licence']}"] if self.facts.get("licence") else []),
            *super().notes,
        )

    def _revision_notes(self) -> list[str]:
        """A sentence on a hub id without a revision, which may be another model tomorrow."""
        source, revision = str(self.facts["source"]), self.facts.get("revision")
        if revision is None or "@" in source:
            return []
        return [f"the newest state of {source} on the hub, which may change: {source}@{revision} stays this model"]

    def _scale_notes(self) -> list[str]:
        """Sentences on ranges that are assumed, dimensions that are mapped onto another one, and those left out."""
        if self.model.kind != DIMENSIONS:
            return []
        lines = []
        if self.model.range_is_assumed:
            low, high = UNIT
            lines.append(
                f"the model states no range of its dimensions: {low:g} … {high:g} is assumed, values beyond it are cut"
            )
        for name, (number,) in zip(self.table.labels, self.table.columns, strict=True):
            low, high = self.model.ranges[self.model.outputs[number]]
            scale = self.target.dimensions.get(name)
            if scale is None:
                lines.append(f"{name} is left out: the corpus has none")
            elif (scale.low, scale.high) != (low, high):
                lines.append(f"{name} is mapped from {low:g} … {high:g} onto {scale.low:g} … {scale.high:g}")
        return lines

    def digest(self) -> str | None:
        """SHA-256 over the model's files; None of a model that another package loads."""
        return digest_of(self.model.files) if self.model.files else None

    def relabelled(self, label_map: Mapping[str, str]) -> OutsidePredictor:
        """A predictor of the same model with another map of its labels. Raises UserError as `label_table`."""
        return OutsidePredictor(self.model, self.facts, label_map=label_map, long_clips=self.long_clips)

    def on_scales(self, scales: Mapping[str, Scale]) -> OutsidePredictor:
        common = {name: scales[name] for name in self.table.labels if name in scales}
        if self.model.kind != DIMENSIONS or not common:
            return self
        return OutsidePredictor(
            self.model, self.facts, label_map=self.label_map, scales=common, long_clips=self.long_clips
        )

    def window_probabilities(self, waves: Sequence[np.ndarray]) -> np.ndarray:
        scores = np.stack(self._scores(waves)).astype(np.float64)
        if not np.isfinite(scores).all():
            raise UserError(f"{self.model.title} answers with what is no number (NaN or infinite): it cannot be used")
        return self._values(scores)

    def _scores(self, waves: Sequence[np.ndarray]) -> list[np.ndarray]:
        if len(waves) == 1 or not self.model.side_by_side:
            return [self.model.score(wave) for wave in waves]
        rows = []
        for row in side_by_side(self.model.score, waves):
            if isinstance(row, Exception):
                raise row
            rows.append(row)
        return rows

    def _values(self, scores: np.ndarray) -> np.ndarray:
        """Scores of the model (clips, outputs) → values of the target (clips, outputs), float64."""
        columns = self.table.columns
        if self.model.kind == CLASSES:
            return softmax(scores, columns)
        if self.model.kind == SEVERAL:
            shares = 1 / (1 + np.exp(-scores))
            return np.stack([shares[:, group].max(axis=1) for group in columns], axis=1)
        columns_by_name = dict(zip(self.table.labels, columns, strict=True))
        rows = []
        for name, scale in self.target.dimensions.items():
            (number,) = columns_by_name[name]
            low, high = self.model.ranges[self.model.outputs[number]]
            share = np.clip((scores[:, number] - low) / (high - low), 0, 1)
            rows.append(scale.low + share * (scale.high - scale.low))
        return np.stack(rows, axis=1)


def _target_of(model: OutsideModel, table: LabelTable, scales: Mapping[str, Scale] | None) -> Target:
    """The target of its answers. Raises UserError for outputs that no target has."""
    if model.kind == DIMENSIONS:
        doubled = [label for label, group in zip(table.labels, table.columns, strict=True) if len(group) > 1]
        if doubled:
            raise UserError(f"--map makes {doubled[0]!r} of several dimensions: give each a name of its own")
        if scales is not None:
            ends = {name: Interval(scale.low, scale.high) for name, scale in scales.items() if name in table.labels}
        else:
            columns = zip(table.labels, table.columns, strict=True)
            ends = {name: Interval(*model.ranges[model.outputs[number]]) for name, (number,) in columns}
        return Dimensions(tuple(ends), tuple(ends.values()))
    if len(table.labels) < 2:
        raise UserError(f"{model.title} is left with the label {table.labels[0]!r} alone: map two labels at least")
    return Multilabel(table.labels, THRESHOLD) if model.kind == SEVERAL else Classes(table.labels)


def relabel(predictors: Mapping[str, Predictor], label_map: Mapping[str, str]) -> dict[str, Predictor]:
    """Predictors by name with the entries of a map that their models have.

    Raises UserError for an entry that no outside model has.
    """
    if not label_map:
        return dict(predictors)
    outside = {name: model for name, model in predictors.items() if isinstance(model, OutsidePredictor)}
    if not outside:
        raise UserError("--map is for models of others, and there is none: leave it out")
    check_map(label_map, [output for model in outside.values() for output in model.model.outputs])
    mapped = {name: model.relabelled(entries_for(label_map, model.model.outputs)) for name, model in outside.items()}
    return {**predictors, **mapped}
