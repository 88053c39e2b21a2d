"""The Emozionalmente reader, on hand-made metadata."""

from __future__ import annotations

from pathlib import Path

import pytest

from affetto.corpora import ratings
from affetto.corpora.annotations import Rating, shares
from affetto.corpora.published import emozionalmente
from affetto.errors import UserError

SAMPLES = """file_name,sentence,sentence_language,actor,emotion_expressed
1.wav,E’ una notte stellata,italian,a,joy
2.wav,E’ una notte stellata,italian,a,neutrality
3.wav,Vado in biblioteca,italian,b,joy
"""
USERS = "username,gender,age,mother_tongue\na,female,30,italian\nb,other,1,italian\nr,male,40,italian\n"
HEARD = {"1.wav": ["joy"] * 4 + ["anger"], "2.wav": ["neutrality"] * 5, "3.wav": ["joy"] + ["fear"] * 4}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Version 1.0 without its audio."""
    root = tmp_path / "emozionalmente_dataset"
    (root / "metadata").mkdir(parents=True)
    (root / "audio").mkdir()
    rows = [f"{file},r,good,{label}\n" for file, labels in HEARD.items() for label in labels]
    (root / "metadata/samples.csv").write_text(SAMPLES, encoding="utf-8")
    (root / "metadata/users.csv").write_text(USERS, encoding="utf-8")
    (root / "metadata/evaluations.csv").write_text(
        "file_name,evaluator,audio_quality,emotion_recognized\n" + "".join(rows), encoding="utf-8"
    )
    for name in HEARD:
        (root / "audio" / name).touch()
    return root


def test_reads_samples_users_and_raters(root: Path) -> None:
    manifest = emozionalmente.read(root)
    first = manifest.clips[0]
    assert (first.file, first.emotion, first.speaker, first.gender) == ("audio/1.wav", "joy", "a", "female")
    assert (first.prompt, first.part) == ("E’ una notte stellata", None)
    assert dict(first.extra) == {"raters": "joy|joy|joy|joy|anger", "raters_agree": "4"}
    assert first.ratings == (Rating("r", ("joy",)),) * 4 + (Rating("r", ("anger",)),)
    assert manifest.clips[2].gender == "other"
    assert manifest.licence.startswith("CC BY 4.0")
    assert len(manifest.notes) == 1
    assert "3 clips, officially 6902" in manifest.notes[0]


def test_human_recall_is_over_ratings_and_uar_over_classes(root: Path) -> None:
    manifest = emozionalmente.read(root)
    assert ratings.human_recall(manifest) == {"joy": 0.5, "neutrality": 1.0}
    assert ratings.human_uar(manifest) == 0.75


def test_raters_answers_are_known_without_audio_and_follow_the_label_map(root: Path) -> None:
    answers = emozionalmente.read_ratings(root, label_map={"joy": "good", "fear": "drop"})
    assert {file: [rating.labels[0] for rating in of_file] for file, of_file in answers.items()} == {
        "1.wav": ["good"] * 4 + ["anger"],
        "2.wav": ["neutrality"] * 5,
        "3.wav": ["good"],
    }
    assert shares(answers["1.wav"], ["anger", "good"]).tolist() == [0.2, 0.8]


@pytest.mark.parametrize("given", ["..", "metadata", "audio", "metadata/samples.csv"])
def test_every_part_of_it_means_all_of_it(root: Path, given: str) -> None:
    assert emozionalmente.matches(root / given)
    assert emozionalmente.read(root / given).root == root


def test_the_official_split_of_version_1_1(root: Path) -> None:
    (root / "metadata/split").mkdir()
    for name, file in {"train": "1.wav", "dev": "2.wav", "test": "3.wav"}.items():
        (root / f"metadata/split/{name}.csv").write_text(f"file_name,actor\n{file},a\n")
    assert [clip.part for clip in emozionalmente.read(root).clips] == ["train", "validation", "test"]
    (root / "metadata/split/test.csv").write_text("file_name\n3.wav\n1.wav\n")
    with pytest.raises(UserError, match=r"split/test\.csv line 3: 1\.wav is in train too"):
        emozionalmente.read(root)


def test_missing_and_unlisted_audio_is_noted(root: Path) -> None:
    (root / "audio/2.wav").rename(root / "audio/4.wav")
    manifest = emozionalmente.read(root)
    assert len(manifest.clips) == 3
    assert "1 of the 3 clips that samples.csv lists is not in" in manifest.notes[0]
    assert "audio/4.wav" in manifest.notes[1]
    with pytest.raises(UserError, match="unpack the whole corpus"):
        emozionalmente.read(root, strict=True)


@pytest.mark.parametrize(("table", "unknown"), [("users.csv", "genders"), ("evaluations.csv", "raters")])
def test_a_missing_side_table_is_noted(root: Path, table: str, unknown: str) -> None:
    (root / "metadata" / table).unlink()
    assert unknown in emozionalmente.read(root).notes[0]
    with pytest.raises(UserError, match=unknown):
        emozionalmente.read(root, strict=True)


def test_without_raters_there_is_no_human_figure(root: Path) -> None:
    (root / "metadata/evaluations.csv").unlink()
    manifest = emozionalmente.read(root)
    assert ratings.human_recall(manifest) == {}
    assert ratings.human_uar(manifest) is None


def test_missing_metadata_and_columns_are_named(root: Path) -> None:
    samples = root / "metadata/samples.csv"
    samples.write_text("file_name,sentence,emotion_expressed\n1.wav,x,joy\n")
    with pytest.raises(UserError, match="has no column actor; found: file_name, sentence, emotion_expressed"):
        emozionalmente.read(root)
    samples.unlink()
    with pytest.raises(
        UserError,
        match=r"Looked for metadata/samples\.csv.* the folders audio \(3 \.wav files such as 1\.wav\), metadata \(",
    ):
        emozionalmente.read(root)


def test_bad_rows_are_named_by_their_line(root: Path) -> None:
    samples = root / "metadata/samples.csv"
    samples.write_text(SAMPLES + "1.wav,x,italian,a,joy\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"samples\.csv line 5 lists 1\.wav again \(first: line 2\)"):
        emozionalmente.read(root)
    samples.write_text(SAMPLES.replace("neutrality", "neutralty"), encoding="utf-8")
    with pytest.raises(UserError, match=r"'neutralty' in samples\.csv line 3: did you mean 'neutrality'"):
        emozionalmente.read(root)
