"""Figures of errors: how many systems get a clip right, and the raters beside the system's probability."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from affetto.errors import UserError
from affetto.measures.confusion import Floats
from affetto.reporting.render.canvas import BLUE, GREY, GRID, VERMILLION, framed, legend_above, save, style
from affetto.reporting.render.picture import Picture
from affetto.reporting.stats.answers import answers, count_by_systems, truth_shares
from affetto.reporting.stats.systems import System

MOST_TICKS = 12
JITTER = 0.018
"""Largest distance of a clip from its share of raters, so that clips of one share do not hide one another."""


def agreement_picture(systems: Sequence[System], name: str, heading: str, stamp: str) -> Picture:
    """Figure of how many systems get a clip right."""
    counts = count_by_systems(answers(systems), len(systems))
    title = f"How many of {len(systems)} systems get a clip right: {heading}"
    words = f"All of them {counts[-1]:,} clips, none of them {counts[0]:,}, of {sum(counts):,}."
    return Picture(
        name=f"errors-{name}",
        title=title,
        alt=f"{title}. {words}",
        draw=partial(draw_agreement, counts, title=title, stamp=stamp),
    )


def rater_picture(system: System, name: str, heading: str, stamp: str) -> Picture:
    """Figure of one system's probability of the truth against the share of raters who named it."""
    rated = system.select([bool(ratings) for ratings in system.ratings])
    people, probability = truth_shares(rated)
    title = f"Raters beside the system, clip by clip: {heading}"
    return Picture(
        name=f"errors-raters-{name}",
        title=title,
        alt=f"{title}. The table of clips beside human raters has the correlation.",
        draw=partial(draw_beside_raters, people, probability, title=title, stamp=stamp),
    )


def draw_agreement(counts: Sequence[int], path: str | Path, title: str, stamp: str = "") -> Path:
    """Draw the number of clips that 0, 1, … all systems get right. Raises UserError where there is no clip."""
    if not sum(counts):
        raise UserError("no clips to draw: give at least one.")
    caption = (
        "A bar: the clips that so many systems get right, where a system of several seeds counts in part. At the left "
        "end no seed of any system is right, at the right end every seed."
    )
    with style():
        figure = framed(7.2, 2.6, title, caption, stamp)
        axes = figure.add_subplot()
        colours = [VERMILLION, *[GREY] * (len(counts) - 2), BLUE]
        axes.bar(range(len(counts)), counts, color=colours, width=0.8)
        if len(counts) <= MOST_TICKS:
            for systems, count in enumerate(counts):
                axes.text(systems, count, f"{count:,}", ha="center", va="bottom", fontsize=8)
        step = max(1, (len(counts) - 1) // MOST_TICKS + (len(counts) > MOST_TICKS))
        axes.set(xlabel="systems that are right", ylabel="clips", xticks=range(0, len(counts), step))
        axes.set_ylim(0, 1.15 * max(counts))
        axes.grid(axis="y", color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        return save(figure, path)


def draw_beside_raters(people: Floats, probability: Floats, path: str | Path, title: str, stamp: str = "") -> Path:
    """Draw each clip's probability of the truth against the share of raters who named it, both (clips,).

    Raises UserError where there is no clip.
    """
    if not len(people):
        raise UserError("no clips to draw: give at least one.")
    caption = (
        "A dot: a rated clip; across, the share of raters who named the intended emotion (spread a little); up, the "
        "system's probability of it, mean over seeds. Line: mean of the clips with that share."
    )
    # Multiples of the golden ratio spread the dots evenly, without chance.
    offsets = JITTER * (2 * (np.arange(len(people)) * 0.6180339887 % 1) - 1)
    shares = np.unique(people.round(2))
    means = [100 * probability[people.round(2) == share].mean() for share in shares]
    with style():
        figure = framed(5.2, 3.6, title, caption, stamp)
        axes = figure.add_subplot()
        fade = 0.5 if len(people) <= 1000 else 0.15
        axes.scatter(
            100 * (people + offsets), 100 * probability, s=8, color=BLUE, alpha=fade, linewidths=0, label="a clip"
        )
        axes.plot(100 * shares, means, "o-", color=VERMILLION, markersize=5, markeredgecolor="white", label="mean")
        axes.set(
            xlim=(-3, 103), ylim=(0, 102), xlabel="raters who are right (%)", ylabel="probability of the truth (%)"
        )
        axes.grid(color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        legend_above(figure, [axes])
        return save(figure, path)
