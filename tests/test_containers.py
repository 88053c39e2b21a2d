"""Recordings in containers: read as the same sound that was put in."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from affetto import audio
from affetto.audio import AudioError, TooLongError, UnknownFormatError

av = pytest.importorskip("av", reason="the extra `containers` is not installed")
RATE_HZ = 48_000
KINDS = [
    ("clip.m4a", "aac"),
    ("clip.mp4", "aac"),
    ("clip.webm", "libopus"),
    ("clip.mka", "libopus"),
    ("clip.aac", "aac"),
]


def encoded(path: Path, codec: str, seconds: float = 2.0, rate_hz: int = RATE_HZ) -> Path:
    """A tone of 220 Hz that becomes one of 440 Hz after half the time."""
    times = np.arange(int(seconds * rate_hz)) / rate_hz
    wave = (0.3 * np.sin(2 * np.pi * np.where(times < seconds / 2, 220, 440) * times)).astype(np.float32)
    with av.open(str(path), "w", format="adts" if path.suffix == ".aac" else None) as file:
        stream = file.add_stream(codec, rate=rate_hz, layout="mono")
        for start in range(0, len(wave), 960):
            frame = av.AudioFrame.from_ndarray(wave[None, start : start + 960], format="flt", layout="mono")
            frame.sample_rate, frame.pts = rate_hz, start
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def loudest_hz(wave: np.ndarray) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(wave))) * audio.RATE_HZ / len(wave))


@pytest.mark.parametrize(("name", "codec"), KINDS)
def test_the_sound_is_what_was_put_in(tmp_path: Path, name: str, codec: str) -> None:
    path = encoded(tmp_path / name, codec)
    wave = audio.load(path)
    assert wave.dtype == np.float32 and wave.ndim == 1 and abs(len(wave) / audio.RATE_HZ - 2) < 0.1
    assert loudest_hz(wave[1600:14400]) == pytest.approx(220, abs=3)
    assert loudest_hz(wave[17600:30400]) == pytest.approx(440, abs=3)
    assert 0.15 < np.abs(wave[4000:12000]).max() < 0.5
    assert audio.duration(path) == pytest.approx(2, abs=0.1)
    part = audio.load(path, 1.1, 1.9)
    assert len(part) / audio.RATE_HZ == pytest.approx(0.8, abs=0.01) and loudest_hz(part) == pytest.approx(440, abs=3)
    assert np.array_equal(audio.decode(path.read_bytes()), wave)


def test_limits_and_mistakes_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = encoded(tmp_path / "clip.m4a", "aac")
    with pytest.raises(TooLongError, match="at most 1 s"):
        audio.decode(path.read_bytes(), longest_seconds=1)
    twice = encoded(tmp_path / "clip.webm", "libopus").read_bytes() * 2  # of which the header tells the first
    assert len(audio.decode(twice, longest_seconds=5)) > 3.9 * audio.RATE_HZ
    with pytest.raises(TooLongError, match="at most 3 s"):
        audio.decode(twice, longest_seconds=3)
    with pytest.raises(AudioError, match="lies outside"):
        audio.load(path, 5, 6)
    for span in ((0.5, 2.2), (-0.5, 1.0), (1.5, 1.0), (float("nan"), 1.0)):
        with pytest.raises(AudioError, match="lies outside its 2"):
            audio.load(path, *span)
    broken = tmp_path / "broken.m4a"
    broken.write_bytes(path.read_bytes()[:40])
    with pytest.raises(AudioError, match=r"broken\.m4a"):
        audio.load(broken)
    playlist = tmp_path / "list.m4a"  # FFmpeg would follow it
    playlist.write_text(f"#EXTM3U\n#EXTINF:2,\n{path}\n#EXT-X-ENDLIST\n")
    with pytest.raises(UnknownFormatError):
        audio.load(playlist)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UnknownFormatError, match=r"affetto\[containers\]"):
        audio.load(path)


def test_half_a_recording_and_two_in_one_file(tmp_path: Path) -> None:
    content = encoded(tmp_path / "clip.webm", "libopus", 4).read_bytes()
    with pytest.raises(AudioError, match=r"^mine: broken off: \d\.\d of 4\.0 s are there"):
        audio.decode(content[: len(content) // 2], name="mine")
    assert len(audio.decode(content * 2)) == pytest.approx(8 * audio.RATE_HZ, abs=2_000)
    content = encoded(tmp_path / "clip.mp4", "aac").read_bytes()
    with pytest.raises(AudioError, match=r"mine: .*two recordings are joined"):
        audio.decode(content * 2, name="mine")


def test_aac_that_changes_its_rate_keeps_its_pitch_and_pace(tmp_path: Path) -> None:
    first = encoded(tmp_path / "a.aac", "aac", rate_hz=16_000)
    first.write_bytes(first.read_bytes() + encoded(tmp_path / "b.aac", "aac").read_bytes())
    wave = audio.load(first)
    assert len(wave) / audio.RATE_HZ == pytest.approx(4, abs=0.2)
    assert loudest_hz(wave[20_000:30_000]) == pytest.approx(440, abs=3)
    assert loudest_hz(wave[36_000:46_000]) == pytest.approx(220, abs=3)
    assert loudest_hz(wave[54_000:63_000]) == pytest.approx(440, abs=3)
    part = audio.load(first, 2.3, 2.9)
    assert len(part) == pytest.approx(0.6 * audio.RATE_HZ, abs=2) and loudest_hz(part) == pytest.approx(220, abs=3)
