"""OpenAI's Whisper base, trained further on EMOVO's speech: asked as it was trained, and still Whisper afterwards."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from affetto import audio
from affetto.cli import app
from affetto.corpora.published import emovo
from affetto.specialize.scores import error_rates
from affetto.specialize.text import plain

pytestmark = [pytest.mark.real, pytest.mark.slow]
SPEAKERS, PROMPTS = ("f1", "m1", "f2"), ("b1", "b2", "l1")


@pytest.fixture(scope="module")
def whisper_base(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder without `generation_config.json`, as older conversions are."""
    named = os.environ.get("AFFETTO_WHISPER_BASE")
    folder = Path(named) if named else shared / "real" / "whisper-base"
    if not (folder / "model.safetensors").is_file():
        pytest.skip(f"no Whisper base in {folder}: set AFFETTO_WHISPER_BASE to its folder")
    older = tmp_path_factory.mktemp("whisper") / "base"
    older.mkdir()
    for file in folder.iterdir():
        if file.name != "generation_config.json":
            (older / file.name).symlink_to(file.resolve())
    return older


def test_whisper_is_asked_as_it_was_trained_and_still_generates_after_two_steps(
    whisper_base: Path, shared: Path, tmp_path: Path
) -> None:
    import transformers

    corpus = shared / "real" / "EMOVO"
    if not corpus.is_dir():
        pytest.skip(f"no {corpus}")
    rows = ["file\tsentence\tspeaker"]
    for speaker in SPEAKERS:
        for prompt in PROMPTS:
            clip = next(corpus.rglob(f"neu-{speaker}-{prompt}.wav"))
            rows.append(f"{clip}\t{emovo.SENTENCES[prompt]}\t{speaker}")
    (tmp_path / "speech.tsv").write_text("\n".join(rows) + "\n")
    words = [
        "specialize",
        "--table",
        tmp_path / "speech.tsv",
        "--backbone",
        whisper_base,
        "--objective",
        "seq2seq",
        "--out",
        tmp_path / "child",
        "--device",
        "cpu",
    ]
    for setting in ("steps=2", "batch_size=2", "validations=1", "precision=float32", "held_out=0.34"):
        words += ["--set", setting]
    done = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert (
        "does not say that it is multilingual" in done.output and "note: 3 of 3 validation clips (100%)" in done.output
    )
    made = json.loads((tmp_path / "child" / "specialized.json").read_text())
    before, after = made["history"][0], made["history"][-1]
    print("before", before, "after", after)
    # With the tokens of another sequence (no language, no space) it is 1.1 to 7.3 nats.
    assert before["validation_loss"] < 0.9 and before["cer"] < 0.12
    assert after["validation_loss"] < before["validation_loss"] and after["cer"] <= before["cer"]
    assert made["heads"] == "of the parent"
    generation = json.loads((tmp_path / "child" / "generation_config.json").read_text())
    assert generation["is_multilingual"] is True and generation["lang_to_id"]["<|it|>"] == 50274
    assert generation["task_to_id"] == {"transcribe": 50359, "translate": 50358}

    model = transformers.WhisperForConditionalGeneration.from_pretrained(tmp_path / "child")
    processor = transformers.WhisperProcessor.from_pretrained(tmp_path / "child")
    wave = audio.load(next(corpus.rglob("neu-f1-b1.wav")))
    mels = processor(wave, sampling_rate=audio.RATE_HZ, return_tensors="pt").input_features
    with torch.no_grad():
        tokens = model.generate(mels, language="it", task="transcribe")
    text = processor.batch_decode(tokens, skip_special_tokens=True)[0]
    assert text.startswith(" ")
    assert error_rates([(plain(emovo.SENTENCES["b1"]), text)])["cer"] < 0.15, text
    shutil.rmtree(tmp_path / "child")
