"""Exports of real weights on real speech: Whisper tiny.en, clips of EMOVO, by ONNX and in transformers' own class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import affetto
from affetto import audio
from affetto.backbones.checkpoints import load_backbone
from affetto.export.onnx_graph import export_onnx
from affetto.export.source import trained_predictor
from affetto.export.transformers_folder import export_hf
from affetto.models.saved import assemble, save_classifier
from models.systems import blueprint, stir_up

pytestmark = pytest.mark.real
FILES = ("f1/gio-f1-b1.wav", "m1/rab-m1-l1.wav", "f2/tri-f2-n4.wav", "m3/neu-m3-d1.wav")


@pytest.fixture(scope="module")
def model(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LoRA with weights of no training, under the linear head, on the mean of all states."""
    checkpoint = shared / "real" / "whisper-tiny-en"
    if not checkpoint.is_dir():
        pytest.skip(f"no {checkpoint}")
    torch.manual_seed(0)
    backbone = load_backbone(str(checkpoint))
    digest, plan = backbone.weights_digest(), blueprint("lora", head="linear")
    classifier = assemble(backbone, plan).eval()
    stir_up(classifier, 0.05)
    folder = tmp_path_factory.mktemp("real") / "model"
    save_classifier(
        classifier,
        folder,
        {
            "affetto": affetto.__version__,
            "run": "0" * 64,
            "blueprint": plan,
            "audio": {"seconds": 4.0},
            "precision": "float32",
            "trained_on": "final",
            "tested": False,
            "corpus": "emovo",
            "licence": "",
            "synthetic": False,
            "backbone": {
                "name": str(checkpoint),
                "family": "whisper",
                "digest": digest,
                "random_weights": False,
                "weights_seed": 0,
                "preprocessing": backbone.preprocessing,
            },
        },
    )
    return folder


def test_onnx_on_real_speech(model: Path, shared: Path) -> None:
    export_onnx(trained_predictor(model), model.parent / "onnx")
    trained, exported = affetto.load(model, precision="float32"), affetto.load(model.parent / "onnx")
    for name in FILES:
        file = shared / "real" / "EMOVO" / name
        expected = trained(file)
        assert exported(file).probabilities == pytest.approx(expected.probabilities, abs=1e-4)
        assert max(expected.probabilities.values()) > 0.15


def test_the_stock_whisper_on_real_speech_of_its_length(model: Path, shared: Path) -> None:
    export_hf(trained_predictor(model), model.parent / "stock", stock_class=True)
    trained, exported = affetto.load(model, precision="float32"), affetto.load(model.parent / "stock")
    pieces = [audio.load(shared / "real" / "EMOVO" / name) for name in FILES]
    wave = np.resize(np.concatenate(pieces), 4 * audio.RATE_HZ)
    assert exported(wave).probabilities == pytest.approx(trained(wave).probabilities, abs=1e-4)
