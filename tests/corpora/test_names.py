"""One person is one speaker, however the name is written, wherever it is read."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from affetto.corpora import audit
from affetto.corpora.labels import canonical
from affetto.corpora.names import look_alikes
from affetto.corpora.published import emozionalmente
from affetto.corpora.registry import open_corpus
from affetto.corpora.transcribed.registry import open_speech
from affetto.splits import make_split

NAME = "Niccolò"
WRITINGS = (NAME, unicodedata.normalize("NFD", NAME), f"{NAME}\u200b", f"\ufeff {NAME}\u00a0")


def put(path: Path, content: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def table(root: Path) -> Path:
    rows = [f"{number}.wav,joy,{name}\n" for number, name in enumerate(WRITINGS)]
    return put(root / "clips.csv", "file,emotion,speaker\n" + "".join(rows))


def pattern(root: Path) -> tuple[Path, dict[str, str]]:
    rows = [f"{name}-{number}.wav,joy\n" for number, name in enumerate(WRITINGS)]
    return put(root / "clips.csv", "file,emotion\n" + "".join(rows)), {"speaker_pattern": "^(.+)-"}


def jsonl(root: Path) -> Path:
    rows = [{"wav": f"{number}.wav", "emo": "happy", "spk": name} for number, name in enumerate(WRITINGS)]
    return put(root / "clips.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


def audio_folder(root: Path) -> tuple[Path, dict[str, str]]:
    for number, name in enumerate(WRITINGS):
        put(root / "joy" / f"{name.strip()}-{number}.wav")
    return root, {"speaker_pattern": "joy/(.+)-"}


@pytest.mark.parametrize("listing", [table, pattern, jsonl, audio_folder])
def test_a_name_in_several_writings_is_one_speaker(listing: Callable[[Path], object], tmp_path: Path) -> None:
    made = listing(tmp_path)
    path, options = made if isinstance(made, tuple) else (made, {})
    manifest = open_corpus(None, path, options=options)  # type: ignore[arg-type]
    assert len(manifest.clips) == len(WRITINGS) and manifest.speakers == (NAME,)


def test_a_name_in_several_writings_is_one_speaker_of_known_corpora(tmp_path: Path) -> None:
    rows = [f"{number}.wav,Ciao,it,{name},joy\n" for number, name in enumerate(WRITINGS)]
    put(
        tmp_path / emozionalmente.SAMPLES,
        "file_name,sentence,sentence_language,actor,emotion_expressed\n" + "".join(rows),
    )
    put(tmp_path / "metadata/users.csv", f"username,gender,age,mother_tongue\n{WRITINGS[1]},m,30,it\n")
    manifest = open_corpus(None, tmp_path)
    assert manifest.speakers == (NAME,) and {clip.gender for clip in manifest.clips} == {"male"}


def test_a_name_in_several_writings_is_one_speaker_of_speech(tmp_path: Path) -> None:
    rows = [f"{number}.wav,Ciao,{name}\n" for number, name in enumerate(WRITINGS)]
    spoken = open_speech("table", put(tmp_path / "speech.csv", "file,sentence,speaker\n" + "".join(rows)))
    assert {utterance.speaker for utterance in spoken.utterances} == {NAME}
    for number, name in enumerate(WRITINGS[:2]):
        put(tmp_path / f"folder/{name}/{number}.wav")
    put(tmp_path / "folder/else/3.wav")
    found = open_speech("folder", tmp_path / "folder", with_sentences=False)
    assert {utterance.speaker for utterance in found.utterances} == {NAME, "else"}
    rows = [f"{name}\t{number}.mp3\tCiao\n" for number, name in enumerate(WRITINGS)]
    put(tmp_path / "cv/validated.tsv", "client_id\tpath\tsentence\n" + "".join(rows))
    (tmp_path / "cv/clips").mkdir()
    assert {u.speaker for u in open_speech("common-voice", tmp_path / "cv", language=None).utterances} == {NAME}


def test_labels_are_known_in_every_writing() -> None:
    folded = {unicodedata.normalize("NFC", "noiò"): "joy"}
    assert canonical(unicodedata.normalize("NFD", "Noiò\u200b"), where="x", label_map=folded) == "joy"
    assert canonical("gio\u200bia", where="x") == "joy"


def test_names_that_hardly_differ_stay_apart_and_are_noted(tmp_path: Path) -> None:
    assert look_alikes(["01", "1", "1.0", "10", "f1", "f2", "Mario", "mario", "Maria"]) == [
        ("01", "1", "1.0"),
        ("Mario", "mario"),
    ]
    rows = [
        f"{n}.wav,{emotion},{name}\n"
        for n, (name, emotion) in enumerate(
            (name, emotion) for name in ("01", "1", "2", "3") for emotion in ("joy", "fear")
        )
    ]
    manifest = open_corpus(None, put(tmp_path / "clips.csv", "file,emotion,speaker\n" + "".join(rows)))
    assert manifest.speakers == ("01", "1", "2", "3")
    for notes in (audit.inspect(manifest).to_json()["notes"], make_split(manifest, "paper").notes):
        assert any("01, 1" in note and "capitals or zeros" in note for note in notes)  # type: ignore[attr-defined]
