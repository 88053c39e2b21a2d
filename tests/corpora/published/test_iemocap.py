"""IEMOCAP's evaluation files: categories, dimensions and raters; sessions as folds."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from affetto.corpora.annotations import Range, Rating
from affetto.corpora.registry import open_corpus
from affetto.errors import UserError
from affetto.splits import make_split

TURNS = {
    "F000": ("neu", "[2.5000, 2.5000, 2.5000]", ("C-E2:\tNeutral;\t()", "A-E3:\tval 3; act 2; dom  2;\t()")),
    "M000": ("exc", "[4.0000, 3.5000, 5.5000]", ("C-E2:\tExcited; Happiness; Giddy;\t()", "C-M1:\tSadness;\t()")),
    "F001": ("fru", "[2.0000, 3.5000, 3.5000]", ("C-E4:\tFrustration; Anger;\t(annoyed; bored)",)),
    "M001": ("xxx", "[2.0000, 3.0000, 3.0000]", ("C-E4:\tOther;\t(curious)",)),
    "F002": ("ang", "[1.5000, 4.0000, 4.5000]", ("A-E4:\tval 1; act ; dom  5;\t(threatening)",)),
    "M002": ("hap", "[4.0000, 3.0000, 3.0000]", ("C-E2:\tNeutral state;\t()",)),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for session in (1, 2, 3):
        dialog = f"Ses0{session}F_impro01"
        folder = tmp_path / f"IEMOCAP/Session{session}"
        for part in ("dialog/EmoEvaluation/Categorical", "dialog/transcriptions", f"sentences/wav/{dialog}"):
            (folder / part).mkdir(parents=True)
        lines = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]", ""]
        words = []
        for number, (turn, (code, values, answers)) in enumerate(TURNS.items()):
            (folder / f"sentences/wav/{dialog}/{dialog}_{turn}.wav").touch()
            lines += [f"[{number}.2901 - {number}.9000]\t{dialog}_{turn}\t{code}\t{values}", *answers, ""]
            words.append(f"{dialog}_{turn} [00{number}.2901-00{number}.9000]: Words {number}")
        (folder / f"dialog/EmoEvaluation/{dialog}.txt").write_text("\n".join(lines), encoding="utf-8")
        (folder / f"dialog/EmoEvaluation/._{dialog}.txt").write_bytes(b"\0")
        (folder / f"dialog/transcriptions/{dialog}.txt").write_text("\n".join(words), encoding="utf-8")
    return tmp_path / "IEMOCAP"


def turns(root: Path, **more: object) -> dict[str, str]:
    """Class of each turn of the first session."""
    clips = open_corpus(None, root, **more).clips  # type: ignore[arg-type]
    return {clip.file[-8:-4]: clip.emotion for clip in clips if "Ses01" in clip.file}


def test_four_classes_by_default_six_by_option(root: Path) -> None:
    four = {"F000": "neutrality", "M000": "joy", "F002": "anger", "M002": "joy"}
    assert turns(root) == four
    six = four | {"M000": "excitement", "F001": "frustration"}
    assert turns(root, options={"classes": "6"}) == six == turns(root, keep_other=True)
    with pytest.raises(UserError, match="option classes='5' must be 4 or 6"):
        turns(root, options={"classes": "5"})
    assert turns(root, label_map={"fru": "anger", "exc": "drop"}) == {
        "F000": "neutrality",
        "F001": "anger",
        "F002": "anger",
        "M002": "joy",
    }


def test_notes_and_official_counts(root: Path) -> None:
    manifest = open_corpus(None, root)
    notes = " ".join(manifest.notes)
    assert "3 turns without a majority (xxx) are left out" in notes
    assert "3 clips of excitement count as joy" in notes and "3 clips of frustration are left out" in notes
    assert "(the field's four classes are anger, joy with excitement, neutrality and sadness; its six have" in notes
    assert "3 values of dimensions outside 1 to 5 are left out" in notes
    assert manifest.official == {"anger": 1103, "joy": 1636, "neutrality": 1708, "sadness": 1084}


def test_speakers_words_ratings_and_dimensions(root: Path) -> None:
    clips = {clip.file[-8:-4]: clip for clip in open_corpus("iemocap", root).clips if "Ses02" in clip.file}
    woman, man = clips["F000"], clips["M000"]
    assert (woman.speaker, woman.gender, woman.prompt, woman.sentence) == ("Ses02F", "female", "impro01", "Words 0")
    assert man.speaker == "Ses02M" and man.dimensions == (("arousal", 3.5), ("valence", 4.0))
    assert woman.ratings == (
        Rating("C-E2", ("neutrality",)),
        Rating("A-E3", dimensions=(("arousal", 2), ("dominance", 2), ("valence", 3))),
    )
    assert man.ratings == (Rating("C-E2", ("joy",)),)
    assert clips["F002"].ratings == (Rating("A-E4", dimensions=(("dominance", 5), ("valence", 1))),)
    assert open_corpus("iemocap", root).dimensions["arousal"] == Range(1, 5)


def test_a_session_is_a_fold(root: Path) -> None:
    manifest = open_corpus("iemocap", root)
    with pytest.raises(UserError, match="no clips of published fold 4"):
        make_split(manifest)
    for number in (4, 5):
        text = (root / "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt").read_text(encoding="utf-8")
        folder = root / f"Session{number}"
        name = f"Ses0{number}F_impro01"
        (folder / "dialog/EmoEvaluation").mkdir(parents=True)
        (folder / f"sentences/wav/{name}").mkdir(parents=True)
        for turn in TURNS:
            (folder / f"sentences/wav/{name}/{name}_{turn}.wav").touch()
        (folder / f"dialog/EmoEvaluation/{name}.txt").write_text(text.replace("Ses01", f"Ses0{number}"))
    split = make_split(open_corpus("iemocap", root))
    assert split.protocol == "published" and len(split.folds) == 5
    assert {clip.split("_impro")[0][-6:] for clip in split.folds[0].test} == {"Ses01F"}


def test_evaluations_without_audio_say_what_to_unpack(root: Path) -> None:
    for file in root.rglob("*.wav"):
        file.unlink()
    with pytest.raises(UserError, match="none of the 15 evaluated turns has a file; unpack sentences/wav"):
        open_corpus("iemocap", root)


def test_a_session_of_audio_without_evaluations_is_named(root: Path) -> None:
    assert not any("no dialog" in note for note in open_corpus(None, root).notes)
    shutil.rmtree(root / "Session3/dialog")
    (root / "Session4").mkdir()  # empty: the official counts tell that it is absent
    manifest = open_corpus(None, root)
    assert "Session3 has audio and no dialog/EmoEvaluation, so no labels: unpack it too" in manifest.notes
    assert {clip.speaker[:5] for clip in manifest.clips} == {"Ses01", "Ses02"}


def test_damaged_files_are_named(root: Path) -> None:
    file = root / "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"
    text = file.read_text(encoding="utf-8")
    for wrong, message in (
        (text.replace("\tang\t", "\tagn\t"), "unknown category in Ses01F_impro01.txt line .*'agn'"),
        (text.replace("[2.5000, 2.5000, 2.5000]", "[2.5000, 2.5000]"), r"\[2.5000, 2.5000\] are not three numbers"),
    ):
        file.write_text(wrong, encoding="utf-8")
        with pytest.raises(UserError, match=message):
            open_corpus("iemocap", root)
