"""Columns of outputs, by what a model's target has: one emotion or several labels, probabilities, dimensions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from affetto.inference.decision import Decided
    from affetto.targets.target import Target

SEPARATOR = "|"
"""Between the labels of one cell, as in tables of corpora."""
JUDGED = ("novelty", "speech_seconds")
"""Numbers of a whole recording by which it may be refused."""
ROW_COLUMNS = ("file", "start", "end", "error", "protocol")
"""Columns of a CSV around those of the answer."""


@dataclass(frozen=True)
class Columns:
    """Columns between the name of a recording and the end of its row."""

    labels: tuple[str, ...]
    dimensions: tuple[str, ...] = ()
    has_classes: bool = True
    intervals: tuple[str, ...] = ()
    """Dimensions whose intervals have columns too."""
    has_sets: bool = False
    """True if an answer has a set of labels."""
    judged: tuple[str, ...] = ()
    """Those of JUDGED that a row has; with them it has `refused`."""

    @classmethod
    def of(
        cls,
        target: Target,
        confidence: Mapping[str, Any] | None = None,
        *,
        has_sets: bool = False,
        judged: tuple[str, ...] = (),
    ) -> Columns:
        """The columns of a target's answers; with `confidence` of a model's card those of its intervals too."""
        widths = (confidence or {}).get("conformal", {}).get("dimensions", {})
        intervals = tuple(name for name in target.dimensions if name in widths)
        return cls(
            target.labels,
            tuple(target.dimensions),
            target.has_classes,
            intervals=intervals,
            has_sets=has_sets,
            judged=judged,
        )

    @property
    def has_marks(self) -> bool:
        """True if an answer is any number of labels."""
        return bool(self.labels) and not self.has_classes

    @property
    def title(self) -> str:
        """The model's outputs in a few words, for messages."""
        labels = "these labels and sets of them" if self.has_sets else "these labels"
        return " and ".join([labels] * bool(self.labels) + ["these dimensions"] * bool(self.dimensions))

    @property
    def header(self) -> list[str]:
        """Names of a CSV's columns between the recording and its end, no two alike.

        A dimension, or the set, that is called like another column has `_value` behind its name.
        """
        decision = ["emotion"] if self.has_classes else ["labels"] if self.labels else []
        names = [*decision, *self.labels]
        ends = (f"{name}_{end}" for name in self.intervals for end in ("low", "high"))
        refused = ["refused"] if self.judged else []
        for column in (*["set"] * self.has_sets, *self.dimensions, *ends, *self.judged, *refused):
            while column in (*ROW_COLUMNS, *names):
                column += "_value"
            names.append(column)
        return names

    def cells(self, row: Mapping[str, Any]) -> list[str]:
        """Cells of `header` for a row; empty for one with an error."""
        probabilities, numbers = row.get("probabilities") or {}, row.get("dimensions") or {}
        intervals = row.get("intervals") or {}
        decision = [row.get("emotion") or ""] if self.has_classes else []
        if self.has_marks:
            decision = [SEPARATOR.join(row.get("labels") or ())]
        sets = [SEPARATOR.join(row.get("set") or ())] * self.has_sets
        values = [
            *(numbers.get(name) for name in self.dimensions),
            *(end for name in self.intervals for end in intervals.get(name, (None, None))),
        ]
        values += [row.get(name) for name in self.judged]
        refused = [row.get("refused") or ""] if self.judged else []
        return [*decision, *_texts(probabilities.get(name) for name in self.labels), *sets, *_texts(values), *refused]

    def parsed(self, cells: Mapping[str, str]) -> dict[str, Any]:
        """Fields of a row from its cells by name. Raises ValueError for a cell without a number."""
        texts = iter([cells[name] for name in self.header])
        fields: dict[str, Any] = {"emotion": next(texts) or None} if self.has_classes else {}
        called = next(texts) if self.has_marks else ""
        if self.labels:
            fields["probabilities"] = {name: float(next(texts)) for name in self.labels}
        if self.has_marks:
            fields["labels"] = [label for label in called.split(SEPARATOR) if label]
        refused = cells[self.header[-1]] if self.judged else ""
        called = next(texts) if self.has_sets else ""
        numbers = [next(texts) for _ in range(len(self.dimensions) + 2 * len(self.intervals))]
        if not refused:
            fields |= {"set": called.split(SEPARATOR)} if self.has_sets else {}
            values = iter([float(text) for text in numbers])
            fields |= {"dimensions": {name: next(values) for name in self.dimensions}} if self.dimensions else {}
            if self.intervals:
                fields["intervals"] = {name: [next(values), next(values)] for name in self.intervals}
        fields |= {name: float(next(texts)) for name in self.judged}
        return fields | ({"refused": refused} if refused else {})

    def fit(self, row: Mapping[str, Any]) -> bool:
        """True if a row of JSON has these fields."""
        return (
            set(row.get("probabilities", ())) == set(self.labels)
            and ("labels" in row) == self.has_marks
            and all((name in row) == (name in self.judged) for name in JUDGED)
            and (
                "refused" in row
                or (set(row.get("dimensions", ())) == set(self.dimensions) and ("set" in row) == self.has_sets)
            )
        )

    def words(self, answer: Decided, abstained: str) -> str:
        """The answer in a line of text: `joy 80 %`, `joy, surprise`, `arousal 3.50, valence 2.00`."""
        parts = []
        if self.has_classes:
            parts.append(f"{answer.emotion or abstained} {100 * max(answer.probabilities.values()):.0f} %")
        elif self.has_marks:
            parts.append(", ".join(answer.labels or ()) or abstained)
        parts += [f"{name} {answer.dimensions[name]:.2f}" for name in self.dimensions]
        return ", ".join(parts)


def _texts(values: Iterable[float | None]) -> list[str]:
    """Cells of numbers; empty for None."""
    return ["" if value is None else f"{value:.6f}" for value in values]
