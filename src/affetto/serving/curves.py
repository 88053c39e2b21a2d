"""Picture of dimensions over the time of a recording: a curve each, level within a segment; SVG without script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from affetto.targets.target import Scale

if TYPE_CHECKING:
    from affetto.inference.timeline import Segment

WIDTH, HEIGHT, EDGE = 600, 60, 4


def curves(seconds: float, segments: Sequence[Segment], scales: Mapping[str, Scale], words: Mapping[str, str]) -> str:
    """Draw a curve for each dimension, as wide as the waveform; `seconds` is the length of the recording."""
    return "".join(
        _curve(words.get(name, name), seconds, [(s.start, s.end, s.dimensions[name]) for s in segments], scale)
        for name, scale in scales.items()
    )


def _curve(word: str, seconds: float, levels: Sequence[tuple[float, float, float]], scale: Scale) -> str:
    """The curve of levels (start, end, value); it is broken where nobody speaks."""

    def height(value: float) -> float:
        share = min(1.0, max(0.0, (value - scale.low) / (scale.high - scale.low)))
        return EDGE + (HEIGHT - 2 * EDGE) * (1 - share)

    steps, before = [], None
    for start, end, value in levels:
        x, to = WIDTH * start / seconds, WIDTH * end / seconds
        steps.append(f"{'L' if start == before else 'M'}{x:.1f} {height(value):.1f}H{to:.1f}")
        before = end
    description = "; ".join(f"{start:.1f}–{end:.1f} s {value:.2f}" for start, end, value in levels)
    return (
        '<div class="affetto-picture affetto-timeline affetto-curve">'
        f'<div class="affetto-times"><span>{escape(word)}</span>'
        f"<span>{scale.low:g} … {scale.high:g}</span></div>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(f"{word}: {description}")}"><path class="affetto-middle" d="M0 {HEIGHT / 2:g}H{WIDTH}"/>'
        f'<path class="affetto-line" d="{"".join(steps)}"/></svg></div>'
    )
