"""Comparison of an exported model with the trained one, on sounds like speech of several lengths and levels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from affetto.audio import RATE_HZ, SHORTEST_SECONDS
from affetto.errors import UserError
from affetto.targets.target import Target

SECONDS = (0.31, 0.97, 1.6, 2.35, 3.3, 4.0)
LEVELS = (0.01, 0.1, 0.4)
"""Levels relative to full scale, used in turn."""
FORMANTS_HZ = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410))
"""Formants of the vowels a, i, u, e, o, as Peterson & Barney (1952) measured them in men."""


@dataclass(frozen=True)
class Parity:
    """Differences between two models' values on the same clips; of dimensions, in halves of their ranges."""

    clips: int
    largest_difference: float
    mean_difference: float
    same_label: int | None
    """Clips of one most probable label; None where a target has no single label."""

    def summary(self) -> str:
        kind = "values" if self.same_label is None else "probabilities"
        text = (
            f"{kind} differ from the trained model's by at most {self.largest_difference:.2g} (mean "
            f"{self.mean_difference:.2g})"
        )
        if self.same_label is None:
            return f"{text} on {self.clips} clips"
        return f"{text}, the label is the same for {self.same_label} of {self.clips} clips"


def clips(window_seconds: float | None) -> list[np.ndarray]:
    """Synthesise vowels, hiss and pauses, (samples,) each, no longer than the window; the same on every call."""
    longest = window_seconds or max(SECONDS)
    seconds = sorted({min(s, longest) for s in (*SECONDS, max(SHORTEST_SECONDS, longest))})
    return [speech(number, s, LEVELS[number % len(LEVELS)]) for number, s in enumerate(seconds * 2)]


def compare(
    reference: Callable[[np.ndarray], np.ndarray],
    exported: Callable[[np.ndarray], np.ndarray],
    waves: Sequence[np.ndarray],
    target: Target,
) -> Parity:
    """Compare two functions from a wave (samples,) to the values of a target (outputs,)."""
    true = np.stack([reference(wave) for wave in waves]).astype(np.float64)
    actual = np.stack([exported(wave) for wave in waves]).astype(np.float64)
    apart = np.abs(true - actual) / target.output_scales
    agreeing = None
    if target.has_classes:
        labels = [values[:, : len(target.labels)].argmax(1) for values in (true, actual)]
        agreeing = int((labels[0] == labels[1]).sum())
    # A NaN must not pass as small.
    return Parity(len(waves), float(np.nan_to_num(apart, nan=1.0).max()), float(apart.mean()), agreeing)


def refuse(parity: Parity, tolerance: float, name: str) -> None:
    """Raise UserError if the models differ by more than `tolerance`."""
    if parity.largest_difference > tolerance:
        raise UserError(
            f"{name} is refused: its {parity.summary()}; allowed is {tolerance:g}. Nothing was written; report it"
        )


def speech(seed: int, seconds: float, level: float) -> np.ndarray:
    """A voice that glides in pitch through vowels, with hiss and a pause; (samples,) float32."""
    random = np.random.default_rng(seed)
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    pitch_hz = random.uniform(90, 260) * (1 + 0.2 * np.sin(2 * np.pi * random.uniform(0.3, 1.5) * times))
    phase = 2 * np.pi * np.cumsum(pitch_hz) / RATE_HZ
    vowel = random.integers(len(FORMANTS_HZ), size=1 + int(5 * seconds))[(5 * times).astype(int)]
    formants = np.array(FORMANTS_HZ, dtype=float)[vowel]  # (samples, 3)
    wave = np.zeros(len(times))
    for harmonic in range(1, 25):
        near = np.exp(-(((harmonic * pitch_hz)[:, None] - formants) ** 2) / (2 * 150.0**2)).sum(1) + 0.02
        wave += near * np.sin(harmonic * phase) / harmonic**0.5
    syllables = np.clip(np.sin(2 * np.pi * 4 * times) + 0.6, 0, None)
    wave = wave * syllables + 0.05 * random.standard_normal(len(times))
    return (level * wave / np.abs(wave).max()).astype(np.float32)
