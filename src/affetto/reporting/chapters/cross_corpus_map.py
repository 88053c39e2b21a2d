"""Heat map of a system's tests across corpora."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from affetto.reporting.render.canvas import GREY, framed, save, style
from affetto.reporting.render.sheet import MISSING
from affetto.reporting.render.text import percent_text

DARK = 0.71
"""Scores above it are written in white, those below in black: either at a contrast of 4.5:1 or more."""
LONGEST_LINE = 18
"""Characters of a name in one line; a longer name has several."""
CHARACTER_INCHES, LINE_INCHES = 0.075, 0.16


@dataclass(frozen=True, kw_only=True)
class HeatCell:
    """Cell of a heat map: a score with its interval, or words where there is no score."""

    score: float | None = None
    under: str = ""
    is_own: bool = False
    """True if the corpus is that of the training."""
    words: str = MISSING


def draw_heat_map(
    path: str | Path,
    cells: Sequence[Sequence[HeatCell]],
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    title: str,
    caption: str,
    stamp: str = "",
) -> Path:
    """Draw scores from 0 to 1, trained on in `rows`, tested on in `columns`; both may have several lines.

    A frame surrounds the cells of the own corpus; cells without a score are hatched.
    """
    from matplotlib.patches import Rectangle

    row_names, column_names = ([_wrapped(name) for name in names] for names in (rows, columns))
    beside, below = (
        max(len(line) for name in names for line in name.split("\n")) for names in (row_names, column_names)
    )
    lines = max(name.count("\n") for name in column_names) + 1
    width = max(1.02, CHARACTER_INCHES * below + 0.1) * len(columns) + 1.0 + CHARACTER_INCHES * beside
    height = 0.72 * len(rows) + 0.48 + LINE_INCHES * lines
    with style():
        figure = framed(width, height, title, caption, stamp)
        axes = figure.add_subplot()
        scores = np.array([[np.nan if cell.score is None else cell.score for cell in row] for row in cells])
        axes.pcolormesh(np.ma.masked_invalid(scores), cmap="Blues", vmin=0, vmax=1, edgecolors="white", linewidth=2)
        for row, column in np.ndindex(scores.shape):
            cell = cells[row][column]
            box: dict[str, Any] = {"xy": (column + 0.03, row + 0.03), "width": 0.94, "height": 0.94, "fill": False}
            if cell.score is None:
                axes.add_patch(Rectangle(**box, edgecolor=GREY, linewidth=0, hatch="///", alpha=0.15))
            elif cell.is_own:
                axes.add_patch(Rectangle(**box, edgecolor="black", linewidth=1.2))
            _write(axes, row, column, cell)
        axes.set_xticks(np.arange(len(columns)) + 0.5, column_names)
        axes.set_yticks(np.arange(len(rows)) + 0.5, row_names)
        axes.set(xlabel="tested on", ylabel="trained on", xlim=(0, len(columns)), ylim=(len(rows), 0))
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        return save(figure, path)


def _wrapped(name: str) -> str:
    """A name in lines that fit beside and below the cells."""
    return "\n".join(line for part in name.split("\n") for line in textwrap.wrap(part, LONGEST_LINE))


def _write(axes: Any, row: int, column: int, cell: HeatCell) -> None:
    """Write score and interval into a cell, or its words."""
    if cell.score is None:
        axes.text(column + 0.5, row + 0.5, cell.words, ha="center", va="center", fontsize=7, color=GREY)
        return
    look: dict[str, Any] = {"ha": "center", "va": "center", "color": "white" if cell.score > DARK else "black"}
    weight = "bold" if cell.is_own else "normal"
    axes.text(column + 0.5, row + 0.42, percent_text(cell.score), fontsize=11, fontweight=weight, **look)
    axes.text(column + 0.5, row + 0.75, cell.under, fontsize=7, **look)
