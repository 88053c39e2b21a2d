"""The server as a client meets it, over a real socket: answers, refusals, limits, the token, headers, logs."""

from __future__ import annotations

import socket

import httpx
import numpy as np
import pytest

from affetto.inference.identity import identity_of
from affetto.inference.loading import load
from affetto.inference.shared_weights import load_together
from affetto.serving import routes
from affetto.serving.limits import Limits
from models.systems import clips
from serving.served import Serving, wav, write_model

SMALL = Limits(max_megabytes=0.5, max_seconds=5.0, queue=8)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return {kind: write_model(root / kind, kind) for kind in ("lora", "adapter")}


@pytest.fixture(scope="module")
def url(folders):
    with Serving(load_together(folders, device="cpu"), SMALL) as url:
        yield url


CLIP = clips(0.8)[0]


def post(url: str, content: bytes, kind: str = "audio/wav", **options) -> httpx.Response:
    return httpx.post(f"{url}/v1/predict", content=content, headers={"Content-Type": kind}, timeout=60, **options)


def refused(response: httpx.Response) -> tuple[int, str]:
    body = response.json()
    assert set(body) == {"error", "message"} and body["message"] and "\n" not in body["message"]
    return response.status_code, body["error"]


# -- answers ------------------------------------------------------------------------------------------------------


def test_every_way_to_ask_gives_the_offline_prediction(url, folders):
    expected = {name: load(folder, device="cpu").classify([CLIP])[0] for name, folder in folders.items()}
    versions = {name: identity_of(load(folder, device="cpu").files) for name, folder in folders.items()}
    assert len(set(versions.values())) == 2
    file = {"file": ("clip.wav", wav(CLIP))}
    for name, response in (
        ("lora", httpx.post(f"{url}/v1/predict", files=file)),
        ("lora", post(url, wav(CLIP))),
        ("lora", post(url, wav(CLIP), "application/octet-stream")),
        ("lora", post(url, wav(CLIP), "application/x-www-form-urlencoded")),  # curl --data-binary
        ("adapter", post(url, wav(CLIP), params={"model": "adapter"})),
        ("adapter", httpx.post(f"{url}/v1/predict", files=file, data={"model": "adapter"})),
        ("lora", httpx.post(f"{url}/v1/predict", files=file, data={"model": "adapter"}, params={"model": "lora"})),
    ):
        assert response.status_code == 200, response.text
        body = response.json()
        assert (body["model"], body["emotion"], body["synthetic"]) == (name, expected[name].emotion, True)
        assert body["probabilities"] == pytest.approx(expected[name].probabilities, abs=1e-5)
        assert body["seconds"] == pytest.approx(0.8) and body["windows"] == 1
        assert body["model_version"] == versions[name]


def test_models_health_and_description(url):
    listed = httpx.get(f"{url}/v1/models").json()["models"]
    assert [one["name"] for one in listed] == ["lora", "adapter"]
    assert listed[0]["default"] and listed[0]["shares_backbone_with"] == ["adapter"] and listed[0]["synthetic"]
    assert httpx.get(f"{url}/healthz").json() == {"status": "ok"}
    assert httpx.get(f"{url}/readyz").json() == {"status": "ready"}
    assert httpx.head(f"{url}/healthz").status_code == httpx.head(f"{url}/readyz").status_code == 200
    api = httpx.get(f"{url}/openapi.json").json()
    assert {"/v1/predict", "/v1/models", "/healthz", "/readyz"} <= api["paths"].keys()
    assert api["components"]["schemas"]["PredictionAnswer"]["examples"][0]["emotion"] == "joy"
    predict = api["paths"]["/v1/predict"]["post"]
    assert "multipart/form-data" in predict["requestBody"]["content"] and {"401", "403", "500"} <= set(
        predict["responses"]
    )
    assert "securitySchemes" not in api["components"], "no token is asked for"
    for path in ("/docs", "/redoc"):  # their pages come from a CDN
        assert httpx.get(url + path).status_code == 404


def test_the_description_has_every_path_with_its_methods_and_refusals(url):
    paths = httpx.get(f"{url}/openapi.json").json()["paths"]
    described = {
        (path.replace("{name}", "NAME"), method.upper()) for path, methods in paths.items() for method in methods
    }
    expected = {
        (route.counted_as or route.path, method)
        for route in routes.API
        for method in route.methods
        if method != "HEAD" and not route.is_stream and route.path != "/openapi.json"
    }
    assert described == expected
    for path, methods in paths.items():
        for method, operation in methods.items():
            statuses = set(operation["responses"])
            assert operation["summary"] and "200" in statuses, path
            if path.startswith("/v1/"):
                assert {"401", "403", "500"} <= statuses, path
            if path.startswith("/v1/") and method == "post" and path != "/v1/models":
                assert {"400", "404", "408", "413", "415", "422", "429", "503"} <= statuses, path


# -- refusals -----------------------------------------------------------------------------------------------------


def test_what_is_wrong_with_an_upload_is_told(url):
    good = wav(CLIP)
    nan = CLIP.copy()
    nan[7] = np.nan
    flac = wav(clips(3.0)[0], format="FLAC", subtype="PCM_16")
    for response, expected in (
        (post(url, b"some text"), (415, "not_audio")),
        (post(url, good, "text/plain"), (415, "wrong_content_type")),
        (post(url, b""), (422, "unusable_audio")),
        (post(url, good[:2000]), (422, "unusable_audio")),
        (post(url, flac[: len(flac) // 2]), (422, "unusable_audio")),
        (post(url, wav(CLIP[:1])), (422, "unusable_audio")),
        (post(url, wav(nan)), (422, "unusable_audio")),
        (post(url, wav(clips(6.0)[0])), (413, "too_long")),
        (post(url, good, params={"model": "lara"}), (404, "unknown_model")),
        (post(url, b"no form", "multipart/form-data; boundary=x"), (400, "broken_form")),
        (post(url, b"no form", "multipart/form-data"), (400, "broken_form")),
        (httpx.post(f"{url}/v1/predict", files={"other": good}), (400, "no_file")),
        (httpx.post(f"{url}/v1/predict", data={"file": "text"}, files={"x": good}), (400, "no_file")),
        (httpx.get(f"{url}/v1/predict"), (405, "wrong_method")),
        (httpx.get(f"{url}/v1/nothing"), (404, "not_found")),
    ):
        assert refused(response) == expected, response.text
    assert "did you mean 'lora'" in post(url, good, params={"model": "lara"}).json()["message"]
    assert post(url, good).status_code == 200, "and the server goes on"


def test_an_oversized_upload_is_stopped_whether_or_not_it_says_so(url):
    big = bytes(3_000_000)
    assert refused(post(url, big)) == (413, "too_large")
    assert refused(httpx.post(f"{url}/v1/predict", files={"file": big})) == (413, "too_large")
    sent = 0

    def chunks():
        nonlocal sent
        for _ in range(100):
            sent += 65_536
            yield bytes(65_536)

    assert refused(post(url, chunks())) == (413, "too_large")


def test_a_large_claim_is_refused_before_the_body_is_asked_for(url):
    with socket.create_connection(url.removeprefix("http://").split(":")) as client:
        client.sendall(
            b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Type: audio/wav\r\nContent-Length: 999999999\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        client.settimeout(5)
        assert client.recv(1000).startswith(b"HTTP/1.1 413")


def test_an_upload_stays_in_memory(url, monkeypatch):
    import tempfile

    def no_file(*_args, **_options):
        raise AssertionError("a temporary file was made")

    monkeypatch.setattr(tempfile, "_get_default_tempdir", no_file)
    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", no_file)
    assert httpx.post(f"{url}/v1/predict", files={"file": wav(clips(4.9)[0])}).status_code == 200


# -- token, headers, logs -----------------------------------------------------------------------------------------


def test_headers_and_no_sharing_with_other_origins(url):
    foreign = {"Origin": "https://elsewhere.example"}
    for path in ("/v1/models", "/healthz", "/nothing"):
        headers = httpx.get(url + path, headers=foreign).headers
        assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in headers["Content-Security-Policy"] and "server" not in headers
        assert not [name for name in headers if name.startswith("access-control-")]
    asked = httpx.options(f"{url}/v1/predict", headers=foreign | {"Access-Control-Request-Method": "POST"})
    assert asked.status_code == 405
    assert httpx.get(f"{url}/healthz", headers={"X-Request-ID": "abc-1"}).headers["X-Request-ID"] == "abc-1"
    assert httpx.get(f"{url}/healthz", headers={"X-Request-ID": "a b"}).headers["X-Request-ID"] != "a b"


# -- timelines ----------------------------------------------------------------------------------------------------


def test_a_timeline_over_http_is_that_of_the_same_model_offline(url, folders, monkeypatch):
    pytest.importorskip("silero_vad")
    from affetto.inference import timeline

    # What noise is speech to: the detector is silero's own elsewhere.
    monkeypatch.setattr(timeline, "silero", lambda: lambda frame: float(np.abs(frame).max() > 0.05))
    wave = np.concatenate([clips(1.7)[0], np.zeros(16_000, np.float32), clips(0.9)[0]])
    response = httpx.post(f"{url}/v1/timeline", params={"model": "adapter"}, files={"file": wav(wave)}, timeout=30)
    body = response.json()
    assert response.status_code == 200 and body["model"] == "adapter" and body["synthetic"]
    assert body["seconds"] == pytest.approx(3.6)
    expected = list(timeline.Timeline(load(folders["adapter"], device="cpu"))(wave))
    assert len(expected) >= 2
    for found, segment in zip(body["segments"], expected, strict=True):
        assert (found["start"], found["end"], found["emotion"]) == (segment.start, segment.end, segment.emotion)
        assert found["probabilities"] == pytest.approx(segment.probabilities, abs=1e-5)
    assert refused(httpx.post(f"{url}/v1/timeline", files={"file": b"text"})) == (415, "not_audio")
    assert "/v1/timeline" in httpx.get(f"{url}/openapi.json").json()["paths"]
