"""Exports of every target: ONNX, transformers' pipeline, and the model card."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import affetto
import affetto.hf  # registers the class
from affetto.errors import UserError
from affetto.export.onnx_graph import export_onnx
from affetto.export.source import trained_predictor
from affetto.export.transformers_folder import export_hf
from affetto.export.upload import export_hub
from affetto.measures.regression import CCC
from affetto.targets.target import PLAIN_LOSS, Target
from affetto.training.train import train
from inference.saved import saved_model
from models.systems import clips
from targets.annotated import write_annotated
from targets.test_losses import EVERY, truth_of
from training.corpora import spec

NAMES = [name for name in EVERY if name not in ("classes", "mse", "ccc+mse")]


@pytest.fixture(params=NAMES)
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A model of each target, with a window of 1.5 s and a temperature."""
    options = {"head": "statistics", "pooling": "layer", "layer": 1, "target": EVERY[request.param]}
    return saved_model(tmp_path / "model", "wav2vec2-mini", "lora", **options)


def values(answer: affetto.Prediction) -> dict[str, float]:
    return answer.probabilities | answer.dimensions


def test_transformers_pipeline_gives_the_values(model: Path, tmp_path: Path) -> None:
    """On a clip shorter than the window, and on one that windows cover."""
    from transformers import pipeline

    expected = affetto.load(model, precision="float32", device="cpu")
    assert export_hf(trained_predictor(model), tmp_path / "out").largest_difference < 1e-5
    again = affetto.load(tmp_path / "out", precision="float32", device="cpu")
    classify = pipeline("audio-classification", model=str(tmp_path / "out"), top_k=None)
    for wave in clips(0.8, 4.3):
        answer = expected(wave)
        found = {row["label"]: row["score"] for row in classify({"raw": wave, "sampling_rate": 16_000})}
        assert found == pytest.approx(values(answer), abs=1e-5)
        repeated = again(wave)
        assert values(repeated) == pytest.approx(values(answer), abs=1e-5)
        assert (repeated.emotion, repeated.labels) == (answer.emotion, answer.labels)
    text = (tmp_path / "out" / "README.md").read_text()
    assert ("whose score is the value" in text) == expected.target.has_dimensions
    assert ("temperature" in text) == expected.target.has_classes


@pytest.mark.parametrize("name", EVERY)
def test_the_folder_trains_further_by_the_target_s_loss(name: str, tmp_path: Path) -> None:
    """The loss is that of affetto's own predictions; what lies above the front end trains, and is saved."""
    from transformers import AutoModelForAudioClassification

    saved = saved_model(tmp_path / "model", "wav2vec2-mini", "adapter", head="linear", target=EVERY[name])
    expected = affetto.load(saved, precision="float32", device="cpu")
    export_hf(trained_predictor(saved), tmp_path / "out")
    model = AutoModelForAudioClassification.from_pretrained(tmp_path / "out")
    target, waves = model.classifier.target, clips(0.6, 0.6, 0.6)
    truth = truth_of(target, len(waves))
    batch = {"input_values": torch.from_numpy(np.stack(waves)), "labels": labels_of(target, truth)}
    first = model(**batch).loss
    assert not first.requires_grad
    predicted = np.array([list(values(expected(wave)).values()) for wave in waves])
    loss = target.loss(truth, PLAIN_LOSS)
    assert float(first) == pytest.approx(loss.of_values(predicted, truth), abs=1e-4)
    before = {parameter: weights.detach().clone() for parameter, weights in model.named_parameters()}
    optimizer = torch.optim.Adam([weights for weights in model.parameters() if weights.requires_grad], lr=0.001)
    model.train()
    for _ in range(6):
        optimizer.zero_grad()
        model(**batch).loss.backward()
        optimizer.step()
    changed = {
        parameter for parameter, weights in model.named_parameters() if not torch.equal(weights, before[parameter])
    }
    assert changed == {parameter for parameter, weights in model.named_parameters() if weights.requires_grad}
    assert not any("feature_extractor" in parameter for parameter in changed)
    model.eval()
    assert float(model(**batch).loss) < float(first)
    model.save_pretrained(tmp_path / "out")
    again = affetto.load(tmp_path / "out", precision="float32", device="cpu")
    assert again.target == target and values(again(waves[0])) != values(expected(waves[0]))
    with pytest.raises(ValueError, match="labels have the shape"):
        model(**batch | {"labels": batch["labels"][:1]})


def labels_of(target: Target, truth: torch.Tensor) -> torch.Tensor:
    """Labels as users have them: dimensions on the scale of the corpus."""
    count = len(target.dimensions)
    if not count:
        return truth
    scales = target.dimensions.values()
    low, high = (torch.tensor([getattr(scale, end) for scale in scales]) for end in ("low", "high"))
    numbers = (truth[:, -count:] + 1) / 2 * (high - low) + low
    return torch.cat([truth[:, :-count], numbers], dim=1)


def test_an_onnx_file_gives_the_values_and_its_example_prints_them(model: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    expected = affetto.load(model, precision="float32", device="cpu")
    parity = export_onnx(trained_predictor(model), tmp_path / "out")
    assert parity.largest_difference < 1e-5
    assert (parity.same_label is None) == (not expected.target.has_classes)
    file = affetto.load(tmp_path / "out")
    contract = file.session.facts["contract"]  # type: ignore[attr-defined]
    assert ("Calibrated" in contract) == expected.target.has_classes
    assert ("values averaged" in contract) == expected.target.has_dimensions
    for number, wave in enumerate(clips(0.8, 4.3)):
        answer, found = expected(wave), file(wave)
        assert values(found) == pytest.approx(values(answer), abs=1e-5)
        assert (found.emotion, found.labels) == (answer.emotion, answer.labels)
        soundfile.write(tmp_path / f"{number}.wav", wave, 16_000, subtype="FLOAT")
        command = [sys.executable, str(tmp_path / "out" / "predict.py"), str(tmp_path / f"{number}.wav")]
        printed = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=120).stdout)
        assert printed.pop("file").endswith(f"{number}.wav")
        assert printed == pytest.approx(values(answer), abs=1e-4)


def test_a_stock_class_can_be_of_several_labels_and_not_of_dimensions(tmp_path: Path) -> None:
    from transformers import AutoModelForAudioClassification, pipeline

    options = {"head": "linear", "pooling": "layer", "layer": None}
    several = saved_model(tmp_path / "m", "wav2vec2-mini", "frozen", target=EVERY["multilabel"], **options)
    export_hf(trained_predictor(several), tmp_path / "out", stock_class=True)
    stock = AutoModelForAudioClassification.from_pretrained(tmp_path / "out")
    assert type(stock).__module__.startswith("transformers.")
    assert stock.config.problem_type == "multi_label_classification"
    (wave,) = clips(0.8)
    answers = pipeline("audio-classification", model=str(tmp_path / "out"), top_k=None)(
        {"raw": wave, "sampling_rate": 16_000}
    )
    expected = affetto.load(several, precision="float32", device="cpu")(wave).probabilities
    assert {row["label"]: row["score"] for row in answers} == pytest.approx(expected, abs=1e-5)
    assert affetto.load(tmp_path / "out")(wave).probabilities == pytest.approx(expected, abs=1e-5)
    numbers = saved_model(tmp_path / "n", "wav2vec2-mini", "frozen", target=EVERY["ccc"], **options)
    with pytest.raises(UserError, match="does not keep dimensions within their ranges"):
        export_hf(trained_predictor(numbers), tmp_path / "no", stock_class=True)


def test_a_difference_of_dimensions_counts_in_halves_of_their_ranges() -> None:
    from affetto.export import parity

    target = EVERY["ccc"]
    found = parity.compare(lambda _: np.array([1.0, 0.0]), lambda _: np.array([1.0, 5.0]), [np.zeros(1)], target)
    assert found.largest_difference == 1.0 and found.same_label is None and "values differ" in found.summary()


@pytest.mark.parametrize("name", ["dimensions", "multilabel", "joint"])
def test_a_model_card_says_what_is_predicted_and_how_well(name: str, tmp_path: Path) -> None:
    from huggingface_hub import ModelCard

    overrides = {"model.layer": "1", "probe.strengths": "[0.01]", "training.epochs": "1"}
    train(spec(write_annotated(tmp_path / "corpus"), target=name, overrides=overrides), tmp_path / "run")
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    # Seven test clips, each with three raters of its emotion and two of the next.
    assert metrics["human_ceiling"]["labels"]["n"] == 35 and metrics["human_ceiling"]["dimensions"] == {}
    metrics["human_ceiling"]["dimensions"] = {"arousal": {"ccc": 0.625, "n": 9}}
    (tmp_path / "run" / "metrics.json").write_text(json.dumps(metrics))
    export_hub(tmp_path / "run", tmp_path / "out")
    card = ModelCard.load(tmp_path / "out" / "README.md")
    results = {result.metric_name: result.metric_value for result in card.data.eval_results}
    text = (tmp_path / "out" / "README.md").read_text()
    if name == "multilabel":
        assert "one or several" in text and "| label | F1 | average precision | threshold |" in text
        assert results["macro F1 of labels"] == round(metrics["test"]["multilabel_macro_f1"], 4)
    else:
        assert "arousal (1 to 5), valence (1 to 5)" in text and "90 % interval" in text
        assert results["mean CCC"] == round(metrics["test"]["mean_ccc"], 4)
    assert ("Names the emotion in" in text) == (name == "joint")
    if name == "joint":
        sets = json.loads((tmp_path / "out" / "affetto.json").read_text())["confidence"]["sets"]
        row = sets["measured"]["kinds"]["lac"]
        cells = f"{row['size']:.1f} | {100 * row['coverage']:.0f} %"
        assert f"| lac | {cells} | " in text and "clips of validation speakers" in text
        assert f"| {100 * min(row['per_speaker'].values()):.0f} % |" in text and "--coverage 0.9 --sets lac`" in text
        errors = 100 * (1 - metrics["test"]["accuracy"])
        assert "| errors at 100 % answered | errors at 80 % answered |" in text and f"\n| {errors:.1f} | " in text
    assert ("risk-coverage" in text) == (name == "joint") and "--require-speech 0.5`" in text
    rater = text.partition("| each rater against the others |")[2]
    assert (f"| CCC of arousal | {CCC.text(0.625)} | 9 |" in rater) == (name != "multilabel")
    assert ("| macro F1 |" in rater) == (name == "joint") and "CCC of valence" not in rater
    assert (".dimensions)" in text) == (name != "multilabel")
    assert (".probabilities)" in text) == (name != "dimensions")
    assert ("Per cent (CCC, Pearson's r, MAE, RMSE: as computed)" in text) == (name == "joint")
    assert ("ridge regression" in text) == (name != "multilabel")
    assert affetto.load(tmp_path / "out").target.name == name
