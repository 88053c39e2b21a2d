"""lhotse's manifests: supervisions of recordings, cuts, and what is no clip."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from affetto.corpora.registry import open_corpus
from affetto.errors import UserError

RECORDING = {
    "id": "r",
    "sources": [{"type": "file", "channels": [0], "source": "wavs/r.wav"}],
    "sampling_rate": 16000,
    "num_samples": 48000,
    "duration": 3.0,
}


def supervision(key: str, start: float, seconds: float, **custom: Any) -> dict[str, Any]:
    times = {"start": start, "duration": seconds, "channel": 0}
    people = {"speaker": f"s-{key}", "gender": "F", "text": "Ciao"}
    return {"id": key, "recording_id": "r", **times, **people, "custom": custom}


def put(path: Path, *lines: dict[str, Any]) -> Path:
    text = "".join(json.dumps(line) + "\n" for line in lines)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def test_supervisions_become_clips_of_their_parts(tmp_path: Path) -> None:
    put(tmp_path / "x_recordings_all.jsonl", RECORDING)
    put(tmp_path / "x_supervisions_train.jsonl.gz", supervision("a", 0, 2.9995, emotion="happy", ratings="joy=2"))
    put(tmp_path / "x_supervisions_dev.jsonl.gz", supervision("b", 1.0, 1.5, label="angry", arousal=0.25, mood="odd"))
    manifest = open_corpus(None, tmp_path)
    whole, section = manifest.clips
    assert (whole.file, whole.start, whole.end, whole.part) == ("wavs/r.wav", None, None, "train")
    assert (whole.emotion, whole.speaker, whole.gender, whole.sentence) == ("joy", "s-a", "female", "Ciao")
    assert (section.start, section.end, section.part, section.dimensions) == (
        1.0,
        2.5,
        "validation",
        (("arousal", 0.25),),
    )
    assert len(whole.ratings) == 2 and not section.ratings


def test_cuts_hold_their_recordings_and_count_from_their_start(tmp_path: Path) -> None:
    cut = {"id": "c", "start": 0.5, "duration": 2.0, "channel": 0, "recording": RECORDING, "type": "MonoCut"}
    path = put(tmp_path / "some.jsonl", {**cut, "supervisions": [supervision("a", 0.25, 1.0, emotion="fear")]})
    (clip,) = open_corpus(None, path).clips
    assert (clip.start, clip.end, clip.emotion) == (0.75, 1.75, "fear")


@pytest.mark.parametrize(
    ("recording", "line", "words"),
    [
        ({}, {"id": "m", "tracks": []}, "line 1 is a mixture of cuts"),
        ({"id": "other"}, supervision("a", 0, 1), "no recording 'r' is listed"),
        ({"sources": [{"type": "url", "source": "x"}]}, supervision("a", 0, 1), "must be one file, not url"),
    ],
)
def test_a_manifest_that_is_no_list_of_clips_is_refused(
    tmp_path: Path, recording: dict[str, Any], line: dict[str, Any], words: str
) -> None:
    put(tmp_path / "recordings.jsonl", RECORDING | recording)
    put(tmp_path / "supervisions.jsonl", line)
    with pytest.raises(UserError, match=words):
        open_corpus("lhotse", tmp_path)


def test_a_broken_manifest_is_named(tmp_path: Path) -> None:
    put(tmp_path / "supervisions.jsonl", supervision("a", 0, 1))
    with pytest.raises(UserError, match="have no recordings beside them"):
        open_corpus("lhotse", tmp_path)
    (tmp_path / "cuts.jsonl.gz").write_bytes(b"no gzip")
    with pytest.raises(UserError, match=r"cuts\.jsonl\.gz: no JSON Lines that can be read"):
        open_corpus("lhotse", tmp_path / "cuts.jsonl.gz")
