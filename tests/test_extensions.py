"""Extensions: each toy is one file, registers by an entry point, and walks through the commands that a user knows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import soundfile
from typer.testing import CliRunner

from affetto.cli import app
from affetto.corpora.registry import CORPORA
from plugins import install
from training.corpora import RATE_HZ, sound

RUN = ["--backbone", "whisper-mini", "--random-weights", "--set", "compute.precision=float32", "--quiet"]


@pytest.fixture
def affetto() -> Callable[..., str]:
    """`affetto(*words)` runs a command in this process and returns its output."""

    def run(*words: object) -> str:
        result = CliRunner().invoke(app, list(map(str, words)))
        assert result.exit_code == 0, result.output
        return result.output

    return run


@pytest.fixture
def lodge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a corpus that only a plug-in can read."""
    install(tmp_path / "site", monkeypatch, "affetto.corpora", lodge="toys.corpus:CORPUS")
    CORPORA.reload()
    folder = tmp_path / "LODGE" / "takes"
    folder.mkdir(parents=True)
    for speaker, porter in enumerate(("ada", "bea", "carlo")):
        for emotion, mood in enumerate(("gio", "tri")):
            for take in (1, 2):
                wave = sound(3 * emotion, speaker, take)
                soundfile.write(folder / f"{porter}-{mood}-{take}.wav", wave, RATE_HZ, subtype="FLOAT")
    yield folder.parent
    monkeypatch.undo()
    CORPORA.reload()


def test_a_corpus_is_inspected_split_trained_on_and_reported(
    lodge: Path, tmp_path: Path, affetto: Callable[..., str]
) -> None:
    assert "Lodge" in affetto("corpora", "list") and list(CORPORA)[:4] == ["demos", "emovo", "emozionalmente", "lodge"]
    facts = json.loads(affetto("corpora", "inspect", lodge, "--json"))
    assert (facts["corpus"], facts["clips"], facts["speakers"], facts["licence"]) == ("lodge", 12, 3, "public domain")
    assert facts["official"] == {"joy": 6, "sadness": 6} and not facts["notes"] and not facts["problems"]
    affetto("train", "--corpus", f"lodge={lodge}", "--method", "probe", *RUN, "--out", tmp_path / "run")
    split = json.loads((tmp_path / "run" / "split.json").read_text())
    assert (split["protocol"], [fold["name"] for fold in split["folds"]]) == ("loso", ["ada", "bea", "carlo"])
    affetto("report", tmp_path / "run", "--out", tmp_path / "report", "--format", "csv", "--format", "markdown")
    pages = "".join(path.read_text() for path in (tmp_path / "report").rglob("*.md"))
    assert "Lodge" in pages
