"""Time around the voice: silence before and behind it, and a later beginning."""

from __future__ import annotations

import numpy as np

from affetto.audio.samples import RATE_HZ
from affetto.evaluation.stress.perturbation import Perturbation


def _silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE_HZ), np.float32)


LEADING = Perturbation(
    name="leading-silence",
    family="time",
    title="silence before the voice",
    levels=(0.5,),
    unit="s",
    neutral=0.0,
    may_alter=False,
    apply=lambda samples, seconds, _: np.concatenate([_silence(seconds), samples]),
    order=60,
)
TRAILING = Perturbation(
    name="trailing-silence",
    family="time",
    title="silence behind the voice",
    levels=(0.5,),
    unit="s",
    neutral=0.0,
    may_alter=False,
    apply=lambda samples, seconds, _: np.concatenate([samples, _silence(seconds)]),
    order=61,
)
SHIFT = Perturbation(
    name="shift",
    family="time",
    title="the first milliseconds missing",
    levels=(10.0,),
    unit="ms",
    neutral=0.0,
    may_alter=False,
    apply=lambda samples, ms, _: samples[round(ms * RATE_HZ / 1000) :],
    order=62,
)
