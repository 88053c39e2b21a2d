"""Spectrum of the microphone."""

from __future__ import annotations

from affetto.audio.distortions import tilted
from affetto.evaluation.stress.perturbation import Perturbation

TILT = Perturbation(
    name="tilt",
    family="spectrum",
    title="tilted spectrum",
    levels=(3.0, -3.0),
    unit="dB per octave",
    neutral=0.0,
    may_alter=False,
    apply=lambda samples, octave_db, _: tilted(samples, octave_db),
    order=70,
)
