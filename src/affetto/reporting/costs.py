"""What a point of macro F1 costs: parameters that are trained, time and memory, against the score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affetto.errors import UserError
from affetto.reporting import tables
from affetto.reporting.canvas import framed, legend_above, save, style
from affetto.reporting.naming import METHODS
from affetto.reporting.strips import MARKS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WORDS = (
    "One mark: a configuration, mean over seeds; whiskers: the 95 % interval over speakers. Both scales below are "
    "logarithmic. Times are of the machine that ran it: compare those of one device."
)


@dataclass(frozen=True)
class Point:
    """One configuration: its method, macro F1 ×100 with interval, and what it cost."""

    method: str
    score: float
    low: float
    high: float
    trained: int
    seconds: float


def cost_against_score(points: Sequence[Point], path: str | Path, title: str, stamp: str = "") -> Path:
    """Two panels: macro F1 against trained parameters, and against the time of a run."""
    if not points:
        raise UserError("no cost to draw: give at least one configuration.")
    with style():
        figure = framed(8.2, 3.3, title, WORDS, stamp)
        left, right = figure.subplots(1, 2, sharey=True)
        _panel(left, points, "trained", "parameters trained", lambda value: tables.count(round(value)))
        _panel(right, points, "seconds", "time of a run (s)", lambda value: f"{value:,.10g}")
        left.set_ylabel("macro F1 (×100)")
        top = max(point.high for point in points)
        left.set_ylim(0, min(102, 1.08 * top))
        legend_above(figure, [left, right])
        return save(figure, path)


def _panel(axes: Axes, points: Sequence[Point], what: str, label: str, told: Callable[[float], str]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    known = list(METHODS.values())
    for number, method in enumerate(known):
        of_method = [point for point in points if point.method == method]
        if not of_method:
            continue
        colour, mark = MARKS[number]
        x = [getattr(point, what) for point in of_method]
        axes.vlines(x, [p.low for p in of_method], [p.high for p in of_method], color=colour, linewidth=1, alpha=0.35)
        look: dict[str, Any] = {"markersize": 8, "markeredgecolor": "white", "zorder": 3, "label": method}
        axes.plot(x, [p.score for p in of_method], mark, color=colour, **look)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 3), numticks=6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: told(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(label)
    axes.grid(color="#E5E5E5", linewidth=0.8)
    axes.set_axisbelow(True)
