"""Picture of scores against the number of speakers that a fold learns from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from affetto.errors import UserError
from affetto.reporting.render.canvas import GRID, MARKS, framed, legend_above, save, style
from affetto.reporting.render.dodge import set_apart

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

CAPTION = (
    "Speakers that a fold learns from, training and validation together, on a logarithmic scale; the tested clips are "
    "the same. Marks: mean over seeds; bars: {interval}. Marks of one number stand side by side."
)
BELOW = 16
"""Points from the axis to the label of all speakers."""
ACROSS = 3
"""Most panels side by side."""
STYLES = ("-", "--", ":", "-.")
"""Line styles of one round of colours and shapes each."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One number of speakers: macro F1 ×100 with its interval."""

    number: float
    """Speakers that a fold learns from, mean over folds."""
    label: str
    """The number as the tick reads it."""
    is_all: bool = False
    """True if a fold learns from all speakers that it does not test."""
    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Line:
    """Points of one method in one panel."""

    panel: str
    name: str
    points: tuple[Point, ...]


def draw_numbers(lines: Sequence[Line], path: str | Path, title: str, stamp: str = "", *, interval: str) -> Path:
    """Draw macro F1 against the number of speakers, a panel for each backbone, a line for each method.

    `interval` says what the bars are. Raises UserError where there are no points.
    """
    if not any(line.points for line in lines):
        raise UserError("no numbers of speakers to draw: give at least one score.")
    panels = list(dict.fromkeys(line.panel for line in lines))
    names = list(dict.fromkeys(line.name for line in lines))
    across = min(ACROSS, len(panels))
    down = math.ceil(len(panels) / across)
    with style():
        width = 6.4 if across == 1 else 8.2
        figure = framed(width, 3.1 * down, title, CAPTION.format(interval=interval), stamp)
        grid = figure.subplots(down, across, sharey=True, squeeze=False)
        drawn: list[list[Artist]] = [[] for _ in names]
        for axes, panel in zip(grid.flat, panels, strict=False):
            members = [line for line in lines if line.panel == panel]
            for line in members:
                place = names.index(line.name)
                drawn[place] += _draw_line(axes, line, place)
            _scale(axes, [point for line in members for point in line.points])
            if len(panels) > 1:
                axes.set_title(panel, fontsize=8)
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        for axes in grid[:, 0]:
            axes.set_ylabel("macro F1 (×100)")
        legend_above(figure, grid.flat)
        set_apart(figure, drawn)
        return save(figure, path)


def _draw_line(axes: Axes, line: Line, place: int) -> list[Artist]:
    """Draw the marks of a line with their bars; `place` is its number among all names."""
    colour, shape = MARKS[place % len(MARKS)]
    stroke = STYLES[place // len(MARKS) % len(STYLES)]
    numbers, values = [point.number for point in line.points], [point.value for point in line.points]
    lows, highs = [point.low for point in line.points], [point.high for point in line.points]
    bars = axes.vlines(numbers, lows, highs, color=colour, linewidth=1.2, alpha=0.5)
    (curve,) = axes.plot(
        numbers,
        values,
        color=colour,
        linestyle=stroke,
        linewidth=1.4,
        marker=shape,
        markersize=7,
        markeredgecolor="white",
        zorder=3,
        label=line.name,
    )
    return [curve, bars]


def _scale(axes: Axes, points: Sequence[Point]) -> None:
    """Set a logarithmic axis whose ticks are the numbers themselves."""
    axes.set_xscale("log")
    for is_all in (False, True):  # the tick of all speakers reads lower: the number before may be close
        ticks = {point.number: point.label for point in points if point.is_all is is_all}
        axes.set_xticks(sorted(ticks), [ticks[number] for number in sorted(ticks)], minor=is_all)
    axes.tick_params(axis="x", which="minor", length=3.5, width=0.8, pad=BELOW)
    low, high = min(point.number for point in points), max(point.number for point in points)
    room = (high / low) ** 0.12 if high > low else 1.5  # beside the outer marks, which stand side by side
    axes.set_xlim(low / room, high * room)
    axes.set_xlabel("speakers")
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
