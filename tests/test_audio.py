"""Audio: what any file becomes, in numbers that can be worked out by hand, and what is refused and how."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from affetto import audio
from affetto.audio import AudioError

Write = Callable[..., Path]
Tone = Callable[..., np.ndarray]


def loudest_hz(wave: np.ndarray) -> float:
    """The frequency of a 16 kHz wave's highest peak."""
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    return float(np.argmax(spectrum) * audio.RATE_HZ / len(wave))


# -- what a good file becomes ------------------------------------------------------------------------------------


def test_sixteen_kilohertz_mono_is_taken_sample_by_sample(write_wav: Write) -> None:
    steps = np.arange(-8000, 8000, dtype=np.int16)
    wave = audio.load(write_wav("x.wav", steps))
    assert (wave.dtype, wave.shape) == (np.float32, (16_000,))
    np.testing.assert_array_equal(wave, steps / np.float32(32_768))


def test_channels_are_averaged(write_wav: Write) -> None:
    both = np.stack([np.full(16_000, 0.5), np.full(16_000, -0.25)], axis=1)
    np.testing.assert_array_equal(audio.load(write_wav("x.wav", both)), np.full(16_000, 0.125, np.float32))
    np.testing.assert_array_equal(audio.to_mono_16k(both, 16_000), np.full(16_000, 0.125, np.float32))


@pytest.mark.parametrize(("kind", "half"), [(np.int16, 1 << 14), (np.int32, 1 << 30)])
def test_whole_numbers_are_scaled_by_their_width(kind: type, half: int) -> None:
    np.testing.assert_array_equal(audio.to_mono_16k(np.full(1600, -half, kind), 16_000), np.full(1600, -0.5))


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 44_100, 48_000])
def test_resampling_keeps_length_pitch_and_level(write_wav: Write, tone: Tone, rate_hz: int) -> None:
    wave = audio.load(write_wav("x.wav", tone(1.5, hz=440, rate_hz=rate_hz, level=0.3), rate_hz))
    assert abs(len(wave) - 24_000) <= 1
    assert loudest_hz(wave) == pytest.approx(440, abs=1)
    assert np.sqrt(np.mean(wave[4000:-4000] ** 2)) == pytest.approx(0.3 / np.sqrt(2), rel=0.01)


def test_what_sixteen_kilohertz_cannot_hold_is_filtered_and_not_folded_back(write_wav: Write, tone: Tone) -> None:
    wave = audio.load(write_wav("x.wav", tone(1.0, hz=10_000, rate_hz=48_000), 48_000))
    assert np.abs(wave[1000:-1000]).max() < 0.001


@pytest.mark.parametrize(("suffix", "off"), [("flac", 0), ("ogg", 160), ("mp3", 1600), ("aiff", 0)])
def test_other_formats_are_decoded(tmp_path: Path, tone: Tone, suffix: str, off: int) -> None:
    path = tmp_path / f"x.{suffix}"
    soundfile.write(path, tone(2.0, hz=300), 16_000)
    wave = audio.load(path)
    assert abs(len(wave) - 32_000) <= off
    assert loudest_hz(wave[:16_000]) == pytest.approx(300, abs=1)
    assert audio.duration(path) == pytest.approx(2.0, abs=off / 16_000)


def test_silence_is_no_mistake(write_wav: Write) -> None:
    assert not audio.load(write_wav("x.wav", np.zeros(16_000, np.float32))).any()


def test_blocks_join_without_a_seam(write_wav: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = np.arange(-8000, 8000, dtype=np.int16)
    path = write_wav("x.wav", steps)
    monkeypatch.setattr("affetto.audio.recording.BLOCK_FRAMES", 999)
    np.testing.assert_array_equal(audio.load(path), steps / np.float32(32_768))


def test_a_length_that_a_pipe_could_not_know_is_none(write_wav: Write) -> None:
    path = write_wav("x.wav")
    data = bytearray(path.read_bytes())
    data[40:44] = b"\xff" * 4
    path.write_bytes(data)
    assert len(audio.load(path)) == 16_000


# -- sections, lengths, digests ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [
        (None, None, 0, 16_000),
        (0.25, 0.75, 4_000, 12_000),
        (0.25, None, 4_000, 16_000),
        (None, 0.75, 0, 12_000),
        (0.5, 1.05, 8_000, 16_000),  # rounded up by whoever wrote it
    ],
)
def test_sections(write_wav: Write, start: float | None, end: float | None, first: int, last: int) -> None:
    steps = np.arange(-8000, 8000, dtype=np.int16)
    wave = audio.load(write_wav("x.wav", steps), start, end)
    np.testing.assert_array_equal(wave, steps[first:last] / np.float32(32_768))


def test_a_section_is_cut_at_the_files_own_rate(write_wav: Write, tone: Tone) -> None:
    wave = np.r_[tone(1.0, hz=300, rate_hz=44_100), tone(1.0, hz=900, rate_hz=44_100)]
    second = audio.load(write_wav("x.wav", wave, 44_100), 1.0, 2.0)
    assert abs(len(second) - 16_000) <= 1
    assert loudest_hz(second) == pytest.approx(900, abs=1)


@pytest.mark.parametrize(
    "span",
    [(1.0, None), (2.0, 3.0), (0.0, 1.06), (-0.5, 0.5), (0.6, 0.4), (0.5, 0.5), (float("nan"), None)],
)
def test_a_section_outside_the_file_is_refused(write_wav: Write, span: tuple[float, float | None]) -> None:
    with pytest.raises(AudioError, match=r"x\.wav: section .* lies outside its 1\.00 s; give a start"):
        audio.load(write_wav("x.wav"), *span)


def test_crop_is_the_first_seconds() -> None:
    wave = np.arange(80_000, dtype=np.float32)
    assert audio.crop(wave, 4.0).tolist() == list(range(64_000))
    assert len(audio.crop(wave, 0.10004)) == 1601  # 1600.64 samples
    assert len(audio.crop(wave[:100], 4.0)) == 100
    assert audio.crop(wave, None) is wave


def test_duration_is_the_headers(write_wav: Write) -> None:
    assert audio.duration(write_wav("x.wav", np.zeros(66_150, np.float32), 44_100)) == 1.5


def test_the_digest_is_sha_256_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "x.wav").write_bytes(b"abc")  # the example of FIPS 180-2, B.1
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert audio.content_digest(tmp_path / "x.wav") == expected
    with pytest.raises(AudioError, match=r"nowhere\.wav: cannot be read \(No such file or directory\); check the path"):
        audio.content_digest(tmp_path / "nowhere.wav")


# -- what is refused ---------------------------------------------------------------------------------------------


def bad_file(root: Path, kind: str) -> Path:
    """A file of that kind, `bad.wav` or `bad.flac` in the folder."""
    path = root / "bad.wav"
    wave = np.sin(np.arange(16_000) / 10).astype(np.float32) / 2
    if kind == "zero bytes":
        path.touch()
    elif kind == "text":
        path.write_text("not audio at all\n" * 99)
    elif kind == "no samples":
        soundfile.write(path, wave[:0], 16_000)
    elif kind == "truncated":
        soundfile.write(path, wave, 16_000)
        path.write_bytes(path.read_bytes()[:16_044])
    elif kind == "truncated flac":
        path = root / "bad.flac"
        soundfile.write(path, wave, 16_000)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif kind == "truncated ogg":
        path = root / "bad.ogg"
        soundfile.write(path, wave, 16_000)
        path.write_bytes(path.read_bytes()[:-100])
    elif kind in ("nan", "inf"):
        wave[[7, 8]] = float(kind)
        soundfile.write(path, wave, 16_000, subtype="FLOAT")
    elif kind == "short":
        soundfile.write(path, wave[:1599], 16_000)
    elif kind == "pointer":
        path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 95084\n")
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "rate":
        soundfile.write(path, wave, 10)
    else:
        assert kind == "missing"
    return path


@pytest.mark.parametrize(
    ("kind", "said", "to_do"),
    [
        ("missing", "no such file", "check the path"),
        ("zero bytes", "empty (0 bytes)", "copy it again"),
        ("pointer", "a pointer of Git LFS, not the recording", "git lfs pull"),
        ("text", "not audio that soundfile can read (Format not recognised)", "convert it to wav or flac"),
        ("no samples", "only 0.000 s long; a clip needs at least 0.1 s", "leave it out"),
        ("truncated", "the header promises 32000 bytes of samples, 16000 are there", "copy or convert it again"),
        ("truncated flac", "cannot be decoded", "copy it again"),
        ("truncated ogg", "its stream ends in the middle of a page", "copy or convert it again"),
        ("nan", "2 samples are not finite (NaN or infinite)", "export it again"),
        ("inf", "2 samples are not finite (NaN or infinite)", "export it again"),
        ("short", "only 0.100 s long; a clip needs at least 0.1 s", "leave it out"),
        ("folder", "a folder, not an audio file", "give a recording in it"),
        ("pipe", "not an ordinary file", "give a recording that is stored"),
        ("rate", "10 Hz is no rate of a recording (1,000 to 384,000 Hz)", "export it again"),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path: Path, kind: str, said: str, to_do: str) -> None:
    if kind == "pipe" and not hasattr(os, "mkfifo"):
        pytest.skip("there are no FIFOs on this system")
    path = bad_file(tmp_path, kind)
    with pytest.raises(AudioError) as raised:
        audio.load(path)
    told = str(raised.value)
    assert told.startswith(f"{path}: ")
    assert said in told
    assert to_do in told
    assert "\n" not in told


def test_exactly_a_tenth_of_a_second_is_enough(write_wav: Write, tone: Tone) -> None:
    assert len(audio.load(write_wav("x.wav", tone(0.1)))) == 1600
    assert len(audio.load(write_wav("y.wav"), 0.0, 0.1)) == 1600


def test_a_few_samples_missing_at_the_end_are_none(write_wav: Write) -> None:
    path = write_wav("x.wav")
    path.write_bytes(path.read_bytes()[: -2 * 799])
    assert len(audio.load(path)) == 16_000 - 799
    path.write_bytes(path.read_bytes()[: -2 * 2])
    with pytest.raises(AudioError, match="broken off"):
        audio.load(path)


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (np.zeros((2, 16_000)), r"shape \(2, 16000\) is no audio; give \(samples,\) or \(samples, channels\)"),
        (np.zeros((16_000, 0)), "is no audio"),
        (np.zeros((1, 16_000, 2)), "is no audio"),
        (np.float32(0.5), r"shape \(\) is no audio"),
        ([0] * 16_000, "samples of type int64 are no audio; give floats within ±1, int16 or int32"),
        (np.zeros(16_000, np.uint8), "samples of type uint8"),
        (np.zeros(16_000, complex), "samples of type complex128"),
        (["a"] * 16_000, "samples of type <U1"),
        ([], r"only 0\.000 s long"),
    ],
)
def test_samples_that_are_no_audio_are_refused_by_name(samples: object, said: str) -> None:
    with pytest.raises(AudioError, match=f"^the answer: .*{said}"):
        audio.to_mono_16k(samples, 16_000, name="the answer")  # type: ignore[arg-type]


def test_a_path_with_spaces_and_accents_is_named_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(AudioError) as raised:
        audio.load(tmp_path / "perché  no.wav")
    assert f"{tmp_path}/perché  no.wav" in str(raised.value)


# -- from memory --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("format_", "subtype"), [("WAV", "PCM_16"), ("FLAC", None), ("OGG", None), ("MP3", None)])
@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
def test_decoded_from_memory_as_from_a_file(tmp_path, tone, format_, subtype, rate_hz):
    path = tmp_path / f"a.{format_.lower()}"
    soundfile.write(path, np.stack([tone(1.3, rate_hz=rate_hz)] * 2, axis=1), rate_hz, format=format_, subtype=subtype)
    assert np.array_equal(audio.decode(path.read_bytes()), audio.load(path))


def test_what_is_wrong_in_memory_is_called_by_the_given_name(tone):
    made = io.BytesIO()
    soundfile.write(made, tone(2.0), 16_000, format="WAV")
    good = made.getvalue()
    with pytest.raises(audio.UnknownFormatError, match=r"^mine: not audio"):
        audio.decode(b"just some text, no sound", name="mine")
    with pytest.raises(audio.AudioError, match=r"^mine: empty"):
        audio.decode(b"", name="mine")
    with pytest.raises(audio.AudioError, match=r"^mine: broken off"):
        audio.decode(good[: len(good) // 2], name="mine")
    with pytest.raises(audio.TooLongError, match=r"^mine: 2.0 s long, at most 1.5 s"):
        audio.decode(good, name="mine", longest_seconds=1.5)
    assert len(audio.decode(good, longest_seconds=2.0)) == 32_000


def test_a_truncated_ogg_in_memory(tone):
    made = io.BytesIO()
    soundfile.write(made, tone(2.0), 16_000, format="OGG")
    with pytest.raises(audio.AudioError, match=r"middle of a page|broken off"):
        audio.decode(made.getvalue()[:-20])


def test_a_header_of_hours_is_refused_before_it_is_decoded():
    made = io.BytesIO()
    with soundfile.SoundFile(made, "w", 8000, 8, format="FLAC", subtype="PCM_16") as file:
        for _ in range(20):
            file.write(np.zeros((100_000, 8), np.int16))
    with pytest.raises(audio.TooLongError, match=r"250.0 s long"):
        audio.decode(made.getvalue(), longest_seconds=60)
