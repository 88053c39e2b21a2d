"""Real EMOVO and a real pre-trained encoder, from folder to prediction."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import affetto
from affetto.backbones.checkpoints import load_backbone
from affetto.training.spec import CorpusSpec, RunSpec, settings
from affetto.training.train import train

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def parts(shared: Path) -> tuple[Path, Path]:
    corpus, weights = shared / "real" / "EMOVO", shared / "real" / "whisper-tiny-en"
    if not corpus.is_dir() or not weights.is_dir():
        pytest.skip(f"no {corpus} or no {weights}")
    return corpus, weights


@pytest.mark.slow
def test_the_probe_hears_speakers_whom_it_never_heard(parts: tuple[Path, Path], tmp_path: Path) -> None:
    corpus, weights = parts
    # One state and few strengths: the full choice is a matter of a minute, this of seconds.
    chosen = settings("recommended", {"model.layer": "3", "probe.inner_folds": "3"}, method="probe")
    spec = RunSpec(
        corpora=(CorpusSpec(name="emovo", path=str(corpus)),),
        backbone=str(weights),
        method="probe",
        recipe="recommended",
        split="loso",
        settings=chosen,
    )
    metrics = train(spec, tmp_path / "run")
    assert metrics["test"]["n"] == 588 and len(metrics["folds"]) == 6
    # Far above chance (.143) and below what a leak between speakers gives (.9).
    assert 0.40 < metrics["test"]["uar"] < 0.65
    assert sorted({row["speaker"] for row in _lines(tmp_path / "run" / "predictions.jsonl")}) == [
        "f1",
        "f2",
        "f3",
        "m1",
        "m2",
        "m3",
    ]
    clip = next(corpus.rglob("*.wav"))
    found = affetto.load(tmp_path / "run")(clip)
    assert sum(found.probabilities.values()) == pytest.approx(1, abs=1e-5)


def test_the_real_encoder_has_its_parameters_and_states(parts: tuple[Path, Path]) -> None:
    backbone = load_backbone(str(parts[1]))
    assert sum(parameter.numel() for parameter in backbone.model.parameters()) == 8_208_384
    assert backbone.depth == 4


def _lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
