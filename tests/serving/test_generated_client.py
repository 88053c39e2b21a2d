"""A client that another program makes of /openapi.json, and its calls of the real server."""

from __future__ import annotations

import importlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import numpy as np
import pytest

from affetto.inference import timeline
from affetto.inference.shared_weights import load_together
from affetto.serving.limits import Limits
from models.systems import clips
from serving.served import Serving, wav, write_model

TOKEN = "correct-horse-battery"
CLIP = clips(0.8)[0]
LONG = np.concatenate([clips(1.7)[0], np.zeros(16_000, np.float32), clips(0.9)[0]])


@pytest.fixture(scope="module")
def generator() -> Path:
    """The folder with openapi-python-client, as `make` installs it: .venv/generator, or AFFETTO_GENERATOR."""
    folder = Path(os.environ.get("AFFETTO_GENERATOR") or Path(sys.prefix) / "generator")
    if not (folder / "openapi_python_client").is_dir():
        reason = f"no openapi-python-client in {folder}: make test installs it"
        # Where the project is judged, this test must run.
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    return folder


@pytest.fixture(scope="module")
def predictors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = tmp_path_factory.mktemp("models")
    return load_together({kind: write_model(root / kind, kind) for kind in ("lora", "adapter")}, device="cpu")


@pytest.fixture(scope="module")
def url(predictors: dict[str, Any]) -> Iterator[str]:
    pytest.importorskip("silero_vad")
    with pytest.MonkeyPatch.context() as patch:
        # What noise is speech to: the detector is silero's own elsewhere.
        patch.setattr(timeline, "silero", lambda: lambda frame: float(np.abs(frame).max() > 0.05))
        with Serving(predictors, Limits(token=TOKEN, admin_token=TOKEN.upper(), max_seconds=5)) as url:
            yield url


@pytest.fixture(scope="module")
def document(url: str) -> dict[str, Any]:
    return httpx.get(f"{url}/openapi.json", headers={"Authorization": f"Bearer {TOKEN}"}).json()


class Package:
    """A generated package: `package.api("recordings", "predict")`, `package.models`, `package.client`.

    `report`: text of the generator, with a warning for all that the client lacks of the API.
    """

    def __init__(self, name: str, report: str) -> None:
        self._name, self.report = name, report
        self.client, self.models, self.types = (self._module(part) for part in ("client", "models", "types"))

    def api(self, tag: str, operation: str) -> ModuleType:
        return self._module(f"api.{tag}.{operation}")

    def _module(self, path: str) -> ModuleType:
        return importlib.import_module(f"{self._name}.{path}")


@pytest.fixture(scope="module")
def package(document: dict[str, Any], generator: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Package]:
    folder = tmp_path_factory.mktemp("client")
    (folder / "openapi.json").write_text(json.dumps(document), encoding="utf-8")
    (folder / "config.yml").write_text("post_hooks: []\n", encoding="utf-8")  # they would format it
    command = [sys.executable, "-P", "-m", "openapi_python_client", "generate", "--meta", "none"]
    options = ["--path", "openapi.json", "--config", "config.yml", "--output-path", "affetto_client"]
    ended = subprocess.run(
        [*command, *options],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(generator)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield Package("affetto_client", ended.stdout + ended.stderr)
    for name in [name for name in sys.modules if name.partition(".")[0] == "affetto_client"]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def client(package: Package, url: str) -> Any:
    return package.client.AuthenticatedClient(base_url=url, token=TOKEN, raise_on_unexpected_status=True)


def file(package: Package, wave: np.ndarray = CLIP, name: str = "clip.wav") -> Any:
    return package.types.File(payload=io.BytesIO(wav(wave)), file_name=name, mime_type="audio/wav")


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    pytest.importorskip("openapi_spec_validator").validate(document)


def test_every_operation_has_a_plain_name_a_group_and_its_refusals_a_record(document: dict[str, Any]) -> None:
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    names = [operation["operationId"] for operation in operations]
    assert {"predict", "timeline", "batch", "transcribe", "list_models", "read_health"} <= set(names)
    assert len(set(names)) == len(names) and all(name.replace("_", "").isalpha() for name in names)
    groups = {tag["name"] for tag in document["tags"]}
    for operation in operations:
        assert len(operation["tags"]) == 1 and set(operation["tags"]) <= groups, operation["operationId"]
        for status, answer in operation["responses"].items():
            if status[0] in "45" and operation["tags"] != ["state"]:
                schema = answer["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/RefusalAnswer"}, (operation["operationId"], status)
            assert ("Retry-After" in answer.get("headers", {})) == (
                status == "429" or (status == "503" and operation["tags"] != ["state"])
            )


def test_the_client_lacks_nothing(package: Package) -> None:
    assert "WARNING" not in package.report, package.report


def test_state_models_and_notice(package: Package, client: Any, url: str) -> None:
    anybody = package.client.Client(base_url=url, raise_on_unexpected_status=True)
    health = package.api("state", "read_health").sync(client=anybody)
    assert isinstance(health, package.models.StateAnswer) and health.status == "ok"
    assert package.api("state", "read_readiness").sync(client=anybody).status == "ready"
    assert "it" in package.api("state", "read_notice").sync(client=anybody).notices
    assert "affetto_places" in package.api("state", "read_metrics").sync(client=client)
    listed = package.api("models", "list_models").sync(client=client)
    assert [model.name for model in listed.models] == ["lora", "adapter"]


def test_a_recording_in_a_form_or_alone(package: Package, client: Any, predictors: dict[str, Any]) -> None:
    predict = package.api("recordings", "predict")
    form = package.models.PredictFilesBody(file=file(package), model="adapter")
    for name, answer in (
        ("lora", predict.sync(client=client, body=file(package))),
        ("adapter", predict.sync(client=client, body=file(package), model="adapter")),
        ("adapter", predict.sync(client=client, body=form)),
    ):
        assert isinstance(answer, package.models.PredictionAnswer) and answer.model == name
        expected = predictors[name].classify([CLIP])[0]
        assert answer.emotion == expected.emotion
        assert answer.probabilities.to_dict() == pytest.approx(expected.probabilities, abs=1e-5)
    form = package.models.PredictFilesBody(file=file(package), abstain_below=1.0)
    assert predict.sync(client=client, body=form).emotion is None


def test_segments_and_transcriptions(package: Package, client: Any, predictors: dict[str, Any]) -> None:
    expected = list(timeline.Timeline(predictors["lora"])(LONG))
    answer = package.api("recordings", "timeline").sync(client=client, body=file(package, LONG))
    assert [(part.start, part.emotion) for part in answer.segments] == [(part.start, part.emotion) for part in expected]
    models = package.models
    form = models.TranscribeBody(
        file=file(package, LONG), model="lora", response_format=models.TranscribeBodyResponseFormat.VERBOSE_JSON
    )
    answer = package.api("recordings", "transcribe").sync(client=client, body=form)
    assert isinstance(answer, models.TranscriptionAnswer) and answer.text == ""
    assert [part.emotion for part in answer.segments] == [part.emotion for part in expected]


def test_a_batch_and_the_records_of_its_lines(package: Package, client: Any) -> None:
    batch, models = package.api("recordings", "batch"), package.models
    broken = package.types.File(payload=io.BytesIO(b"text"), file_name="b.wav", mime_type="audio/wav")
    body = models.BatchBody(file=[file(package), broken, file(package, LONG)])
    lines = [json.loads(line) for line in batch.sync(client=client, body=body).splitlines()]
    refusals = [models.BatchRefusal.from_dict(line) for line in lines if "error" in line]
    answers = {line["index"]: models.BatchPrediction.from_dict(line) for line in lines if "error" not in line}
    assert [(refusal.index, refusal.error) for refusal in refusals] == [(1, "not_audio")]
    assert set(answers) == {0, 2} and answers[2].seconds == pytest.approx(3.6)
    assert not [line for answer in (*refusals, *answers.values()) for line in answer.additional_properties]
    body = models.BatchBody(file=[file(package)], format_=models.BatchBodyFormat.CSV)
    assert batch.sync(client=client, body=body).splitlines()[1].startswith(f"clip.wav,{answers[0].emotion},")


def test_refusals_have_their_record_and_the_token_is_asked_for(package: Package, client: Any, url: str) -> None:
    predict, models = package.api("recordings", "predict"), package.models
    answer = predict.sync_detailed(client=client, body=file(package), model="lara")
    assert answer.status_code == 404 and isinstance(answer.parsed, models.RefusalAnswer)
    assert answer.parsed.error == "unknown_model" and "did you mean 'lora'" in answer.parsed.message
    stranger = package.client.AuthenticatedClient(base_url=url, token="wrong-token", raise_on_unexpected_status=True)
    answer = predict.sync_detailed(client=stranger, body=file(package))
    assert (answer.status_code, answer.parsed.error) == (401, "unauthorised")
    removed = package.api("models", "remove_model").sync_detailed("lora", client=client)
    assert (removed.status_code, removed.parsed.error) == (403, "admin_only")
    path = models.ModelRequest(name="new", path="nowhere")
    assert package.api("models", "add_model").sync_detailed(client=client, body=path).parsed.error == "admin_only"
