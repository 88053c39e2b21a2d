"""Changes of the waves of training clips, drawn anew in every epoch.

Every draw is a pure function of seed, epoch and clip, so that a resumed run draws the same. All settings but speed and
white noise have draws of their own: what is drawn for one does not depend on whether another is on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from affetto.audio.changes import KINDS
from affetto.audio.channels import impulse_response, in_room, over_telephone, with_noise
from affetto.audio.warping import speed
from affetto.training.augment import chance
from affetto.training.augment_settings import AugmentSettings
from affetto.training.noise import Noise

NOISE_RANGE_DB = 20.0
"""Width of the range from which a signal-to-noise ratio is drawn, above the lowest."""
DIRECT_DB = (0.0, 15.0)
"""Range from which the level of the direct sound above a room's echo is drawn."""
VOICE = ("tempo", "pitch", "tract")
"""Settings that are the largest change of the kind of their name (`affetto.audio.changes.KINDS`)."""


@dataclass(frozen=True)
class Waves:
    """Maker of changed waves in one epoch of a fit."""

    augment: AugmentSettings
    noise: Noise | None
    """Recordings of noise; None: white noise."""
    seed: int
    epoch: int

    def change(self, clip_id: str, samples: np.ndarray) -> np.ndarray:
        """The wave (samples,) at 16 kHz of a clip, changed: the voice, then the room, the noise and the line."""
        augment, first = self.augment, self._chance(clip_id)
        if augment.speed > 0:
            samples = speed(samples, first.uniform(1 - augment.speed, 1 + augment.speed))
        for name in VOICE:
            largest = getattr(augment, name)
            if largest > 0:
                amount = KINDS[name].neutral + self._chance(clip_id, name).uniform(-largest, largest)
                samples = KINDS[name].apply(samples, amount)
        if augment.room > 0:
            random = self._chance(clip_id, "room")
            seconds, direct_db = random.uniform(0, augment.room), random.uniform(*DIRECT_DB)
            samples = in_room(samples, impulse_response(seconds, direct_db, random))
        if augment.noise_snr_db is not None:
            samples = self._noisy(samples, augment.noise_snr_db, first, clip_id)
        if augment.codec > 0 and self._chance(clip_id, "codec").uniform() < augment.codec:
            samples = over_telephone(samples)
        return samples.astype(np.float32, copy=False)

    def _noisy(self, samples: np.ndarray, lowest_db: float, first: np.random.Generator, clip_id: str) -> np.ndarray:
        """The wave with white noise or a section of a recording, at a ratio that is drawn."""
        snr_db = lowest_db + first.uniform(0, NOISE_RANGE_DB)
        if self.noise is not None:
            return with_noise(samples, self.noise.draw(len(samples), self._chance(clip_id, "noise")), snr_db)
        power = float(np.mean(samples.astype(np.float64) ** 2))
        noise = first.standard_normal(len(samples)) * np.sqrt(power / 10 ** (snr_db / 10))
        return samples + noise.astype(np.float32)

    def _chance(self, clip_id: str, name: str = "") -> np.random.Generator:
        return chance(self.seed, self.epoch, f"{clip_id} {name}" if name else clip_id)
