"""Recordings that are longer than libsndfile believes: joined ones, and headers that promise too little or nothing."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from affetto import audio
from affetto.audio import AudioError

Tone = Callable[..., np.ndarray]
FORMATS = {"mp3": ("MP3", None), "vorbis": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS"), "flac": ("FLAC", None)}
FORMATS |= {"wav": ("WAV", "PCM_16"), "aiff": ("AIFF", "PCM_16")}


def encoded(kind: str, wave: np.ndarray, rate_hz: int = 16_000) -> bytes:
    content = io.BytesIO()
    container, subtype = FORMATS[kind]
    soundfile.write(content, wave, rate_hz, format=container, subtype=subtype)
    return content.getvalue()


def loudest_hz(wave: np.ndarray) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(wave * np.hanning(len(wave))))) * audio.RATE_HZ / len(wave))


def check_two_tones(wave: np.ndarray) -> None:
    """A second of 300 Hz, then one of 900 Hz."""
    assert abs(len(wave) / audio.RATE_HZ - 2) < 0.2
    assert loudest_hz(wave[2_000:14_000]) == pytest.approx(300, abs=3)
    assert loudest_hz(wave[-13_000:-3_000]) == pytest.approx(900, abs=3)


def without_header(mp3: bytes) -> bytes:
    """MP3 frames without the first one, which holds the Xing header."""
    return mp3[mp3.index(mp3[:2], 4) :]


def with_count(mp3: bytes, frames: int) -> bytes:
    at = mp3.index(b"Xing") + 8
    return mp3[:at] + frames.to_bytes(4, "big") + mp3[at + 4 :]


def with_length(flac: bytes, samples: int) -> bytes:
    return flac[:21] + bytes([flac[21] & 0xF0 | samples >> 32]) + (samples & 0xFFFF_FFFF).to_bytes(4, "big") + flac[26:]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("rates", [(16_000, 16_000), (16_000, 48_000)])
def test_joined_recordings_are_heard_to_the_last(kind: str, rates: tuple[int, int], tone: Tone, tmp_path: Path) -> None:
    content = encoded(kind, tone(1.0, 300, rates[0]), rates[0]) + encoded(kind, tone(1.0, 900, rates[1]), rates[1])
    wave = audio.decode(content)
    check_two_tones(wave)
    path = tmp_path / "joined"
    path.write_bytes(content)
    np.testing.assert_array_equal(audio.load(path), wave)
    assert audio.duration(path) == pytest.approx(len(wave) / audio.RATE_HZ, abs=0.001)
    # A section over the seam is the end of the first and the begin of the second.
    part = audio.load(path, 0.6, 1.3)
    assert len(part) == pytest.approx(0.7 * audio.RATE_HZ, abs=2)
    assert loudest_hz(part[:6_000]) == pytest.approx(300, abs=5)
    assert loudest_hz(part[-3_500:]) == pytest.approx(900, abs=5)
    with pytest.raises(audio.TooLongError, match=r"2\.\d s long"):
        audio.decode(content, longest_seconds=1.5)


def test_an_mp3_is_heard_to_its_end_whatever_its_header_counts(tone: Tone) -> None:
    wave = np.r_[tone(1.0, 300), tone(1.0, 900)]
    good = encoded("mp3", wave)
    frames = int.from_bytes(good[(at := good.index(b"Xing") + 8) : at + 4], "big")
    tagged = b"ID3\4\0\0\0\0\0\x20" + bytes(32) + good + b"TAG" + bytes(125)
    for content in (
        with_count(good, frames // 3),
        tagged,
        without_header(good),  # whose length libsndfile guesses by the first frame's bit rate
        with_count(encoded("mp3", tone(1.0, 300)), frames // 2) + without_header(encoded("mp3", tone(1.0, 900))),
        good[: len(good) // 2] + bytes(5_000) + good[len(good) // 2 :],  # more than mpg123 looks for a frame in
    ):
        check_two_tones(audio.decode(content))
    with pytest.raises(AudioError, match=r"broken off|cannot be decoded"):
        audio.decode(good[: len(good) // 2])
    with pytest.raises(AudioError, match=r"broken off|cannot be decoded"):
        audio.decode(with_count(good, 3 * frames))


def test_a_flac_is_heard_to_its_end_whatever_its_header_says(tone: Tone, tmp_path: Path) -> None:
    wave = np.r_[tone(1.0, 300), tone(1.0, 900)]
    good = encoded("flac", wave)
    expected = audio.decode(good)
    assert len(expected) == 32_000
    for samples in (0, 16_000):  # as from a pipe; as of a file that was gone on with
        content = with_length(good, samples)
        np.testing.assert_array_equal(audio.decode(content), expected)
        (tmp_path / "a.flac").write_bytes(content)
        np.testing.assert_array_equal(audio.load(tmp_path / "a.flac", 0.75, 1.5), expected[12_000:24_000])
        assert audio.duration(tmp_path / "a.flac") == 2
    for content in (good[: len(good) // 2], with_length(good, 0)[: len(good) // 2], with_length(good, 48_000)):
        with pytest.raises(AudioError, match=r"broken off|cannot be decoded"):
            audio.decode(content)
    with pytest.raises(AudioError, match="does not say how long it is"):
        audio.decode(with_length(good, 0)[:100])


def test_samples_that_look_like_a_flac_s_frame_are_none() -> None:
    # Noise is stored as it is. These bytes are the head of a frame that ends at sample 524,288, checksum and all.
    head = bytes.fromhex("fff8c5087f15")
    noise = np.random.default_rng(0).integers(-32_768, 32_768, 16_000).astype(np.int16)
    noise[-500:-497] = np.frombuffer(head, ">i2")
    content = io.BytesIO()
    soundfile.write(content, noise, 16_000, format="FLAC", subtype="PCM_16")
    assert head in content.getvalue() and len(audio.decode(content.getvalue())) == 16_000


def test_a_wav_or_aiff_that_holds_more_than_it_promises_is_refused(tone: Tone) -> None:
    good = encoded("wav", tone(3.0))
    lying = good[:40] + (32_000).to_bytes(4, "little") + good[44:]
    with pytest.raises(AudioError, match=r"^mine: the header promises 32000 bytes of samples, and 64000 more lie"):
        audio.decode(lying, name="mine")
    aiff = encoded("aiff", tone(3.0))
    at = aiff.index(b"SSND") + 4
    with pytest.raises(AudioError, match=r"promises 32008 bytes of samples, and 64000 more lie behind"):
        audio.decode(aiff[:at] + (32_008).to_bytes(4, "big") + aiff[at + 4 :])
    padding = b"LIST" + (6).to_bytes(4, "little") + b"INFOxx" + bytes(10_000)
    assert len(audio.decode(good + padding)) == 48_000


def test_good_recordings_with_careless_chunks_and_tags_are_heard(tone: Tone) -> None:
    wav = encoded("wav", tone(3.0))
    tag = b"ID3\4\0\0\0\1\0\0"  # of 16,384 bytes
    image = np.random.default_rng(0).integers(0, 256, 16_384, np.uint8).tobytes()
    notes = b"LIST" + (10_001).to_bytes(4, "little") + b"x" * 10_001
    odd = io.BytesIO()
    soundfile.write(odd, tone(3.0)[:-1], 16_000, format="WAV", subtype="PCM_U8")
    unpadded = b"RIFF" + (36 + 47_999).to_bytes(4, "little") + odd.getvalue()[8 : 44 + 47_999]
    for content, seconds in (
        (wav + notes + b"bext" + (5_000).to_bytes(4, "little") + bytes(5_000), 3),  # an odd length without its padding
        (unpadded + notes, 3),
        (unpadded + unpadded, 6),
        (wav + tag + image, 3),
    ):
        assert len(audio.decode(content)) == pytest.approx(seconds * 16_000, abs=2)
    mp3 = encoded("mp3", tone(3.0))
    expected = audio.decode(mp3)
    empty = b"ID3\3\0\0\0\0\0\0"
    for before in (tag + image, tag + image + tag + image, empty, tag + image + bytes(20_000), tag + 2 * image):
        np.testing.assert_array_equal(audio.decode(before + mp3), expected)


def test_what_cannot_be_sought_in_is_read_from_its_begin(tone: Tone, tmp_path: Path) -> None:
    # The code of mobile telephones.
    soundfile.write(tmp_path / "a.wav", tone(3.0, 440, 8_000), 8_000, subtype="GSM610")
    wave = audio.load(tmp_path / "a.wav")
    assert len(wave) == pytest.approx(48_000, abs=640)
    np.testing.assert_allclose(audio.load(tmp_path / "a.wav", 1, 2)[200:-200], wave[16_200:31_800], atol=1e-3)


def test_an_ogg_of_ruins_ends(tone: Tone) -> None:
    with pytest.raises(AudioError, match="damaged in more than 1000 places"):
        audio.decode(encoded("vorbis", tone(0.2)) + (b"OggS" + bytes(16)) * 3_000)


def test_a_cut_link_does_not_hide_the_next_one(tone: Tone) -> None:
    first, second = encoded("vorbis", tone(1.0, 300)), encoded("vorbis", tone(1.0, 900))
    with pytest.raises(AudioError, match="broken off: its stream ends in the middle of a page"):
        audio.decode(first[:-50] + second)


def test_a_file_of_very_many_recordings_is_refused(tone: Tone) -> None:
    with pytest.raises(AudioError, match="more than 1000 recordings are joined"):
        audio.decode(encoded("wav", tone(0.001)) * 1001)


@pytest.mark.parametrize(
    ("channels", "rate_hz", "text"),
    [
        (33, 8_000, "33 channels at 8000 Hz, at most 32 are allowed"),
        (9, 96_000, "9 channels at 96000 Hz, at most 8 are allowed"),
        (1, 400_000, re.escape("400000 Hz is no rate of a recording (1,000 to 384,000 Hz)")),
    ],
)
def test_what_would_keep_a_decoder_busy_is_refused_before_it_is_decoded(
    channels: int, rate_hz: int, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = io.BytesIO()
    soundfile.write(content, np.zeros((8_000, channels), np.int16), rate_hz, format="WAV")
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda *_, **__: pytest.fail("decoded"))
    with pytest.raises(AudioError, match=text):
        audio.decode(content.getvalue())


def test_decoding_ends_when_nobody_waits(tone: Tone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("affetto.audio.recording.BLOCK_FRAMES", 1_000)
    asked = []

    def cancelled() -> bool:
        asked.append(None)
        return len(asked) == 3

    with pytest.raises(audio.Cancelled, match=r"^mine: decoding was given up"):
        audio.decode(encoded("wav", tone(1.0)), name="mine", cancelled=cancelled)
    assert len(asked) == 3
    assert len(audio.decode(encoded("wav", tone(1.0)), cancelled=lambda: False)) == 16_000
