"""Small corpora for runs: every emotion a sound of its own, every speaker a pitch and a level."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from affetto.corpora.labels import EMOTIONS
from affetto.training.spec import CorpusSpec, RunSpec, settings

RATE_HZ = 16_000


def sound(emotion: int, speaker: int, take: int, seconds: float | None = None) -> np.ndarray:
    """A sum of harmonics with tremolo and noise, which differ by emotion; (samples,) float32."""
    random = np.random.default_rng((emotion, speaker, take))
    seconds = seconds or 0.5 + 0.05 * emotion + 0.1 * random.random()
    times = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    pitch_hz = 110 + 17 * speaker + 25 * emotion
    wave = sum(np.sin(2 * np.pi * pitch_hz * k * times) / k ** (1 + 0.2 * emotion) for k in range(1, 6))
    wave = wave * (1 + 0.5 * np.sin(2 * np.pi * (2 + 2 * emotion) * times))
    noise = random.standard_normal(len(times)) * 0.05 * (1 + emotion)
    return (0.08 * (1 + 0.1 * speaker) * (wave + noise)).astype(np.float32)


def write_table(folder: Path, speakers: int = 6, takes: int = 1, parts: bool = True, first: int = 0) -> Path:
    """A corpus as a table: the last speaker is tested, the last but one validates, if `parts`.

    `first`: number of the first speaker.
    """
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    rows = []
    for speaker in range(first, first + speakers):
        for number, emotion in enumerate(EMOTIONS):
            for take in range(takes):
                file = f"audio/s{speaker}-{emotion}-{take}.wav"
                soundfile.write(folder / file, sound(number, speaker, take), RATE_HZ, subtype="FLOAT")
                _clear_time(folder / file)
                part = {speakers - 1: "test", speakers - 2: "validation"}.get(speaker - first, "train")
                rows.append([file, emotion, f"s{speaker}", *([part] if parts else [])])
    with (folder / "clips.csv").open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["file", "emotion", "speaker", *(["split"] if parts else [])])
        writer.writerows(rows)
    return folder / "clips.csv"


def _clear_time(path: Path) -> None:
    """Set the time in the chunk PEAK of a float WAV to 0, so that the content of a corpus is always the same."""
    content = bytearray(path.read_bytes())
    time = content.index(b"PEAK") + 12
    content[time : time + 4] = bytes(4)
    path.write_bytes(content)


def spec(
    table: Path,
    method: str = "frozen",
    recipe: str = "recommended",
    backbone: str = "wav2vec2-mini",
    overrides: dict[str, str] | None = None,
    **fields: Any,
) -> RunSpec:
    """A short run in float32, so that its numbers are the same on any machine's kind of core."""
    chosen = {"compute.precision": "float32"} | (overrides or {})
    if method != "probe":
        chosen = {"training.batch_size": "8", "training.epochs": "2"} | chosen
    return RunSpec(
        corpora=(CorpusSpec(name="table", path=str(table)),),
        backbone=backbone,
        method=method,
        recipe=recipe,
        random_weights=True,
        settings=settings(recipe, chosen, method=method),
        **fields,
    )


TIMES = ("seconds", "wall_seconds", "calls", "peak_memory_bytes")


def timeless(metrics: dict[str, Any]) -> dict[str, Any]:
    """The metrics without what differs from run to run: times and memory."""

    def stripped(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: stripped(v) for k, v in value.items() if k not in TIMES}
        return [stripped(one) for one in value] if isinstance(value, list) else value

    result = stripped(metrics)
    result.get("provenance", {}).pop("commit", None)
    assert isinstance(result, dict)
    return result
