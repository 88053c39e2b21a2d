"""Predictor of an outside model: its scores become values of one of affetto's targets, clip by clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from affetto.errors import UserError
from affetto.inference.outside.label_table import LabelTable, label_table, softmax
from affetto.inference.outside.model import CLASSES, DIMENSIONS, SEVERAL, OutsideModel
from affetto.inference.predictor import Predictor
from affetto.models.parallel import side_by_side
from affetto.targets.classes import Classes
from affetto.targets.dimensions import Dimensions, Interval
from affetto.targets.multilabel import Multilabel
from affetto.targets.registry import blueprint_of
from affetto.targets.target import Target

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
        long_clips: str = "windows",
    ) -> None:
        """`facts` are those of its source; the card has them as `outside`, with the table of labels."""
        self.model, self.table = model, label_table(model.outputs, label_map, are_emotions=model.kind != DIMENSIONS)
        target = _target_of(model, self.table)
        card = {
            "blueprint": blueprint_of(target),
            "audio": {"seconds": None},
            "precision": self.precision,
            "synthetic": False,
            **dict.fromkeys(("affetto", "run", "licence"), ""),
            "corpus": UNKNOWN,
            "outside": {
                **facts,
                "class": model.title,
                "labels": {name: label for name, label in self.table.rows if label is not None},
                "unmapped": list(self.table.unmapped),
                "left_out": list(self.table.dropped),
            },
        }
        super().__init__(
            target.labels, card, longest_seconds=model.longest_seconds, long_clips=long_clips, target=target
        )
        self.decoders = model.decoders

    def window_probabilities(self, waves: Sequence[np.ndarray]) -> np.ndarray:
        return self._values(np.stack(self._scores(waves)).astype(np.float64))

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
        values = np.concatenate([scores[:, group] for group in columns], axis=1)
        ends = [(scale.low, scale.high) for scale in self.target.dimensions.values()]
        return np.clip(values, [low for low, _ in ends], [high for _, high in ends])


def _target_of(model: OutsideModel, table: LabelTable) -> Target:
    """The target of its answers. Raises UserError for outputs that no target has."""
    if model.kind == DIMENSIONS:
        doubled = [label for label, group in zip(table.labels, table.columns, strict=True) if len(group) > 1]
        if doubled:
            raise UserError(f"--map makes {doubled[0]!r} of several dimensions: give each a name of its own")
        ends = [model.ranges[model.outputs[number]] for (number,) in table.columns]
        return Dimensions(table.labels, tuple(Interval(*pair) for pair in ends))
    if len(table.labels) < 2:
        raise UserError(f"{model.title} is left with the label {table.labels[0]!r} alone: map two labels at least")
    return Multilabel(table.labels, THRESHOLD) if model.kind == SEVERAL else Classes(table.labels)
