"""Fewer speakers to learn from: which are kept, what stays, and each refusal."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from tests.splits.test_protocols import corpus, homes

from affetto.corpora.content import Content
from affetto.errors import UserError
from affetto.splits import Split, make_split

SPEAKERS = 12


def fewer(count: int, seed: int = 0, protocol: str = "kfold:3") -> Split:
    return make_split(corpus(SPEAKERS), protocol, speakers=count, speakers_seed=seed)


@pytest.mark.parametrize(("count", "training", "validating"), [(2, 1, 1), (4, 2, 2), (5, 3, 2), (7, 3, 4), (8, 4, 4)])
def test_both_parts_keep_their_share_of_speakers(count: int, training: int, validating: int) -> None:
    parts = homes(corpus(SPEAKERS), fewer(count))
    assert [[len(fold["train"]), len(fold["validation"])] for fold in parts] == [[training, validating]] * 3


@pytest.mark.parametrize(("count", "training"), [(2, 1), (3, 2), (11, 10)])
def test_one_speaker_at_least_trains_and_one_validates(count: int, training: int) -> None:
    for fold in homes(corpus(SPEAKERS), fewer(count, protocol="loso")):
        assert (len(fold["train"]), len(fold["validation"])) == (training, 1)


def test_tested_clips_and_all_clips_of_a_kept_speaker_stay() -> None:
    manifest, whole, few = corpus(SPEAKERS), make_split(corpus(SPEAKERS), "kfold:3"), fewer(4)
    of_speaker = len(manifest.clips) // SPEAKERS
    for before, after in zip(whole.folds, few.folds, strict=True):
        assert after.test == before.test
        assert set(after.train) < set(before.train) and set(after.validation) < set(before.validation)
        assert (len(after.train), len(after.validation)) == (2 * of_speaker, 2 * of_speaker)
    assert few.checksum != whole.checksum
    assert [fold["left_out"] for fold in few.audit["folds"]] == [4 * of_speaker] * 3


def test_speakers_of_a_smaller_number_are_among_those_of_a_larger_one() -> None:
    manifest = corpus(SPEAKERS)
    splits = [homes(manifest, fewer(count)) for count in (2, 4, 6, 8)]
    for smaller, larger in pairwise(splits):
        for few, more in zip(smaller, larger, strict=True):
            assert few["train"] <= more["train"] and few["validation"] <= more["validation"]


def test_seeds_and_folds_draw_apart_and_a_seed_draws_the_same_again() -> None:
    manifest = corpus(SPEAKERS)
    assert fewer(2).checksum == fewer(2).checksum
    draws = [homes(manifest, fewer(2, seed)) for seed in range(8)]
    assert all(len({str(sorted(draw[fold]["train"])) for draw in draws}) > 1 for fold in range(3))
    # In leave one speaker out 1 and 2 are tested in turn, and folds 3 to 8 could all draw speaker 9.
    assert len({str(fold["train"]) for fold in homes(manifest, fewer(2, protocol="loso"))}) > 2


def test_a_note_tells_speakers_and_clips() -> None:
    assert fewer(4).notes[0] == ("training.speakers=4: a fold learns from 4 speakers, 112 clips; the tested clips stay")
    assert not any("training.speakers" in note for note in make_split(corpus(SPEAKERS), "kfold:3").notes)


def test_a_split_of_fewer_speakers_is_not_measured_by_80_10_10() -> None:
    few = make_split(corpus(SPEAKERS), "paper", speakers=3)
    assert few.audit["folds"][0]["parts"]["train"]["points_off"] is None
    assert not any("80/10/10" in note for note in few.notes)


def test_test_clips_stay_left_out_whose_copies_are_in_the_whole_training_part() -> None:
    manifest = corpus(SPEAKERS)
    whole = make_split(manifest, "kfold:3")
    trained, tested = whole.folds[0].train, whole.folds[0].test
    contents = {trained[0]: Content(samples="same"), tested[0]: Content(samples="same")}
    for speakers in (0, 2, 8):
        split = make_split(manifest, "kfold:3", contents=contents, allow_duplicates=True, speakers=speakers)
        assert tested[0] not in split.folds[0].test and len(split.folds[0].test) == len(tested) - 1


@pytest.mark.parametrize("count", [1, 9, -1])
def test_a_number_that_a_fold_does_not_have_is_refused_in_a_line(count: int) -> None:
    with pytest.raises(UserError, match=rf"training\.speakers={count}: fold 1 has 8 speakers .* from 2 to 8, or 0"):
        fewer(count)


def test_an_emotion_that_no_drawn_speaker_shows_is_named_with_the_number() -> None:
    manifest = corpus(SPEAKERS)
    rare = {f"s{number}" for number in range(0, SPEAKERS, 4)}
    clips = tuple(clip for clip in manifest.clips if clip.emotion != "fear" or clip.speaker in rare)
    manifest = replace(manifest, clips=clips)
    make_split(manifest, "loso")
    with pytest.raises(
        UserError, match=r"^training\.speakers=2: fold .*no training clip shows 'fear'.*\. Or learn from more sp"
    ):
        make_split(manifest, "loso", speakers=2)
