"""Reliability curves: how often a system is right, by how sure it says it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from affetto.errors import UserError
from affetto.reporting.calibration import Calibration
from affetto.reporting.render.canvas import BLUE, GREY, INK, VERMILLION, framed, legend_above, save, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ACROSS = 4
WORDS = (
    "On the diagonal the probabilities mean what they say; below it the system is surer than it should be. The area "
    "of a dot: its share of the clips, of all seeds together. ECE: expected calibration error over 15 bins."
)


def reliability_curves(found: Mapping[str, Calibration], path: str | Path, title: str, stamp: str = "") -> Path:
    """A panel a configuration: accuracy against confidence, dots by how many clips a bin holds."""
    if not found:
        raise UserError("no reliability to draw: give at least one configuration.")
    columns = min(ACROSS, len(found))
    rows = -(-len(found) // columns)
    with style():
        figure = framed(max(5.2, 2.3 * columns + 0.5), 2.5 * rows + 0.4, title, WORDS, stamp)
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axes in panels.flat[len(found) :]:
            axes.set_visible(False)
        for axes, (name, one) in zip(panels.flat, found.items(), strict=False):
            _panel(axes, name, one)
        for axes in panels[:, 0]:
            axes.set_ylabel("right (%)")
        for axes in panels.flat[max(0, len(found) - columns) : len(found)]:
            axes.set_xlabel("confidence (%)")
            axes.tick_params(labelbottom=True)
        legend_above(figure, panels.flat)
        return save(figure, path)


def _panel(axes: Axes, name: str, one: Calibration) -> None:
    used = [each for each in one.bins if each.clips]
    total = sum(each.clips for each in used)
    x = np.array([100 * (each.confidence or 0.0) for each in used])
    y = np.array([100 * (each.accuracy or 0.0) for each in used])
    size = np.array([10 + 500 * each.clips / total for each in used])
    axes.plot([0, 100], [0, 100], "--", color=INK, linewidth=1, label="calibrated")
    axes.vlines(x, np.minimum(x, y), np.maximum(x, y), color=VERMILLION, linewidth=1, alpha=0.6, label="gap")
    axes.plot(x, y, color=BLUE, linewidth=1.2, zorder=3)
    axes.scatter(x, y, s=size, color=BLUE, alpha=0.75, edgecolors="white", linewidths=0.6, zorder=4)
    axes.set(xlim=(0, 102), ylim=(0, 102), aspect="equal")
    axes.set_title(name, fontsize=9)
    axes.text(4, 96, f"ECE {100 * one.ece:.1f}", va="top", fontsize=8, color=GREY)
