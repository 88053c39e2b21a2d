"""Lossy compression of a wave: encoded and decoded again in memory by libsndfile, at its nearest bit rate."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import soundfile

from affetto.audio.samples import RATE_HZ

MP3_DELAY = 1105
"""Samples in front of a decoded MP3 that its encoder (576) and decoder (529) add. A decoder removes them where the file
has a header for it, which files of low bit rates have no room for."""


@dataclass(frozen=True)
class Codec:
    """A lossy codec as libsndfile has it at 16 kHz."""

    format: str
    subtype: str
    lowest_kbps: float
    highest_kbps: float
    bitrate_mode: str | None
    """Mode of soundfile; None: the codec's own, a variable rate."""

    @property
    def is_available(self) -> bool:
        """True if the installed libsndfile has the codec."""
        return self.format in soundfile.available_formats() and self.subtype in soundfile.available_subtypes(
            self.format
        )

    def through(self, samples: np.ndarray, kbps: float) -> np.ndarray:
        """The wave (samples,) at 16 kHz after the codec, as long as before and not delayed."""
        level = (self.highest_kbps - kbps) / (self.highest_kbps - self.lowest_kbps)
        with io.BytesIO() as file:
            soundfile.write(
                file,
                samples,
                RATE_HZ,
                format=self.format,
                subtype=self.subtype,
                compression_level=level,
                bitrate_mode=self.bitrate_mode,
            )
            file.seek(0)
            decoded, _ = soundfile.read(file, dtype="float32")
        begin = MP3_DELAY if len(decoded) >= len(samples) + MP3_DELAY else 0
        wave = decoded[begin : begin + len(samples)]
        return np.pad(wave, (0, len(samples) - len(wave)))


MP3 = Codec("MP3", "MPEG_LAYER_III", lowest_kbps=8, highest_kbps=160, bitrate_mode="CONSTANT")
OPUS = Codec("OGG", "OPUS", lowest_kbps=6, highest_kbps=256, bitrate_mode=None)


def version() -> str:
    """Version of the library, on which the decoded samples depend."""
    return str(soundfile.__libsndfile_version__)
