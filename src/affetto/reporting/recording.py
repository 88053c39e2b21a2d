"""A recording over time: its waveform, and below it which emotion was heard when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from affetto.reporting.render.canvas import BLUE, GREY, framed, save, style
from affetto.reporting.render.stamps import SYNTHETIC

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BIN_SECONDS = 0.05
"""Of the waveform only the loudest sample of so long a stretch is drawn."""
PALEST = 0.25
COLUMNS = 800
"""So many stretches of time a picture tells apart: what is shorter would be narrower than a pixel, and vanish."""
BARS_SECONDS = 900.0
"""Longer recordings are drawn by columns, shorter ones with each segment as a bar."""


class Envelope:
    """The loudest sample of each stretch of BIN_SECONDS of a wave that comes in blocks: small, however long it is."""

    def __init__(self, rate_hz: int) -> None:
        self.size, self.samples, self._peaks, self._rest = round(BIN_SECONDS * rate_hz), 0, [], np.zeros(0, np.float32)
        self.rate_hz = rate_hz

    _peaks: list[np.ndarray]

    def add(self, block: np.ndarray) -> None:
        """A block (samples,) of the wave."""
        self.samples += len(block)
        wave = np.concatenate([self._rest, np.abs(block)])
        whole = len(wave) // self.size * self.size
        self._peaks.append(wave[:whole].reshape(-1, self.size).max(axis=1))
        self._rest = wave[whole:]

    @property
    def seconds(self) -> float:
        return self.samples / self.rate_hz

    @property
    def peaks(self) -> np.ndarray:
        """(stretches,), the last of which may be shorter."""
        rest = [self._rest.max(keepdims=True)] if len(self._rest) else []
        return np.concatenate([np.zeros(0, np.float32), *self._peaks, *rest])


def over_time(
    envelope: Envelope,
    segments: Sequence[Mapping[str, Any]],
    labels: Sequence[str],
    path: str | Path,
    title: str,
    synthetic: bool = False,
) -> Path:
    """Draw a recording. `segments` have `start`, `end` (seconds), `emotion` (None: not drawn) and `probabilities`."""
    minutes = envelope.seconds > 180
    scale, unit = (60, "minutes") if minutes else (1, "seconds")
    peaks, peak_seconds = _loudest(envelope.peaks, BIN_SECONDS, 4 * COLUMNS)
    by_columns = envelope.seconds > BARS_SECONDS
    words = f"Above: the loudest sample of each {peak_seconds:.3g} s. Below: "
    if by_columns:
        words += (
            f"how much of each {envelope.seconds / COLUMNS:.2g} s was heard as speech of an emotion, the darker the "
            "more and the more probable."
        )
    else:
        words += (
            "segments of speech in the row of their most probable emotion, the darker the higher its probability. No "
            "bar: nobody speaks."
        )
    named = [one for one in segments if one["emotion"] is not None]
    end = max(envelope.seconds, BIN_SECONDS) / scale
    with style():
        figure = framed(9.0, 1.2 + 0.26 * len(labels), title, words, SYNTHETIC if synthetic else "")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=[1.0, 0.26 * len(labels)])
        times = (np.arange(len(peaks)) + 0.5) * peak_seconds / scale
        above.fill_between(times, -peaks, peaks, color=GREY, linewidth=0)
        most = float(peaks.max()) if len(peaks) else 0.0
        above.set(yticks=[], ylim=(-1.05 * (most or 1), 1.05 * (most or 1)))
        above.spines["left"].set_visible(False)
        if by_columns:
            _draw_columns(below, columns(named, labels, envelope.seconds), end)
        else:
            for one in named:
                row, sure = list(labels).index(one["emotion"]), one["probabilities"][one["emotion"]]
                span = (one["start"] / scale, (one["end"] - one["start"]) / scale)
                below.broken_barh([span], (row - 0.38, 0.76), color=_shade(max(PALEST, min(1.0, sure))), linewidth=0)
        below.set_yticks(range(len(labels)), labels)
        below.set(ylim=(len(labels) - 0.5, -0.5), xlim=(0, end), xlabel=unit)
        below.grid(axis="y", color="#e5e5e5", linewidth=0.6)
        below.set_axisbelow(True)
        return save(figure, path)


def columns(segments: Sequence[Mapping[str, Any]], labels: Sequence[str], seconds: float) -> np.ndarray:
    """(labels, COLUMNS): of each stretch of time the share that was heard as an emotion, times its probability."""
    wide = seconds / COLUMNS
    shares = np.zeros((len(labels), COLUMNS))
    for one in segments:
        row, start, end = list(labels).index(one["emotion"]), one["start"] / wide, min(one["end"] / wide, COLUMNS)
        at = np.arange(int(start), min(COLUMNS, int(np.ceil(end))))
        covered = np.minimum(at + 1, end) - np.maximum(at, start)
        shares[row, at] += covered * one["probabilities"][one["emotion"]]
    return shares


def _draw_columns(axes: Axes, shares: np.ndarray, end: float) -> None:
    """A band a row, from nothing to the darkest column's share."""
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("heard", [(*_rgb(BLUE), 0.0), (*_rgb(BLUE), 1.0)])
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


def _shade(sure: float) -> tuple[float, float, float]:
    """Our blue on white, opaque, so that no line shows through."""
    red, green, blue = _rgb(BLUE)
    return 1 - sure * (1 - red), 1 - sure * (1 - green), 1 - sure * (1 - blue)


def _rgb(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue


def _loudest(peaks: np.ndarray, seconds: float, most: int) -> tuple[np.ndarray, float]:
    """Peaks (stretches,) of `seconds` each → at most `most` of them, each the loudest of neighbours, and its length."""
    size = max(1, -(-len(peaks) // most))
    padded = np.pad(peaks, (0, -len(peaks) % size))
    return padded.reshape(-1, size).max(axis=1), seconds * size
