"""A folder of recorded noise (`augment.noise_folder`), of which each clip gets a section."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from affetto import audio
from affetto.audio import RATE_HZ
from affetto.corpora.folders import audio_below
from affetto.errors import UserError

MARGIN_SECONDS = 0.1
"""Sound at the end of a file that no section takes: a header may promise a little too much."""


@dataclass(frozen=True)
class Noise:
    """Recordings of noise, in a fixed order."""

    files: tuple[Path, ...]
    seconds: tuple[float, ...]
    """Length of each recording."""
    digest: str
    """SHA-256 over the content of all recordings, by which the noise counts in a run's identity."""

    @classmethod
    def read(cls, folder: str | Path, setting: str = "augment.noise_folder") -> Noise:
        """The audio files in and below a folder, which the user gave as `setting`.

        Raises UserError where there is none, or one is unusable.
        """
        root = Path(folder).expanduser()
        if not root.is_dir():
            raise UserError(f"{setting}={folder}: no such folder; give one that has recordings of noise")
        files = tuple(Path(file) for file in audio_below(root))
        if not files:
            raise UserError(f"{setting}={folder}: no audio file in or below it; give a folder of recorded noise")
        seconds = tuple(audio.duration(file) for file in files)
        for file, length in zip(files, seconds, strict=True):
            if length < audio.SHORTEST_SECONDS:
                raise UserError(
                    f"{file}: {length:g} s of noise, at least {audio.SHORTEST_SECONDS} s are needed; "
                    f"take it out of {setting}"
                )
        content = "".join(audio.content_digest(file) for file in files)
        return cls(files, seconds, hashlib.sha256(content.encode()).hexdigest())

    def draw(self, length: int, random: np.random.Generator) -> np.ndarray:
        """A section (length,) of one recording, both drawn; a recording that is shorter is repeated."""
        number = int(random.integers(len(self.files)))
        last = self.seconds[number] - length / RATE_HZ - MARGIN_SECONDS
        share = random.uniform()
        if last <= 0:
            return np.resize(audio.load(self.files[number]), length)
        start = share * last
        return np.resize(audio.load(self.files[number], start, start + (length + 1) / RATE_HZ), length)
