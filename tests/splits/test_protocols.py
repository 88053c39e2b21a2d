"""Each protocol by hand on small corpora, the properties that hold for all, and each refusal."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affetto.corpora.labels import EMOTIONS
from affetto.corpora.manifest import Clip, Manifest
from affetto.errors import UserError
from affetto.splits import PROTOCOLS, Split, default_protocol, inner_folds, make_split

ONE_EACH = ["paper", "loso", "kfold:3", "prompt-disjoint"]


def corpus(
    speakers: int = 6, emotions: tuple[str, ...] = EMOTIONS, prompts: int = 4, parts: dict[str, str] | None = None
) -> Manifest:
    """Every speaker says every prompt in every emotion; odd speakers are men."""
    clips = [
        Clip(
            file=f"s{speaker}/{emotion}-{prompt}.wav",
            emotion=emotion,
            speaker=f"s{speaker}",
            corpus="tiny",
            gender="male" if speaker % 2 else "female",
            prompt=f"p{prompt}",
            part=parts and parts.get(f"s{speaker}"),
        )
        for speaker in range(speakers)
        for emotion in emotions
        for prompt in range(prompts)
    ]
    return Manifest("tiny", Path("/tiny"), tuple(clips))


def speakers_of(manifest: Manifest, clips: tuple[str, ...]) -> set[str]:
    wanted = set(clips)
    return {clip.speaker for clip in manifest.clips if clip.id in wanted}


def homes(manifest: Manifest, split: Split) -> list[dict[str, set[str]]]:
    """Speakers per part, per fold."""
    return [{part: speakers_of(manifest, clips) for part, clips in fold.parts.items()} for fold in split.folds]


def test_paper_gives_six_equal_speakers_four_one_one() -> None:
    manifest = corpus(6)
    (parts,) = homes(manifest, make_split(manifest, "paper"))
    assert [len(speakers) for speakers in parts.values()] == [4, 1, 1]


@pytest.mark.parametrize("seed", range(3))
def test_classes_are_spread_where_each_speaker_has_one(seed: int) -> None:
    clips = [
        Clip(f"{speaker}-{take}.wav", "joy" if speaker < 20 else "fear", f"s{speaker:02d}", "x")
        for speaker in range(40)
        for take in range(3)
    ]
    manifest = Manifest("x", Path("/x"), tuple(clips))
    for protocol, folds in (("paper", 1), ("kfold:5", 5)):
        audits = make_split(manifest, protocol, seed).audit["folds"]
        parts = [fold["parts"][part]["classes"] for fold in audits for part in ("validation", "test")]
        assert len(audits) == folds and all(classes["fear"] == classes["joy"] for classes in parts)


def test_paper_gives_ten_equal_speakers_eighty_ten_ten() -> None:
    split = make_split(corpus(20), "paper")
    assert [len(clips) for clips in split.folds[0].parts.values()] == [16 * 28, 2 * 28, 2 * 28]
    assert {name: part["points_off"] for name, part in split.audit["folds"][0]["parts"].items()} == {
        "train": 0,
        "validation": 0,
        "test": 0,
    }


def test_loso_tests_each_speaker_and_validates_on_the_next() -> None:
    manifest = corpus(4)
    split = make_split(manifest, "loso")
    assert [fold.name for fold in split.folds] == ["s0", "s1", "s2", "s3"]
    assert homes(manifest, split) == [
        {"train": {"s2", "s3"}, "validation": {"s1"}, "test": {"s0"}},
        {"train": {"s0", "s3"}, "validation": {"s2"}, "test": {"s1"}},
        {"train": {"s0", "s1"}, "validation": {"s3"}, "test": {"s2"}},
        {"train": {"s1", "s2"}, "validation": {"s0"}, "test": {"s3"}},
    ]


def test_kfold_tests_each_group_once_and_validates_on_the_next() -> None:
    manifest = corpus(10)
    parts = homes(manifest, make_split(manifest, "kfold:5"))
    assert [len(fold["test"]) for fold in parts] == [2] * 5
    assert set.union(*(fold["test"] for fold in parts)) == set(manifest.speakers)
    for fold, following in zip(parts, parts[1:] + parts[:1], strict=True):
        assert fold["validation"] == following["test"]


@pytest.mark.parametrize("protocol", ["column", "official"])
def test_own_split_is_taken_as_it_is(protocol: str) -> None:
    manifest = corpus(4, parts={"s0": "test", "s1": "train", "s2": "validation", "s3": "train"})
    split = make_split(manifest, protocol)
    assert homes(manifest, split) == [{"train": {"s1", "s3"}, "validation": {"s2"}, "test": {"s0"}}]


def test_membership_alone_makes_the_checksum() -> None:
    manifest = corpus(4, parts={"s0": "test", "s1": "train", "s2": "validation", "s3": "train"})
    assert make_split(manifest, "column").checksum == make_split(manifest, "official", seed=3).checksum
    assert make_split(manifest, "column").checksum != make_split(manifest, "loso").checksum


def test_prompt_disjoint_crosses_nothing_and_counts_what_it_leaves_out() -> None:
    manifest = corpus(6, prompts=14)
    split = make_split(manifest, "prompt-disjoint")
    prompts = [{clip.prompt for clip in manifest.clips if clip.id in set(c)} for c in split.folds[0].parts.values()]
    assert not (prompts[0] & prompts[1] or prompts[0] & prompts[2] or prompts[1] & prompts[2])
    used = sum(len(clips) for clips in split.folds[0].parts.values())
    assert used + split.audit["folds"][0]["left_out"] == len(manifest.clips)
    assert split.audit["folds"][0]["prompt_overlap_percent"] == 0
    assert used >= 0.4 * len(manifest.clips)  # 80/10/10 of a full speakers × prompts table keeps 43 %
    assert f"keeps {used} of {len(manifest.clips)} clips" in split.notes[0]


def test_prompt_disjoint_loses_nothing_where_each_speaker_has_prompts_of_their_own() -> None:
    manifest = corpus(10)
    clips = tuple(replace(clip, prompt=f"{clip.speaker}-{clip.prompt}") for clip in manifest.clips)
    split = make_split(replace(manifest, clips=clips), "prompt-disjoint")
    assert split.audit["folds"][0]["left_out"] == 0
    assert [part["speakers"] for part in split.audit["folds"][0]["parts"].values()] == [8, 1, 1]


def test_prompt_disjoint_keeps_each_class_where_prompts_carry_the_emotion() -> None:
    manifest = corpus(12, prompts=8)
    clips = tuple(replace(clip, prompt=f"{clip.emotion[:3]}{clip.prompt}") for clip in manifest.clips)
    split = make_split(replace(manifest, clips=clips), "prompt-disjoint")
    for part in split.audit["folds"][0]["parts"].values():
        assert all(part["classes"].values())


tables = st.lists(
    st.tuples(st.integers(0, 7), st.sampled_from(EMOTIONS[:3]), st.integers(0, 3), st.sampled_from(["f", "m", None])),
    min_size=30,
    max_size=60,
)


def from_table(rows: list[tuple[int, str, int, str | None]], name: str = "{:03d}.wav") -> Manifest:
    """A manifest of drawn rows; three speakers say all, so that every protocol has what it needs."""
    filler = [
        (speaker, emotion, prompt, None) for speaker in range(3) for emotion in EMOTIONS[:3] for prompt in (0, 1, 2)
    ]
    clips = [
        Clip(name.format(i), emotion, f"s{speaker}", "drawn", gender, f"p{prompt}")
        for i, (speaker, emotion, prompt, gender) in enumerate([*filler, *rows])
    ]
    return Manifest("drawn", Path("/drawn"), tuple(clips))


@settings(max_examples=10, deadline=None)
@given(tables, st.sampled_from(ONE_EACH), st.integers(0, 3))
def test_no_speaker_crosses_and_each_clip_is_in_one_part_or_counted(
    rows: list[tuple[int, str, int, str | None]], protocol: str, seed: int
) -> None:
    manifest = from_table(rows)
    split = make_split(manifest, protocol, seed)
    for fold, parts, audit in zip(split.folds, homes(manifest, split), split.audit["folds"], strict=True):
        assert sum(len(speakers) for speakers in parts.values()) == len(set.union(*parts.values()))
        times = Counter(clip for clips in fold.parts.values() for clip in clips)
        assert set(times.values()) == {1}
        assert len(times) + audit["left_out"] == len(manifest.clips)
        assert audit["left_out"] == 0 or protocol == "prompt-disjoint"


@settings(max_examples=8, deadline=None)
@given(tables, st.sampled_from(ONE_EACH), st.randoms(use_true_random=False))
def test_neither_the_order_of_clips_nor_their_names_matter(
    rows: list[tuple[int, str, int, str | None]], protocol: str, chance: random.Random
) -> None:
    manifest = from_table(rows)
    split = make_split(manifest, protocol)
    shuffled = list(manifest.clips)
    chance.shuffle(shuffled)
    assert make_split(replace(manifest, clips=tuple(shuffled)), protocol) == split
    numbers = list(range(len(shuffled)))
    chance.shuffle(numbers)
    names = {clip.id: f"new/{number:03d}.wav" for clip, number in zip(manifest.clips, numbers, strict=True)}
    renamed = replace(manifest, clips=tuple(replace(clip, file=names[clip.id]) for clip in manifest.clips))
    for fold, again in zip(split.folds, make_split(renamed, protocol).folds, strict=True):
        for part, clips in fold.parts.items():
            assert {f"drawn:{names[clip]}" for clip in clips} == set(again.parts[part])


def test_saved_split_is_loaded_alike(tmp_path: Path) -> None:
    for protocol in ONE_EACH:
        split = make_split(corpus(5), protocol)
        split.save(tmp_path / "split.json")
        assert Split.load(tmp_path / "split.json") == split


def test_default_protocol() -> None:
    assert default_protocol(corpus()) == "paper"
    parts = {"s0": "test", "s1": "train", "s2": "validation"}
    table = corpus(3, parts=parts)
    assert default_protocol(table) == "column"
    assert make_split(table).protocol == "column"
    assert default_protocol(corpus(4, parts=parts)) == "paper"  # s3 has none
    assert default_protocol(replace(table, protocol="loso")) == "loso"  # as the corpus's record says


@pytest.mark.parametrize("protocol", ["papers", "kfold5", "paper:3", "", "LOSO!"])
def test_unknown_protocol_lists_the_known(protocol: str) -> None:
    if not protocol:
        assert make_split(corpus(), protocol).protocol == "paper"
        return
    with pytest.raises(
        UserError, match=r"unknown split protocol .*kfold:K, official, column, published, prompt-disjoint"
    ):
        make_split(corpus(), protocol)


@pytest.mark.parametrize("protocol", ["kfold", "kfold:", "kfold:2", "kfold:five", "kfold:-3", "kfold:3.5"])
def test_kfold_wants_three_folds(protocol: str) -> None:
    with pytest.raises(UserError, match="must be 3 or more"):
        make_split(corpus(), protocol)


@pytest.mark.parametrize("protocol", [*ONE_EACH, "column"])
def test_one_speaker_is_refused(protocol: str) -> None:
    with pytest.raises(UserError, match=r"one speaker only \('s0'\)"):
        make_split(corpus(1), protocol)


@pytest.mark.parametrize(
    ("protocol", "speakers", "least"),
    [("paper", 2, 3), ("loso", 2, 3), ("kfold:3", 2, 3), ("kfold:7", 6, 7), ("prompt-disjoint", 2, 3)],
)
def test_too_few_speakers_are_counted(protocol: str, speakers: int, least: int) -> None:
    with pytest.raises(UserError, match=f"needs {least} speakers or more, and there are {speakers}"):
        make_split(corpus(speakers), protocol)


def test_clip_without_speaker_is_named() -> None:
    clips = list(corpus().clips)
    clips[3] = replace(clips[3], speaker="")
    with pytest.raises(UserError, match=f"clip '{clips[3].file}' has no speaker"):
        make_split(replace(corpus(), clips=tuple(clips)))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({}, "no clip names its part"),
        ({"s0": "train", "s1": "test", "s2": "train"}, "train and test but no validation part.*--split paper"),
        ({"s0": "train", "s1": "train", "s2": "train"}, "no clips for validation and test"),
        ({"s0": "validation", "s1": "train", "s2": "train"}, "no clips for test"),
        ({"s0": "train", "s1": "dev", "s2": "test"}, "unknown part 'dev': known are train, validation, test"),
        ({"s0": "train", "s1": "validation"}, "names no part for 28 of 84 clips, such as 's2/"),
    ],
)
def test_incomplete_columns_are_refused(parts: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make_split(corpus(3, parts=parts), "column")


def test_crossing_speaker_is_named_with_both_parts() -> None:
    manifest = corpus(4, parts={"s0": "test", "s1": "train", "s2": "validation", "s3": "train"})
    clips = [replace(c, part="test") if c.speaker == "s3" and c.prompt == "p2" else c for c in manifest.clips]
    with pytest.raises(UserError, match="speaker 's3' is in train and in test"):
        make_split(replace(manifest, clips=tuple(clips)), "column")


def test_class_without_training_clips_is_named() -> None:
    manifest = corpus(4, parts={"s0": "test", "s1": "train", "s2": "validation", "s3": "train"})
    clips = tuple(c for c in manifest.clips if c.emotion != "fear" or c.speaker == "s0")
    with pytest.raises(UserError, match=r"no training clip shows 'fear'.*--label fear=drop"):
        make_split(replace(manifest, clips=clips), "column")
    assert "no test clip shows 'fear'" in make_split(replace(manifest, clips=clips), "paper").notes


def test_prompt_disjoint_says_what_it_lacks() -> None:
    with pytest.raises(UserError, match="needs 3 prompts or more, tiny has 2"):
        make_split(corpus(prompts=2), "prompt-disjoint")
    manifest = corpus()
    clips = (replace(manifest.clips[0], prompt=None), *manifest.clips[1:])
    with pytest.raises(UserError, match="1 of 168 have none"):
        make_split(replace(manifest, clips=clips), "prompt-disjoint")


def test_loso_beyond_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("affetto.splits.protocols.LARGEST_LISTING", 6 * 168 - 1)
    with pytest.raises(UserError, match=r"list 168 clips in each of 6 folds.*kfold:10"):
        make_split(corpus(6), "loso")


def test_every_protocol_is_tested_here() -> None:
    assert {name.partition(":")[0] for name in (*ONE_EACH, "official", "column", "published")} == set(PROTOCOLS)


FOLDS = (("s0", "s3"), ("s1",), ("s2", "s4", "s5"))


def test_published_folds_are_tested_in_turn_and_the_next_validates() -> None:
    manifest = replace(corpus(6), folds=FOLDS)
    parts = homes(manifest, make_split(manifest, "published"))
    assert [fold["test"] for fold in parts] == [set(fold) for fold in FOLDS]
    assert [fold["validation"] for fold in parts] == [set(fold) for fold in (*FOLDS[1:], FOLDS[0])]


@pytest.mark.parametrize(
    ("speakers", "folds", "line"),
    [
        (6, (), r"tiny has no published folds of speakers: use --split loso"),
        (6, FOLDS[:2], r"tiny has no published folds"),
        (7, FOLDS, r"speaker 's6' is in none of the published folds of tiny"),
        (6, (*FOLDS, ("s8", "s9")), r"tiny: no clips of published fold 4 \(speakers s8, s9\): complete the copy"),
    ],
)
def test_published_folds_must_fit_the_corpus(speakers: int, folds: tuple[tuple[str, ...], ...], line: str) -> None:
    with pytest.raises(UserError, match=line):
        make_split(replace(corpus(speakers), folds=folds), "published")


def test_inner_folds_by_hand() -> None:
    folds = inner_folds(["a", "b", "a", "c", "a", "b", "d"], 2)
    # a (3 clips) opens fold 0, b (2) fold 1, c (1) goes to the emptier 1, d to 0 (3 and 3: the first)
    assert [(fit.tolist(), held.tolist()) for fit, held in folds] == [
        ([1, 3, 5], [0, 2, 4, 6]),
        ([0, 2, 4, 6], [1, 3, 5]),
    ]


@given(st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=50), st.integers(2, 6))
def test_inner_folds_hold_out_each_clip_once_and_share_no_speaker(speakers: list[str], k: int) -> None:
    if len(set(speakers)) < 2:
        with pytest.raises(UserError, match="2 speakers"):
            inner_folds(speakers, k)
        return
    folds = inner_folds(speakers, k)
    assert len(folds) == min(k, len(set(speakers)))
    assert sorted(np.concatenate([held for _, held in folds]).tolist()) == list(range(len(speakers)))
    for fit, held in folds:
        assert len(fit) and len(held)
        assert not {speakers[i] for i in fit} & {speakers[i] for i in held}
