"""Timelines: speech by a detector worked out by hand, cells and segments in numbers, chunks as the whole."""

from __future__ import annotations

import itertools
import tracemalloc
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from affetto.audio import RATE_HZ, AudioError
from affetto.cli import timelines
from affetto.errors import UserError
from affetto.inference import speech
from affetto.inference import timeline as module
from affetto.inference.speech import FRAME, Rules, frames, silero, stretches
from affetto.inference.timeline import Timeline
from inference.test_predictor import LABELS, Loudness, wave

S = RATE_HZ


def loud(frame: np.ndarray) -> float:
    return float(np.abs(frame).max() > 0)


@pytest.fixture
def by_loudness(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever sounds is speech."""
    monkeypatch.setattr(module, "silero", lambda: loud)


def pieces(sound: np.ndarray, **rules: Any) -> list[tuple[int, int]]:
    """Stretches of speech as (start, end) in samples; what they hold is checked."""
    found, begun = [], None
    for piece in stretches([sound], loud, Rules(**rules)):
        np.testing.assert_array_equal(piece.wave, sound[piece.start : piece.start + len(piece.wave)])
        begun = piece.start if begun is None else begun
        if piece.last:
            found.append((begun, piece.start + len(piece.wave)))
            begun = None
    assert begun is None
    return found


def test_speech_begins_and_ends_within_a_frame_of_where_it_does() -> None:
    sound = wave((0, 1), (0.5, 2), (0, 1), (-0.5, 1), (0, 2))
    (a, b), (c, d) = pieces(sound, padding_seconds=0.0)
    for found, true in ((a, S), (b, 3 * S), (c, 4 * S), (d, 5 * S)):
        assert abs(found - true) <= FRAME
    (e, f), (g, h) = pieces(sound, padding_seconds=0.1)
    assert (e, f, g, h) == (a - S // 10, b + S // 10, c - S // 10, d + S // 10)


def test_short_pauses_belong_to_speech_and_short_sounds_do_not() -> None:
    assert len(pieces(wave((0.5, 1), (0, 0.4), (0.5, 1), (0, 1)))) == 1
    assert len(pieces(wave((0.5, 1), (0, 0.6), (0.5, 1), (0, 1)))) == 2
    assert pieces(wave((0, 1), (0.5, 0.2), (0, 1))) == []
    assert len(pieces(wave((0, 1), (0.5, 0.2), (0, 1)), shortest_seconds=0.1)) == 1
    assert pieces(wave((0.5, 1.0), (0, 0.3))) == [(0, S + 3 * S // 10)]  # broken off within a pause
    assert pieces(wave((0, 3.0))) == [] and pieces(np.zeros(0, np.float32)) == []


def test_speech_ends_at_every_threshold_that_it_may_begin_at() -> None:
    sound = wave((0.5, 1), (0, 1), (0.5, 1), (0, 1))
    assert len(pieces(sound, threshold=0.1)) == len(pieces(sound, threshold=0.5)) == 2
    hysteresis = [0.5, 0.4, 0.4, 0.36, 0.34] + [0.0] * 20  # may end below 0.35
    answers = iter(hysteresis)
    rules = Rules(threshold=0.5, pause_seconds=0.1, shortest_seconds=0, padding_seconds=0)
    (*_, last) = stretches([np.zeros(FRAME * len(hysteresis), np.float32)], lambda _: next(answers), rules)
    assert last.last and last.start + len(last.wave) == 4 * FRAME
    for wrong in ({"threshold": 0.0}, {"threshold": 1.1}, {"threshold": np.nan}, {"pause_seconds": -1.0}):
        with pytest.raises(UserError, match=r"of speech of|for speech"):
            Rules(**wrong)


def test_frames_are_the_same_however_blocks_come() -> None:
    sound = np.arange(5000, dtype=np.float32)
    for size in (1, 7, 512, 513, 5000):
        made = list(frames(sound[i : i + size] for i in range(0, len(sound), size)))
        assert [len(f) for f in made] == [FRAME] * 9 + [5000 - 9 * FRAME]
        np.testing.assert_array_equal(np.concatenate(made), sound)


def test_what_is_held_does_not_grow_with_speech_or_silence() -> None:
    for level in (0.0, 0.5):
        longest = max(
            (len(p.wave) for p in stretches((np.full(S, level, np.float32) for _ in range(300)), loud, Rules())),
            default=0,
        )
        assert longest < S


def test_segments_by_hand(by_loudness: None) -> None:
    # Joy for 2 s, a pause, anger for 1 s; windows of 1 s, so the first stretch has three of them, all joy.
    line = Timeline(Loudness(), speech=Rules(padding_seconds=0.0))
    first, second = line(wave((0, 0.512), (0.5, 2.048), (0, 1.024), (-0.5, 1.024), (0, 1.0)))
    assert (first.start, first.end, first.emotion) == (0.512, 2.56, "joy")
    assert (second.start, second.end, second.emotion) == (3.584, 4.608, "anger")
    assert first.probabilities == {"anger": 0.0, "joy": 1.0, "sadness": 0.0}


def test_cells_are_weighted_means_of_the_windows_over_them(by_loudness: None) -> None:
    # 2 s of joy, then 0.75 s of anger; windows 0–1, 0.5–1.5, 1–2, 1.5–2.5 and 1.75–2.75 s: joy in the last two .5, .25.
    line = Timeline(Loudness(), shortest_seconds=0.1, speech=Rules(padding_seconds=0.0))
    sound = wave((0.5, 2.0), (-0.5, 0.75))
    cells = list(line._cells(100, [sound]))
    edges = [0, 0.5, 1.0, 1.5, 2.0, 2.5, 2.75]
    assert [(c[0], c[1]) for c in cells] == [
        (100 + round(a * S), 100 + round(b * S)) for a, b in itertools.pairwise(edges)
    ]
    joy = [c[2][LABELS.index("joy")] for c in cells]
    # 1.5–2.0: windows of 1, .5 over all of it, and .25 over half; 2.0–2.5: .5 and .25; 2.5–2.75: .25.
    assert joy == pytest.approx([1, 1, 1, (1 + 0.5 + 0.25 / 2) / 2.5, 0.375, 0.25])
    first, second = line(sound)
    assert (first.emotion, first.end, second.emotion, second.start) == ("joy", 2.0, "anger", 2.0)
    assert second.probabilities["joy"] == pytest.approx((0.5 * 0.375 + 0.25 * 0.25) / 0.75)


def test_what_is_too_short_joins_its_neighbour(by_loudness: None) -> None:
    sound = wave((0.5, 3.0), (-0.5, 0.9), (0.5, 3.0))

    def made(shortest: float) -> list[str | None]:
        return [s.emotion for s in Timeline(Loudness(), hop_seconds=0.1, shortest_seconds=shortest)(sound)]

    assert made(0.2) == ["joy", "anger", "joy"] and made(1.0) == ["joy"]


@pytest.mark.parametrize(("size", "rate_hz"), [(1, 16_000), (160, 44_100), (5000, 44_100), (10**6, 44_100)])
def test_chunks_as_they_arrive_give_what_the_file_gives(
    size: int, rate_hz: int, tmp_path: Path, by_loudness: None
) -> None:
    generator = np.random.default_rng(0)
    parts = [
        np.repeat(generator.choice([-0.5, 0.5, 0.0]), round(seconds * rate_hz)) * generator.random(1)
        for seconds in generator.uniform(0.1, 3.0, 3 if size == 1 else 25)
    ]
    sound = np.concatenate(parts).astype(np.float32)
    soundfile.write(tmp_path / "x.wav", sound, rate_hz, subtype="FLOAT")
    line = Timeline(Loudness())
    whole = list(line(tmp_path / "x.wav"))
    assert list(line.stream((sound[i : i + size] for i in range(0, len(sound), size)), rate_hz)) == whole
    assert list(line(sound, rate_hz)) == whole and (size == 1 or len(whole) > 5)
    assert all(a.end <= b.start for a, b in itertools.pairwise(whole))


def long_sound(seconds: float, rate_hz: int) -> np.ndarray:
    """Levels and silences of random lengths, (samples,)."""
    generator = np.random.default_rng(0)
    parts: list[np.ndarray] = []
    while sum(map(len, parts)) < seconds * rate_hz:
        level = generator.choice([-1.0, 1.0, 0.0]) * generator.uniform(0.05, 0.9)
        parts.append(np.full(round(generator.uniform(0.05, 6.0) * rate_hz), level, np.float32))
    return np.concatenate(parts)


def test_chunks_of_random_sizes_give_what_a_long_file_gives(tmp_path: Path, by_loudness: None) -> None:
    sound, generator = long_sound(120, 48_000), np.random.default_rng(0)
    soundfile.write(tmp_path / "x.flac", sound, 48_000, subtype="PCM_24")
    (held, _), at = soundfile.read(tmp_path / "x.flac", dtype="float32"), 0
    chunks = []
    while at < len(held):
        chunks.append(held[at : at + int(200_000 ** generator.uniform())])
        at += len(chunks[-1])
    line = Timeline(Loudness())
    whole = list(line(tmp_path / "x.flac"))
    assert len(whole) > 10 and whole[-1].end > 110
    assert list(line.stream(chunks, 48_000)) == whole


@pytest.mark.parametrize("kind", [np.int16, np.int32])
def test_whole_numbers_are_scaled_in_a_stream_as_in_an_array(kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "silero", lambda: lambda frame: float(0.2 < np.abs(frame).max() <= 1))
    sound = wave((0.01, 0.5), (0.5, 2.0), (0.01, 1.0), (-0.25, 1.5), (0.01, 1.0))
    whole_numbers = (sound * 2.0 ** (8 * np.dtype(kind).itemsize - 1)).astype(kind)
    line = Timeline(Loudness())
    expected = list(line(sound))
    assert len(expected) == 2
    assert list(line(whole_numbers)) == expected
    assert list(line.stream(np.array_split(sound, 7))) == expected
    assert list(line.stream(np.array_split(whole_numbers, 7))) == expected
    with pytest.raises(AudioError, match="<chunks>: samples of type uint8"):
        list(line.stream([np.zeros(S, np.uint8)]))


def test_memory_does_not_grow_with_a_stream(by_loudness: None) -> None:
    piece = long_sound(20, RATE_HZ)

    def most(times: int) -> int:
        """Bytes held at once while a stream is heard whose segments are let go."""
        tracemalloc.start()
        for _ in Timeline(Loudness()).stream(
            piece[at : at + S] for _ in range(times) for at in range(0, len(piece), S)
        ):
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    most(1)
    short, long = most(2), most(8)
    assert long < 1.1 * short + 100_000 and long < 5_000_000


def test_a_segment_comes_before_the_recording_has_ended(by_loudness: None) -> None:
    given = 0

    def chunks():
        nonlocal given
        for level in (0.5, 0.0, -0.5, 0.0, 0.5):
            given += 1
            yield wave((level, 2.0))

    found = Timeline(Loudness()).stream(chunks())
    assert next(found).emotion == "joy" and given == 2
    assert next(found).emotion == "anger" and given == 4


def test_confidence_and_abstention_hold_for_segments(by_loudness: None) -> None:
    sound = wave((0.5, 0.8), (-0.5, 0.2))
    model = Loudness(temperature=2.0)
    (segment,) = Timeline(model)(sound)
    assert segment.emotion == "joy" and segment.probabilities["joy"] == pytest.approx(2 / 3, abs=1e-4)
    model.abstain_below = 0.9
    (segment,) = Timeline(model)(sound)
    assert segment.emotion is None and segment.probabilities["joy"] == pytest.approx(2 / 3, abs=1e-4)


def test_what_cannot_be_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for hop in (0.0, 1.5, -1.0):
        with pytest.raises(UserError, match="hop"):
            Timeline(Loudness(), hop_seconds=hop)
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(AudioError, match=r"text\.wav"):
        list(Timeline(Loudness())(tmp_path / "text.wav"))
    monkeypatch.setattr("affetto.inference.speech.find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"affetto\[timeline\]"):
        Timeline(Loudness())


def test_silero_hears_no_speech_in_tones_noise_and_silence() -> None:
    pytest.importorskip("silero_vad")
    import torch

    threads = torch.get_num_threads()
    times = np.arange(3 * S) / S
    noise = np.random.default_rng(0).normal(0, 0.01, 3 * S)
    for sound in (np.zeros(3 * S), 0.1 * np.sin(2 * np.pi * 440 * times), noise):
        assert list(Timeline(Loudness())(sound.astype(np.float32))) == []
    assert torch.get_num_threads() == threads


def test_silero_hears_on_one_thread_and_leaves_the_others_to_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    silero_vad = pytest.importorskip("silero_vad")
    import torch

    class Threads:
        """A model that answers with the number of its threads."""

        def reset_states(self) -> None: ...

        def __call__(self, frame: torch.Tensor, _rate_hz: int) -> torch.Tensor:
            assert frame.shape == (FRAME,)
            return torch.tensor(float(torch.get_num_threads()))

    monkeypatch.setattr(silero_vad, "load_silero_vad", Threads)
    monkeypatch.setattr(speech, "_IDLE", deque())
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert silero()(np.zeros(FRAME, np.float32)) == 1.0
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_detector_takes_up_an_idle_model_as_new_and_never_one_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    silero_vad = pytest.importorskip("silero_vad")
    loaded = []

    class Counter:
        """A model that answers with the number of its frames."""

        def __init__(self) -> None:
            loaded.append(self)

        def reset_states(self) -> None:
            self.frames = 0

        def __call__(self, _frame: object, _rate_hz: int) -> float:
            self.frames += 1
            return self.frames

    monkeypatch.setattr(silero_vad, "load_silero_vad", Counter)
    monkeypatch.setattr(speech, "_IDLE", deque())
    frame = np.zeros(FRAME, np.float32)
    first, second = silero(), silero()
    assert [first(frame), first(frame), second(frame)] == [1, 2, 1]
    del first
    third = silero()
    assert len(loaded) == 2
    fourth = silero()
    assert [third(frame), fourth(frame), third(frame), second(frame)] == [1, 1, 2, 2]


def test_what_can_be_no_output_of_a_timeline_is_told_before_anything_is_heard(tmp_path: Path) -> None:
    recording, folder = tmp_path / "talk.wav", tmp_path / "d.png"
    soundfile.write(recording, np.zeros(S), S)
    folder.mkdir()
    for out, picture, told in (
        (recording, None, "--out .*talk.wav is the recording itself"),
        (folder, None, "--out .*d.png is a folder"),
        (None, folder, "--picture .*d.png is a folder"),
        (tmp_path / "none" / "o.json", None, "--out .*no folder"),
    ):
        with pytest.raises(UserError, match=told):
            timelines.check([str(recording)], None, out, picture)
    timelines.check([str(recording)], "vtt", tmp_path / "o.vtt", tmp_path / "o.svg")
