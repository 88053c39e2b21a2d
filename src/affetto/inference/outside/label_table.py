"""Labels of an outside model, and the labels that its answers have: a table that everybody can see."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from affetto.corpora.labels import DROP, find_label, in_order
from affetto.corpora.names import unified
from affetto.errors import UserError, unknown


@dataclass(frozen=True)
class LabelTable:
    """Rows of (name of an output, label of the answers; None: left out), in the order of the outputs."""

    rows: tuple[tuple[str, str | None], ...]
    unmapped: tuple[str, ...] = ()
    """Outputs that neither the user nor the usual names map: they stay labels of their own."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the answers, in canonical order."""
        return in_order({label for _, label in self.rows if label is not None})

    @property
    def dropped(self) -> tuple[str, ...]:
        """Outputs that are left out."""
        return tuple(name for name, label in self.rows if label is None)

    @property
    def columns(self) -> list[list[int]]:
        """Columns of the outputs that each label of the answers sums."""
        return [[n for n, (_, mapped) in enumerate(self.rows) if mapped == label] for label in self.labels]

    def __str__(self) -> str:
        parts = [f"{name} → {label}" for name, label in self.rows if label is not None and name not in self.unmapped]
        text = ", ".join(parts)
        if self.unmapped:
            text += f"{'; ' if text else ''}as they are, since no emotion has their name: {', '.join(self.unmapped)}"
        return text + (f"; left out: {', '.join(self.dropped)}" if self.dropped else "")


def label_table(
    outputs: Sequence[str], label_map: Mapping[str, str] | None = None, *, are_emotions: bool = True
) -> LabelTable:
    """The table of these outputs: the user's map first, then the usual names of emotions, else the output's own name.

    Without `are_emotions` names stay as they are. `label_map` is {output: label}; the label "" or `drop` leaves the
    output out. Raises UserError for a name that is no output, and where no label is left.

    >>> str(label_table(["ang", "hap", "calmer"], {"calmer": ""}))
    'ang → anger, hap → joy; left out: calmer'
    """
    check_map(label_map or {}, outputs)
    folded = {_folded(name): target.strip() for name, target in (label_map or {}).items()}
    rows: list[tuple[str, str | None]] = []
    unmapped = []
    for output in outputs:
        usual = _usual(output) if are_emotions else None
        if _folded(output) in folded:
            target = folded[_folded(output)]
            rows.append((output, None if target in ("", DROP) else find_label(target) or _folded(target)))
            continue
        if usual is None and are_emotions:
            unmapped.append(output)
        rows.append((output, usual or _folded(output)))
    table = LabelTable(tuple(rows), tuple(unmapped))
    if not table.labels:
        raise UserError("--map leaves no label of the model: map one of them at least")
    return table


def check_map(label_map: Mapping[str, str], outputs: Sequence[str]) -> None:
    """Raise UserError for an entry of a map whose name is no output."""
    names = {_folded(name) for name in outputs}
    for name in label_map:
        if _folded(name) not in names:
            raise unknown("label of the model in --map:", name, outputs)


def entries_for(label_map: Mapping[str, str], outputs: Sequence[str]) -> dict[str, str]:
    """The entries of a map that are for one of these outputs."""
    names = {_folded(name) for name in outputs}
    return {name: label for name, label in label_map.items() if _folded(name) in names}


def _folded(name: str) -> str:
    return unified(name).casefold()


def _usual(output: str) -> str | None:
    """The usual label that an output's name means: `hap`, `开心/happy` and `<|HAPPY|>` are joy."""
    parts = [re.sub(r"[<|>]", "", part) for part in (output, *output.split("/"))]
    return next((label for part in parts if (label := find_label(part)) is not None), None)


def softmax(logits: np.ndarray, columns: Sequence[list[int]]) -> np.ndarray:
    """Probabilities (clips, labels) of sums of outputs: logits (clips, outputs) that are in no column do not count.

    >>> softmax(np.log([[0.2, 0.2, 0.6]]), [[0], [1]]).round(3).tolist()
    [[0.5, 0.5]]
    """
    highest = logits[:, [number for group in columns for number in group]].max(axis=1, keepdims=True)
    sums = np.stack([np.exp(logits[:, group] - highest).sum(axis=1) for group in columns], axis=1)
    return np.asarray(sums / sums.sum(axis=1, keepdims=True))
