"""Columns of outputs, by what a model's target has: one emotion or several labels, probabilities, dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from affetto.inference.decision import Decided
    from affetto.targets.target import Target

SEPARATOR = "|"
"""Between the labels of one cell, as in tables of corpora."""


@dataclass(frozen=True)
class Columns:
    """Columns between the name of a recording and the end of its row."""

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

    def words(self, answer: Decided, abstained: str) -> str:
        """The answer in a line of text: `joy 80 %`, `joy, surprise`, `arousal 3.50, valence 2.00`."""
        parts = []
        if self.has_classes:
            parts.append(f"{answer.emotion or abstained} {100 * max(answer.probabilities.values()):.0f} %")
        elif self.labels:
            parts.append(", ".join(answer.labels or ()) or abstained)
        parts += [f"{name} {answer.dimensions[name]:.2f}" for name in self.dimensions]
        return ", ".join(parts)
