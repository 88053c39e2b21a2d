"""Picture of a recording's waveform with its emotions over time: SVG within HTML, no script, nothing fetched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from affetto.inference.timeline import Segment

COLUMNS, HEIGHT = 600, 100
SILENCE = "#c8c8c8"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999999", "#000000")
"""Okabe and Ito (2008): told apart by colour-blind people too."""


def timeline(
    wave: np.ndarray, rate_hz: int, segments: Sequence[Segment], labels: Sequence[str], words: Mapping[str, str]
) -> str:
    """Draw the wave (samples,) in columns, each in the colour of its segment's emotion, with a legend and times.

    Without `labels`, speech has one colour.
    """
    seconds = len(wave) / rate_hz
    colours = {label: COLOURS[n % len(COLOURS)] for n, label in enumerate(labels)}
    heights = _heights(wave)
    middles = (np.arange(len(heights)) + 0.5) / len(heights) * seconds
    bars = "".join(
        f'<rect x="{n}" y="{(HEIGHT - height) / 2:.1f}" width="0.8" height="{height:.1f}" '
        f'fill="{_colour(middle, segments, colours)}"/>'
        for n, (height, middle) in enumerate(zip(heights, middles, strict=True))
    )
    emotions = [segment.emotion for segment in segments if segment.emotion]
    legend = "".join(
        f'<span class="affetto-key"><i style="background:{colours[label]}"></i>{escape(words.get(label, label))}</span>'
        for label in labels
        if label in emotions
    )
    description = "; ".join(
        f"{s.start:.1f}–{s.end:.1f} s {_word(s, words) if labels else ''}".strip() for s in segments
    )
    return (
        f'<div class="affetto-timeline"><svg viewBox="0 0 {len(heights)} {HEIGHT}" preserveAspectRatio="none" '
        f'role="img" aria-label="{escape(description)}">{bars}</svg>'
        f'<div class="affetto-times"><span>0 s</span><span>{seconds:.1f} s</span></div><div>{legend}</div></div>'
    )


def _heights(wave: np.ndarray) -> np.ndarray:
    """The loudest sample of each column, from 1 to the full height."""
    columns = min(COLUMNS, len(wave))
    loudest = np.array([np.abs(part).max() for part in np.array_split(wave, columns)])
    return 1 + (HEIGHT - 1) * loudest / max(float(loudest.max()), 1e-9)


def _word(segment: Segment, words: Mapping[str, str]) -> str:
    return words.get(segment.emotion or "", segment.emotion or "?")


def _colour(seconds: float, segments: Sequence[Segment], colours: Mapping[str, str]) -> str:
    segment = next((s for s in segments if s.start <= seconds < s.end), None)
    if segment is None:
        return SILENCE
    if not colours:
        return COLOURS[0]
    return colours[segment.emotion] if segment.emotion else SILENCE
