"""Any audio file to what every model here takes: mono float32 at 16 kHz.

soundfile decodes (wav, flac, ogg, mp3, aiff, …), PyAV what comes in other containers (`containers.py`), channels are
averaged, soxr resamples at its high quality. Nothing is normalised here: that belongs to each backbone's own
preprocessing. A recording is heard to its end, or refused: what a header says of its length is compared with what the
file holds (`joins.py`).
"""

from affetto.audio.files import content_digest, decode, duration, load, stream
from affetto.audio.problems import AudioError, Cancelled, TooLongError, UnknownFormatError
from affetto.audio.recording import Recording, blocks, is_short, section, short_of, shortfall
from affetto.audio.samples import (
    RATE_HZ,
    SHORTEST_SECONDS,
    TOLERATED_SECONDS,
    at_16k,
    crop,
    joined,
    to_mono_16k,
)

VERSION = 2
"""Raised when the same file gives other samples: what is computed from samples and stored is addressed by it."""

__all__ = [
    "RATE_HZ",
    "SHORTEST_SECONDS",
    "TOLERATED_SECONDS",
    "VERSION",
    "AudioError",
    "Cancelled",
    "Recording",
    "TooLongError",
    "UnknownFormatError",
    "at_16k",
    "blocks",
    "content_digest",
    "crop",
    "decode",
    "duration",
    "is_short",
    "joined",
    "load",
    "section",
    "short_of",
    "shortfall",
    "stream",
    "to_mono_16k",
]
