"""Checkpoints of transformers' own classes: answers are those of its pipeline on a clip alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from transformers import pipeline
from typer.testing import CliRunner

from affetto.cli import app
from affetto.errors import UserError
from affetto.inference.batch.options import record_of
from affetto.inference.loading import load
from affetto.inference.shared_weights import load_together
from affetto.serving.catalogue import Catalogue
from inference.outside.checkpoints import FAMILIES, LABELS, change_config, write_checkpoint
from training.corpora import write_table

NAMES = {"anger": "ang", "joy": "hap", "neutrality": "neu", "zeal": "zeal"}


@pytest.fixture(scope="module")
def waves() -> list[np.ndarray]:
    """Three clips of different lengths, the longest of which no window cuts."""
    generator = np.random.default_rng(0)
    return [generator.normal(0, 0.1, samples).astype(np.float32) for samples in (8_000, 31_000, 12_345)]


@pytest.mark.parametrize("family", FAMILIES)
def test_answers_are_those_of_transformers_on_a_clip_alone(
    family: str, waves: list[np.ndarray], tmp_path: Path
) -> None:
    folder = write_checkpoint(tmp_path, family)
    model = load(folder)
    stock = pipeline("audio-classification", model=str(folder), top_k=None)
    for wave, together in zip(waves, model.window_probabilities(waves), strict=True):
        alone = model(wave).probabilities
        of_stock = {row["label"]: row["score"] for row in stock({"raw": wave, "sampling_rate": 16_000})}
        assert tuple(alone) == ("anger", "joy", "neutrality", "zeal")
        assert list(alone.values()) == pytest.approx(together.tolist(), abs=1e-6)
        assert alone == pytest.approx({label: of_stock[name] for label, name in NAMES.items()}, abs=1e-5)


def test_the_logits_are_those_of_the_stock_class(waves: list[np.ndarray], tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path)
    model = load(folder)
    stock = pipeline("audio-classification", model=str(folder), top_k=None, function_to_apply="none")
    for wave in waves:
        logits = {row["label"]: row["score"] for row in stock({"raw": wave, "sampling_rate": 16_000})}
        assert dict(zip(("ang", "hap", "neu", "zeal"), model.model.score(wave), strict=True)) == pytest.approx(
            logits, abs=1e-5
        )


def test_half_precision_in_a_configuration_is_not_obeyed(waves: list[np.ndarray], tmp_path: Path) -> None:
    expected = load(write_checkpoint(tmp_path))(waves[0]).probabilities
    change_config(tmp_path, dtype="float16", torch_dtype="float16", attn_implementation="somebody/kernels")
    assert load(tmp_path)(waves[0]).probabilities == expected


def test_several_labels_have_a_sigmoid_each(waves: list[np.ndarray], tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path, problem_type="multi_label_classification")
    answer = load(folder)(waves[0])
    rows = pipeline("audio-classification", model=str(folder), top_k=None)({"raw": waves[0], "sampling_rate": 16_000})
    of_stock = {row["label"]: row["score"] for row in rows}
    assert answer.probabilities == pytest.approx({k: of_stock[name] for k, name in NAMES.items()}, abs=1e-5)
    assert answer.labels == tuple(label for label, share in answer.probabilities.items() if share >= 0.5)


def test_a_clip_longer_than_whispers_window_is_covered_by_windows(tmp_path: Path) -> None:
    model = load(write_checkpoint(tmp_path, "whisper"))
    assert model.window_seconds == 2.0
    assert model(np.zeros(5 * 16_000, np.float32)).windows == 4


def test_a_checkpoint_without_some_weight_is_refused_and_says_which(tmp_path: Path) -> None:
    weights = load_file(write_checkpoint(tmp_path) / "model.safetensors")
    weights["classifier.dense.weight"] = weights.pop("projector.weight")
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"needs projector\.weight, .*has classifier\.dense\.weight instead.*chance"):
        load(tmp_path)


def test_a_pickle_is_refused_and_the_line_says_how_to_convert_it(tmp_path: Path) -> None:
    (write_checkpoint(tmp_path) / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"are a pickle \(pytorch_model\.bin\).*convert"):
        load(tmp_path)


def test_sound_of_another_rate_is_refused(tmp_path: Path) -> None:
    file = write_checkpoint(tmp_path) / "preprocessor_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"sampling_rate": 8_000}))
    with pytest.raises(UserError, match="takes sound of 8000 Hz"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("fields", "phrase"),
    [
        ({"architectures": ["Wav2Vec2ForCTC"]}, "Wav2Vec2ForCTC of the family wav2vec2.*affetto train --backbone"),
        ({"architectures": ["Odd"], "auto_map": {"AutoModel": "odd.Odd"}}, "code of its own.*runs no code"),
        ({"architectures": None}, "names no class"),
    ],
)
def test_a_folder_that_is_no_model_says_what_it_looks_like(fields: dict, phrase: str, tmp_path: Path) -> None:
    change_config(write_checkpoint(tmp_path), **fields)
    with pytest.raises(UserError, match=phrase):
        load(tmp_path)


def test_options_that_an_outside_model_does_not_have_are_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path)
    with pytest.raises(UserError, match="leave --precision out"):
        load(tmp_path, precision="int8")
    with pytest.raises(UserError, match="leave --backbone out"):
        load(tmp_path, backbone="wav2vec2-base")


def test_predict_takes_a_checkpoint(tmp_path: Path, write_wav) -> None:
    folder, clip = write_checkpoint(tmp_path / "model"), write_wav("clip.wav")
    result = CliRunner().invoke(app, ["predict", str(folder), str(clip), "--format", "json"])
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)
    assert row["emotion"] in NAMES and sum(row["probabilities"].values()) == pytest.approx(1) and "protocol" not in row
    assert (
        "ang → anger, hap → joy, neu → neutrality; as they are, since no emotion has their name: zeal" in result.stderr
    )


def test_a_map_of_labels_is_in_the_answers_and_in_what_is_said(tmp_path: Path, write_wav) -> None:
    folder, clip = write_checkpoint(tmp_path / "model"), write_wav("clip.wav")
    words = ["predict", str(folder), str(clip), "--map", "zeal=,hap=gioia"]
    result = CliRunner().invoke(app, [*words, "--format", "json"])
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)
    whole = load(folder)(clip).probabilities
    rest = sum(share for label, share in whole.items() if label != "zeal")
    assert row["probabilities"] == pytest.approx({k: v / rest for k, v in whole.items() if k != "zeal"}, abs=1e-6)
    assert row["protocol"] == "left out: zeal and the rest renormalised"
    assert "left out: zeal; what is left is divided by its sum" in result.stderr
    assert CliRunner().invoke(app, [*words[:-1], "zeall=joy"]).exit_code == 1


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_rows_without_some_label_are_continued_by_the_same_map_alone(kind: str, tmp_path: Path, write_wav) -> None:
    folder, out = write_checkpoint(tmp_path / "model"), tmp_path / f"labels.{kind}"
    clips = [str(write_wav(f"{name}.wav")) for name in "ab"]

    def predict(*words: str):
        return CliRunner().invoke(app, ["predict", str(folder), *words, "--out", str(out)])

    assert predict(clips[0], "--map", "zeal=").exit_code == 0
    before = out.read_text()
    result = predict(*clips, "--map", "zeal=", "--resume")
    assert result.exit_code == 0, result.output
    assert out.read_text().startswith(before) and out.read_text().count("left out: zeal") == 2
    for words in (("--map", "zeal=,neu="), ()):
        refused = predict(*clips, *words, "--resume")
        assert "was begun with --map zeal=, and this call goes on" in str(refused.exception)
    record_of(out).unlink()
    for words in (("--map", "zeal=,neu="), ()):
        refused = predict(*clips, *words, "--resume")
        assert isinstance(refused.exception, UserError) and "give another --out" in str(refused.exception)


def test_evaluate_tests_a_checkpoint_on_a_corpus(tmp_path: Path) -> None:
    folder, table = write_checkpoint(tmp_path / "model"), write_table(tmp_path / "corpus", speakers=2, parts=False)
    words = ["evaluate", folder, "--table", table, "--map", "zeal=", "--out", tmp_path / "result", "--json"]
    result = CliRunner().invoke(app, list(map(str, words)))
    assert result.exit_code == 0, result.output
    metrics = json.loads((tmp_path / "result" / "metrics.json").read_text())
    assert metrics["outside"]["labels"] == {"ang": "anger", "hap": "joy", "neu": "neutrality"}
    assert metrics["outside"]["left_out"] == ["zeal"] and metrics["outside"]["renormalised"]
    assert metrics["left_out"]["unknown_emotions"] == {"disgust": 2, "fear": 2, "sadness": 2, "surprise": 2}
    rows = [json.loads(line) for line in (tmp_path / "result" / "predictions.jsonl").read_text().splitlines()]
    model, audio = load(folder, label_map={"zeal": ""}), tmp_path / "corpus"
    assert len(rows) == 6
    for row in rows:
        assert row["probabilities"] == pytest.approx(model(audio / row["file"]).probabilities, abs=1e-5)


def test_several_models_share_a_map(tmp_path: Path) -> None:
    first = write_checkpoint(tmp_path / "first", labels=("angry", "happy", "calm"))
    second = write_checkpoint(tmp_path / "second", labels=("angry", "happy", "zeal"))
    models = load_together({"a": first, "b": second}, label_map={"zeal": "", "calm": "neutral"})
    assert (models["a"].labels, models["b"].labels) == (("anger", "joy", "neutrality"), ("anger", "joy"))
    described = Catalogue(models).describe()
    assert [model.method for model in described] == ["Wav2Vec2ForSequenceClassification"] * 2
    assert described[1].label_table == {"angry": "anger", "happy": "joy", "zeal": None}
    with pytest.raises(UserError, match="--map: 'rage'"):
        load_together({"a": first, "b": second}, label_map={"rage": "anger"})


def test_a_hub_id_without_a_revision_is_told_its_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_checkpoint(tmp_path / "models--owner--name" / "snapshots" / "3c1f2a9")
    monkeypatch.setattr("affetto.inference.loading.model_snapshot", lambda hub_id: folder)
    model = load("owner/name")
    assert any("owner/name@3c1f2a9 stays this model" in note for note in model.notes)
    assert (model.card["outside"]["source"], model.card["outside"]["revision"]) == ("owner/name", "3c1f2a9")
    assert not any("stays this model" in note for note in load("owner/name@3c1f2a9").notes)


def test_the_licence_of_a_model_and_its_data_are_told_apart(tmp_path: Path) -> None:
    (write_checkpoint(tmp_path) / "README.md").write_text(
        "---\nlicense: cc-by-nc-sa-4.0\ndatasets:\n- msp-podcast\n---\n"
    )
    _, licence, data = load(tmp_path).notes
    assert licence == "licence of the model, by its card: cc-by-nc-sa-4.0"
    assert data.endswith("msp-podcast (licence unknown)")


def test_a_map_is_for_models_of_others_alone(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--map is for models of others"):
        load(tmp_path, label_map={"a": "b"})


def test_outputs_without_a_name_are_refused(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    config["id2label"] = {str(number + 1): label for number, label in enumerate(LABELS)}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"id2label has no name of the output 0"):
        load(folder, device="cpu")


def test_answers_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path)
    model = load(tmp_path)
    count = len(model.model.outputs)
    model.model = replace(model.model, score=lambda wave: np.full(count, np.nan, np.float32))
    with pytest.raises(UserError, match="answers with what is no number"):
        model.window_probabilities([np.zeros(16_000, np.float32)])
