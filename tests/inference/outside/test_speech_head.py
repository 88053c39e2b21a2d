"""Checkpoints with a dense head on pooled states: values by transformers' encoder and the head's weights."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoFeatureExtractor, Wav2Vec2Model
from typer.testing import CliRunner

from affetto.cli import app
from affetto.errors import UserError
from affetto.inference.loading import load
from inference.outside.checkpoints import change_config, write_speech_head
from training.corpora import write_table

NAMES = ("arousal", "dominance", "valence")


def outputs(folder: Path, head: dict[str, torch.Tensor], wave: np.ndarray, pool: str = "mean") -> np.ndarray:
    """Outputs (3,) of a clip: tanh of the dense layer on pooled states, then the projection."""
    inputs = AutoFeatureExtractor.from_pretrained(folder)(wave, sampling_rate=16_000, return_tensors="pt")
    with torch.no_grad():
        states = Wav2Vec2Model.from_pretrained(folder).eval()(inputs["input_values"]).last_hidden_state[0]
        pooled = {"mean": states.mean(0), "sum": states.sum(0), "max": states.amax(0)}[pool]
        hidden = torch.tanh(head["dense.weight"] @ pooled + head["dense.bias"])
        return (head["out_proj.weight"] @ hidden + head["out_proj.bias"]).numpy()


@pytest.fixture(scope="module")
def waves() -> list[np.ndarray]:
    generator = np.random.default_rng(1)
    return [generator.normal(0, 0.1, samples).astype(np.float32) for samples in (8_000, 21_000)]


@pytest.mark.parametrize("pool", ["mean", "sum", "max"])
def test_dimensions_are_those_of_the_head_on_pooled_states_within_0_and_1(
    pool: str, waves: list[np.ndarray], tmp_path: Path
) -> None:
    folder, head = write_speech_head(tmp_path, pooling_mode=pool)
    model = load(folder)
    together = model.window_probabilities(waves)
    for wave, row in zip(waves, together, strict=True):
        expected = np.clip(outputs(folder, head, wave, pool), 0, 1)
        answer = model(wave)
        assert tuple(answer.dimensions) == NAMES and answer.emotion is None
        assert list(answer.dimensions.values()) == pytest.approx(expected, abs=1e-5)
        assert row == pytest.approx(expected, abs=1e-5)


def test_the_head_may_name_classes_too(waves: list[np.ndarray], tmp_path: Path) -> None:
    names = ("anger", "happiness", "sadness")
    folder, head = write_speech_head(tmp_path, names, problem_type="single_label_classification")
    shares = np.exp(outputs(folder, head, waves[0]))
    answer = load(folder)(waves[0]).probabilities
    assert answer == pytest.approx(dict(zip(("anger", "joy", "sadness"), shares / shares.sum(), strict=True)), abs=1e-5)


def test_what_the_head_cannot_be_is_refused(tmp_path: Path) -> None:
    folder, _ = write_speech_head(tmp_path, pooling_mode="median")
    with pytest.raises(UserError, match="pooling_mode 'median' is none of mean, sum, max"):
        load(folder)
    change_config(folder, pooling_mode="mean", model_type="wavlm")
    with pytest.raises(UserError, match="on an encoder 'wavlm', and affetto has this head for wav2vec2, hubert"):
        load(folder)


def test_dimensions_are_mapped_onto_the_range_of_the_corpus(tmp_path: Path) -> None:
    folder, _ = write_speech_head(tmp_path / "model", ("activation", "dominance", "valence"))
    table = write_table(tmp_path / "corpus", speakers=2, parts=False)
    with table.open(newline="") as file:
        rows = [row | {"a": str(1 + n % 7), "v": str(7 - n % 6)} for n, row in enumerate(csv.DictReader(file))]
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    words = [
        "evaluate",
        folder,
        "--table",
        table,
        "--out",
        tmp_path / "result",
        "--json",
        "--map",
        "activation=arousal",
    ]
    words += ["--dimension", "arousal=a:1:7", "--dimension", "valence=v:1:7"]
    result = CliRunner().invoke(app, list(map(str, words)))
    assert result.exit_code == 0, result.output
    assert "arousal is mapped from 0 … 1 onto 1 … 7" in result.stderr
    assert "dominance is left out: the corpus has none" in result.stderr
    assert "states no range of its dimensions: 0 … 1 is assumed" in " ".join(result.stderr.split())
    first = json.loads((tmp_path / "result" / "predictions.jsonl").read_text().splitlines()[0])
    model = load(folder, label_map={"activation": "arousal"})
    own = model(tmp_path / "corpus" / first["file"]).dimensions
    expected = {name: 1 + 6 * own[name] for name in ("arousal", "valence")}
    assert first["prediction"] == pytest.approx(expected, abs=1e-5)
    assert 0 < own["arousal"] < 1 and first["truth"].keys() == expected.keys()


def test_two_dimensions_of_one_name_are_refused(tmp_path: Path) -> None:
    folder, _ = write_speech_head(tmp_path)
    with pytest.raises(UserError, match="'valence' of several dimensions"):
        load(folder, label_map={"arousal": "valence"})
    assert tuple(load(folder, label_map={"dominance": ""})(np.zeros(8_000, np.float32)).dimensions) == (
        "arousal",
        "valence",
    )
