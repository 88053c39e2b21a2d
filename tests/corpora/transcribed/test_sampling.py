"""Speech with sentences: which clips a sample takes, worked out by hand and as properties."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from affetto.corpora.transcribed.listing import Utterance
from affetto.corpora.transcribed.registry import open_speech
from affetto.corpora.transcribed.sampling import fill, hold_out


def listing(**clips: int) -> list[Utterance]:
    """`listing(a=2)`: two clips of speaker a, 10 s each."""
    return [Utterance(f"{who}{n}.mp3", who, "ciao", 10.0) for who, count in clips.items() for n in range(count)]


def seconds(one: Utterance) -> float:
    return one.seconds or 0.0


def test_speakers_share_the_hours_equally_as_far_as_they_have_recordings() -> None:
    chosen = fill(listing(many=100, some=10, few=2), 140.0, 0, seconds)
    # 14 clips: `few` gives both of its own, the others 6 each.
    assert Counter(one.speaker for one in chosen) == {"many": 6, "some": 6, "few": 2}


def test_time_is_shared_and_not_clips() -> None:
    clips = listing(long=10) + [Utterance(f"short{n}.mp3", "short", "ciao", 2.0) for n in range(50)]
    chosen = fill(clips, 80.0, 0, seconds)
    heard = Counter[str]()
    for one in chosen:
        heard[one.speaker] += int(seconds(one))
    assert heard["long"] == 40 and heard["short"] == 40


def test_a_smaller_sample_is_the_beginning_of_a_larger_one_whatever_the_order_of_the_listing() -> None:
    clips = listing(a=9, b=4, c=7)
    shuffled = random.Random(3).sample(clips, len(clips))
    small, large = fill(clips, 60.0, 1, seconds), fill(shuffled, 120.0, 1, seconds)
    assert large[: len(small)] == small
    assert fill(clips, 60.0, 2, seconds) != small
    assert set(fill(clips, None, 1, seconds)) == set(clips)


def test_a_sample_ends_with_the_clip_that_reaches_the_sum() -> None:
    assert len(fill(listing(a=9), 30.0, 0, seconds)) == 3
    assert len(fill(listing(a=9), 30.5, 0, seconds)) == 4
    assert len(fill(listing(a=2), 500.0, 0, seconds)) == 2


def test_held_out_speakers_are_a_share_and_at_least_one() -> None:
    assert len(hold_out(["a", "b", "c"], 0.1, 0)) == 1
    assert len(hold_out([str(n) for n in range(10)], 0.1, 0)) == 2
    names = [str(n) for n in range(50)]
    assert len(hold_out(names, 0.1, 0)) == 5
    assert hold_out(names, 0.1, 0) == hold_out(names[::-1] * 2, 0.1, 0) != hold_out(names, 0.1, 1)


def test_paths_are_the_roots(tmp_path: Path) -> None:
    from affetto.corpora.transcribed.listing import Listing

    corpus = Listing("x", tmp_path, ())
    assert corpus.path(Utterance("clips/a.mp3", "a")) == tmp_path / "clips" / "a.mp3"


@pytest.mark.parametrize("above", ["", "LibriSpeech/train-clean"])
def test_chapters_are_their_speaker_s(above: str, tmp_path: Path) -> None:
    for speaker in ("19", "26"):
        for chapter in ("198", "227"):
            place = tmp_path / above / speaker / chapter
            place.mkdir(parents=True)
            soundfile.write(place / "0001.wav", np.zeros(1600), 16_000)
    corpus = open_speech("folder", tmp_path, with_sentences=False)
    found = {utterance.speaker.rpartition("/")[2] for utterance in corpus.utterances}
    assert found == {"19", "26"} and corpus.has_speakers
    assert ["2 speakers, one per folder" in note for note in corpus.notes] == [True]
