"""Gaps between groups of clips: which groups there are, the gap, its interval and its verdict."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from affetto.corpora.manifest import Clip
from affetto.errors import UserError
from affetto.evaluation.stress.groups import gap_verdict, gaps_of, read_columns
from affetto.evaluation.stress.scoring import main_scores
from affetto.targets.classes import Classes

LABELS = ("anger", "joy")
SPEAKERS = 8


def clips_of(takes: int = 10) -> list[Clip]:
    """Clips of eight speakers, the first four of them women, aged 20, 21, …; each says two sentences."""
    return [
        Clip(
            file=f"{speaker}-{take}.wav",
            emotion=LABELS[take % 2],
            speaker=f"s{speaker}",
            corpus="c",
            gender="female" if speaker < SPEAKERS // 2 else "male",
            prompt=f"p{take % 4 // 2}",
            extra=(("age", str(20 + speaker)), ("name", f"{speaker}-{take}")),
        )
        for speaker in range(SPEAKERS)
        for take in range(takes)
    ]


def lines(clips: list[Clip], right: list[bool]) -> list[dict[str, Any]]:
    rows = []
    for clip, is_right in zip(clips, right, strict=True):
        truth = LABELS.index(clip.emotion)
        called = truth if is_right else 1 - truth
        probabilities = {label: float(number == called) for number, label in enumerate(LABELS)}
        rows.append({"file": clip.name, "speaker": clip.speaker, "truth": clip.emotion, "probabilities": probabilities})
    return rows


def gaps(clips: list[Clip], right: list[bool], name: str) -> dict[str, Any]:
    scores = main_scores(Classes(LABELS), lines(clips, right))
    (column,) = read_columns(clips, [name])
    return gaps_of(column, [clip.id for clip in clips], [clip.speaker for clip in clips], scores)


def test_a_gap_is_that_of_the_two_scores_and_clips_without_a_value_are_in_neither() -> None:
    clips = clips_of()
    clips[-1] = replace(clips[-1], gender=None)
    right = [number % 5 != 0 if clip.gender == "female" else number % 5 > 1 for number, clip in enumerate(clips)]
    right[-1] = False
    facts = gaps(clips, right, "gender")
    women, men = facts["groups"]
    assert (facts["without_value"], women["value"], women["clips"], men["clips"]) == (1, "female", 40, 39)
    assert women["scores"]["uar"]["value"] == pytest.approx(0.8)
    expected = 0.8 - men["scores"]["uar"]["value"]
    assert women["scores"]["uar"]["gap"] == pytest.approx(expected) == pytest.approx(-men["scores"]["uar"]["gap"])
    low, high = women["scores"]["uar"]["gap_interval"]
    assert low < expected < high


def test_what_a_speaker_does_to_both_groups_cancels() -> None:
    clips = clips_of(takes=20)
    # Speakers differ much, and within each the two sentences do not.
    right = [number % 20 // 4 < int(clip.speaker[1:]) % 5 + 1 for number, clip in enumerate(clips)]
    first, _ = gaps(clips, right, "prompt")["groups"]
    low, high = first["scores"]["uar"]["gap_interval"]
    assert first["speakers"] == SPEAKERS and high - low < 0.05
    low, high = first["scores"]["uar"]["interval"]
    assert high - low > 0.2


def test_a_gap_is_one_only_beyond_random_models_and_surely() -> None:
    assert gap_verdict(0.2, (0.1, 0.3), 0.05) == gap_verdict(-0.2, (-0.3, -0.1), 0.05) == "gap"
    assert gap_verdict(0.03, (-0.01, 0.04), 0.05) == "no gap"
    assert gap_verdict(0.04, (0.01, 0.07), 0.05) == gap_verdict(0.2, (-0.1, 0.5), 0.05) == "undecided"
    assert gap_verdict(0.9, None, 0.05) == "undecided"


def test_a_random_model_has_no_gap_and_one_that_hears_women_alone_has() -> None:
    clips = clips_of(takes=40)
    random = np.random.default_rng(0)
    deaf = [bool(random.integers(2)) if clip.gender == "male" else True for clip in clips]
    score = gaps(clips, deaf, "gender")["groups"][0]["scores"]["uar"]
    assert score["verdict"] == "gap" and score["gap"] > 0.3 > score["threshold"] > 0.05
    coin = [bool(random.integers(2)) for _ in clips]
    assert gaps(clips, coin, "gender")["groups"][0]["scores"]["uar"]["verdict"] != "gap"


def test_many_numbers_make_thirds_of_the_speakers_and_many_words_are_refused() -> None:
    clips = [replace(clip, extra=(("age", str(20 + n)), *clip.extra[1:])) for n, clip in enumerate(clips_of(takes=3))]
    (column,) = read_columns(clips, ["age"])
    assert len(column.values) == 3 and column.values[0].startswith("20–") and column.values[2].endswith("–43")
    (column,) = read_columns(clips_of(), ["age"])
    assert column.values == tuple(str(20 + speaker) for speaker in range(SPEAKERS))
    with pytest.raises(UserError, match=r"--by name: 80 values .* at most 10"):
        read_columns(clips_of(), ["name"])
    with pytest.raises(UserError, match=r"--by age: 25 values such as 'nan' .* numbers alone"):
        read_columns([*clips, replace(clips[0], file="x.wav", extra=(("age", "nan"),))], ["age"])
    with pytest.raises(UserError, match=r"column of --by 'ages'.*age"):
        read_columns(clips_of(), ["ages"])
    bare = [replace(clip, gender=None, prompt=None, extra=()) for clip in clips_of()]
    with pytest.raises(UserError, match=r"--by age: the corpus has neither gender, .* `extra:NAME`"):
        read_columns(bare, ["age"])
    with pytest.raises(UserError, match=r"all clips have 'female'"):
        read_columns([clip for clip in clips_of() if clip.gender == "female"], ["gender"])
