"""Copies are known by their sound however they are stored, and nothing else is taken for one."""

from __future__ import annotations

import json

import numpy as np
import pytest

from affetto import audio
from affetto.corpora.content import Content, content, copies, groups
from synthetic.babble import babble, stored

WAVE = np.round(babble(0) * 32768) / 32768
"""Samples that 16 bits hold exactly."""
LOSSLESS = {
    "24 bits": stored(WAVE, "WAV", "PCM_24"),
    "floats": stored(WAVE, "WAV", "FLOAT"),
    "flac": stored(WAVE, "FLAC"),
    "aiff": stored(WAVE, "AIFF"),
    "other header": stored(WAVE, "WAVEX"),
    "stereo": stored(WAVE, channels=2),
}
ALTERED = {
    "48 kHz stereo": stored(WAVE, rate_hz=48_000, channels=2),
    "22 kHz": stored(WAVE, rate_hz=22_050),
    "mp3": stored(WAVE, "MP3", "MPEG_LAYER_III"),
    "mp3 of 44.1 kHz": stored(WAVE, "MP3", "MPEG_LAYER_III", rate_hz=44_100, channels=2),
    "ogg": stored(WAVE, "OGG", "VORBIS"),
    "opus": stored(WAVE, "OGG", "OPUS", rate_hz=48_000),
    "telephone": stored(WAVE, "WAV", "ULAW", rate_hz=8_000),
    "quieter": stored(0.1 * WAVE),
    "padded": stored(np.concatenate([np.zeros(3000), WAVE, np.zeros(9000)])),
}


def heard(file: bytes) -> Content:
    return content([audio.decode(file)])


@pytest.mark.parametrize("kind", LOSSLESS)
def test_lossless_copies_have_the_same_samples(kind: str) -> None:
    assert heard(LOSSLESS[kind]).samples == heard(stored(WAVE)).samples


@pytest.mark.parametrize("kind", ALTERED)
def test_altered_copies_are_known_by_their_prints(kind: str) -> None:
    original, copy = heard(stored(WAVE)), heard(ALTERED[kind])
    assert copy.samples != original.samples
    assert copies({"copy": copy}, [heard(stored(babble(1))), original]) == {"copy"}
    assert groups({"a": original, "b": heard(stored(babble(1))), "c": copy}) == [["a", "c"]]


def test_other_takes_of_a_sentence_by_one_voice_are_no_copies() -> None:
    takes = {f"{sentence}/{take}": content([babble(sentence, take)]) for sentence in range(8) for take in range(6)}
    assert all(marks.print is not None for marks in takes.values())
    assert groups(takes) == []
    first = {name: marks for name, marks in takes.items() if name.endswith("/0")}
    assert copies(first, [marks for name, marks in takes.items() if name not in first]) == set()


def test_silence_is_no_copy_of_silence_and_short_clips_are_known_by_samples_alone() -> None:
    assert groups({"a": content([np.zeros(16_000, np.float32)]), "b": content([np.zeros(16_000, np.float32)])}) == []
    short = content([WAVE[:6000].astype(np.float32)])
    assert short.samples is not None and short.print is None
    assert groups({"a": short, "b": content([WAVE[:3000], WAVE[3000:6000]])}) == [["a", "b"]]


def test_marks_survive_json_and_those_of_another_version_are_not_compared() -> None:
    marks = content([WAVE])
    entry = json.loads(json.dumps(marks.to_json()))
    assert Content.from_json(entry) == marks
    for other in (entry | {"version": 0}, entry | {"print": "AAAA"}, {}, None, [1]):
        assert Content.from_json(other) is None


def printed(bits: np.ndarray, loud: int = 64) -> Content:
    """A content by its print alone: `bits` (64, 16), of which the first `loud` steps count."""
    counts = np.arange(64) < loud
    mark = np.packbits(counts).tobytes() + np.packbits((bits == 1) & counts[:, None]).tobytes()
    return Content(str(id(bits)), mark)


@pytest.mark.parametrize(
    ("loud", "agreement", "expected"),
    [
        pytest.param(64, 0.58, set(), id="too little of a long clip"),
        pytest.param(64, 0.62, {"a"}, id="enough of a long clip"),
        pytest.param(32, 0.63, set(), id="as much of half a clip as two takes have"),
        pytest.param(32, 0.68, {"a"}, id="more of half a clip than takes have"),
        pytest.param(17, 0.70, set(), id="enough of too few bits"),
        pytest.param(17, 0.90, {"a"}, id="nearly all of few bits"),
    ],
)
def test_copies_agree_in_a_share_of_bits_and_beyond_chance(loud: int, agreement: float, expected: set[str]) -> None:
    """Equal bits less unequal ones are 0.6 of the n that count, and 3.12 n^0.75."""
    random = np.random.default_rng(0)
    bits = random.integers(0, 2, (64, 16))
    counted = loud * 16
    flipped = random.permutation(counted)[: round(counted * (1 - agreement) / 2)]
    other = bits.copy().reshape(-1)
    other[flipped] = 1 - other[flipped]
    assert copies({"a": printed(other.reshape(64, 16), loud)}, [printed(bits, loud)]) == expected


@pytest.mark.parametrize(("shift", "expected"), [(-2, set()), (-1, {"a"}), (1, {"a"}), (2, set())])
def test_copies_may_lie_a_step_apart(shift: int, expected: set[str]) -> None:
    bits = np.random.default_rng(0).integers(0, 2, (64, 16))
    assert copies({"a": printed(np.roll(bits, shift, axis=0))}, [printed(bits)]) == expected
