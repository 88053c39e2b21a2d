"""Noise behind the voice, at a signal-to-noise ratio."""

from __future__ import annotations

import numpy as np

from affetto.audio.channels import with_noise
from affetto.evaluation.stress.perturbation import Perturbation, Scene, Surroundings

LEVELS_DB = (20.0, 10.0, 0.0)
FAMILY, UNIT = "noise", "dB SNR"


def _white(samples: np.ndarray, snr_db: float, around: Surroundings) -> np.ndarray:
    return with_noise(samples, around.random.standard_normal(len(samples)), snr_db)


def _babble(samples: np.ndarray, snr_db: float, around: Surroundings) -> np.ndarray:
    return with_noise(samples, around.babble(len(samples)), snr_db)


def _recorded(samples: np.ndarray, snr_db: float, around: Surroundings) -> np.ndarray:
    assert around.noise is not None
    return with_noise(samples, around.noise.draw(len(samples), around.random), snr_db)


def _lacks_talkers(scene: Scene) -> str:
    return "" if scene.speakers > 1 else "the corpus has no other speaker to talk behind the voice"


def _lacks_recordings(scene: Scene) -> str:
    return "" if scene.noise is not None else "no folder of recorded noise was given: --noise FOLDER"


WHITE = Perturbation(
    name="white",
    family=FAMILY,
    title="white noise",
    levels=LEVELS_DB,
    unit=UNIT,
    may_alter=True,
    apply=_white,
    order=10,
)
BABBLE = Perturbation(
    name="babble",
    family=FAMILY,
    title="other speakers of the corpus at once",
    levels=LEVELS_DB,
    unit=UNIT,
    may_alter=True,
    apply=_babble,
    missing=_lacks_talkers,
    order=11,
)
RECORDED = Perturbation(
    name="recorded",
    family=FAMILY,
    title="recorded noise of a folder",
    levels=LEVELS_DB,
    unit=UNIT,
    may_alter=True,
    apply=_recorded,
    missing=_lacks_recordings,
    order=12,
)
