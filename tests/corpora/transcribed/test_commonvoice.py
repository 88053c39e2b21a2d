"""Common Voice, a table with sentences, a folder: read as they are, and every mistake told in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from affetto import audio
from affetto.corpora.transcribed.registry import open_speech
from affetto.errors import UserError
from affetto.synthetic.layouts.commonvoice import make as make_common_voice

HEADER = "client_id\tpath\tsentence\tlocale\n"


def put(path: Path, content: str | bytes = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def told(path: Path, name: str | None = None, **more: object) -> str:
    with pytest.raises(UserError) as raised:
        open_speech(name, path, **more)  # type: ignore[arg-type]
    line = str(raised.value)
    assert line.isprintable()
    return line


def tree(root: Path, rows: str, header: str = HEADER, table: str = "validated.tsv") -> Path:
    (root / "clips").mkdir(parents=True, exist_ok=True)
    put(root / table, header + rows)
    return root


def test_columns_are_found_by_name_and_quotes_are_letters(tmp_path: Path) -> None:
    root = tree(
        tmp_path / "cv-corpus-6.1-2020-12-11" / "it",
        '"Ciao", disse.\tx\tanna\ta.mp3\nSì.\ty\tbea\tb\n',
        header="sentence\tup_votes\tclient_id\tpath\n",
    )
    put(root / "clip_durations.tsv", "clip\tduration[ms]\na.mp3\t2500\nbroken\n")
    corpus = open_speech("common-voice", root)
    assert [(one.file, one.speaker, one.sentence, one.seconds) for one in corpus.utterances] == [
        ("clips/a.mp3", "anna", '"Ciao", disse.', 2.5),
        ("clips/b.mp3", "bea", "Sì.", None),
    ]
    assert (corpus.version, corpus.language, corpus.split, corpus.licence) == ("6.1", "it", "validated", "CC0")
    assert not corpus.synthetic


def test_the_folder_around_and_the_clips_inside_mean_the_same(tmp_path: Path) -> None:
    version = tmp_path / "cv-corpus-25.0-2026-03-01"
    root = tree(version / "it", "anna\ta.mp3\tCiao\tit\n")
    tree(version / "de", "jan\ta.mp3\tHallo\tde\n")
    for path in (root, version, root / "clips"):
        assert open_speech("common-voice", path).root == root
    assert open_speech(None, version, language="de").utterances[0].speaker == "jan"


def test_another_split_is_another_table(tmp_path: Path) -> None:
    root = tree(tmp_path / "it", "anna\ta.mp3\tCiao\tit\n")
    tree(root, "bea\tb.mp3\tSì\tit\n", table="train.tsv")
    assert not open_speech(None, root).notes
    put(root / "test.tsv", HEADER)
    assert ["official dev and test sets too" in note for note in open_speech(None, root).notes] == [True]
    train = open_speech(None, root, split="train")
    assert train.utterances[0].speaker == "bea" and not train.notes
    assert "did you mean 'validated'" in told(root, split="validate")


def test_another_language_is_refused(tmp_path: Path) -> None:
    by_folder = tree(
        tmp_path / "cv-corpus-20.0-2024-12-06" / "de", "jan\ta.mp3\tHallo\n", "client_id\tpath\tsentence\n"
    )
    assert "Common Voice in 'de', not in 'it'" in told(by_folder) and "--language de" in told(by_folder)
    by_column = tree(tmp_path / "mine", "jan\ta.mp3\tHallo\tde\n")
    assert "Common Voice in 'de'" in told(by_column)
    assert open_speech(None, by_column, language="de").language == "de"


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    root = tree(tmp_path / "it", "anna\ta.mp3\tCiao\tit\n")
    (root / "clips").rmdir()
    assert "no clips in it" in told(root, "common-voice") and "Unpack" in told(root, "common-voice")
    (root / "clips").mkdir()
    (root / "validated.tsv").unlink()
    assert "no validated.tsv in it" in told(root, "common-voice")
    assert "no Common Voice here" in told(put(tmp_path / "no" / "x.wav").parent, "common-voice")
    assert "no such file or folder" in told(tmp_path / "nowhere", "common-voice")


def test_broken_tables_are_named_with_their_line(tmp_path: Path) -> None:
    assert "no column 'sentence'" in told(tree(tmp_path / "a", "", "client_id\tpath\n"))
    assert "validated.tsv line 2 has 2 cells, its header 4" in told(tree(tmp_path / "b", "anna\ta.mp3\n"))
    assert "line 2: '../a.mp3' is no bare file name" in told(tree(tmp_path / "c", "anna\t../a.mp3\tCiao\tit\n"))
    assert "lists no clips" in told(tree(tmp_path / "d", ""))
    assert "not UTF-8" in told(put(tree(tmp_path / "e", "") / "validated.tsv", b"\xff\xfe\x00").parent)


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    table = put(tmp_path / "mine.csv", 'wav,text,speaker\na.wav,"Ciao, ciao",anna\nb.wav,Sì,bea\n')
    corpus = open_speech(None, table)
    assert [(one.file, one.sentence, one.speaker) for one in corpus.utterances] == [
        ("a.wav", "Ciao, ciao", "anna"),
        ("b.wav", "Sì", "bea"),
    ]
    assert corpus.has_speakers and corpus.name == "mine"
    nobody = open_speech(None, put(tmp_path / "nobody.tsv", "file\tsentence\na.wav\tCiao\n"))
    assert not nobody.has_speakers and "does not say who speaks" in nobody.notes[0]
    assert "no sentence column" in told(put(tmp_path / "x.csv", "file,speaker\na.wav,anna\n"))
    assert open_speech(None, tmp_path / "x.csv", with_sentences=False).utterances[0].sentence == ""
    assert "lists a.wav again" in told(put(tmp_path / "y.csv", "file,sentence\na.wav,x\na.wav,y\n"))
    assert "--split train: only common-voice" in told(table, split="train")


def test_a_folder_of_audio_serves_masked_alone(tmp_path: Path) -> None:
    for name in ("anna/1.wav", "anna/2.flac", "bea/1.mp3", "bea/notes.txt"):
        put(tmp_path / name)
    corpus = open_speech(None, tmp_path, with_sentences=False)
    assert [(one.file, one.speaker) for one in corpus.utterances] == [
        ("anna/1.wav", "anna"),
        ("anna/2.flac", "anna"),
        ("bea/1.mp3", "bea"),
    ]
    assert "has no sentences: use the objective masked" in told(tmp_path)
    assert "no audio in it" in told(put(tmp_path / "empty" / "x.txt").parent, with_sentences=False)


def test_an_emotion_corpus_is_no_corpus_of_speech(tmp_path: Path) -> None:
    assert "unknown corpus of speech 'emovo'" in told(tmp_path, "emovo")


def test_the_synthetic_tree_is_as_an_archive_unpacks(tmp_path: Path) -> None:
    make_common_voice(tmp_path / "cv", speakers=3, clips=5)
    corpus = open_speech(None, tmp_path / "cv")
    assert corpus.synthetic and corpus.language == "it" and len(corpus.utterances) == 5
    assert len({one.speaker for one in corpus.utterances}) == 3
    for one in corpus.utterances:
        assert one.file.endswith(".mp3") and one.sentence[0].isupper()
        assert abs(len(audio.load(corpus.path(one))) / audio.RATE_HZ - (one.seconds or 0)) < 0.01
    # Larger trees hold the same clips.
    make_common_voice(tmp_path / "more", speakers=3, clips=6)
    again = open_speech(None, tmp_path / "more")
    assert set(corpus.utterances) < set(again.utterances)
    same = corpus.utterances[0]
    assert audio.content_digest(corpus.path(same)) == audio.content_digest(again.path(same))
    with pytest.raises(UserError, match="too few for 9 speakers"):
        make_common_voice(tmp_path / "no", speakers=9, clips=5)
    assert not (tmp_path / "no").exists()
