"""What a point of macro F1 costs: parameters that are trained, time and memory, against the score."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affetto.errors import UserError
from affetto.reporting.render.canvas import GREY, framed, legend_above, save, style
from affetto.reporting.render.text import count_text
from affetto.reporting.results.naming import method_order
from affetto.reporting.strips import MARKS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WORDS = (
    "One mark: a configuration, mean over seeds; whiskers: {interval}. Both scales below are "
    "logarithmic. Times are of the machine that ran it: compare those of one device."
)
DASHES = ("--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)), (0, (6, 3)))


@dataclass(frozen=True)
class Point:
    """One configuration: its method and backbone, macro F1 ×100 with interval, and what it cost."""

    method: str
    backbone: str
    score: float
    low: float
    high: float
    trained: int
    seconds: float


@dataclass(frozen=True)
class Line:
    """A configuration whose cost was not measured, as that of a probe beside other runs: a score ×100 alone."""

    method: str
    backbone: str
    score: float


def cost_against_score(
    points: Sequence[Point],
    path: str | Path,
    title: str,
    stamp: str = "",
    *,
    lines: Sequence[Line] = (),
    interval: str = "95 % interval over speakers",
) -> Path:
    """Two panels: macro F1 against trained parameters, and against the time of a run.

    A colour a method; of several backbones a shape each. `interval` says what the whiskers are.
    """
    if not points:
        raise UserError("no cost to draw: give at least one configuration.")
    shown: list[Point | Line] = [*points, *lines]
    colours = _looks(method_order(dict.fromkeys(item.method for item in shown)), 0)
    backbones = list(dict.fromkeys(item.backbone for item in shown))
    words = WORDS.format(interval=interval)
    if lines:
        words += " Lines across: macro F1 of what was run beside, at a cost that was not measured."
    with style():
        figure = framed(8.2, 3.3, title, words, stamp)
        left, right = figure.subplots(1, 2, sharey=True)
        for axes, quantity, label, shown_as in (
            (left, "trained", "parameters trained", lambda value: count_text(round(value))),
            (right, "seconds", "time of a run (s)", lambda value: f"{value:,.10g}"),
        ):
            _panel(axes, points, quantity, colours, backbones)
            _across(axes, lines, backbones)
            _scales(axes, label, shown_as)
        left.set_ylabel("macro F1 (×100)")
        top = max([*(point.high for point in points), *(line.score for line in lines)])
        left.set_ylim(0, min(102, 1.08 * top))
        legend_above(figure, [left, right])
        return save(figure, path)


def _looks(names: Sequence[str], part: int) -> dict[str, str]:
    """Colours (0) or shapes (1) by name, in turn."""
    return {name: MARKS[number % len(MARKS)][part] for number, name in enumerate(names)}


def _panel(
    axes: Axes, points: Sequence[Point], quantity: str, colours: Mapping[str, str], backbones: Sequence[str]
) -> None:
    alone = len(backbones) == 1
    shapes = _looks(list(colours), 1) if alone else _looks(backbones, 1)
    for method, colour in colours.items():
        for backbone in backbones:
            of_both = [point for point in points if (point.method, point.backbone) == (method, backbone)]
            if not of_both:
                continue
            x = [getattr(point, quantity) for point in of_both]
            axes.vlines(x, [p.low for p in of_both], [p.high for p in of_both], color=colour, linewidth=1, alpha=0.35)
            mark = shapes[method if alone else backbone]
            label = method if alone else f"{method}, {backbone}"
            look: dict[str, Any] = {"markersize": 8, "markeredgecolor": "white", "zorder": 3, "label": label}
            axes.plot(x, [p.score for p in of_both], mark, color=colour, **look)


def _across(axes: Axes, lines: Sequence[Line], backbones: Sequence[str]) -> None:
    for number, line in enumerate(lines):
        label = line.method if len(backbones) == 1 else f"{line.method}, {line.backbone}"
        dashes: Any = DASHES[number % len(DASHES)]
        axes.axhline(line.score, color=GREY, linewidth=1.2, linestyle=dashes, label=label, zorder=1)


def _scales(axes: Axes, label: str, shown_as: Callable[[float], str]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 3), numticks=6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: shown_as(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(label)
    axes.grid(color="#E5E5E5", linewidth=0.8)
    axes.set_axisbelow(True)
