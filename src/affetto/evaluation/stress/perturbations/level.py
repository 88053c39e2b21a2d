"""Level of the recording."""

from __future__ import annotations

from affetto.audio.distortions import amplified, clipped
from affetto.evaluation.stress.perturbation import Perturbation

GAIN = Perturbation(
    name="gain",
    family="level",
    title="another gain of the microphone",
    levels=(10.0, -20.0),
    unit="dB",
    neutral=0.0,
    may_alter=False,
    apply=lambda samples, gain_db, _: amplified(samples, gain_db),
    order=20,
)
CLIPPING = Perturbation(
    name="clipping",
    family="level",
    title="the loudest samples cut at one level",
    levels=(1.0, 10.0),
    unit="% of samples",
    neutral=0.0,
    may_alter=True,
    apply=lambda samples, percent, _: clipped(samples, percent / 100),
    order=21,
)
