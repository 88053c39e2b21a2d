"""Transcripts by a tiny random Whisper: pieces, languages, turns, and checkpoints that have none."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from affetto.errors import UserError
from affetto.inference.transcriber import Transcriber, cut
from inference.whisper import WORDS, write_whisper
from models.systems import clips


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_whisper(tmp_path_factory.mktemp("whisper") / "tiny", chunk_seconds=2)


@pytest.fixture(scope="module")
def transcriber(folder: Path) -> Transcriber:
    return Transcriber(str(folder), device="cpu")


def test_words_of_a_recording_in_pieces(transcriber: Transcriber) -> None:
    (wave,) = clips(4.5)
    assert transcriber.languages == ("en", "it") and transcriber.piece_seconds == 2.0
    assert transcriber.detect_language(wave) in transcriber.languages
    text = transcriber.transcribe(wave, "it")
    assert text and set(text.split()) <= set(WORDS)
    pieces = list(cut(wave, 32_000))
    assert len(pieces) >= 3 and np.array_equal(np.concatenate(pieces), wave)
    assert text == " ".join(transcriber.transcribe(piece, "it") for piece in pieces)
    assert text != transcriber.transcribe(wave, "en") and transcriber.transcribe(wave[:100], "it") == ""


def test_a_long_recording_is_cut_where_it_is_quiet() -> None:
    (wave,) = clips(40.0)
    wave[27 * 16_000 : 27 * 16_000 + 8_000] = 0
    first, second = cut(wave, 30 * 16_000)
    assert 27.0 < len(first) / 16_000 < 27.5 and len(first) + len(second) == len(wave)


def test_who_is_not_waited_for_gives_up(transcriber: Transcriber) -> None:
    """While it decodes, and while it waits for its turn."""

    class LeftError(Exception):
        pass

    (wave,) = clips(1.0)
    calls = []

    def check() -> None:
        calls.append(None)
        if len(calls) > 3:
            raise LeftError

    with pytest.raises(LeftError):
        transcriber.transcribe(wave, "it", check)
    assert 4 <= len(calls) < 10
    with transcriber._turn, pytest.raises(LeftError):
        transcriber.transcribe(wave, "it", check)
    assert transcriber.transcribe(wave, "it"), "the turn is free again"


def test_callers_take_turns(transcriber: Transcriber) -> None:
    waves = clips(1.0, 1.5)
    expected, texts = [transcriber.transcribe(wave, "it") for wave in waves], {}
    threads = [
        threading.Thread(target=lambda n=n: texts.update({n: transcriber.transcribe(waves[n], "it")})) for n in (0, 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [texts[0], texts[1]] == expected


def test_checkpoints_without_a_transcript(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no folder nowhere: give a Whisper checkpoint"):
        Transcriber("nowhere")
    for file in ("tokenizer.json", "preprocessor_config.json"):
        copy = shutil.copytree(folder, tmp_path / file, ignore=shutil.ignore_patterns(file))
        with pytest.raises(UserError, match=f"no {file} in it"):
            Transcriber(str(copy))
    other = shutil.copytree(folder, tmp_path / "other")
    (other / "config.json").write_text(json.dumps({"model_type": "wav2vec2"}))
    with pytest.raises(UserError, match="a wav2vec2 model transcribes nothing"):
        Transcriber(str(other))
    deeper = shutil.copytree(folder, tmp_path / "deeper")
    config = json.loads((folder / "config.json").read_text()) | {"decoder_layers": 2}
    (deeper / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="its decoder is a placeholder"):
        Transcriber(str(deeper))
