"""Opening a corpus by name and path: which reader is taken, what it is called, which options it has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from affetto.corpora.registry import CORPORA, detect, open_corpus
from affetto.errors import UserError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


@pytest.fixture
def corpora(tmp_path: Path) -> dict[str, Path]:
    """One small corpus of each format."""
    paths = {
        "emovo": touch(tmp_path / "1", "f1/rab-f1-b1.wav"),
        "demos": touch(tmp_path / "2", "DEMOS/PR_f_01_rab18b.wav", "DEMOS/PR_f_01_col18b.wav"),
        "emozionalmente": touch(tmp_path / "3", "metadata/samples.csv"),
        "table": touch(tmp_path / "4", "clips.csv") / "clips.csv",
        "audiofolder": touch(tmp_path / "5", "joy/s1.wav"),
        "emobox": touch(tmp_path / "6", "all.jsonl") / "all.jsonl",
    }
    rows = "file_name,sentence,actor,emotion_expressed\n1.wav,x,a,joy\n"
    (paths["emozionalmente"] / "metadata/samples.csv").write_text(rows)
    paths["table"].write_text("file,emotion,speaker\nx.wav,joy,s\n")
    paths["emobox"].write_text(json.dumps({"key": "x", "wav": "x.wav", "emo": "happy", "spk": "a"}) + "\n")
    return paths


OPTIONS = {"audiofolder": {"speaker_pattern": "(s[0-9])"}}


def test_every_format_is_told_from_its_path(corpora: dict[str, Path]) -> None:
    assert {name: detect(path).name for name, path in corpora.items()} == {name: name for name in corpora}
    layouts = {name for name, corpus in CORPORA.items() if corpus.is_format}
    assert layouts == {"table", "audformat", "audiofolder", "datasets", "emobox", "lhotse", "nkululeko"}


def test_a_corpus_has_its_own_name_that_of_its_path_or_the_users(corpora: dict[str, Path]) -> None:
    for name, path in corpora.items():
        by_path = {"table": "clips", "audiofolder": "5", "emobox": "all"}.get(name, name)  # a user's own collection
        for given, called in ((None, by_path), (name, by_path), ("mine", "mine")):
            manifest = open_corpus(given, path, options=OPTIONS.get(name))
            assert manifest.corpus == called
            assert {clip.corpus for clip in manifest.clips} == {called}
    assert open_corpus("nkululeko", corpora["table"]).corpus == "clips"


@pytest.mark.parametrize(("stem", "called"), [("my-own.2", "my-own.2"), ("my own", "table"), ("emovo", "table")])
def test_a_table_has_its_files_name_where_that_is_plain_and_no_corpus(tmp_path: Path, stem: str, called: str) -> None:
    (tmp_path / f"{stem}.csv").write_text("file,emotion,speaker\nx.wav,joy,s\n")
    assert open_corpus(None, tmp_path / f"{stem}.csv").corpus == called
    assert open_corpus(None, tmp_path).corpus == called


def test_options_are_checked_and_passed_on(corpora: dict[str, Path]) -> None:
    kept = open_corpus("demos", corpora["demos"], options={"keep_guilt": "true"})
    assert kept.labels == ("anger", "guilt")
    assert open_corpus("demos", corpora["demos"], options={"keep_guilt": "no"}).labels == ("anger",)
    with pytest.raises(UserError, match="option keep_guilt='perhaps' must be true or false"):
        open_corpus("demos", corpora["demos"], options={"keep_guilt": "perhaps"})
    with pytest.raises(UserError, match="unknown option for demos 'keep_gilt': did you mean 'keep_guilt'"):
        open_corpus("demos", corpora["demos"], options={"keep_gilt": "true"})
    with pytest.raises(UserError, match="unknown option for emovo 'keep_guilt': there are none"):
        open_corpus("emovo", corpora["emovo"], options={"keep_guilt": "true"})


def test_a_label_map_is_folded(corpora: dict[str, Path]) -> None:
    corpora["table"].write_text("file,emotion,speaker\nx.wav,Calm,s\n")
    assert open_corpus(None, corpora["table"], label_map={" CALM ": "Neutral"}).labels == ("neutrality",)


def test_strict_is_passed_on(corpora: dict[str, Path]) -> None:
    with pytest.raises(UserError, match="1 clip, officially 588"):
        open_corpus(None, corpora["emovo"], strict=True)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("empty", "looks like no known corpus; found nothing: the folder is empty"),
        ("pdf", "found 1 .pdf file"),
        ("packed", "an archive: unpack it"),
        ("packed/EMOVO.zip", "is an archive: unpack it"),
        ("pdf/EMOVO.pdf", "is neither a table"),
        ("nowhere", "no such file or folder"),
    ],
)
def test_what_is_no_corpus(tmp_path: Path, name: str, said: str) -> None:
    touch(tmp_path, "packed/EMOVO.zip", "pdf/EMOVO.pdf")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=said):
        open_corpus(None, tmp_path / name)
    with pytest.raises(UserError, match=r"corpus 'mine'|no such file|is an archive"):
        open_corpus("mine", tmp_path / name)


@pytest.mark.parametrize("inner", ["", "it"])
def test_common_voice_is_sent_on_to_specialize(tmp_path: Path, inner: str) -> None:
    touch(tmp_path / inner, "clips/a.mp3", "train.tsv", "other.tsv")
    (tmp_path / inner / "validated.tsv").write_text("client_id\tpath\tsentence\tup_votes\nx\ta.mp3\tciao\t2\n")
    with pytest.raises(UserError, match=r"no emotions.*affetto specialize --corpus common-voice="):
        open_corpus(None, tmp_path)
    (tmp_path / inner / "validated.tsv").write_text("file\tsentence\na.mp3\tciao\n")  # lists of the user's own
    with pytest.raises(UserError, match=r"^(?!.*Common Voice)"):
        open_corpus(None, tmp_path)
