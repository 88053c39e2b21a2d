"""Hugging Face's datasets: Parquet and Arrow files as the library datasets 5 writes them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from affetto.cli.arguments import corpora_at
from affetto.corpora.registry import open_corpus
from affetto.errors import UserError

arrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

EMOTIONS = {"names": ["anger", "happiness"], "_type": "ClassLabel"}


def table(*rows: dict[str, Any]) -> Any:
    """Rows with `audio`, a class label and a speaker."""
    features = {"audio": {"sampling_rate": 16000, "_type": "Audio"}, "emotion": EMOTIONS}
    audio = arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
    fields = [("audio", audio), ("emotion", arrow.int64()), ("speaker_id", arrow.string()), ("text", arrow.string())]
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    return arrow.Table.from_pylist(list(rows), schema=arrow.schema(fields, metadata=metadata))


def row(content: bytes | None, path: str | None, emotion: int = 0, speaker: str = "s1") -> dict[str, Any]:
    return {"audio": {"bytes": content, "path": path}, "emotion": emotion, "speaker_id": speaker, "text": "Ciao a te"}


@pytest.fixture
def sounds(tone: Callable[..., np.ndarray], write_wav: Callable[..., Path]) -> list[Path]:
    return [write_wav(f"wav/{number}.wav", tone(hz=200.0 + 40 * number)) for number in range(3)]


def write_parquet(file: Path, *rows: dict[str, Any]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table(*rows), file)
    return file.parent


def test_splits_of_parquet_files(tmp_path: Path, sounds: list[Path]) -> None:
    first, second, third = (sound.read_bytes() for sound in sounds)
    folder = tmp_path / "hub"
    write_parquet(folder / "data/train-00000-of-00002.parquet", row(first, "a.wav"), row(second, "x/a.wav", 1))
    write_parquet(folder / "data/train-00001-of-00002.parquet", row(first, "a.wav", 0, "s2"))
    write_parquet(folder / "data/validation-00000-of-00001.parquet", row(third, None), row(None, str(sounds[0])))
    with pytest.raises(UserError, match="listed 2 times"):  # one recording under one name, by two speakers
        open_corpus(None, folder)
    write_parquet(folder / "data/train-00001-of-00002.parquet", row(third, "a.wav", 0, "s2"))
    manifest = open_corpus(None, folder)
    clips = {clip.file: clip for clip in manifest.clips}
    assert {name for name in clips if name.startswith("train/")} == {"train/a.wav", "train/a-2.wav", "train/a-3.wav"}
    assert manifest.path(clips["train/a-2.wav"]).read_bytes() == second
    assert (clips["train/a-2.wav"].emotion, clips["train/a-2.wav"].sentence) == ("joy", "Ciao a te")
    assert [clip.part for clip in manifest.clips].count("validation") == 2 and str(sounds[0]) in clips
    assert open_corpus(None, folder).clips == manifest.clips


def test_folders_of_save_to_disk(tmp_path: Path, sounds: list[Path]) -> None:
    def write_arrow(folder: Path, content: Any) -> None:
        folder.mkdir(parents=True)
        (folder / "state.json").write_text("{}")
        with arrow.ipc.new_stream(folder / "data-00000-of-00001.arrow", content.schema) as writer:
            writer.write_table(content)

    rows = [row(sound.read_bytes(), sound.name, number % 2) for number, sound in enumerate(sounds)]
    write_arrow(tmp_path / "several/train", table(*rows[:2]))
    write_arrow(tmp_path / "several/test", table(rows[2]))
    (tmp_path / "several/dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    write_arrow(tmp_path / "alone", table(*rows))
    assert [clip.part for clip in open_corpus(None, tmp_path / "several").clips] == ["test", "train", "train"]
    manifest = open_corpus(None, tmp_path / "alone")
    assert [(clip.part, clip.emotion) for clip in manifest.clips] == [(None, "anger"), (None, "joy"), (None, "anger")]
    assert "the only split is train" in manifest.notes[0]


def test_a_folder_of_the_users_keeps_its_files(tmp_path: Path, sounds: list[Path]) -> None:
    folder = write_parquet(tmp_path / "hub/train.parquet", row(sounds[0].read_bytes(), "a.wav"))
    options = {"audio_folder": str(tmp_path / "mine")}
    (clip,) = open_corpus(None, folder, options=options).clips
    file = tmp_path / "mine" / clip.file
    assert file.read_bytes() == sounds[0].read_bytes()
    file.write_bytes(bytes(len(sounds[0].read_bytes())))
    with pytest.raises(UserError, match="is there with other content"):
        open_corpus(None, folder, options=options)
    (clip,) = open_corpus(None, folder).clips  # in the cache it is put right
    manifest = open_corpus(None, folder)
    manifest.path(clip).write_bytes(b"broken")
    assert open_corpus(None, folder).path(clip).read_bytes() == sounds[0].read_bytes()


def test_a_dataset_on_the_hub(tmp_path: Path, sounds: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    folder = write_parquet(tmp_path / "snapshot/default/train/0000.parquet", row(sounds[0].read_bytes(), "a.wav"))
    revisions = []

    def download(hub_id: str, *, repo_type: str, revision: str | None, allow_patterns: list[str]) -> str:
        revisions.append(revision)
        if hub_id != "some/set":
            raise OSError("no such set")
        (tmp_path / "empty").mkdir(exist_ok=True)
        return str(folder.parent.parent if revision else tmp_path / "empty")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    manifest = open_corpus("datasets", Path("some/set"))
    assert (manifest.corpus, len(manifest.clips), revisions) == ("set", 1, [None, "refs/convert/parquet"])
    (spec,) = corpora_at(["datasets=some/set"])  # as training takes it
    assert open_corpus(spec.name, Path(spec.path)).clips == manifest.clips
    for item in ("some/set", "mine=some/set", "datasets=some/set/more"):
        with pytest.raises(UserError, match="no such corpus folder or table"):
            corpora_at([item])
    with pytest.raises(UserError, match="some/other is no folder here, and the hub gives no such dataset"):
        open_corpus("datasets", Path("some/other"))


def test_what_is_no_dataset_of_clips_is_refused(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a/train.parquet", row(None, None))
    with pytest.raises(UserError, match="neither bytes nor a path"):
        open_corpus(None, tmp_path / "a")
    parquet.write_table(arrow.table({"array": [[0.1]]}), tmp_path / "train.parquet")
    with pytest.raises(UserError, match=r"no column holds audio .*found: array"):
        open_corpus(None, tmp_path / "train.parquet")
    (tmp_path / "train.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(UserError, match=r"train\.parquet cannot be read as Parquet or Arrow"):
        open_corpus(None, tmp_path / "train.parquet")
