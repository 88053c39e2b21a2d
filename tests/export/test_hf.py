"""Exported folders in transformers' pipeline: by affetto's registered class, and by stock classes without affetto."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import affetto
import affetto.hf
from affetto.errors import UserError
from affetto.export.source import trained_predictor
from affetto.export.transformers_folder import export_hf
from inference.saved import TEMPERATURE, saved_model
from models.systems import FAMILIES, clips
from targets.test_losses import EVERY

OWN = (
    ("frozen", {"head": "statistics", "pooling": "layer", "layer": 1}),
    ("adapter", {"head": "paper", "pooling": "weighted"}),
    ("lora", {"head": "short", "state_norm": "layer"}),
    ("full", {"head": "linear", "pooling": "without_embedding"}),
    ("lora", {"head": "attentive", "pooling": "mean"}),
    ("frozen", {"head": "ecapa", "pooling": "mean"}),
)
STOCK: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("wav2vec2-mini", "frozen", {"pooling": "layer", "layer": None}),
    ("wav2vec2-mini", "lora", {"pooling": "mean"}),
    ("hubert-mini", "full", {"pooling": "without_embedding"}),
    ("wavlm-mini", "lora", {"pooling": "weighted"}),
    ("xlsr-mini", "full", {"pooling": "layer", "layer": None}),
    ("xlsr-mini", "lora", {"pooling": "layer", "layer": 2}),
    ("whisper-mini", "lora", {"pooling": "mean"}),
    ("whisper-mini", "frozen", {"pooling": "layer", "layer": None}),
)


def piped(folder: Path, wave: np.ndarray) -> dict[str, float]:
    from transformers import pipeline

    answers = pipeline("audio-classification", model=str(folder), top_k=None)({"raw": wave, "sampling_rate": 16_000})
    return {answer["label"]: answer["score"] for answer in answers}


@pytest.mark.parametrize(("method", "options"), OWN)
@pytest.mark.parametrize("key", FAMILIES)
def test_every_head_and_method_in_the_pipeline(key: str, method: str, options: dict[str, Any], tmp_path: Path) -> None:
    """Calibrated, on a clip shorter than the window of 1.5 s and on one that windows cover."""
    model = saved_model(tmp_path / "model", key, method, **options)
    expected = affetto.load(model, precision="float32", device="cpu")
    found = export_hf(trained_predictor(model), tmp_path / "out")
    assert found.largest_difference < 1e-5
    again = affetto.load(tmp_path / "out", precision="float32", device="cpu")
    for wave in clips(0.8, 4.3):
        true = expected(wave).probabilities
        assert piped(tmp_path / "out", wave) == pytest.approx(true, abs=1e-5)
        assert again(wave).probabilities == pytest.approx(true, abs=1e-5)
    assert len(set(np.round(list(true.values()), 4))) > 1


@pytest.mark.parametrize(("key", "method", "options"), STOCK)
def test_stock_classes(key: str, method: str, options: dict[str, Any], tmp_path: Path) -> None:
    """The same logits but for the temperature; Whisper's on a clip of the length that the stock class takes."""
    model = saved_model(tmp_path / "model", key, method, head="linear", seconds=2.0, **options)
    expected = affetto.load(model, precision="float32", device="cpu")
    export_hf(trained_predictor(model), tmp_path / "out", stock_class=True)
    architecture = json.loads((tmp_path / "out" / "config.json").read_text())["architectures"][0]
    assert architecture.endswith("ForSequenceClassification") or architecture == "WhisperForAudioClassification"
    (wave,) = clips(2.0)
    true = expected(wave).probabilities
    assert piped(tmp_path / "out", wave) == pytest.approx(true, abs=1e-5)
    again = affetto.load(tmp_path / "out", device="cpu")
    assert again(wave).probabilities == pytest.approx(true, abs=1e-5) and again.labels == expected.labels
    (longer,) = clips(5.0)
    assert again(longer).probabilities == pytest.approx(expected(longer).probabilities, abs=1e-5)
    said = (tmp_path / "out" / "README.md").read_text()
    assert "import affetto" not in said and "synthetic" in said and f"{TEMPERATURE:g}" in said
    assert "Article 50(3)" in said and "| Licence of the data |" in said
    if options["pooling"] == "layer":
        assert "last_hidden_state" in said or "state 2 of 0 … 3" in said


@pytest.mark.parametrize(
    ("key", "stock_class"), [("whisper-mini", True), ("wavlm-mini", True), ("whisper-mini", False)]
)
def test_a_folder_that_names_compiled_code_for_attention_is_not_obeyed(
    key: str, stock_class: bool, tmp_path: Path
) -> None:
    model = saved_model(tmp_path / "model", key, "lora", head="linear")
    export_hf(trained_predictor(model), tmp_path / "out", stock_class=stock_class)
    (wave,) = clips(1.0)
    expected = affetto.load(tmp_path / "out", device="cpu")(wave)
    file = tmp_path / "out" / "config.json"
    config = json.loads(file.read_text())
    named = {"attn_implementation": "owner/kernel", "_attn_implementation": "owner/kernel"}
    file.write_text(json.dumps(config | named))
    assert affetto.load(tmp_path / "out", device="cpu")(wave) == expected


def test_a_stock_folder_runs_where_affetto_is_not(tmp_path: Path) -> None:
    model = saved_model(tmp_path / "model", "wavlm-mini", "lora", head="linear")
    export_hf(trained_predictor(model), tmp_path / "out", stock_class=True)
    program = (
        "import sys; sys.modules['affetto'] = None\n"
        "import json, numpy; from transformers import pipeline\n"
        f"answer = pipeline('audio-classification', model={str(tmp_path / 'out')!r}, top_k=None)\n"
        "wave = (0.1 * numpy.random.default_rng(0).standard_normal(16000)).astype('float32')\n"
        "print(json.dumps({a['label']: a['score'] for a in answer({'raw': wave, 'sampling_rate': 16000})}))\n"
    )
    made = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    (wave,) = clips(1.0)
    true = affetto.load(model, precision="float32", device="cpu")(wave).probabilities
    assert json.loads(made.stdout.splitlines()[-1]) == pytest.approx(true, abs=1e-5)


@pytest.mark.parametrize(
    ("key", "method", "options", "reason"),
    [
        ("wav2vec2-mini", "frozen", {"head": "statistics", "pooling": "layer", "layer": 1}, "'statistics'"),
        ("wav2vec2-mini", "adapter", {"head": "linear"}, "Adapter"),
        ("wav2vec2-mini", "lora", {"head": "linear", "state_norm": "layer"}, "state_norm"),
        ("xlsr-mini", "lora", {"head": "linear", "pooling": "mean"}, "final LayerNorm"),
    ],
)
def test_what_no_stock_class_can_be(
    key: str, method: str, options: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    model = saved_model(tmp_path / "model", key, method, **options)
    with pytest.raises(UserError, match=rf"{reason}.*import affetto\.hf"):
        export_hf(trained_predictor(model), tmp_path / "out", stock_class=True)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("target", "confidence", "line"),
    [
        (
            "multilabel",
            {"thresholds": {"a": 0.35, "b": 0.5, "c": 0.1}},
            "reach their thresholds: a 0.35, b 0.5, c 0.1.",
        ),
        (
            "ccc",
            {"conformal": {"level": 0.9, "dimensions": {"arousal": {"half_width": 0.8123}}}},
            "90 % of the validation clips lie within arousal ± 0.812 of the score;",
        ),
    ],
)
def test_a_readme_says_how_far_to_trust_scores(
    target: str, confidence: dict[str, Any], line: str, tmp_path: Path
) -> None:
    model = saved_model(tmp_path / "model", "wav2vec2-mini", "frozen", head="linear", target=EVERY[target])
    card = json.loads((model / "affetto.json").read_text())
    (model / "affetto.json").write_text(json.dumps(card | {"confidence": confidence}))
    export_hf(trained_predictor(model), tmp_path / "out")
    assert line in (tmp_path / "out" / "README.md").read_text()


def test_a_folder_that_lacks_a_weight_does_not_load(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file
    from transformers import AutoModelForAudioClassification

    model = saved_model(tmp_path / "model", "whisper-mini", "adapter", head="linear")
    export_hf(trained_predictor(model), tmp_path / "out")
    weights = load_file(tmp_path / "out" / "model.safetensors")
    assert len({file.stat().st_mode for file in (tmp_path / "out").iterdir()}) == 1
    lost = next(name for name in weights if "bottlenecks" in name)
    save_file(
        {name: w for name, w in weights.items() if name != lost},
        tmp_path / "out" / "model.safetensors",
        {"format": "pt"},
    )
    with pytest.raises(OSError, match="bottlenecks"):
        AutoModelForAudioClassification.from_pretrained(tmp_path / "out")
    with pytest.raises(UserError, match="bottlenecks"):
        affetto.load(tmp_path / "out")
