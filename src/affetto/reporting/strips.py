"""Per-speaker strip plots: with whom each configuration does well, and with whom none does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from affetto.errors import UserError
from affetto.reporting.render.canvas import BLUE, GREY, INK, VERMILLION, framed, legend_above, save, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKS = (
    (INK, "s"),
    (BLUE, "o"),
    (VERMILLION, "^"),
    ("#009E73", "D"),
    ("#CC79A7", "v"),
    ("#E69F00", "P"),
    ("#56B4E9", "X"),
    (GREY, "*"),
)
"""Colours of Okabe and Ito, each with a shape of its own."""
MOST_ROWS = 12
SPREAD = 0.3
"""The largest distance of a mark from its speaker's line, in lines."""
MOST_MARKS = len(MARKS)

Scores = Mapping[str, Mapping[str, float]]
"""{configuration: {speaker: score as a fraction}}."""


def speaker_strips(scores: Scores, path: str | Path, title: str, chance: float | None = None, stamp: str = "") -> Path:
    """UAR of each test speaker: a row a speaker where they are few, else a strip of dots a configuration."""
    speakers = list(dict.fromkeys(speaker for of_each in scores.values() for speaker in of_each))
    if not speakers:
        raise UserError("no speakers to draw: give at least one.")
    rows = len(speakers) <= MOST_ROWS and len(scores) <= MOST_MARKS
    words = (
        "Each mark: a configuration's UAR within that speaker, mean over seeds; speakers from easy to hard."
        if rows
        else "Each dot: UAR within one test speaker, mean over seeds. Bar: the median; box: the middle half."
    )
    with style():
        lines = len(speakers) if rows else len(scores)
        height = 0.9 + (0.34 if rows else 0.46) * lines
        figure = framed(8.2, height, title, words, stamp)
        axes = figure.add_subplot()
        (_by_speaker if rows else _by_configuration)(axes, scores, speakers)
        if chance is not None:
            axes.axvline(100 * chance, color=INK, linestyle="--", linewidth=1, label="chance", zorder=1)
        axes.set(ylim=(lines - 0.5, -0.5), xlim=(0, 102), xlabel="UAR (×100)")
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color="#E5E5E5", linewidth=0.8)
        axes.set_axisbelow(True)
        legend_above(figure, [axes])
        return save(figure, path)


def _by_speaker(axes: Axes, scores: Scores, speakers: list[str]) -> None:
    mean = {speaker: np.mean([each[speaker] for each in scores.values() if speaker in each]) for speaker in speakers}
    order = sorted(speakers, key=lambda speaker: (-mean[speaker], speaker))
    for y, speaker in enumerate(order):
        known = [100 * each[speaker] for each in scores.values() if speaker in each]
        axes.plot([min(known), max(known)], [y, y], color="#CCCCCC", linewidth=2, zorder=1, solid_capstyle="round")
    # Side by side, so that equal scores do not hide one another.
    offsets = np.linspace(-SPREAD, SPREAD, len(scores)) if len(scores) > 1 else [0.0]
    for (name, each), (colour, mark), offset in zip(scores.items(), MARKS, offsets, strict=False):
        places = [(100 * each[speaker], y + offset) for y, speaker in enumerate(order) if speaker in each]
        axes.plot(*zip(*places, strict=True), mark, color=colour, markersize=7, markeredgecolor="white", label=name)
    axes.set_yticks(range(len(order)), order)


def _by_configuration(axes: Axes, scores: Scores, speakers: list[str]) -> None:
    for y, each in enumerate(scores.values()):
        values = 100 * np.array([each[speaker] for speaker in speakers if speaker in each])
        # The golden ratio's multiples spread the dots evenly over the strip's height, without chance.
        offsets = 0.6 * (np.arange(len(values)) * 0.6180339887 % 1 - 0.5)
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
        axes.fill_between([low, high], y - 0.36, y + 0.36, color=BLUE, alpha=0.15, linewidth=0)
        axes.scatter(values, y + offsets, s=12, color=GREY, alpha=0.6, linewidths=0, label="a speaker")
        axes.plot([middle] * 2, [y - 0.38, y + 0.38], color=BLUE, linewidth=2.5, label="median")
    axes.set_yticks(range(len(scores)), list(scores))
