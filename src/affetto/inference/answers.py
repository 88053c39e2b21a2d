"""Answers of a model, by its target: one emotion with probabilities, several labels, numbers with intervals; and the
fields and columns by which outputs write them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from affetto.targets.target import Target

SEPARATOR = "|"
"""Between the labels of one cell, as in tables of corpora."""


@dataclass(frozen=True)
class Answer:
    """Answer to one recording, or a part of one."""

    emotion: str | None
    """The most probable label; None where the model abstains, and where its target has no single label."""
    probabilities: dict[str, float]
    """Every label of the model, in its order; {} where its target has no labels."""
    labels: tuple[str, ...] = ()
    """Labels above their thresholds, of a target of several labels."""
    dimensions: dict[str, float] = field(default_factory=dict)
    """Value of each dimension, within its range."""
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Interval around each value that the model's card knows a width for."""


@dataclass(frozen=True)
class Columns:
    """Fields of outputs, by a target."""

    labels: tuple[str, ...]
    dimensions: tuple[str, ...] = ()
    has_classes: bool = True

    @classmethod
    def of(cls, target: Target) -> Columns:
        """The columns of a target's answers."""
        return cls(target.labels, tuple(target.dimensions), target.has_classes)

    @property
    def header(self) -> list[str]:
        """Names of a CSV's columns between the recording and its end."""
        decision = ["emotion"] if self.has_classes else ["labels"] if self.labels else []
        return [*decision, *self.labels, *self.dimensions]

    def cells(self, row: Mapping[str, Any]) -> list[str]:
        """Cells of `header` for a row; empty for one with an error."""
        probabilities, numbers = row.get("probabilities") or {}, row.get("dimensions") or {}
        decision = [row.get("emotion") or ""] if self.has_classes else []
        if not self.has_classes and self.labels:
            decision = [SEPARATOR.join(row.get("labels") or ())]
        return [
            *decision,
            *(f"{probabilities[name]:.6f}" if name in probabilities else "" for name in self.labels),
            *(f"{numbers[name]:.6f}" if name in numbers else "" for name in self.dimensions),
        ]

    def parsed(self, cells: Mapping[str, str]) -> dict[str, Any]:
        """Fields of a row from its cells by name. Raises ValueError for a cell without a number."""
        fields: dict[str, Any] = {"emotion": cells["emotion"] or None} if self.has_classes else {}
        if self.labels:
            fields["probabilities"] = {name: float(cells[name]) for name in self.labels}
            if not self.has_classes:
                fields["labels"] = [label for label in cells["labels"].split(SEPARATOR) if label]
        if self.dimensions:
            fields["dimensions"] = {name: float(cells[name]) for name in self.dimensions}
        return fields

    def fit(self, row: Mapping[str, Any]) -> bool:
        """True if a row of JSON has these fields."""
        return set(row.get("probabilities", ())) == set(self.labels) and set(row.get("dimensions", ())) == set(
            self.dimensions
        )

    def fields(self, answer: Any) -> dict[str, Any]:
        """Fields of a JSON row: of an Answer, or anything with its fields."""
        fields: dict[str, Any] = {"emotion": answer.emotion} if self.has_classes else {}
        if self.labels:
            fields["probabilities"] = answer.probabilities
            if not self.has_classes:
                fields["labels"] = list(answer.labels)
        if self.dimensions:
            fields["dimensions"] = answer.dimensions
            if answer.intervals:
                fields["intervals"] = {name: list(ends) for name, ends in answer.intervals.items()}
        return fields

    def words(self, answer: Any, abstained: str) -> str:
        """The answer in a line of text: `joy 80 %`, `joy, surprise`, `arousal 3.50, valence 2.00`."""
        parts = []
        if self.has_classes:
            parts.append(f"{answer.emotion or abstained} {100 * max(answer.probabilities.values()):.0f} %")
        elif self.labels:
            parts.append(", ".join(answer.labels) or abstained)
        parts += [f"{name} {answer.dimensions[name]:.2f}" for name in self.dimensions]
        return ", ".join(parts)
