"""The timeline of a long recording: real clips and pauses, heard by a model that never heard the speaker.

    python benchmarks/timeline.py RUN CORPUS [--speaker f1 …] [--hours 1] [--only-file] [--keep FOLDER] [--out FILE]

RUN was trained by `--split loso` on the corpus whose recordings lie in CORPUS. For each speaker a recording of their
clips in random order, with pauses, is written to a file; `affetto predict … --timeline` makes its timeline as a process
of its own, whose time and memory are measured; then the same recording is given to the stream in chunks of random
sizes, which must come to the same segments. `predict` on the same clips, cut exactly, stands beside: what finding
speech and windows cost.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile

from long_recording import Clip, detection, labelling, record, uar

if TYPE_CHECKING:
    from affetto.inference.predictor import Predictor

LARGEST_CHUNK = 200_000
"""Samples; sizes are drawn evenly on a scale of logarithms, so that small ones are many."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("run", type=Path)
    options.add_argument("corpus", type=Path)
    options.add_argument("--speaker", action="append", help="one of the run's folds; several times; none: all")
    options.add_argument("--hours", type=float, default=1.0)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument(
        "--only-file", action="store_true", help="leave the stream and the single clips out, of ten hours"
    )
    options.add_argument("--keep", type=Path, help="a folder for the recordings and their timelines; none: removed")
    options.add_argument("--out", type=Path)
    chosen = options.parse_args()
    folds = chosen.run / "folds"
    speakers = chosen.speaker or sorted(path.name for path in folds.iterdir() if path.is_dir())
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        truths, told = {}, {}
        # All processes come first: a child's peak counts what its parent held as it was started, so that this one must
        # be small, without torch.
        for number, name in enumerate(speakers):
            rows = _lines(folds / name / "predictions.jsonl")
            clips = [(chosen.corpus / row["file"], row["truth"]) for row in rows]
            file = folder / f"{name}.flac"
            truths[name] = record(clips, 3600 * chosen.hours, file, chosen.seed + number)
            told[name] = offline(folds / name / "model", file)
        for name, truth in truths.items():
            told[name] |= compared(folds / name / "model", folder / f"{name}.flac", truth, not chosen.only_file)
            print(name, json.dumps(told[name]), flush=True)
    result = {"hours": chosen.hours, "seed": chosen.seed, "speakers": told, "mean": _means(list(told.values()))}
    if chosen.out is not None:
        chosen.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print("mean", json.dumps(result["mean"]))


def offline(model: Path, file: Path) -> dict[str, Any]:
    """What the command takes for the timeline of a file, which it writes beside: seconds, times real time, memory."""
    command = [sys.executable, "-m", "affetto", "predict", str(model), str(file), "--timeline", "--device", "cpu"]
    started = time.perf_counter()
    process = subprocess.Popen([*command, "--out", str(file.with_suffix(".json")), "--quiet"])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds, length = time.perf_counter() - started, soundfile.info(str(file)).duration
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: status {process.returncode}")
    peak_bytes = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {
        "recording_seconds": round(length, 1),
        "wall_seconds": round(seconds, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "times_real_time": round(length / seconds, 1),
        "peak_megabytes": round(peak_bytes / 1e6),
    }


def compared(model: Path, file: Path, truth: list[Clip], more: bool) -> dict[str, Any]:
    """The command's timeline beside the truth, and, with `more`, the stream's and plain predictions of the clips."""
    from affetto.inference.loading import load

    segments = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))["segments"]
    found = {"segments": len(segments)} | detection(truth, segments) | labelling(truth, segments)
    if not more:
        return found
    predictor = load(model, device="cpu")
    found["predicted_clip_uar"] = uar([clip.emotion for clip in truth], predicted(predictor, file, truth))
    return found | stream(predictor, file, segments)


def predicted(predictor: Predictor, file: Path, truth: list[Clip]) -> list[str | None]:
    """The emotion of each clip, cut out of the recording where it was put in."""
    from affetto.inference.predictor import Prediction
    from affetto.models.prefix import Source

    results = list(predictor.stream_sources(Source(file, *clip.cut) for clip in truth))
    assert all(isinstance(one, Prediction) for one in results), results
    return [one.emotion for one in results if isinstance(one, Prediction)]


def stream(predictor: Predictor, file: Path, segments: list[dict[str, Any]]) -> dict[str, Any]:
    """The recording in chunks, as it would arrive; how far its segments are from the file's."""
    from affetto.inference.timeline import Timeline

    started = time.perf_counter()
    with soundfile.SoundFile(file) as sound:
        made = [asdict(one) for one in Timeline(predictor).stream(chunks(sound), sound.samplerate)]
        length = sound.frames / sound.samplerate
    seconds = time.perf_counter() - started
    same = [_place(one) for one in made] == [_place(one) for one in segments]
    differences = [
        abs(ours["probabilities"][label] - its["probabilities"][label])
        for ours, its in zip(made, segments, strict=same)
        for label in ours["probabilities"]
    ]
    return {
        "stream_is_file": same,
        "largest_difference": max(differences, default=0.0) if same else None,
        "stream_times_real_time": round(length / seconds, 1),
    }


def _place(segment: dict[str, Any]) -> tuple[Any, ...]:
    return segment["start"], segment["end"], segment["emotion"]


def chunks(sound: soundfile.SoundFile, seed: int = 0) -> Iterator[np.ndarray]:
    """The samples of an open file, in chunks of random sizes."""
    random = np.random.default_rng(seed)
    while len(chunk := sound.read(int(LARGEST_CHUNK ** random.uniform()), dtype="float32")):
        yield chunk


def _means(told: list[dict[str, Any]]) -> dict[str, float]:
    names = ("speech_found", "found_is_speech", "time_accuracy", "time_uar", "clip_uar", "predicted_clip_uar")
    return {name: round(float(np.mean([one[name] for one in told])), 4) for name in names if name in told[0]}


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    main()
