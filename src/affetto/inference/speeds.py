"""Test-time augmentation: the answers to a window and to copies of it at other speeds, averaged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from affetto import audio
from affetto.audio import warping
from affetto.audio.changes import KINDS
from affetto.errors import UserError
from affetto.inference.flow import Begin, Rows

SPEED = KINDS["speed"]
MOST = 16
"""Copies of a window, at most."""


def parse_speeds(text: str | None) -> tuple[float, ...]:
    """Parse the value of --tta, as `0.9,1.1`; none where it is not given. Raises UserError."""
    if text is None:
        return ()
    try:
        return check_speeds([float(part) for part in text.split(",")])
    except ValueError:
        raise UserError(f"--tta {text!r}: write speeds with commas between, such as 0.9,1.1") from None


def check_speeds(speeds: Sequence[float]) -> tuple[float, ...]:
    """The speeds of copies. Raises UserError for one that no speech has, that is the clip's own, or that is double."""
    for n, speed in enumerate(speeds):
        if not SPEED.lowest <= speed <= SPEED.highest:
            raise UserError(f"--tta {speed:g}: give speeds from {SPEED.lowest:g} to {SPEED.highest:g}")
        if speed == SPEED.neutral or speed in speeds[:n]:
            raise UserError(f"--tta {speed:g} is counted already; the clip itself always is: leave it out")
    if len(speeds) > MOST:
        raise UserError(f"--tta with {len(speeds)} speeds: give {MOST} at most")
    return tuple(speeds)


def averaged(begin: Begin, speeds: Sequence[float], window_seconds: float | None) -> Begin:
    """Make a `Begin` of another one that answers for each window by the mean over it and its copies."""
    longest = None if window_seconds is None else round(window_seconds * audio.RATE_HZ)

    def begin_all(waves: Sequence[np.ndarray]) -> Rows:
        begun = [begin(waves), *(begin([at_speed(wave, speed)[:longest] for wave in waves]) for speed in speeds)]
        return lambda: np.mean([rows() for rows in begun], axis=0)

    return begin_all


def at_speed(wave: np.ndarray, speed: float) -> np.ndarray:
    """A wave (samples,) at 16 kHz played `speed` times as fast, its pitch too; one that would be too short stays."""
    if len(wave) < speed * audio.SHORTEST_SECONDS * audio.RATE_HZ:
        return wave
    return warping.speed(wave, speed)
