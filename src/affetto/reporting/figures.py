"""Figures of a report, as PNG or SVG by the suffix of the path.

Drawn on matplotlib's `Figure` objects, never through pyplot: no display, no global figure, usable
in a server. The same data give the same bytes. Colours are Okabe and Ito's, which stay apart for
colour-blind readers; every colour is also said by position, line style or words.
"""

from __future__ import annotations

import os
import textwrap
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from affetto.errors import UserError, unknown
from affetto.reporting import tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, VERMILLION, INK, GREY = "#0072B2", "#D55E00", "#222222", "#666666"
DPI = 150
# Neither a date nor matplotlib's version: a figure changes only with what it shows.
METADATA: dict[str, dict[str, str | None]] = {
    ".png": {"Software": "affetto"},
    ".svg": {"Date": None, "Creator": "affetto"},
}
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # ships with matplotlib, so every machine sets the same line breaks
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": False,  # a dollar sign in a user's title is a dollar sign
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "svg.hashsalt": "affetto",
    "svg.fonttype": "path",
}
TITLE_POINTS, CAPTION_POINTS, MARGIN_INCHES = 12, 8, 0.14
# Mean advance of a character of DejaVu Sans and height of a line, in units of the font's size.
CHARACTER, BOLD_CHARACTER, LINE = 0.53, 0.64, 1.4

Log = Sequence[Mapping[str, Any]]


def confusion_matrix(scores: Mapping[str, Any], path: str | Path, title: str, synthetic: bool = False) -> Path:
    """Confusion of one scored set: percent of each true label, clips below, F1 beside the row."""
    labels = list(scores["labels"])
    counts = np.asarray(scores["confusion"])
    support = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, support, out=np.zeros(counts.shape), where=support > 0)
    longest = max(map(len, labels))
    side = 0.74 * len(labels)
    with _style():
        words = f"Cells: percent of the true label's clips, their number below. {_resting_on(scores)}"
        figure = _framed(side + 1.75 + 0.075 * longest, side + 0.9, title, words, tables.SYNTHETIC if synthetic else "")
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
        right.set_yticks(centres, [tables.percent(each["f1"] if each["n"] else None) for each in classes])
        axes.text(1.0, 1.01, "  F1", transform=axes.transAxes, va="bottom")
        for side_axes in (axes, right):
            side_axes.tick_params(length=0)
            side_axes.spines[:].set_visible(False)
        return _save(figure, path)


def learning_curves(
    logs: Mapping[str, Log], path: str | Path, title: str, synthetic: bool = False, *, chance: float | None = None
) -> Path:
    """Training loss and validation macro F1 over the epochs: a thin line a run, their mean bold.

    `logs` maps a run's or fold's name to its epochs, `{"epoch", "loss", "validation": {"macro_f1"}}`.
    The mean spans the epochs that all have, so that it never jumps where one stopped early.
    """
    if not logs or not all(logs.values()):
        raise UserError("no learning curve to draw: each run's log needs at least one epoch.")
    losses = [_series(log, lambda epoch: epoch.get("loss")) for log in logs.values()]
    marks = [_series(log, lambda epoch: (epoch.get("validation") or {}).get("macro_f1"), 100) for log in logs.values()]
    best = np.array([mark[mark[:, 1].argmax()] for mark in marks if len(mark)]).reshape(-1, 2)
    with _style():
        figure = _framed(8.2, 3.2, title, _curve_words(len(logs), best), tables.SYNTHETIC if synthetic else "")
        left, right = figure.subplots(1, 2)
        _curves(left, losses)
        _curves(right, marks)
        if len(best):
            right.plot(*best.T, "o", color=VERMILLION, markeredgecolor="white", zorder=4, label="best epoch")
        if chance is not None:
            right.axhline(100 * chance, color=INK, linestyle="--", linewidth=1, label="chance")
        for axes, label in ((left, "training loss"), (right, "validation macro F1 (×100)")):
            axes.set(xlabel="epoch", ylabel=label)
            axes.set_ylim(0, 1.05 * axes.get_ylim()[1])
            axes.locator_params(axis="x", integer=True)
        _legend(right)
        return _save(figure, path)


def method_bars(
    rows: Sequence[tables.Row], path: str | Path, title: str = "Macro F1 by method", synthetic: bool = False
) -> Path:
    """Macro F1 of each method with its interval, beside chance and over the dots of single speakers.

    Points with whiskers, the first row on top; rows as in `affetto.reporting.tables`, with
    `per_speaker` optional.
    """
    if not rows:
        raise UserError("no methods to compare: give at least one row.")
    names = [textwrap.fill(tables.shown_name(row), 30) for row in rows]
    with _style():
        flags = [synthetic or bool(row.get("synthetic")) for row in rows]
        stamp = tables.SYNTHETIC if all(flags) else f"partly {tables.SYNTHETIC}" if any(flags) else ""
        bars = "Whiskers: 95 % interval. " if any(map(tables.macro_interval, rows)) else ""
        dots = "Dots: macro F1 within one speaker. " if any(row.get("per_speaker") for row in rows) else ""
        words = f"{bars}{dots}{tables.caption(rows)}"
        height = 0.8 + sum(0.3 + 0.17 * (1 + name.count("\n")) for name in names)
        figure = _framed(8.2, height, title, words, stamp)
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
        _legend(axes)
        return _save(figure, path)


@contextmanager
def _style() -> Iterator[None]:
    """matplotlib with its defaults and our settings, whatever the user's own, for the length of one figure."""
    try:
        from matplotlib import style
    except ImportError as error:
        raise UserError("figures need matplotlib: pip install 'affetto[report]'") from error
    with style.context(["default", STYLE]):
        yield


def _framed(width: float, height: float, title: str, words: str, stamp: str) -> Figure:
    """A figure of `width` × `height` inches for the axes, with stamp and title above and caption below.

    Texts are broken to the width beforehand; what they need is added to the height, so nothing
    collides whatever their length.
    """
    from matplotlib.figure import Figure

    room = (width - 2 * MARGIN_INCHES) * 72
    above = textwrap.wrap(title, int(room / (TITLE_POINTS * BOLD_CHARACTER)))
    below = textwrap.wrap(words.strip(), int(room / (CAPTION_POINTS * CHARACTER)))
    raised = 0.28 if stamp else 0.0
    header = raised + len(above) * LINE * TITLE_POINTS / 72 + 1.5 * MARGIN_INCHES
    footer = len(below) * LINE * CAPTION_POINTS / 72 + 2 * MARGIN_INCHES
    total = height + header + footer
    figure = Figure(figsize=(width, total), facecolor="white")
    figure.set_layout_engine("constrained", rect=(0.01, footer / total, 0.98, height / total))
    x, top = MARGIN_INCHES / width, 1 - MARGIN_INCHES / total
    if stamp:
        box = {"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": VERMILLION, "linewidth": 1.2}
        look: dict[str, Any] = {"ha": "left", "va": "top", "fontsize": 8, "fontweight": "bold", "color": VERMILLION}
        figure.text(x + 0.04 / width, top - 0.03 / total, stamp.upper(), bbox=box, **look)
    place: dict[str, Any] = {"ha": "left", "va": "top", "linespacing": LINE / 1.2}
    figure.text(x, top - raised / total, "\n".join(above), fontsize=TITLE_POINTS, fontweight="bold", **place)
    bottom: dict[str, Any] = {"ha": "left", "va": "bottom", "linespacing": LINE / 1.2}
    figure.text(x, MARGIN_INCHES / total, "\n".join(below), fontsize=CAPTION_POINTS, color=GREY, **bottom)
    return figure


def _save(figure: Figure, path: str | Path) -> Path:
    """Write the figure in the format of the suffix; a reader sees the old file or the new, never half."""
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in METADATA:
        raise unknown("figure format", suffix or path.name, METADATA, hint="The suffix of the path chooses it.")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        figure.savefig(part, format=suffix[1:], dpi=DPI, metadata=METADATA[suffix])
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _cell(axes: Axes, row: int, column: int, share: float, clips: int, known: bool) -> None:
    """The words in one cell: percent, clips below; a dash where the label has no clips at all."""
    # Above 0.71 white reads better on this colour map, below it black: each at 4.5:1 or more.
    place: dict[str, Any] = {"ha": "center", "color": "white" if share > 0.71 else "black"}
    if not known:
        axes.text(column + 0.5, row + 0.5, tables.DASH, va="center", **place)
        return
    weight = "bold" if row == column else "normal"
    axes.text(column + 0.5, row + 0.44, f"{100 * share:.0f}", va="center", fontsize=11, fontweight=weight, **place)
    axes.text(column + 0.5, row + 0.74, f"{clips:,}", va="center", fontsize=7, **place)


def _resting_on(scores: Mapping[str, Any]) -> str:
    """Headline numbers of one scored set, and what they rest on."""
    interval, speakers = scores["interval"], len(scores["per_speaker"])
    low, high = (tables.percent(end) for end in interval["macro_f1"])
    return (
        f"Macro F1 {tables.percent(scores['macro_f1'])} (95 % interval {low}–{high}, bootstrap over "
        f"{interval['units']:,} {interval['over']}), UAR {tables.percent(scores['uar'])}; "
        f"chance {tables.percent(scores['chance']['macro_f1'])}. "
        f"{scores['n']:,} clips, {speakers:,} {'speaker' if speakers == 1 else 'speakers'}."
    )


def _series(log: Log, pick: Callable[[Mapping[str, Any]], Any], scale: float = 1) -> NDArray[np.float64]:
    """The finite values of a log as (points, 2): epoch, value."""
    pairs = [(epoch["epoch"], pick(epoch)) for epoch in log]
    kept = [(number, scale * value) for number, value in pairs if value is not None and np.isfinite(value)]
    return np.array(kept, dtype=np.float64).reshape(-1, 2)


def _curves(axes: Axes, lines: Sequence[NDArray[np.float64]]) -> None:
    """One line alone, or many thin ones and their mean over the epochs that all of them have."""
    alone = len(lines) == 1
    for line in lines:
        width, alpha, label = (2.0, 1.0, None) if alone else (0.8, 0.35, "one run")
        axes.plot(*line.T, color=BLUE, linewidth=width, alpha=alpha, label=label)
    shared = set.intersection(*({float(epoch) for epoch in line[:, 0]} for line in lines))
    if not alone and shared:
        epochs = np.array(sorted(shared))
        mean = np.mean([[dict(line.tolist())[epoch] for epoch in epochs] for line in lines], axis=0)
        axes.plot(epochs, mean, color=BLUE, linewidth=2.2, label="mean", zorder=3)


def _curve_words(runs: int, best: NDArray[np.float64]) -> str:
    """The caption of the learning curves."""
    if not len(best):
        return f"{runs} {'run' if runs == 1 else 'runs'}; no validation scores."
    if runs == 1:
        return f"Best validation macro F1: {best[0, 1]:.1f} at epoch {best[0, 0]:.0f}."
    epochs = f"{best[:, 0].min():.0f}–{best[:, 0].max():.0f}"
    return (
        f"{runs} runs; bold: their mean over the epochs that all reached. Best validation macro F1 of each: "
        f"{best[:, 1].min():.1f}–{best[:, 1].max():.1f}, mean {best[:, 1].mean():.1f}, at epochs {epochs}."
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


def _legend(axes: Axes) -> None:
    """The legend above the axes, where no curve can run under it."""
    handles, labels = axes.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    if once:
        place: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1, 1), "ncols": len(once)}
        axes.legend(once.values(), once.keys(), frameon=False, fontsize=8, **place)
