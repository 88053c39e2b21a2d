"""The timeline of minutes of real clips and pauses, by a model that never heard the speaker."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

import affetto
from affetto.corpora.published import emovo
from affetto.training.spec import CorpusSpec, RunSpec, settings
from affetto.training.train import train

pytestmark = pytest.mark.real
PROJECT = Path(__file__).resolve().parents[2]
PARTS = {"f2": "train", "m1": "train", "m2": "validation", "f3": "test"}
PER_EMOTION = 6
SECONDS = 120.0


@pytest.fixture(scope="module")
def recordings() -> ModuleType:
    """The benchmark's own maker and judge of long recordings."""
    spec = importlib.util.spec_from_file_location("long_recording", PROJECT / "benchmarks" / "long_recording.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look their annotations up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def parts(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[Path, str]]]:
    """A probe trained on some clips of three speakers, and the files of a fourth with their emotions."""
    corpus, weights = shared / "real" / "EMOVO", shared / "real" / "whisper-tiny-en"
    if not corpus.is_dir() or not weights.is_dir():
        pytest.skip(f"no {corpus} or no {weights}")
    folder = tmp_path_factory.mktemp("run")
    taken: Counter[tuple[str, str]] = Counter()
    lines, tested = ["file,emotion,speaker,split"], []
    manifest = emovo.read(corpus)
    for clip in manifest.clips:
        kind = (clip.speaker, clip.emotion)
        if clip.speaker in PARTS and taken[kind] < PER_EMOTION:
            taken[kind] += 1
            lines.append(f"{manifest.path(clip)},{clip.emotion},{clip.speaker},{PARTS[clip.speaker]}")
            if PARTS[clip.speaker] == "test":
                tested.append((manifest.path(clip), clip.emotion))
    (folder / "clips.csv").write_text("\n".join([*lines, ""]))
    chosen = settings("recommended", {"model.layer": "3", "probe.inner_folds": "2"}, method="probe")
    spec = RunSpec(
        corpora=(CorpusSpec(name="table", path=str(folder / "clips.csv")),),
        backbone=str(weights),
        method="probe",
        recipe="recommended",
        split="column",
        settings=chosen,
    )
    train(spec, folder / "run")
    return folder / "run", tested


def test_minutes_of_clips_and_pauses(
    parts: tuple[Path, list[tuple[Path, str]]], recordings: ModuleType, tmp_path: Path
) -> None:
    run, clips = parts
    truth = recordings.record(clips, SECONDS, tmp_path / "long.flac", seed=0)
    predictor = affetto.load(run, device="cpu")
    line = affetto.Timeline(predictor)
    made = list(line(tmp_path / "long.flac"))
    segments = [asdict(one) for one in made]
    found, named = recordings.detection(truth, segments), recordings.labelling(truth, segments)
    assert found["speech_found"] > 0.85 and found["found_is_speech"] > 0.75, found
    # Of which the padding is 0.3 s.
    assert found["begin_error_seconds"]["median"] < 0.35 and found["end_error_seconds"]["median"] < 0.4, found
    assert named["clip_uar"] > 0.3 and named["time_uar"] > 0.3, named  # chance: 0.14
    assert truth[-1].end - 1 < made[-1].end <= soundfile.info(tmp_path / "long.flac").duration
    wave, rate_hz = soundfile.read(tmp_path / "long.flac", dtype="float32")
    cuts = np.sort(np.random.default_rng(0).integers(0, len(wave), 400))
    assert list(line.stream(np.split(wave, cuts), rate_hz)) == made
