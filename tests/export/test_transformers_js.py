"""A folder for transformers.js says what the trained model says: by onnxruntime, and by the real library in Node."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner

import affetto
from affetto.cli import app
from affetto.errors import UserError
from affetto.export import transformers_js as export
from affetto.export.browser_page import BrowserLibrary, add_page
from affetto.export.source import trained_predictor
from affetto.export.transformers_js import export_js
from affetto.inference.loading import kind_of
from affetto.inference.notices import NOTICES
from conftest import PROJECT
from inference.saved import TEMPERATURE, saved_model
from models.systems import clips
from targets.test_losses import EVERY

runtime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

MODELS = ("whisper-mini", "wav2vec2-mini")
SECONDS = (0.8, 1.5, 4.3)
"""Shorter than the window, as long, and one that windows cover."""


@pytest.fixture(scope="module", params=MODELS)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "model"
    return saved_model(folder, request.param, "lora", head="statistics", pooling="layer", layer=2)


@pytest.fixture(scope="module")
def exported(trained: Path) -> Path:
    def remember(*arguments: Any) -> Any:
        traced = trace(*arguments)
        (trained.parent / "traced.onnx").write_bytes(traced.SerializeToString())
        return traced

    trace = export.trace
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "trace", remember)
        results = export_js(trained_predictor(trained), trained.parent / "js")
    assert results["fp32"].largest_difference < 1e-5
    assert results["fp32"].largest_difference < results["fp16"].largest_difference < 1e-3
    assert results["q8"].largest_difference < 0.25
    return trained.parent / "js"


def logits_of(folder: Path, wave: np.ndarray, *, silence: int = 0) -> np.ndarray:
    """Logits of a clip behind which there is a masked stretch of `silence` samples."""
    session = runtime.InferenceSession(folder / "onnx" / "model.onnx")
    mask = np.r_[np.ones(len(wave)), np.zeros(silence)].astype(np.int64)
    signal = np.pad(wave, (0, silence), constant_values=0.3).astype(np.float32)
    return session.run(["logits"], {"input_values": signal[None], "attention_mask": mask[None]})[0][0]


def test_clips_of_any_length(trained: Path, exported: Path) -> None:
    """The graph cuts windows, averages and calibrates as the predictor does; what is masked does not count."""
    model = affetto.load(trained, precision="float32", device="cpu")
    for wave in clips(0.1, *SECONDS, 2.25, 3.0001):
        expected = list(model(wave).probabilities.values())
        logits = logits_of(exported, wave)
        assert np.exp(logits) / np.exp(logits).sum() == pytest.approx(expected, abs=1e-5)
        assert logits_of(exported, wave, silence=5000) == pytest.approx(logits, abs=1e-5)
    assert np.ptp(expected) > 0.01


def test_logits_of_one_window_are_the_model_s(trained: Path, exported: Path) -> None:
    (wave,) = clips(0.8)
    classifier = trained_predictor(trained).classifier
    ours = classifier.from_waves(torch.from_numpy(wave[None]))[0].detach().numpy()
    assert logits_of(exported, wave) == pytest.approx(ours / TEMPERATURE, abs=1e-4)


@pytest.mark.parametrize(("dtype", "tolerance"), [("fp32", 1e-4), ("fp16", 1e-3), ("q8", 0.05), ("", 1e-3)])
def test_the_real_pipeline_in_node(
    dtype: str, tolerance: float, trained: Path, exported: Path, node_modules: Path, tmp_path: Path
) -> None:
    """transformers.js' pipeline and its model's logits, at each precision; without a choice it is fp16."""
    waves = clips(*SECONDS)
    for number, wave in enumerate(waves):
        wave.tofile(tmp_path / f"{number}.f32")
    answers = in_node(node_modules, exported, dtype, *sorted(tmp_path.glob("*.f32")))
    model = affetto.load(trained, precision="float32", device="cpu")
    for wave, answer in zip(waves, answers, strict=True):
        assert answer["scores"] == pytest.approx(model(wave).probabilities, abs=tolerance)
        assert answer["logits"] == pytest.approx(logits_of(exported, wave), abs=5 * tolerance)


def in_node(modules: Path, folder: Path, dtype: str, *files: Path) -> list[dict[str, Any]]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node: install Node.js")
    script = PROJECT / "tests" / "javascript" / "classify.mjs"
    run = subprocess.run(
        [node, script, modules, folder, dtype, *files], capture_output=True, text=True, timeout=120, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "WARNING" not in run.stdout + run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


def test_the_folder_describes_itself(exported: Path) -> None:
    config = json.loads((exported / "config.json").read_text())
    assert list(config["id2label"].values()) == list(config["label2id"])
    assert config["affetto"]["synthetic"] is True and set(config["affetto"]["parity"]) == {"fp32", "fp16", "q8"}
    card = (exported / "README.md").read_text()
    assert (
        "synthetic speech" in card
        and "Article 50(3)" in card
        and "| Licence of the data |" in card
        and "longer than 1.5 s" in card
        and f"temperature {TEMPERATURE:g}" in card
    )
    sizes = [(exported / "onnx" / variant.file).stat().st_size for variant in export.VARIANTS]
    assert all(f"{size / 1e6:.1f} MB" in card for size in sizes) and sizes[1] < 0.7 * sizes[0]
    content = (exported / "onnx" / "model.onnx").read_bytes()
    assert b"site-packages" not in content and str(Path(affetto.__file__).parent).encode() not in content


def test_what_the_folder_cannot_be(trained: Path, exported: Path, tmp_path: Path) -> None:
    """No model of other targets, no source of another export, and no model for affetto itself."""
    with pytest.raises(UserError, match="is an export for transformers"):
        affetto.load(exported)
    with pytest.raises(UserError, match="exported already"):
        trained_predictor(exported)
    for name in ("multilabel", "joint", "mse"):
        with pytest.raises(UserError, match="gives one label of several"):
            export.check_target(EVERY[name])
    (trained / "onnx").mkdir()  # a user's export within the model's own folder
    shutil.copyfile(exported / "onnx" / "model.onnx", trained / "onnx" / "model.onnx")
    assert kind_of(trained) == "trained"
    done = CliRunner().invoke(
        app, ["export", "nowhere", "--to", "transformers-js", "--precision", "int8", "--out", str(tmp_path / "out")]
    )
    assert done.exit_code != 0 and "--precision belongs to --to onnx" in str(done.exception)


def test_files_that_differ_too_much(trained: Path, exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """8 bits are left out with a line; without a float32 file there is no folder."""
    import onnx

    monkeypatch.setattr(export, "trace", lambda *_: onnx.load(exported.parent / "traced.onnx"))
    strict = [export.Variant(**vars(variant) | {"tolerance": -1.0}) for variant in export.VARIANTS]
    lines: list[str] = []
    monkeypatch.setattr(export, "VARIANTS", (*export.VARIANTS[:2], strict[2]))
    results = export_js(trained_predictor(trained), trained.parent / "without", say=lines.append)
    assert "q8" not in results and any("model_quantized.onnx is left out" in line for line in lines)
    assert not (trained.parent / "without" / "onnx" / "model_quantized.onnx").exists()
    assert "q8" not in json.loads((trained.parent / "without" / "config.json").read_text())["affetto"]["parity"]
    monkeypatch.setattr(export, "VARIANTS", (strict[0],))
    with pytest.raises(UserError, match=r"onnx/model\.onnx is refused"):
        export_js(trained_predictor(trained), trained.parent / "refused")
    assert not (trained.parent / "refused").exists()


# -- the page --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page(trained: Path, exported: Path, node_modules: Path, serve: Callable[[Path], str]) -> str:
    """Address of a copy of the folder with the page."""
    folder = exported.parent / "page"
    shutil.copytree(exported, folder)
    add_page(folder, trained_predictor(trained), "page", BrowserLibrary.locate(node_modules))
    return serve(folder)


@pytest.fixture(scope="module")
def serve() -> Iterator[Callable[[Path], str]]:
    """`serve(folder)` → its address; any site may read the answers, as those of a host that collects recordings."""

    class Handler(SimpleHTTPRequestHandler):
        def end_headers(self) -> None:
            self.send_header("Access-Control-Allow-Origin", "*")
            super().end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ExitStack() as stack:

        def start(folder: Path) -> str:
            server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
            Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_port}/"

        yield start


@pytest.mark.slow
@pytest.mark.parametrize("trained", MODELS[:1], indirect=True)
def test_the_page_computes_in_the_browser_and_sends_nothing(
    trained: Path, page: str, browser: Any, serve: Callable[[Path], str], tmp_path: Path
) -> None:
    """A file, a broken one and the microphone; the policy binds the worker too; nothing is asked of other hosts."""
    (wave,) = clips(3.8)
    soundfile.write(tmp_path / "clip.wav", np.stack([wave, 0.5 * wave], 1), 16_000, subtype="FLOAT")
    (tmp_path / "broken.wav").write_bytes(b"RIFF, but no sound")
    elsewhere, requests, problems = serve(tmp_path), [], []
    context = browser.new_context(locale="it-IT")
    context.set_default_timeout(120_000)
    context.on("request", lambda request: requests.append((request.url, request.method)))
    tab = context.new_page()
    tab.on("pageerror", lambda problem: problems.append(str(problem)))
    tab.goto(page)
    tab.wait_for_selector("#record:enabled")
    assert tab.is_visible("#synthetic") and NOTICES["it"] in tab.inner_text("#notice")
    tab.set_input_files("#file", tmp_path / "clip.wav")
    tab.wait_for_selector("#answer:not([hidden])")
    widths = tab.eval_on_selector_all(".fill", "fills => fills.map(fill => parseFloat(fill.style.width))")
    model = affetto.load(trained, precision="float32", device="cpu")
    expected = sorted(model(0.75 * wave).probabilities.values(), reverse=True)
    assert [width / 100 for width in widths] == pytest.approx(expected, abs=1e-3)
    assert "3.8 s analizzati" in tab.inner_text("#state")
    tab.set_input_files("#file", tmp_path / "broken.wav")
    tab.wait_for_selector("#state.problem")
    tab.click("#record")
    tab.wait_for_selector("#record.recording")
    tab.wait_for_timeout(700)
    tab.click("#record")
    tab.wait_for_selector("#answer:not([hidden])")
    assert not problems and len(requests) > 10
    outside = [url for url, _ in requests if not url.startswith((page, "blob:" + page, "data:"))]
    assert not outside and {method for _, method in requests} == {"GET"}
    fetch = f"fetch({elsewhere + 'clip.wav'!r}).then(() => 'read', () => 'refused')"
    assert [where.evaluate(fetch) for where in (tab, tab.workers[0])] == ["refused", "refused"]
    context.close()
