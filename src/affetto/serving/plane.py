"""Picture of the plane of valence and arousal: a point with its interval, or a path over time; SVG without script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise

from affetto.targets.plane import PLANE
from affetto.targets.target import Scale

SIDE, MARGIN, EDGE = 240, 34, 8
"""Length of the plane's sides, room for words beside and below it, and room above it, in units of the picture."""
Point = tuple[float, float]
"""Valence and arousal."""


def plane(
    scales: Mapping[str, Scale],
    values: Mapping[str, float],
    intervals: Mapping[str, Sequence[float]],
    path: Sequence[Point],
    words: Mapping[str, str],
) -> str:
    """Draw the values of a recording with their intervals, and the path of its segments in the order of time.

    `scales`: range of each dimension; `words`: names of dimensions in the page's language. A path of fewer than two
    points is left out.
    """
    names = [words.get(name, name) for name in PLANE]
    description = ", ".join(f"{word} {values[name]:.2f}" for name, word in zip(PLANE, names, strict=True))
    parts = [_frame(scales, names)]
    if all(name in intervals for name in PLANE):
        parts.append(_box(scales, [intervals[name] for name in PLANE]))
    if len(path) > 1:
        parts.append(_path(scales, path))
    x, y = _position(scales, (values[PLANE[0]], values[PLANE[1]]))
    parts.append(f'<circle class="affetto-point" cx="{x:.1f}" cy="{y:.1f}" r="7"/>')
    view = f"0 {MARGIN - EDGE} {SIDE + 2 * MARGIN} {SIDE + EDGE + MARGIN}"
    return (
        f'<svg class="affetto-picture affetto-plane" viewBox="{view}" role="img" '
        f'aria-label="{escape(description)}">{"".join(parts)}</svg>'
    )


def _position(scales: Mapping[str, Scale], point: Point) -> Point:
    """Coordinates in the picture of a point, which stays within the plane."""
    shares = [
        min(1.0, max(0.0, (value - scales[name].low) / (scales[name].high - scales[name].low)))
        for name, value in zip(PLANE, point, strict=True)
    ]
    return MARGIN + SIDE * shares[0], MARGIN + SIDE * (1 - shares[1])


def _frame(scales: Mapping[str, Scale], words: Sequence[str]) -> str:
    """The plane's border, its middle lines, the names of its axes and the ends of their ranges."""
    middle, end = MARGIN + SIDE / 2, MARGIN + SIDE
    across, up = (scales[name] for name in PLANE)
    below, beside = end + 16, MARGIN - 10
    turned = f"rotate(-90 {beside} {middle})"
    return (
        f'<g class="affetto-frame"><rect x="{MARGIN}" y="{MARGIN}" width="{SIDE}" height="{SIDE}" rx="4"/>'
        f'<path d="M{MARGIN} {middle}H{end}M{middle} {MARGIN}V{end}"/></g><g class="affetto-words">'
        f'<text x="{MARGIN}" y="{below}">{across.low:g}</text>'
        f'<text x="{middle}" y="{below}" text-anchor="middle">{escape(words[0])}</text>'
        f'<text x="{end}" y="{below}" text-anchor="end">{across.high:g}</text>'
        f'<text x="{beside + 4}" y="{end}" text-anchor="end">{up.low:g}</text>'
        f'<text x="{beside}" y="{middle}" text-anchor="middle" transform="{turned}">{escape(words[1])}</text>'
        f'<text x="{beside + 4}" y="{MARGIN + 10}" text-anchor="end">{up.high:g}</text></g>'
    )


def _box(scales: Mapping[str, Scale], intervals: Sequence[Sequence[float]]) -> str:
    (low, high), (bottom_value, top_value) = intervals
    (x, bottom), (end, top) = _position(scales, (low, bottom_value)), _position(scales, (high, top_value))
    return (
        f'<rect class="affetto-interval" x="{x:.1f}" y="{top:.1f}" width="{end - x:.1f}" height="{bottom - top:.1f}"/>'
    )


def _path(scales: Mapping[str, Scale], path: Sequence[Point]) -> str:
    """Lines from segment to segment, stronger with time, and an open circle where they begin."""
    places = [_position(scales, point) for point in path]
    lines = "".join(
        f'<line x1="{a[0]:.1f}" y1="{a[1]:.1f}" x2="{b[0]:.1f}" y2="{b[1]:.1f}" '
        f'opacity="{0.3 + 0.6 * number / max(1, len(places) - 2):.2f}"/>'
        for number, (a, b) in enumerate(pairwise(places))
    )
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in places[1:-1])
    (first, last) = places[0], places[-1]
    return (
        f'<g class="affetto-path">{lines}{dots}'
        f'<circle class="affetto-begin" cx="{first[0]:.1f}" cy="{first[1]:.1f}" r="4.5"/>'
        f'<circle class="affetto-end" cx="{last[0]:.1f}" cy="{last[1]:.1f}" r="4.5"/></g>'
    )
