"""nkululeko's INI: databases of parts, renamed columns, mapped labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from affetto.corpora.registry import open_corpus
from affetto.errors import UserError

INI = """[EXP]
root = ./results
[DATA]
databases = ['one', 'two']
one = ./tables/one.csv
one.split_strategy = train
one.audio_path = sounds/
one.colnames = {'who': 'speaker'}
one.mapping = {'happy, amused': 'joy', 'fear': 'sadness'}
two = ./tables/two.csv
two.split_strategy = speaker_split
target = mood
"""


def experiment(folder: Path, ini: str = INI) -> Path:
    (folder / "project/tables").mkdir(parents=True)
    (folder / "project/tables/one.csv").write_text("file,mood,who\na.wav,amused,s1\nb.wav,fear,s2\n")
    (folder / "project/tables/two.csv").write_text(
        "file,start,end,mood,speaker\nc.wav,0 days,0 days 00:00:01.5,anger,s3\nc.wav,0 days 00:01:01.1,NaT,anger,s3\n"
    )
    (folder / "project/runs").mkdir()
    path = folder / "project/runs/exp.ini"  # its paths start in a folder around it
    path.write_text(ini)
    return path


def test_databases_are_read_by_their_own_rules(tmp_path: Path) -> None:
    manifest = open_corpus(None, experiment(tmp_path))
    assert sorted((Path(c.file).name, c.emotion, c.speaker, c.part, c.start, c.end) for c in manifest.clips) == [
        ("a.wav", "joy", "s1", "train", None, None),
        ("b.wav", "sadness", "s2", "train", None, None),
        ("c.wav", "anger", "s3", None, 0.0, 1.5),
        ("c.wav", "anger", "s3", None, 61.1, None),
    ]
    paths = {manifest.path(clip) for clip in manifest.clips}
    assert paths == {tmp_path / "project/tables" / name for name in ("sounds/a.wav", "sounds/b.wav", "c.wav")}
    assert any("speaker_split of two is not taken over" in note for note in manifest.notes)
    again = open_corpus("mine", tmp_path / "project/runs", label_map={"amused": "surprise"})
    assert again.corpus == "mine" and "surprise" in again.labels  # the user's map goes first


def test_an_ini_comes_before_the_only_table_beside_it(tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_text("file,emotion,speaker\na.wav,anger,s\n")
    ini = "[DATA]\ndatabases = ['a']\na = clips.csv\na.split_strategy = test\na.mapping = {'anger': 'joy'}\n"
    (tmp_path / "experiment.ini").write_text(ini)
    (tmp_path / "desktop.ini").write_text("[.ShellClassInfo]\n")
    for name in (None, "mine"):
        manifest = open_corpus(name, tmp_path)
        assert [(manifest.key, c.emotion, c.part) for c in manifest.clips] == [("nkululeko", "joy", "test")]
    assert [clip.emotion for clip in open_corpus("table", tmp_path).clips] == ["anger"]
    (tmp_path / "experiment.ini").unlink()
    assert open_corpus(None, tmp_path).key == "table"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("bytes", r"no INI file that can be read \(.*\), so no \[DATA\] with databases"),
        ("[EXP]\nroot = .\n", r"exp\.ini has no \[DATA\] that names databases; write them, as in databases = \["),
        ("[DATA]\ntarget = emotion\n", r"exp\.ini has no \[DATA\] that names databases"),
    ],
)
def test_an_ini_without_databases_is_called_so(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "exp.ini").write_text(text)
    for name in (None, "nkululeko"):
        with pytest.raises(UserError, match=words):
            open_corpus(name, tmp_path / "exp.ini")


@pytest.mark.parametrize(
    ("line", "wrong", "words"),
    [
        ("databases = ['one', 'two']", "databases = one, two", "is no list or dictionary"),
        ("databases = ['one', 'two']", "databases = []", "that names databases"),
        ("./tables/two.csv", "./tables/no.csv", "the database two is not at ./tables/no.csv"),
        ("two.split_strategy = speaker_split", "two.type = audformat", "is of the type audformat"),
        ("[EXP]", "no section", "no INI file that can be read"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, line: str, wrong: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        open_corpus("nkululeko", experiment(tmp_path, INI.replace(line, wrong)))
