"""An ONNX file says what the trained model says, by `affetto.load` and by the example, which needs no torch."""

from __future__ import annotations

import json
import os
import re
import subprocess
import venv
from collections.abc import Callable
from importlib.metadata import distribution, requires
from pathlib import Path

import numpy as np
import pytest

import affetto
from affetto.errors import UserError
from affetto.export import onnx_graph as export
from affetto.export import parity
from affetto.export.onnx_graph import export_onnx
from affetto.export.source import trained_predictor
from affetto.targets.classes import Classes
from inference.saved import TEMPERATURE, saved_model

runtime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "model"
    return saved_model(folder, "whisper-mini", "lora", head="statistics", pooling="layer", layer=2)


@pytest.fixture(scope="module")
def exported(trained: Path) -> Path:
    found = export_onnx(trained_predictor(trained), trained.parent / "onnx")
    assert found.largest_difference < 1e-5 and found.same_label == found.clips
    return trained.parent / "onnx"


@pytest.fixture
def recordings(write_wav: Callable[..., Path]) -> list[Path]:
    """Shorter than the window of 1.5 s, as long, longer, and at another rate in stereo."""
    random = np.random.default_rng(5)
    waves = [0.2 * random.standard_normal(n).astype(np.float32) for n in (7_001, 24_000, 61_234)]
    files = [write_wav(f"{len(wave)}.wav", wave) for wave in waves]
    stereo = np.stack([np.sin(np.arange(66_150) / 31.0), np.sin(np.arange(66_150) / 47.0)], 1) * 0.4
    return [*files, write_wav("44k.wav", stereo, 44_100)]


def test_the_file_answers_as_the_model(trained: Path, exported: Path, recordings: list[Path]) -> None:
    model, file = affetto.load(trained, precision="float32"), affetto.load(exported)
    assert file.labels == model.labels and file.window_seconds == model.window_seconds == 1.5
    heard = [model(path) for path in recordings]
    by_name = affetto.load(exported / "model.onnx")
    assert file.files == by_name.files == (exported / "model.onnx",)
    for path, expected in zip(recordings, heard, strict=True):
        found = by_name(path)
        assert found.probabilities == pytest.approx(expected.probabilities, abs=1e-5)
        assert (found.emotion, found.windows, found.seconds) == (expected.emotion, expected.windows, expected.seconds)
        assert file(path).probabilities == found.probabilities
    assert max(one.windows for one in heard) == 5
    spread = np.ptp([list(one.probabilities.values()) for one in heard], axis=0)
    assert spread.max() > 0.01  # recordings are told apart, so that the comparison means something


def test_methods_that_stay_on_the_blocks_are_in_the_file(tmp_path: Path) -> None:
    """A prefix in the attention, and a convolution over time."""
    model = saved_model(tmp_path / "model", "whisper-mini", "prefix+conv_adapter", prefix={}, conv_adapter={})
    parity_report = export_onnx(trained_predictor(model), tmp_path / "onnx")
    assert parity_report.largest_difference < 1e-5 and parity_report.same_label == parity_report.clips


@pytest.mark.parametrize("head", ["attentive", "ecapa"])
def test_learned_weights_of_frames_are_in_the_file(head: str, tmp_path: Path) -> None:
    model = saved_model(tmp_path / "model", "whisper-mini", "frozen", head=head)
    parity_report = export_onnx(trained_predictor(model), tmp_path / "onnx")
    assert parity_report.largest_difference < 1e-5 and parity_report.same_label == parity_report.clips


def test_batch_and_length_are_free(exported: Path) -> None:
    session = runtime.InferenceSession(exported / "model.onnx")
    waves = (0.1 * np.random.default_rng(0).standard_normal((3, 9_999))).astype(np.float32)
    logits, probabilities = session.run(["logits", "probabilities"], {"waves": waves})
    alone = np.concatenate([session.run(["logits"], {"waves": wave[None]})[0] for wave in waves])
    np.testing.assert_allclose(logits, alone, atol=1e-5)
    np.testing.assert_allclose(probabilities, np.exp(logits) / np.exp(logits).sum(1, keepdims=True), atol=1e-6)


def test_the_file_says_what_it_is_and_nothing_of_this_machine(exported: Path) -> None:
    written = runtime.InferenceSession(exported / "model.onnx").get_modelmeta().custom_metadata_map
    facts = {name: json.loads(text) for name, text in written.items()}
    assert facts["labels"][0] == "anger" and facts["temperature"] == TEMPERATURE and facts["synthetic"] is True
    assert (facts["sample_rate_hz"], facts["window_samples"], facts["hop_samples"]) == (16_000, 24_000, 12_000)
    assert "log-mel" in facts["preprocessing"] and "one length" in facts["contract"]
    assert facts["parity"]["clips"] >= 6
    content = (exported / "model.onnx").read_bytes()
    assert b"site-packages" not in content and str(Path(affetto.__file__).parent).encode() not in content


def test_the_example_needs_no_torch(trained: Path, exported: Path, recordings: list[Path], tmp_path: Path) -> None:
    """In a fresh environment that holds onnxruntime, numpy, soundfile and what these require."""
    python = _environment(tmp_path / "env", "onnxruntime", "numpy", "soundfile")
    environment = {"PATH": os.environ["PATH"]}
    absent = subprocess.run([python, "-c", "import torch"], capture_output=True, text=True, env=environment)
    assert "No module named 'torch'" in absent.stderr
    made = subprocess.run(
        [python, exported / "predict.py", *recordings], capture_output=True, text=True, env=environment
    )
    assert made.returncode == 0, made.stderr
    model = affetto.load(trained, precision="float32")
    for line, path in zip(made.stdout.splitlines(), recordings, strict=True):
        found = json.loads(line)
        assert found.pop("file") == str(path)
        # Another rate is resampled in another way there.
        assert found == pytest.approx(model(path).probabilities, abs=2e-2 if path.stem == "44k" else 1e-5)


@pytest.fixture
def traced(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tracing takes seconds and gives the same graph each time."""
    import onnx

    monkeypatch.setattr(export, "trace", lambda *_: onnx.load(exported / "model.onnx"))


@pytest.mark.usefixtures("traced")
def test_int8(trained: Path, exported: Path, recordings: list[Path]) -> None:
    out = trained.parent / "int8"
    found = export_onnx(trained_predictor(trained), out, precision="int8")
    assert 1e-6 < found.largest_difference < 0.25
    assert (out / "model.onnx").stat().st_size < (exported / "model.onnx").stat().st_size
    predictor = affetto.load(out)
    assert predictor.precision == "int8"
    assert predictor(recordings[0]).probabilities == pytest.approx(
        affetto.load(exported)(recordings[0]).probabilities, abs=0.25
    )
    with pytest.raises(UserError, match="computes in int8"):
        affetto.load(out, precision="float32")
    import onnx

    graph = onnx.load(out / "model.onnx").graph
    quantised = [node for node in graph.node if node.op_type == "MatMulInteger"]
    assert len(quantised) == 2 * 6  # four projections and two feed-forward layers in each of the two blocks used


@pytest.mark.usefixtures("traced")
def test_what_lies_too_far_apart_is_refused(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(export.TOLERANCE, "float32", -1.0)
    out = trained.parent / "refused"
    with pytest.raises(UserError, match="refused: its probabilities differ from the trained model's by at most"):
        export_onnx(trained_predictor(trained), out)
    assert not out.exists() and not list(out.parent.glob(".*tmp"))


def test_a_nan_is_no_parity() -> None:
    found = parity.compare(
        lambda _: np.array([0.5, 0.5]), lambda _: np.array([np.nan, np.nan]), [np.zeros(1)], Classes(("a", "b"))
    )
    with pytest.raises(UserError, match="refused"):
        parity.refuse(found, 0.25, "it")


def test_a_file_of_another_origin(tmp_path: Path, exported: Path) -> None:
    import onnx

    graph = onnx.load(exported / "model.onnx")
    del graph.metadata_props[:]
    onnx.save(graph, tmp_path / "other.onnx")
    with pytest.raises(UserError, match=r"no export of affetto's"):
        affetto.load(tmp_path / "other.onnx")
    graph = onnx.load(exported / "model.onnx")
    for entry in graph.metadata_props:
        if entry.key == "card":
            entry.value = json.dumps(json.loads(entry.value) | {"confidence": {"temperature": 0}})
    onnx.save(graph, tmp_path / "cold.onnx")
    with pytest.raises(UserError, match=r"cold\.onnx: confidence\.temperature: "):
        affetto.load(tmp_path / "cold.onnx")
    graph = onnx.load(exported / "model.onnx")
    (values,) = (output for output in graph.graph.output if output.name == "probabilities")
    graph.graph.output.remove(values)
    onnx.save(graph, tmp_path / "logits.onnx")
    with pytest.raises(UserError, match=r"logits\.onnx: its graph contradicts its model card"):
        affetto.load(tmp_path / "logits.onnx")
    (tmp_path / "text.onnx").write_text("no graph")
    with pytest.raises(UserError, match=r"text\.onnx: onnxruntime cannot load it"):
        affetto.load(tmp_path / "text.onnx")
    with pytest.raises(UserError, match="exported already"):
        trained_predictor(exported)
    with pytest.raises(UserError, match="--backbone"):
        affetto.load(exported, backbone="elsewhere")


def _environment(folder: Path, *packages: str) -> Path:
    """A virtual environment with these installed packages and what they require, linked: no network, no copy."""
    venv.create(folder, with_pip=False)
    (site,) = folder.glob("lib/python*/site-packages")
    todo, linked = list(packages), set()
    while todo:
        name = todo.pop()
        if name in linked:
            continue
        linked.add(name)
        todo += [re.split(r"[^\w.-]", line)[0] for line in requires(name) or [] if "extra ==" not in line]
        files = distribution(name).files or []
        for top in {file.parts[0] for file in files} - {"..", "__pycache__"}:
            (site / top).symlink_to(str(distribution(name).locate_file(top)))
    return folder / "bin" / "python"
