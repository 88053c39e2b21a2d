"""The audit's numbers by hand, its remarks, and what the screen shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from affetto.corpora.content import Content
from affetto.corpora.manifest import Clip, Manifest
from affetto.errors import UserError
from affetto.splits import Fold, Split, make_split, render
from affetto.splits.audit import Ledger, prove
from affetto.splits.copies import without

PARTS = {"a": "train", "b": "train", "c": "validation", "d": "test"}


def clip(number: int, speaker: str, emotion: str, prompt: str | None = None, gender: str | None = None) -> Clip:
    return Clip(f"{number}.wav", emotion, speaker, "x", gender, prompt, PARTS.get(speaker), 0.0, 1800.0)


MANIFEST = Manifest(
    "x",
    Path("/x"),
    (
        clip(1, "a", "joy", "p1", "female"),
        clip(2, "a", "joy", "p2", "female"),
        clip(3, "a", "fear", "p1", "female"),
        clip(4, "b", "fear", "p3", "male"),
        clip(5, "c", "joy", "p1"),
        clip(6, "c", "fear", "p4"),
        clip(7, "d", "joy", "p3", "male"),
        clip(8, "d", "joy", None, "male"),
        clip(9, "d", "joy", "p5", "male"),
        clip(10, "d", "fear", "p1", "male"),
    ),
)


def shown(split: Split, width: int = 80) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(render(split))
    return console.export_text()


def test_numbers_by_hand() -> None:
    split = make_split(MANIFEST, "column")
    assert {key: split.audit[key] for key in ("clips", "speakers", "classes")} == {
        "clips": 10,
        "speakers": 4,
        "classes": {"fear": 4, "joy": 6},
    }
    (fold,) = split.audit["folds"]
    assert (fold["name"], fold["left_out"], fold["shared_speakers"]) == ("all", 0, [])
    assert fold["prompt_overlap_percent"] == 50  # p3 and p1; p5 is new, an unknown prompt does not count
    assert (fold["duplicates"], fold["duplicate_examples"]) == (None, [])
    assert fold["parts"]["train"] == {
        "speakers": 2,
        "names": ["a", "b"],
        "clips": 4,
        "share": 0.4,
        "points_off": None,
        "classes": {"fear": 2, "joy": 2},
        "class_shares": {"fear": 0.5, "joy": 0.5},
        "total_variation": 0.1,
        "genders": {"female": 0.75, "male": 0.25, "unknown": 0.0},
        "hours": 2.0,
    }
    assert fold["parts"]["test"]["total_variation"] == 0.15
    assert fold["parts"]["validation"]["genders"] == {"female": 0, "male": 0, "unknown": 1}


def test_targets_are_compared_in_points() -> None:
    parts = make_split(MANIFEST, "paper").audit["folds"][0]["parts"].values()
    for part, target in zip(parts, (80, 10, 10), strict=True):
        assert part["points_off"] == pytest.approx(100 * part["share"] - target)


def test_hours_need_every_duration() -> None:
    clips = (replace(MANIFEST.clips[0], end=None), *MANIFEST.clips[1:])
    manifest = replace(MANIFEST, clips=clips)
    seconds = {clip.id: 360.0 for clip in clips}
    assert "hours" not in make_split(manifest, "column").audit["folds"][0]["parts"]["test"]
    assert make_split(manifest, "column", seconds=seconds).audit["folds"][0]["parts"]["test"]["hours"] == 0.4
    del seconds[clips[0].id]
    assert "hours" not in make_split(manifest, "column", seconds=seconds).audit["folds"][0]["parts"]["test"]


def test_unknown_prompts_are_not_spoken_in_train() -> None:
    clips = tuple(replace(clip, prompt=None) if clip.file == "2.wav" else clip for clip in MANIFEST.clips)
    (fold,) = make_split(replace(MANIFEST, clips=clips), "column").audit["folds"]
    assert fold["prompt_overlap_percent"] == 50  # clip 8's prompt is unknown, as clip 2's is


def test_no_prompts_no_overlap() -> None:
    manifest = replace(MANIFEST, clips=tuple(replace(clip, prompt=None) for clip in MANIFEST.clips))
    split = make_split(manifest, "column")
    assert split.audit["folds"][0]["prompt_overlap_percent"] is None
    assert not any("prompt" in note for note in split.notes)


IDS = {clip.file: clip.id for clip in MANIFEST.clips}


def contents(*copies: tuple[str, str]) -> dict[str, Content]:
    """Samples of its own for each clip, but for the copies."""
    samples = {clip.file: clip.file for clip in MANIFEST.clips} | {copy: original for original, copy in copies}
    return {IDS[file]: Content(samples=marks) for file, marks in samples.items()}


def test_copies_under_two_speakers_are_refused_and_under_one_are_not() -> None:
    with pytest.raises(UserError) as raised:
        make_split(MANIFEST, "column", contents=contents(("1.wav", "2.wav"), ("4.wav", "7.wav")))
    message = str(raised.value)
    assert message.startswith(f"1 recording is listed under two speakers: {IDS['4.wav']} of b = {IDS['7.wav']} of d.")
    assert "--allow-duplicates" in message
    split = make_split(MANIFEST, "column", contents=contents(("1.wav", "2.wav")))
    (fold,) = split.audit["folds"]
    assert (fold["duplicates"], fold["copies_left_out"]) == (0, {"train": 0, "validation": 0, "test": 0})
    assert split.checksum == make_split(MANIFEST, "column").checksum


def test_copies_are_left_out_of_the_later_part_where_that_is_asked_for() -> None:
    copies = contents(("4.wav", "7.wav"), ("5.wav", "8.wav"), ("3.wav", "6.wav"))
    split = make_split(MANIFEST, "column", contents=copies, allow_duplicates=True)
    (fold,) = split.folds
    assert (len(fold.train), fold.validation, fold.test) == (4, (IDS["5.wav"],), (IDS["10.wav"], IDS["9.wav"]))
    (audit,) = split.audit["folds"]
    assert (audit["duplicates"], audit["copies_left_out"]) == (0, {"train": 0, "validation": 1, "test": 2})
    assert audit["parts"]["test"]["clips"] == 2 and audit["left_out"] == 3
    assert any(note.startswith("3 clips are left out of test or validation") for note in split.notes)
    assert split.checksum != make_split(MANIFEST, "column").checksum


def test_copies_are_left_out_whichever_is_listed_first() -> None:
    fold = Fold("x", tuple(IDS[name] for name in ("1.wav",)), (IDS["5.wav"],), (IDS["8.wav"], IDS["9.wav"]))
    by_id = {clip.id: clip for clip in MANIFEST.clips}
    group = [by_id[IDS[name]] for name in ("8.wav", "5.wav", "1.wav")]
    assert without(fold, [group]) == Fold("x", fold.train, (), (IDS["9.wav"],))


def test_remarks_on_what_should_be_known() -> None:
    notes = make_split(MANIFEST, "paper").notes
    assert any(note.startswith("whole speakers come no nearer to 80/10/10 than") for note in notes)
    assert any(note.startswith("only 1 speaker is tested") for note in notes)
    assert any("of the test clips have a prompt that is also spoken in train" in note for note in notes)


def test_speakers_are_named_up_to_twenty() -> None:
    clips = [
        replace(clip(100 * s + i, "a", emotion), speaker=f"s{s:03d}", part=None)
        for s in range(250)
        for i, emotion in enumerate(("joy", "fear"))
    ]
    part = make_split(Manifest("x", Path("/x"), tuple(clips)), "paper").audit["folds"][0]["parts"]["train"]
    assert (part["speakers"], len(part["names"])) == (200, 20)


@pytest.mark.parametrize(
    ("train", "validation", "test", "message"),
    [
        ([1, 3], [5], [], "no clips for test"),
        ([1, 3], [5], [1], "clip 'x:1.wav#0-1800' is in train and in test"),
        ([1, 3], [5], [2], "speaker 'a' is in train and in test"),
        ([1], [5], [7], "no training clip shows 'fear'"),
    ],
)
def test_unusable_folds_are_refused(train: list[int], validation: list[int], test: list[int], message: str) -> None:
    fold = Fold("f", *(tuple(f"x:{number}.wav#0-1800" for number in part) for part in (train, validation, test)))
    with pytest.raises(UserError, match=message):
        prove(Ledger(MANIFEST), fold)


def test_screen_shows_parts_beside_each_other() -> None:
    split = make_split(MANIFEST, "column")
    text = shown(split)
    assert split.checksum[:12] in text
    rows = {line.split("│")[1].strip(): line.split("│")[2:5] for line in text.splitlines() if "│" in line}
    assert [cell.strip() for cell in rows["clips"]] == ["4", "2", "4"]
    assert [cell.strip() for cell in rows["joy"]] == ["50.0", "50.0", "75.0"]
    assert [cell.strip() for cell in rows["male"]] == ["25.0", "0.0", "100.0"]


def test_screen_shows_one_row_per_fold() -> None:
    lines = [line for line in shown(make_split(MANIFEST, "loso")).splitlines() if line.startswith("│")]
    assert [line.split()[1] for line in lines] == ["a", "b", "c", "d"]
