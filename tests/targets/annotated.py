"""A table with everything that targets need: emotions, several labels, ratings and dimensions."""

from __future__ import annotations

import csv
from pathlib import Path

import soundfile

from affetto.corpora.labels import EMOTIONS
from training.corpora import RATE_HZ, sound

AROUSAL = dict(zip(EMOTIONS, (4.5, 3.0, 4.2, 4.0, 2.2, 1.6, 4.4), strict=True))
VALENCE = dict(zip(EMOTIONS, (1.5, 1.8, 1.7, 4.6, 3.0, 1.6, 3.6), strict=True))


def write_annotated(folder: Path, speakers: int = 6, first: int = 0) -> Path:
    """A clip an emotion of each speaker; the last is tested, the last but one validates. Dimensions go from 1 to 5.

    `first`: number of the first speaker.
    """
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    rows = []
    for speaker in range(first, first + speakers):
        for number, emotion in enumerate(EMOTIONS):
            file = f"audio/s{speaker}-{emotion}.wav"
            soundfile.write(folder / file, sound(number, speaker, 0), RATE_HZ, subtype="FLOAT")
            second = EMOTIONS[(number + 1) % len(EMOTIONS)]
            rows.append(
                {
                    "file": file,
                    "emotion": f"{emotion}|{second}" if number % 2 else emotion,
                    "speaker": f"s{speaker}",
                    "split": {speakers - 1: "test", speakers - 2: "validation"}.get(speaker - first, "train"),
                    "ratings": f"{emotion}=3;{second}={1 + speaker % 2}",
                    "arousal": AROUSAL[emotion] + 0.05 * speaker,
                    "valence": VALENCE[emotion] + 0.04 * speaker,
                }
            )
    with (folder / "clips.csv").open("w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder / "clips.csv"
