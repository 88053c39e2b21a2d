"""Marks of a figure that would hide each other, moved apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from affetto.reporting.render.canvas import settle

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

REACH_POINTS = 7.0
"""Marks whose centres are nearer than this, in both directions, hide each other."""
STEP_POINTS, MOST_POINTS = 6.0, 30.0
"""Distance of two groups that are set apart, and the most between the first and the last."""


def dodge(figure: Figure, marks: Sequence[tuple[Line2D, Artist]]) -> int:
    """Move marks (each of one point, with its whisker) that hide each other apart, sideways; the number of them.

    The layout of the figure is fixed first. The values stay; only where they are drawn changes.
    """
    from matplotlib.transforms import ScaledTranslation

    settle(figure)
    moved = 0
    for group in _groups(marks, REACH_POINTS * figure.dpi / 72):
        middle = (len(group) - 1) / 2
        for place, number in enumerate(group if middle else []):
            shift = ScaledTranslation((place - middle) * REACH_POINTS / 72, 0, figure.dpi_scale_trans)
            mark, whisker = marks[number]
            assert mark.axes is not None
            for artist in (mark, whisker):
                artist.set_transform(mark.axes.transData + shift)
            moved += 1
    return moved


def set_apart(figure: Figure, groups: Sequence[Sequence[Artist]]) -> None:
    """Move groups of marks that stand at the same values apart, sideways, each as a whole; the values stay."""
    from matplotlib.transforms import ScaledTranslation

    middle = (len(groups) - 1) / 2
    step = min(STEP_POINTS, MOST_POINTS / max(1, len(groups) - 1))
    for place, artists in enumerate(groups):
        shift = ScaledTranslation((place - middle) * step / 72, 0, figure.dpi_scale_trans)
        for artist in artists:
            assert artist.axes is not None
            artist.set_transform(artist.axes.transData + shift)


def _groups(marks: Sequence[tuple[Line2D, Artist]], reach: float) -> list[list[int]]:
    """Numbers of marks that hide each other, directly or through others between them, from left to right."""
    groups: list[list[int]] = []
    positions = np.array([_position(mark) for mark, _ in marks]).reshape(len(marks), 2)
    for number in sorted(range(len(marks)), key=lambda number: tuple(positions[number])):
        near = [
            group
            for group in groups
            if any(
                marks[member][0].axes is marks[number][0].axes
                and bool((np.abs(positions[member] - positions[number]) < reach).all())
                for member in group
            )
        ]
        members = [member for group in near for member in group]
        groups = [group for group in groups if group not in near] + [[*members, number]]
    return groups


def _position(mark: Line2D) -> tuple[float, float]:
    """Centre of a mark, in dots."""
    assert mark.axes is not None
    ((x, y),) = mark.axes.transData.transform(mark.get_xydata())
    return float(x), float(y)
