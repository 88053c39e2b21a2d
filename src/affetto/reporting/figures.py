"""Figures of a report, as PNG or SVG by the suffix of the path: confusion, methods side by side, learning curves."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from affetto.errors import UserError
from affetto.reporting import tables
from affetto.reporting.curves import curves_by_method as curves_by_method
from affetto.reporting.curves import learning_curves as learning_curves
from affetto.reporting.render.canvas import BLUE, GREY, INK, framed, legend, save, style
from affetto.reporting.render.stamps import SYNTHETIC
from affetto.reporting.render.text import DASH, percent_text
from affetto.reporting.stats.estimation import interval_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def confusion_matrix(
    scores: Mapping[str, Any], path: str | Path, title: str, synthetic: bool = False, *, seeds: int = 1
) -> Path:
    """Confusion of one scored set: percent of each true label, clips below, F1 beside the row.

    `seeds`: how many runs' predictions of the same clips the matrix counts.
    """
    labels = list(scores["labels"])
    counts = np.asarray(scores["confusion"])
    support = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, support, out=np.zeros(counts.shape), where=support > 0)
    longest = max(map(len, labels))
    side = 0.74 * len(labels)
    with style():
        together = f", of {seeds} seeds together" if seeds > 1 else ""
        words = f"Cells: percent of the true label's clips, their number below{together}. {_resting_on(scores)}"
        figure = framed(side + 1.75 + 0.075 * longest, side + 0.9, title, words, SYNTHETIC if synthetic else "")
        axes = figure.add_subplot()
        axes.pcolormesh(shares, cmap="Blues", vmin=0, vmax=1, edgecolors="white", linewidth=2)
        for row, column in np.ndindex(counts.shape):
            _cell(axes, row, column, shares[row, column], int(counts[row, column]), bool(support[row, 0]))
        centres = np.arange(len(labels)) + 0.5
        slanted: dict[str, Any] = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if longest > 10 else {}
        axes.set_xticks(centres, labels, **slanted)
        axes.set_yticks(centres, [f"{label} ({n:,})" for label, n in zip(labels, support[:, 0], strict=True)])
        axes.set(aspect="equal", xlabel="predicted", ylabel="true (clips)", ylim=(len(labels), 0))
        right = axes.secondary_yaxis("right")
        classes = [scores["per_class"][label] for label in labels]
        right.set_yticks(centres, [percent_text(each["f1"] if each["n"] else None) for each in classes])
        axes.text(1.0, 1.01, "  F1", transform=axes.transAxes, va="bottom")
        for side_axes in (axes, right):
            side_axes.tick_params(length=0)
            side_axes.spines[:].set_visible(False)
        return save(figure, path)


def method_bars(
    rows: Sequence[tables.Row], path: str | Path, title: str = "Macro F1 by method", synthetic: bool = False
) -> Path:
    """Macro F1 of each method with its interval, beside chance and over the dots of single speakers.

    Points with whiskers, the first row on top; rows as in `affetto.reporting.tables`, with
    `per_speaker` optional.
    """
    if not rows:
        raise UserError("no methods to compare: give at least one row.")
    stamped = synthetic or tables.all_synthetic(rows)
    names = [textwrap.fill(str(row["name"]) if stamped else tables.shown_name(row), 30) for row in rows]
    with style():
        partly = f"partly {SYNTHETIC}" if any(row.get("synthetic") for row in rows) else ""
        stamp = SYNTHETIC if stamped else partly
        bars = "Whiskers: the interval. " if any(map(tables.macro_interval, rows)) else ""
        dots = "Dots: macro F1 within one speaker. " if any(row.get("per_speaker") for row in rows) else ""
        words = f"{bars}{dots}{tables.caption(rows)}"
        height = 0.8 + sum(0.3 + 0.17 * (1 + name.count("\n")) for name in names)
        figure = framed(8.2, height, title, words, stamp)
        axes = figure.add_subplot()
        for y, row in enumerate(rows):
            _method(axes, y, row)
        axes.set_yticks(range(len(rows)), names)
        axes.set(ylim=(len(rows) - 0.5, -0.5), xlim=(0, min(102.0, axes.get_xlim()[1])), xlabel="macro F1 (×100)")
        axes.grid(axis="x", color="#E5E5E5", linewidth=0.8)
        axes.set_axisbelow(True)
        right = axes.secondary_yaxis("right")
        right.set_yticks(range(len(rows)), [tables.estimate(row) for row in rows])
        for each in (axes, right):
            each.tick_params(axis="y", length=0)
            each.spines[["left", "right"]].set_visible(False)
        legend(axes)
        return save(figure, path)


def _cell(axes: Axes, row: int, column: int, share: float, clips: int, known: bool) -> None:
    """The words in one cell: percent, clips below; a dash where the label has no clips at all."""
    # Above 0.71 white reads better on this colour map, below it black: each at 4.5:1 or more.
    place: dict[str, Any] = {"ha": "center", "color": "white" if share > 0.71 else "black"}
    if not known:
        axes.text(column + 0.5, row + 0.5, DASH, va="center", **place)
        return
    weight = "bold" if row == column else "normal"
    axes.text(column + 0.5, row + 0.44, f"{100 * share:.0f}", va="center", fontsize=11, fontweight=weight, **place)
    axes.text(column + 0.5, row + 0.74, f"{clips:,}", va="center", fontsize=7, **place)


def _resting_on(scores: Mapping[str, Any]) -> str:
    """Headline numbers of one scored set, and what they rest on."""
    interval, speakers = scores["interval"], len(scores["per_speaker"])
    low, high = (percent_text(end) for end in interval["macro_f1"])
    return (
        f"Macro F1 {percent_text(scores['macro_f1'])} ({low}–{high}: {interval_words([interval])}), "
        f"UAR {percent_text(scores['uar'])}; "
        f"chance {percent_text(scores['chance']['macro_f1'])}. "
        f"{scores['n']:,} clips, {speakers:,} {'speaker' if speakers == 1 else 'speakers'}."
    )


def _method(axes: Axes, y: int, row: tables.Row) -> None:
    """One line of the comparison: speakers, chance, interval and estimate, the last on top."""
    speakers = _speaker_marks(row)
    # The golden ratio's multiples spread the dots evenly over the line's height, without chance.
    offsets = 0.44 * (np.arange(len(speakers)) * 0.6180339887 % 1 - 0.5)
    fade = 0.45 if len(speakers) <= 50 else 0.2
    if len(speakers):
        axes.scatter(speakers, y + offsets, s=12, color=GREY, alpha=fade, linewidths=0, label="a speaker")
    chance = tables.macro_chance(row)
    if chance is not None:
        axes.plot([100 * chance] * 2, [y - 0.5, y + 0.5], "--", color=INK, linewidth=1, label="chance")
    between = tables.macro_interval(row)
    if between:
        axes.plot([100 * end for end in between], [y, y], "|-", color=BLUE, linewidth=2, markersize=10, zorder=3)
    axes.plot(100 * row["macro_f1"], y, "o", color=BLUE, markersize=8, markeredgecolor="white", zorder=4)


def _speaker_marks(row: tables.Row) -> NDArray[np.float64]:
    """Macro F1 ×100 of each speaker, in the order of names."""
    speakers = row.get("per_speaker") or {}
    return 100 * np.array([speakers[name]["macro_f1"] for name in sorted(speakers)], dtype=np.float64)
