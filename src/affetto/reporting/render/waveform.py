"""Figure of a recording over time: its waveform, and below it the emotion of each stretch of speech."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from affetto.reporting.render.canvas import BLUE, GREY, GRID, framed, save, style
from affetto.reporting.render.stamps import stamp

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Segment = Mapping[str, Any]
"""Stretch of speech: `start` and `end` in seconds, `emotion` (None: not drawn) and `probabilities` by emotion."""

BIN_SECONDS = 0.05
"""Length of the stretches of which only the loudest sample is kept."""
PALEST = 0.25
COLUMNS = 800
"""Number of stretches of time that a picture can show: a shorter stretch would be narrower than a pixel, and vanish."""
BARS_SECONDS = 900.0
"""Longer recordings are drawn by columns, shorter ones with each segment as a bar."""
MINUTES_FROM_SECONDS = 180.0
"""Longer recordings have an axis in minutes."""


class Envelope:
    """The loudest sample of each BIN_SECONDS of a wave that comes in blocks: small, however long the wave is."""

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz, self.samples = rate_hz, 0
        self._bin_samples = round(BIN_SECONDS * rate_hz)
        self._peaks: list[np.ndarray] = []
        self._rest = np.zeros(0, np.float32)

    def add(self, block: np.ndarray) -> None:
        """Add a block (samples,) of the wave."""
        self.samples += len(block)
        wave = np.concatenate([self._rest, np.abs(block)])
        complete = len(wave) // self._bin_samples * self._bin_samples
        self._peaks.append(wave[:complete].reshape(-1, self._bin_samples).max(axis=1))
        self._rest = wave[complete:]

    @property
    def seconds(self) -> float:
        return self.samples / self.rate_hz

    @property
    def peaks(self) -> np.ndarray:
        """Loudest samples (bins,); the last bin may be shorter."""
        rest = [self._rest.max(keepdims=True)] if len(self._rest) else []
        return np.concatenate([np.zeros(0, np.float32), *self._peaks, *rest])


def draw_waveform(
    envelope: Envelope,
    segments: Sequence[Segment],
    labels: Sequence[str],
    path: str | Path,
    title: str,
    *,
    ranges: Mapping[str, tuple[float, float]] | None = None,
    synthetic: bool = False,
) -> Path:
    """Draw a recording with its segments, a row a label, then a curve a dimension.

    `ranges`: least and largest value of each dimension of the segments. `synthetic` stamps it as synthetic speech.
    """
    scale, unit = (60, "minutes") if envelope.seconds > MINUTES_FROM_SECONDS else (1, "seconds")
    peaks, peak_seconds = _loudest(envelope.peaks, BIN_SECONDS, 4 * COLUMNS)
    is_long = envelope.seconds > BARS_SECONDS
    labelled = [segment for segment in segments if segment.get("emotion") is not None]
    ranges = ranges or {}
    bands = [0.26 * len(labels)] * bool(labels) + [0.7] * len(ranges)
    end = max(envelope.seconds, BIN_SECONDS) / scale
    caption = _caption(peak_seconds, envelope.seconds / COLUMNS if is_long else None, bool(labels), bool(ranges))
    with style():
        figure = framed(9.0, 1.2 + sum(bands), title, caption, stamp(synthetic=synthetic))
        above, *below = figure.subplots(1 + len(bands), 1, sharex=True, height_ratios=[1.0, *bands])
        times = (np.arange(len(peaks)) + 0.5) * peak_seconds / scale
        above.fill_between(times, -peaks, peaks, color=GREY, linewidth=0)
        height = 1.05 * ((float(peaks.max()) if len(peaks) else 0.0) or 1)
        above.set(yticks=[], ylim=(-height, height))
        above.spines["left"].set_visible(False)
        if labels:
            rows = below[0]
            if is_long:
                _draw_columns(rows, column_shares(labelled, labels, envelope.seconds), end)
            else:
                _draw_bars(rows, labelled, labels, scale)
            rows.set_yticks(range(len(labels)), labels)
            rows.set(ylim=(len(labels) - 0.5, -0.5))
        for axes, (name, ends) in zip(below[bool(labels) :], ranges.items(), strict=True):
            _draw_curve(axes, segments, name, ends, scale)
        for axes in below:
            axes.grid(axis="y", color=GRID, linewidth=0.6)
            axes.set_axisbelow(True)
        below[-1].set(xlim=(0, end), xlabel=unit)
        return save(figure, path)


def column_shares(segments: Sequence[Segment], labels: Sequence[str], seconds: float) -> np.ndarray:
    """Share of each stretch of time that has an emotion, times its probability: (labels, COLUMNS)."""
    width = seconds / COLUMNS
    shares = np.zeros((len(labels), COLUMNS))
    for segment in segments:
        row, start = list(labels).index(segment["emotion"]), segment["start"] / width
        end = min(segment["end"] / width, COLUMNS)
        touched = np.arange(int(start), min(COLUMNS, int(np.ceil(end))))
        covered = np.minimum(touched + 1, end) - np.maximum(touched, start)
        shares[row, touched] += covered * segment["probabilities"][segment["emotion"]]
    return shares


def _caption(peak_seconds: float, column_seconds: float | None, has_labels: bool, has_dimensions: bool) -> str:
    words = f"Above: the loudest sample of each {peak_seconds:.3g} s. Below: "
    curves = "the mean value of each dimension over a segment of speech, within its range; no line: nobody speaks."
    if not has_labels:
        return f"{words}{curves}"
    of_labels = _label_caption(words, column_seconds)
    return f"{of_labels} Last: {curves}" if has_dimensions else of_labels


def _label_caption(words: str, column_seconds: float | None) -> str:
    if column_seconds is None:
        return (
            f"{words}segments of speech in the row of their most probable emotion, the darker the higher its "
            "probability. No bar: nobody speaks."
        )
    return (
        f"{words}how much of each {column_seconds:.2g} s was heard as speech of an emotion, the darker the more and "
        "the more probable."
    )


def _draw_bars(axes: Axes, segments: Sequence[Segment], labels: Sequence[str], scale: float) -> None:
    for segment in segments:
        row, probability = list(labels).index(segment["emotion"]), segment["probabilities"][segment["emotion"]]
        span = (segment["start"] / scale, (segment["end"] - segment["start"]) / scale)
        colour = _shade(max(PALEST, min(1.0, probability)))
        axes.broken_barh([span], (row - 0.38, 0.76), color=colour, linewidth=0)


def _draw_curve(axes: Axes, segments: Sequence[Segment], name: str, ends: tuple[float, float], scale: float) -> None:
    """Draw the value of a dimension over each segment, joined where one begins as the other ends."""
    times: list[float] = []
    values: list[float] = []
    for segment in segments:
        if times and segment["start"] / scale > times[-1]:
            times.append(times[-1])
            values.append(float("nan"))
        times += [segment["start"] / scale, segment["end"] / scale]
        values += [segment["dimensions"][name]] * 2
    axes.plot(times, values, color=BLUE, linewidth=1.6, solid_capstyle="butt")
    axes.set(ylim=ends, yticks=[ends[0], (ends[0] + ends[1]) / 2, ends[1]], ylabel=name)


def _draw_columns(axes: Axes, shares: np.ndarray, end: float) -> None:
    """Draw a band a row, from nothing to the darkest column's share."""
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("shares", [(*_rgb(BLUE), 0.0), (*_rgb(BLUE), 1.0)])
    for row, band in enumerate(shares):
        axes.imshow(
            band[None],
            cmap=colours,
            vmin=0,
            vmax=float(shares.max()) or 1.0,
            aspect="auto",
            interpolation="none",
            extent=(0, end, row + 0.38, row - 0.38),
        )


def _shade(strength: float) -> tuple[float, float, float]:
    """Blue on white, opaque, so that no line shows through."""
    red, green, blue = _rgb(BLUE)
    return 1 - strength * (1 - red), 1 - strength * (1 - green), 1 - strength * (1 - blue)


def _rgb(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    return red, green, blue


def _loudest(peaks: np.ndarray, seconds: float, most: int) -> tuple[np.ndarray, float]:
    """At most `most` of the peaks (bins,) of `seconds` each, the loudest of neighbours, and the seconds of each."""
    size = max(1, -(-len(peaks) // most))
    padded = np.pad(peaks, (0, -len(peaks) % size))
    return padded.reshape(-1, size).max(axis=1), seconds * size
