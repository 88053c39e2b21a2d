"""The clips that both sides get: noise, of lengths as in EMOVO and Emozionalmente."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from affetto.audio import RATE_HZ

CLASSES = 7
# Mean and deviation of the durations, seconds: EMOVO 3.12 and 1.36, Emozionalmente 3.29 and 1.03; the shortest
# clips of the latter have 0.76 s.
MEAN_SECONDS, DEVIATION_SECONDS, SHORTEST_SECONDS = 3.2, 1.2, 0.8


def lengths_seconds(clips: int, seed: int = 0) -> np.ndarray:
    """(clips,) durations, log-normal: most are short, a fifth exceeds four seconds, as in the real corpora."""
    spread = np.sqrt(np.log(1 + (DEVIATION_SECONDS / MEAN_SECONDS) ** 2))
    random = np.random.default_rng(seed).lognormal(np.log(MEAN_SECONDS) - spread**2 / 2, spread, clips)
    return np.maximum(random, SHORTEST_SECONDS)


def waves(clips: int, window_seconds: float, seed: int = 0) -> list[np.ndarray]:
    """Noise at 16 kHz, cropped to the window as training crops."""
    random = np.random.default_rng(seed + 1)
    return [
        (0.1 * random.standard_normal(int(min(seconds, window_seconds) * RATE_HZ))).astype(np.float32)
        for seconds in lengths_seconds(clips, seed)
    ]


def write(folder: Path, clips: list[np.ndarray]) -> list[Path]:
    """The clips as 16-bit WAV files, for the side that reads files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{number:04d}.wav" for number in range(len(clips))]
    for file, wave in zip(files, clips, strict=True):
        soundfile.write(file, wave, RATE_HZ)
    return files
