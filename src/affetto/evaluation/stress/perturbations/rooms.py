"""Rooms around the speaker."""

from __future__ import annotations

import numpy as np

from affetto.audio.channels import impulse_response, in_room
from affetto.evaluation.stress.perturbation import Perturbation, Surroundings

DIRECT_DB = 0.0
"""Level of the direct sound above that of the whole echo: a speaker some metres from the microphone."""


def _in_room(samples: np.ndarray, seconds: float, around: Surroundings) -> np.ndarray:
    return in_room(samples, impulse_response(seconds, DIRECT_DB, around.random))


ROOM = Perturbation(
    name="room",
    family="room",
    title="reverberation of a synthetic room",
    levels=(0.3, 0.9),
    unit="s",
    neutral=0.0,
    may_alter=True,
    apply=_in_room,
    order=50,
)
