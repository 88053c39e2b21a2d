"""What is heard of a clip, on sounds with one fault each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from affetto.corpora import probe

Write = Callable[..., Path]


def found(root: Path, name: str, *, decode: bool = True) -> list[tuple[str, str]]:
    return list(probe.probe(root / name, decode=decode).problems)


def test_a_good_clip_has_no_problem(tmp_path: Path, write_wav: Write) -> None:
    write_wav("good.wav")
    assert found(tmp_path, "good.wav") == []


def test_missing(tmp_path: Path) -> None:
    assert found(tmp_path, "nowhere.wav") == [("missing", "no such file")]


def test_empty(tmp_path: Path) -> None:
    (tmp_path / "x.wav").touch()
    soundfile.write(tmp_path / "y.wav", np.zeros(0, np.float32), 16_000)
    assert found(tmp_path, "x.wav") == [("empty", "0 bytes")]
    assert found(tmp_path, "y.wav") == [("empty", "a header and no samples")]


def test_text_and_folders_are_unreadable(tmp_path: Path) -> None:
    (tmp_path / "x.wav").write_text("not audio at all")
    (tmp_path / "y.wav").mkdir()
    assert [kind for kind, _ in found(tmp_path, "x.wav")] == ["unreadable"]
    assert found(tmp_path, "y.wav") == [("unreadable", "not an ordinary file")]


@pytest.mark.parametrize("decode", [True, False])
def test_truncated(tmp_path: Path, write_wav: Write, decode: bool) -> None:
    path = write_wav("x.wav")
    path.write_bytes(path.read_bytes()[:16_044])
    ((kind, detail),) = found(tmp_path, "x.wav", decode=decode)
    assert kind == "truncated"
    assert detail == "the header promises 32000 bytes of samples, 16000 are there"


def test_a_length_that_a_pipe_could_not_know_is_no_problem(tmp_path: Path, write_wav: Write) -> None:
    path = write_wav("x.wav")
    data = bytearray(path.read_bytes())
    data[40:44] = b"\xff" * 4
    path.write_bytes(data)
    assert found(tmp_path, "x.wav") == []


def test_a_flac_that_breaks_off_is_unreadable(tmp_path: Path, tone: Callable[..., np.ndarray]) -> None:
    soundfile.write(tmp_path / "x.flac", tone(), 16_000)
    data = (tmp_path / "x.flac").read_bytes()
    (tmp_path / "x.flac").write_bytes(data[: len(data) // 2])
    assert [kind for kind, _ in found(tmp_path, "x.flac")] == ["unreadable"]


def test_not_finite(tmp_path: Path, tone: Callable[..., np.ndarray]) -> None:
    wave = tone()
    wave[[5, 6]] = np.nan, np.inf
    soundfile.write(tmp_path / "x.wav", wave, 16_000, subtype="FLOAT")
    assert found(tmp_path, "x.wav") == [("non-finite", "2 of 16000 samples are NaN or infinite")]


def test_silent(tmp_path: Path, write_wav: Write) -> None:
    write_wav("x.wav", np.zeros(16_000, np.float32))
    write_wav("y.wav", np.full(16_000, 10 ** (-70 / 20), np.float32))
    assert found(tmp_path, "x.wav") == [("silent", "zero throughout")]
    assert found(tmp_path, "y.wav") == [("silent", "its peak is -70 dBFS")]


def test_clipped_is_flat_tops_and_not_a_normalised_peak(tmp_path: Path, write_wav: Write) -> None:
    wave = np.tile(np.r_[np.full(10, 1.0), np.full(90, 0.1)], 160)
    write_wav("x.wav", wave)
    assert found(tmp_path, "x.wav") == [("clipped", "10.00% of its samples are in flat tops at full scale")]
    write_wav("y.wav", np.tile(np.r_[np.full(probe.CLIPPED_RUN - 1, 1.0), np.full(97, 0.1)], 160))
    assert found(tmp_path, "y.wav") == []


def test_too_short(tmp_path: Path, write_wav: Write, tone: Callable[..., np.ndarray]) -> None:
    write_wav("x.wav", tone(0.05))
    assert found(tmp_path, "x.wav", decode=False) == [("too short", "0.050 s; a clip needs at least 0.1 s")]
