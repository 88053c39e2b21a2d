"""The server as a client meets it, over a real socket: answers, refusals, limits, the token, headers, logs."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest

from affetto.errors import UserError
from affetto.inference.predictor import load
from affetto.inference.server import launch, logs
from affetto.inference.server.limits import Limits
from affetto.inference.sharing import load_together
from inference.served import Serving, Stub, wav, write_model
from models.systems import clips

SMALL = Limits(max_megabytes=0.5, max_seconds=5.0, upload_seconds=1.5, queue=8)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return {kind: write_model(root / kind, kind) for kind in ("lora", "adapter")}


@pytest.fixture(scope="module")
def url(folders):
    with Serving(load_together(folders, device="cpu"), SMALL) as url:
        yield url


@pytest.fixture
def stub():
    return Stub()


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


def test_requests_that_come_together_go_together(stub):
    stub.let.clear()
    serving = Serving({"a": stub})
    with serving as url, ThreadPoolExecutor(9) as clients:
        first = clients.submit(post, url, wav(CLIP))
        assert stub.entered.wait(10)
        others = [clients.submit(post, url, wav(CLIP)) for _ in range(8)]
        until = time.monotonic() + 60
        while serving.service.batcher.load < 9:
            assert time.monotonic() < until
        stub.let.set()
        assert [one.result().status_code for one in (first, *others)] == [200] * 9
    assert stub.batches == [1, 8]


def test_models_health_and_description(url):
    listed = httpx.get(f"{url}/v1/models").json()["models"]
    assert [one["name"] for one in listed] == ["lora", "adapter"]
    assert listed[0]["default"] and listed[0]["shares_backbone_with"] == ["adapter"] and listed[0]["synthetic"]
    assert httpx.get(f"{url}/healthz").json() == {"status": "ok"}
    assert httpx.get(f"{url}/readyz").json() == {"status": "ready"}
    api = httpx.get(f"{url}/openapi.json").json()
    assert {"/v1/predict", "/v1/models", "/healthz", "/readyz"} <= api["paths"].keys()
    assert api["components"]["schemas"]["PredictionAnswer"]["examples"][0]["emotion"] == "joy"
    assert "multipart/form-data" in api["paths"]["/v1/predict"]["post"]["requestBody"]["content"]
    for path in ("/docs", "/redoc"):  # their pages come from a CDN
        assert httpx.get(url + path).status_code == 404


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


@pytest.mark.parametrize("name", ["../../evil.wav", "/etc/passwd", "a\x00b.wav", "con.wav", "😀.wav"])
def test_the_name_that_a_client_gives_means_nothing(url, name):
    response = httpx.post(f"{url}/v1/predict", files={"file": (name, wav(CLIP))})
    assert response.status_code == 200 and name not in response.text


def test_an_upload_stays_in_memory(url, monkeypatch):
    import tempfile

    def no_file(*_args, **_options):
        raise AssertionError("a temporary file was made")

    monkeypatch.setattr(tempfile, "_get_default_tempdir", no_file)
    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", no_file)
    assert httpx.post(f"{url}/v1/predict", files={"file": wav(clips(4.9)[0])}).status_code == 200


def test_a_full_queue_says_when_to_come_back(stub):
    stub.let.clear()
    serving = Serving({"a": stub}, Limits(queue=3))
    with serving as url, ThreadPoolExecutor(3) as clients:
        waiting = [clients.submit(post, url, wav(CLIP)) for _ in range(3)]
        until = time.monotonic() + 60
        while serving.service.batcher.load < 3:  # a request sent sooner could take the last place, and wait in it
            assert time.monotonic() < until
            time.sleep(0.01)
        last = post(url, wav(CLIP))
        assert refused(last) == (503, "queue_full") and 1 <= int(last.headers["Retry-After"]) <= 60
        assert httpx.get(f"{url}/healthz").status_code == 200
        stub.let.set()
        assert [one.result().status_code for one in waiting] == [200, 200, 200]
        assert post(url, wav(CLIP)).status_code == 200


# -- slow and broken clients --------------------------------------------------------------------------------------


def head(url: str, length: int, extra: bytes = b"") -> socket.socket:
    client = socket.create_connection(url.removeprefix("http://").split(":"))
    client.settimeout(60)
    client.sendall(
        b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Type: audio/wav\r\nContent-Length: %d\r\n%s\r\n"
        % (length, extra)
    )
    return client


def everything(client: socket.socket) -> bytes:
    got = b""
    while piece := client.recv(65_536):
        got += piece
    return got


def test_a_slow_body_times_out(url):
    started = time.monotonic()
    with head(url, 1000) as client:
        client.sendall(b"RIFF")
        answer = everything(client)  # which ends: the connection is closed
    assert answer.startswith(b"HTTP/1.1 408") and b"too_slow" in answer and b"connection: close" in answer.lower()
    assert 1.4 < time.monotonic() - started < 30


def test_a_slow_head_is_cut_off_also_on_a_connection_that_was_used(stub):
    with (
        Serving({"a": stub}, Limits(upload_seconds=9)) as url,
        socket.create_connection(url.removeprefix("http://").split(":")) as client,
    ):
        client.settimeout(60)
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        got = b""
        while not got.endswith(b"}"):
            got += client.recv(2000)
        assert got.startswith(b"HTTP/1.1 200")
        client.sendall(b"GET /healthz HT")
        started = time.monotonic()
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(100) == b""
        assert 1 < time.monotonic() - started < 30


def test_a_client_that_leaves_harms_nobody(url):
    for _ in range(20):
        with head(url, 100_000) as client:
            client.sendall(bytes(5000))
    for _ in range(10):
        whole = wav(CLIP)
        with head(url, len(whole)) as client:
            client.sendall(whole)
    assert post(url, wav(CLIP)).status_code in (200, 503)
    until = time.monotonic() + 60
    while post(url, wav(CLIP)).status_code != 200:
        assert time.monotonic() < until, "places are given back"


def test_who_leaves_while_waiting_is_not_computed_and_who_stays_is_even_as_the_server_ends(stub):
    stub.let.clear()
    serving = Serving({"a": stub}, Limits(queue=4))

    def until_load(wanted: int) -> None:
        until = time.monotonic() + 60
        while serving.service.batcher.load != wanted:
            assert time.monotonic() < until, serving.service.batcher.load
            time.sleep(0.01)

    whole = wav(CLIP)
    with ThreadPoolExecutor(3) as clients, serving as url:
        first = clients.submit(post, url, whole)
        assert stub.entered.wait(10)
        leaving = [head(url, len(whole)) for _ in range(2)]
        for client in leaving:
            client.sendall(whole)
        until_load(3)
        stays = clients.submit(post, url, whole)
        until_load(4)
        for client in leaving:
            client.close()
        until_load(2)
        late = clients.submit(post, url, whole)  # there is a place again
        until_load(3)
        serving.server.should_exit = True
        time.sleep(0.1)
        stub.let.set()
        assert [one.result(60).status_code for one in (first, stays, late)] == [200] * 3
    assert stub.batches == [1, 2]
    assert serving.guard.accepted == 5 and serving.guard.answered == 3


# -- token, headers, logs -----------------------------------------------------------------------------------------


def test_the_token_is_asked_for(stub):
    token = "correct-horse-battery"
    with Serving({"a": stub}, Limits(token=token)) as url:
        for given in (None, "Bearer wrong", "Bearer", f"Basic {token}", token, f"Bearer {token}x", "Bearer é"):
            headers = {"Content-Type": "audio/wav"} | ({"Authorization": given.encode()} if given else {})
            response = httpx.post(f"{url}/v1/predict", content=wav(CLIP), headers=headers)
            assert refused(response) == (401, "unauthorised") and "Bearer" in response.headers["WWW-Authenticate"]
        assert httpx.get(f"{url}/v1/models").status_code == 401
        assert httpx.get(f"{url}/openapi.json").status_code == 401
        assert httpx.get(f"{url}/openapi.json", auth=("anyone", token)).status_code == 200
        assert httpx.get(f"{url}/healthz").status_code == httpx.get(f"{url}/readyz").status_code == 200
        right = {"Authorization": f"Bearer {token}", "Content-Type": "audio/wav"}
        assert httpx.post(f"{url}/v1/predict", content=wav(CLIP), headers=right).status_code == 200
        assert httpx.get(f"{url}/v1/models", auth=("anyone", token)).status_code == 401, "only pages take a password"


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


def test_logs_are_json_without_audio_token_query_or_file_name(stub, caplog):
    token = "correct-horse-battery"
    with caplog.at_level(logging.INFO, logger="affetto.server"), Serving({"a": stub}, Limits(token=token)) as url:
        httpx.post(
            f"{url}/v1/predict", params={"model": "a"}, files={"file": ("secret-name.wav", wav(CLIP))},
            headers={"Authorization": f"Bearer {token}", "X-Request-ID": "one"},
        )  # fmt: skip
        httpx.post(f"{url}/v1/predict", params={"secret": "query"}, content=b"")
    lines = [logs.JsonLines().format(record) for record in caplog.records if record.name == "affetto.server"]
    told = [json.loads(line) for line in lines]
    first = next(line for line in told if line["event"] == "request" and line["id"] == "one")
    assert first["status"] == 200 and first["model"] == "a" and first["audio_seconds"] == 0.8 and first["bytes"] > 0
    assert told[-1]["event"] == "ended" and told[-1]["accepted"] == told[-1]["answered"] == 2
    assert not any(word in "".join(lines) for word in (token, "secret", "RIFF"))


def test_a_defect_is_told_apart_and_logged(stub, caplog):
    def broken(_waves):
        raise ZeroDivisionError("inside")

    stub.classify = broken
    with caplog.at_level(logging.ERROR, logger="affetto.server"), Serving({"a": stub}) as url:
        response = post(url, wav(CLIP))
    assert refused(response) == (500, "defect") and "inside" not in response.text
    assert "ZeroDivisionError" in caplog.text


# -- names and limits ---------------------------------------------------------------------------------------------


def test_names_of_models(tmp_path):
    (tmp_path / "a=b").mkdir()
    named = launch.named([f"{tmp_path}/runs/lora", f"{tmp_path}/runs/frozen/model", f"mine={tmp_path}/runs/lora"])
    assert list(named) == ["lora", "frozen", "mine"] and named["mine"] == tmp_path / "runs/lora"
    assert list(launch.named([f"{tmp_path}/a=b"])) == ["a=b"]
    with pytest.raises(UserError, match=r"two models are called 'x'.*other="):
        launch.named(["1/x", "2/x"])


@pytest.mark.parametrize(
    ("limits", "message"),
    [({"max_seconds": 0}, "--max-seconds"), ({"queue": -1}, "--queue"), ({"token": "short"}, "8 characters"),
     ({"token": "eight chars"}, "without spaces"), ({"max_megabytes": float("nan")}, "--max-megabytes")],
)  # fmt: skip
def test_limits_that_make_no_sense(limits, message):
    with pytest.raises(UserError, match=message) as told:
        Limits(**limits)
    assert "eight chars" not in str(told.value)
    assert "abcdefgh" not in repr(Limits(token="abcdefgh"))


def test_an_address_in_use_is_told(stub):
    with Serving({"a": stub}) as url, pytest.raises(UserError, match=r"cannot serve at 127.0.0.1:\d+ \(.*in use"):
        launch.serve(["nowhere"], Limits(), port=int(url.rsplit(":", 1)[1]))


def test_threads_are_left_behind_by_no_server(stub):
    before = threading.active_count()
    with Serving({"a": stub}) as url:
        assert post(url, wav(CLIP)).status_code == 200
    assert threading.active_count() <= before + 1


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
