"""Audio files as all models take them: mono float32 at 16 kHz.

soundfile decodes wav, flac, ogg, mp3, aiff and more, PyAV other containers (`containers.py`); channels are averaged,
soxr resamples at its high quality. Nothing is normalised here: that belongs to each backbone's preprocessing. A
recording is decoded to its end, or refused: the length in its header is compared with the file's content (`joins.py`).
"""

from affetto.audio.files import (
    arriving,
    content_digest,
    decode,
    duration,
    is_container,
    load,
    open_recording,
    refuse_pointer,
    stream,
)
from affetto.audio.problems import (
    AudioError,
    BrokenOffError,
    Cancelled,
    TooLongError,
    UndecodableError,
    UnknownFormatError,
    too_long,
)
from affetto.audio.recording import Recording
from affetto.audio.samples import (
    RATE_HZ,
    SHORTEST_SECONDS,
    TOLERATED_SECONDS,
    at_16k,
    crop,
    joined,
    resampled,
    to_mono_16k,
)

VERSION = 2
"""Raised when the same file gives other samples; stored results of samples are addressed by it."""

__all__ = [
    "RATE_HZ",
    "SHORTEST_SECONDS",
    "TOLERATED_SECONDS",
    "VERSION",
    "AudioError",
    "BrokenOffError",
    "Cancelled",
    "Recording",
    "TooLongError",
    "UndecodableError",
    "UnknownFormatError",
    "arriving",
    "at_16k",
    "content_digest",
    "crop",
    "decode",
    "duration",
    "is_container",
    "joined",
    "load",
    "open_recording",
    "refuse_pointer",
    "resampled",
    "stream",
    "to_mono_16k",
    "too_long",
]
