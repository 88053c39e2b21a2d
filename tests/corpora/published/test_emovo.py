"""The EMOVO reader, on trees of empty files: it goes by names and decodes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from affetto.corpora.labels import EMOTIONS
from affetto.corpora.published import emovo
from affetto.errors import UserError

CODES = ("dis", "gio", "neu", "pau", "rab", "sor", "tri")


def tree(root: Path, actors: tuple[str, ...] = emovo.ACTORS) -> Path:
    """A whole EMOVO, as names."""
    for actor in actors:
        (root / actor).mkdir(parents=True)
        for code in CODES:
            for sentence in emovo.SENTENCES:
                (root / actor / f"{code}-{actor}-{sentence}.wav").touch()
    return root


def mark_synthetic(root: Path) -> None:
    (root / "SYNTHETIC.json").write_text(json.dumps({"synthetic": True}))


def test_reads_all_of_it(tmp_path: Path) -> None:
    manifest = emovo.read(tree(tmp_path / "EMOVO"), strict=True)
    assert len(manifest.clips) == 588
    assert manifest.per_emotion() == manifest.official == dict.fromkeys(EMOTIONS, 84)
    assert manifest.speakers == ("f1", "f2", "f3", "m1", "m2", "m3")
    assert manifest.notes == ()
    assert not manifest.synthetic
    assert "non-commercial" in manifest.licence
    clip = next(clip for clip in manifest.clips if clip.file == "m2/rab-m2-l4.wav")
    assert (clip.emotion, clip.speaker, clip.gender, clip.prompt, clip.corpus) == ("anger", "m2", "male", "l4", "emovo")


def test_the_root_is_absolute_even_if_given_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path / "EMOVO", ("f1",))
    monkeypatch.chdir(tmp_path)
    assert emovo.read(Path("EMOVO")).root == tmp_path / "EMOVO"


@pytest.mark.parametrize("given", [".", "EMOVO/f2"])
def test_parent_and_inner_folder_mean_the_corpus(tmp_path: Path, given: str) -> None:
    tree(tmp_path / "EMOVO")
    manifest = emovo.read(tmp_path / given)
    assert manifest.root == tmp_path / "EMOVO"
    assert len(manifest.clips) == 588
    assert str(tmp_path / "EMOVO") in manifest.notes[0]


def test_archives_beside_an_incomplete_copy_are_named(tmp_path: Path) -> None:
    (tree(tmp_path / "EMOVO", ("f1", "f2")) / "EMOVO.zip").touch()
    assert any("an archive lies beside the others: unpack EMOVO.zip" in note for note in emovo.read(tmp_path).notes)
    (tree(tmp_path / "whole") / "EMOVO.zip").touch()
    assert emovo.read(tmp_path / "whole").notes == ()


def test_a_parent_of_two_is_ambiguous(tmp_path: Path) -> None:
    tree(tmp_path / "EMOVO", ("f1",))
    tree(tmp_path / "copy", ("f1",))
    with pytest.raises(UserError, match=r"2 times: EMOVO, copy\. Give one"):
        emovo.read(tmp_path)


def test_what_archives_add_is_passed_over(tmp_path: Path) -> None:
    root = tree(tmp_path / "EMOVO")
    for name in ("documents/EMOVO.pdf", "__MACOSX/f1/._rab-f1-b1.wav", "f1/._rab-f1-b1.wav", "f1/.DS_Store"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    assert emovo.read(root, strict=True).notes == ()


def test_names_in_capitals_are_read(tmp_path: Path) -> None:
    (tmp_path / "F1").mkdir()
    (tmp_path / "F1/RAB-F1-B1.WAV").touch()
    (clip,) = emovo.read(tmp_path).clips
    assert (clip.file, clip.speaker, clip.prompt) == ("F1/RAB-F1-B1.WAV", "f1", "b1")


def test_a_partial_copy_is_a_note_and_an_error_under_strict(tmp_path: Path) -> None:
    root = tree(tmp_path / "EMOVO")
    (root / "f1/rab-f1-b1.wav").unlink()
    (note,) = emovo.read(root).notes
    assert "587 clips, officially 588 (anger 83 of 84)" in note
    with pytest.raises(UserError, match="anger 83 of 84"):
        emovo.read(root, strict=True)


@pytest.mark.parametrize("stray", ["f1/take2.wav", "f1/rab-f2-b1.wav", "extra/rab-f1-b1.wav", "f4/rab-f4-b1.wav"])
def test_audio_that_does_not_fit_is_counted_in_a_note(tmp_path: Path, stray: str) -> None:
    root = tree(tmp_path / "EMOVO")
    (root / stray).parent.mkdir(exist_ok=True)
    (root / stray).touch()
    manifest = emovo.read(root)
    assert len(manifest.clips) == 588
    assert manifest.notes[0].startswith("1 audio file does not fit")
    assert stray in manifest.notes[0]


def test_a_synthetic_one_may_have_other_actors_and_other_counts(tmp_path: Path) -> None:
    root = tree(tmp_path / "EMOVO", ("f1", "m27"))
    mark_synthetic(root)
    manifest = emovo.read(root, strict=True)
    assert manifest.synthetic
    assert manifest.speakers == ("f1", "m27")
    assert manifest.notes == ()
    assert manifest.licence.startswith("synthetic")


def test_a_label_map_holds_for_canonical_names(tmp_path: Path) -> None:
    manifest = emovo.read(tree(tmp_path / "EMOVO"), label_map={"joy": "drop", "rab": "hot"}, strict=True)
    assert len(manifest.clips) == 588 - 84
    assert manifest.per_emotion()["joy"] == 0
    assert manifest.per_emotion()["hot"] == 84


def test_wrong_roots_say_what_was_looked_for_and_found(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "pdf").mkdir()
    (tmp_path / "pdf/EMOVO.pdf").touch()
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed/EMOVO.zip").touch()
    for name, found in {
        "empty": "found nothing: the folder is empty",
        "pdf": "found 1 .pdf file named EMOVO.pdf",
        "packed": r"found 1 .zip file named EMOVO.zip \(an archive: unpack it\)",
        "packed/EMOVO.zip": "is an archive: unpack it",
        "nowhere": "no such file or folder",
        "pdf/EMOVO.pdf": "is a file",
    }.items():
        assert not emovo.matches(tmp_path / name)
        with pytest.raises(UserError, match=found) as raised:
            emovo.read(tmp_path / name)
        assert "\n" not in str(raised.value)
    with pytest.raises(UserError, match=r"Looked for folders f1, .* rab-f1-b1\.wav"):
        emovo.read(tmp_path / "empty")
