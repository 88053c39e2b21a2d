"""What is heard of a clip, on sounds with one fault each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from affetto import audio
from affetto.corpora import clip_check
from affetto.corpora.content import content

Write = Callable[..., Path]


def found(root: Path, name: str, *, decode: bool = True) -> list[tuple[str, str]]:
    return list(clip_check.check(root / name, decode=decode).faults)


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


def test_a_pointer_of_git_lfs_says_how_to_fetch_the_recording(tmp_path: Path) -> None:
    (tmp_path / "x.wav").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
    ((kind, detail),) = found(tmp_path, "x.wav")
    assert kind == "unreadable" and detail.startswith("a pointer of Git LFS") and detail.endswith("git lfs pull")


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
    write_wav("y.wav", np.tile(np.r_[np.full(clip_check.CLIPPED_RUN - 1, 1.0), np.full(97, 0.1)], 160))
    assert found(tmp_path, "y.wav") == []


def test_too_short(tmp_path: Path, write_wav: Write, tone: Callable[..., np.ndarray]) -> None:
    write_wav("x.wav", tone(0.05))
    assert found(tmp_path, "x.wav", decode=False) == [("too short", "0.050 s; a clip needs at least 0.1 s")]


def test_what_soundfile_does_not_open_is_heard_as_in_training(tmp_path: Path, tone: Callable[..., np.ndarray]) -> None:
    av = pytest.importorskip("av", reason="the extra `containers` is not installed")
    wave = tone(seconds=2.0, rate_hz=48_000)
    with av.open(str(tmp_path / "x.m4a"), "w") as file:
        stream = file.add_stream("aac", rate=48_000, layout="mono")
        for start in range(0, len(wave), 960):
            frame = av.AudioFrame.from_ndarray(wave[None, start : start + 960], format="flt", layout="mono")
            frame.sample_rate, frame.pts = 48_000, start
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    heard = clip_check.check(tmp_path / "x.m4a")
    assert heard.faults == () and heard.seconds == pytest.approx(2, abs=0.1)
    assert heard.content == content(audio.stream(tmp_path / "x.m4a"))
    assert clip_check.check(tmp_path / "x.m4a", decode=False).seconds == pytest.approx(2, abs=0.1)
    (tmp_path / "x.m4a").write_bytes((tmp_path / "x.m4a").read_bytes()[:200])
    assert [kind for kind, _ in found(tmp_path, "x.m4a")] == ["unreadable"]


def test_what_training_refuses_is_a_problem(tmp_path: Path, tone: Callable[..., np.ndarray]) -> None:
    soundfile.write(tmp_path / "x.wav", tone(), 500)
    ((kind, detail),) = found(tmp_path, "x.wav")
    assert kind == "unreadable" and detail.startswith("500 Hz is no rate of a recording")


def test_joined_recordings_are_measured_to_their_end(tmp_path: Path, tone: Callable[..., np.ndarray]) -> None:
    for number, hz in enumerate((220.0, 440.0)):
        soundfile.write(tmp_path / f"{number}.ogg", tone(hz=hz), 16_000)
    path = tmp_path / "joined.ogg"
    path.write_bytes((tmp_path / "0.ogg").read_bytes() + (tmp_path / "1.ogg").read_bytes())
    findings = clip_check.check(path)
    assert findings.faults == () and findings.seconds == pytest.approx(2, abs=0.01)
    assert findings.content == content(audio.stream(path))


def test_samples_behind_the_end_that_a_header_states_are_a_fault(tmp_path: Path, write_wav: Write) -> None:
    path = write_wav("x.wav")
    path.write_bytes(path.read_bytes() + b"\1" * 20_000)
    ((kind, detail),) = found(tmp_path, "x.wav")
    assert kind == "unreadable" and "20000 more lie behind" in detail
