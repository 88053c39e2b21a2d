"""Eight bits a sample by the two laws of ITU-T G.711, in their continuous form. Full scale is the largest sample."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

MU = 255
"""Constant of the µ-law."""
A = 87.6
"""Constant of the A-law."""
STEPS = 127
"""Steps of each sign."""


def mu_law(samples: np.ndarray) -> np.ndarray:
    """The wave (samples,) after eight bits of the µ-law, as North America and Japan have it."""
    return _quantised(
        samples,
        compress=lambda share: np.log1p(MU * share) / np.log1p(MU),
        expand=lambda level: np.expm1(level * np.log1p(MU)) / MU,
    )


def a_law(samples: np.ndarray) -> np.ndarray:
    """The wave (samples,) after eight bits of the A-law, as Europe has it."""
    span = 1 + np.log(A)
    return _quantised(
        samples,
        compress=lambda share: np.where(share < 1 / A, A * share, 1 + np.log(np.maximum(A * share, 1))) / span,
        expand=lambda level: np.where(level * span < 1, level * span, np.exp(level * span - 1)) / A,
    )


def _quantised(
    samples: np.ndarray, compress: Callable[[np.ndarray], np.ndarray], expand: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """The wave with magnitudes rounded on a curved scale; `compress` and `expand` map 0 to 1 onto 0 to 1."""
    peak = float(np.abs(samples).max(initial=0.0))
    if peak == 0:
        return samples
    levels = np.round(compress(np.abs(samples) / peak) * STEPS) / STEPS
    return np.sign(samples) * peak * expand(levels)
