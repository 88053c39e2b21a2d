"""Changes of the voice itself."""

from __future__ import annotations

from affetto.audio.changes import KINDS
from affetto.evaluation.stress.perturbation import Perturbation

SPEED = Perturbation(
    name="speed",
    family="voice",
    title="played at another speed, pitch and formants with it",
    levels=(0.9, 1.1),
    unit="× speed",
    neutral=KINDS["speed"].neutral,
    may_alter=True,
    apply=lambda samples, factor, _: KINDS["speed"].apply(samples, factor),
    order=80,
)
