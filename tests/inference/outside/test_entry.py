"""Models of other packages, called by the name of their entry point."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from affetto.cli import app
from affetto.errors import UserError
from affetto.inference.loading import load
from affetto.inference.outside.entry import MODELS, ModelEntry, open_entry
from plugins import install


@pytest.fixture
def loudness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    install(tmp_path / "site", monkeypatch, "affetto.models", loudness="toys.model:LOUDNESS")
    MODELS.reload()
    yield
    monkeypatch.undo()
    MODELS.reload()


@pytest.mark.usefixtures("loudness")
def test_a_registered_model_is_called_by_its_name(write_wav) -> None:
    clip = write_wav("clip.wav", np.full(16_000, 0.1, np.float32))
    result = CliRunner().invoke(app, ["predict", "loudness", str(clip), "--map", "other=", "--format", "json"])
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)
    assert row["probabilities"] == pytest.approx({"anger": 0.4, "sadness": 0.6}, abs=1e-3)
    assert row["protocol"] == "left out: other and the rest renormalised"
    with pytest.raises(UserError, match="leave --backbone out"):
        load("loudness", backbone="x")


def test_dimensions_and_errors_of_a_registered_model() -> None:
    wave = np.zeros(8_000, np.float32)
    record = ModelEntry(name="toy", title="Toy", load=lambda device: lambda wave: [3.0], dimensions={"valence": (1, 5)})
    assert open_entry(record, "cpu").score(wave).tolist() == [3.0]
    short = ModelEntry(name="toy", title="Toy", load=lambda device: lambda wave: [1.0], labels=("sad", "joy"))
    with pytest.raises(UserError, match=r"'toy' gave values of the shape \(1,\).*2 finite numbers"):
        open_entry(short, "cpu").score(wave)
    with pytest.raises(UserError, match="labels and dimensions, or neither"):
        open_entry(ModelEntry(name="toy", title="Toy", load=lambda device: np.mean), "cpu")

    def broken(device: str):
        raise ImportError("no module funasr")

    with pytest.raises(UserError, match=r"cannot be loaded \(ImportError: no module funasr\)"):
        open_entry(ModelEntry(name="toy", title="Toy", load=broken, labels=("sad", "joy")), "cpu")
