"""Clients that are many, slow, gone, long-winded or strangers, at a real server: nobody is harmed by another."""

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

from affetto import audio
from affetto.serving import logs
from affetto.serving.limits import Limits
from models.systems import clips
from serving.served import Serving, Stub, until, wav
from serving.test_server import CLIP, post, refused

TOKEN = "correct-horse-battery"


class Turnstile(Stub):
    """A stub that lets so many batches through as `passes` is released for."""

    def __init__(self) -> None:
        super().__init__(seconds=1.0)
        self.passes = threading.Semaphore(0)

    def window_probabilities(self, waves):
        rows = super().window_probabilities(waves)
        assert self.passes.acquire(timeout=60)
        return rows


def head(url: str, length: int, path: str = "/v1/predict") -> socket.socket:
    """A connection with a request whose body is still to come."""
    client = socket.create_connection(url.removeprefix("http://").split(":"))
    client.settimeout(60)
    client.sendall(
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: audio/wav\r\nContent-Length: {length}\r\n\r\n".encode()
    )
    return client


@pytest.fixture(scope="module")
def serving():
    serving = Serving({"a": Stub()}, Limits(queue=6, max_megabytes=2, upload_seconds=9))
    with serving as url:
        serving.url = url
        yield serving


@pytest.fixture
def stub(serving):
    """The module's model: shut, its notes empty; open again at the end."""
    stub = serving.service.catalogue.predictors["a"]
    stub.batches.clear()
    stub.entered.clear()
    stub.let.clear()
    yield stub
    stub.let.set()
    until(lambda: serving.service.places == 0)


# -- many ---------------------------------------------------------------------------------------------------------


def test_a_crowd_goes_together_and_who_finds_no_place_is_told_when_to_come_back(serving, stub):
    with ThreadPoolExecutor(6) as clients:
        first = clients.submit(post, serving.url, wav(CLIP))
        assert stub.entered.wait(60)
        others = [clients.submit(post, serving.url, wav(CLIP)) for _ in range(5)]
        until(lambda: serving.service.batcher.waiting == 5)
        last = post(serving.url, wav(CLIP))
        assert refused(last) == (503, "queue_full") and 1 <= int(last.headers["Retry-After"]) <= 60
        assert httpx.get(f"{serving.url}/healthz").status_code == 200
        stub.let.set()
        assert [answer.result().status_code for answer in (first, *others)] == [200] * 6
    assert stub.batches == [1, 5] and post(serving.url, wav(CLIP)).status_code == 200


def test_a_short_recording_is_answered_while_long_ones_are_heard():
    turnstile = Turnstile()
    serving = Serving({"a": turnstile})
    with ThreadPoolExecutor(4) as clients, serving as url:
        try:
            long = [clients.submit(post, url, wav(np.tile(CLIP, 50))) for _ in range(3)]  # 40 s, 79 windows
            until(lambda: serving.service.batcher.waiting == 3 * 16 - 1)  # one is at work
            short = clients.submit(post, url, wav(CLIP))
            until(lambda: serving.service.batcher.waiting == 3 * 16)
            turnstile.passes.release(2)  # the window at work, and the short one's
            assert short.result(60).status_code == 200
            assert not any(answer.done() for answer in long)
        finally:
            turnstile.passes.release(1000)
        assert [answer.result(60).json()["windows"] for answer in long] == [79] * 3


# -- one among many -----------------------------------------------------------------------------------------------


def test_one_client_has_no_more_than_its_share_of_the_places(tmp_path):
    (tmp_path / "tokens").write_text("a correct-horse\nb battery-staple\nnameless-token\nother-nameless\n")
    stub = Stub()
    stub.let.clear()
    serving = Serving({"first": stub}, Limits(token_file=tmp_path / "tokens", queue=9, client_queue=2))
    with serving as url, ThreadPoolExecutor(9) as pool:

        def ask(token: str) -> httpx.Response:
            return httpx.post(
                f"{url}/v1/predict",
                content=wav(CLIP),
                headers={"Authorization": f"Bearer {token}", "Content-Type": "audio/wav"},
                timeout=60,
            )

        waiting = [pool.submit(ask, "correct-horse") for _ in range(2)]
        until(lambda: serving.service.places == 2)
        answer = ask("correct-horse")
        assert refused(answer) == (429, "client_queue_full") and int(answer.headers["Retry-After"]) >= 1
        waiting += [pool.submit(ask, token) for token in ("battery-staple", "nameless-token", "other-nameless")]
        until(lambda: serving.service.places == 5)
        assert refused(ask("nameless-token"))[0] == 429, "tokens without a name are counted by address"
        stub.let.set()
        assert [answer.result(60).status_code for answer in waiting] == [200] * 5
        until(lambda: serving.service.places == 0)
        assert ask("correct-horse").status_code == 200
        until(lambda: not serving.service._of_client)


def test_the_client_is_whom_a_trusted_proxy_names(caplog):
    """Of a chain of proxies the last that is not trusted, since whoever stands before it can write what they like."""
    forwarded = {"X-Forwarded-For": "203.0.113.9, 198.51.100.7, 10.1.2.3"}
    for proxies, client in (["10.0.0.0/8"], "198.51.100.7"), ([], "10.1.2.3"):
        caplog.clear()
        with caplog.at_level(logging.INFO, logger="affetto.server"), Serving({"a": Stub()}, proxies=proxies) as url:
            assert httpx.get(f"{url}/v1/models", headers=forwarded).status_code == 200
            until(lambda: "request" in caplog.messages)
        (event,) = [record for record in caplog.records if record.message == "request"]
        assert event.facts["client"] == client


# -- slow and gone ------------------------------------------------------------------------------------------------


def test_a_slow_head_is_cut_off_also_on_a_connection_that_was_used(serving):
    with socket.create_connection(serving.url.removeprefix("http://").split(":")) as client:
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
        assert time.monotonic() - started > 1


def test_clients_that_leave_in_the_midst_of_an_upload_give_their_places_back(serving):
    for _ in range(10):
        with head(serving.url, 100_000) as client:
            client.sendall(bytes(5000))
    until(lambda: serving.service.places == 0)
    assert post(serving.url, wav(CLIP)).status_code == 200


@pytest.mark.parametrize("path", ["/v1/predict", "/v1/timeline"])
def test_decoding_ends_once_its_client_has_left(serving, monkeypatch, path):
    entered, ended = threading.Event(), threading.Event()

    def long(_content, *, cancelled, **_options):
        entered.set()
        for _ in range(3000):
            if cancelled():
                ended.set()
                break
            time.sleep(0.01)
        raise audio.AudioError("given up")

    monkeypatch.setattr(audio, "decode", long)
    monkeypatch.setattr(serving.service, "makes_timelines", True)
    with head(serving.url, 4, path) as client:
        client.sendall(b"RIFF")
        assert entered.wait(60) and serving.service.places == 1
    assert ended.wait(40)
    until(lambda: serving.service.places == 0)


def test_what_takes_too_long_is_given_up_and_a_stuck_thread_is_told_of(caplog):
    stub = Stub()
    stub.let.clear()
    before = threading.active_count()
    with Serving({"a": stub}, Limits(compute_seconds=0.3, queue=1)) as url:
        late = post(url, wav(CLIP))
        assert refused(late) == (503, "timed_out") and "Retry-After" in late.headers
        assert refused(post(url, wav(CLIP))) == (503, "queue_full"), "its thread is still at work"
        until(lambda: httpx.get(f"{url}/healthz").status_code == 503)
        assert httpx.get(f"{url}/healthz").json() == httpx.get(f"{url}/readyz").json() == {"status": "stalled"}
        stub.let.set()
        until(lambda: httpx.get(f"{url}/healthz").status_code == 200)
        assert httpx.get(f"{url}/readyz").json() == {"status": "ready"}
    assert threading.active_count() <= before + 1, "no thread is left behind"
    assert "never retrieved" not in caplog.text


def test_who_leaves_while_waiting_is_not_computed_and_who_stays_is_even_as_the_server_ends(caplog):
    stub = Stub()
    stub.let.clear()
    serving = Serving({"a": stub}, Limits(queue=4))
    batcher, whole = serving.service.batcher, wav(CLIP)
    with caplog.at_level(logging.INFO), ThreadPoolExecutor(3) as clients, serving as url:
        first = clients.submit(post, url, whole)
        assert stub.entered.wait(60)
        leaving = [head(url, len(whole)) for _ in range(2)]
        for client in leaving:
            client.sendall(whole)
        until(lambda: batcher.waiting == 2)
        stays = clients.submit(post, url, whole)
        until(lambda: batcher.waiting == 3)
        for client in leaving:
            client.close()
        until(lambda: batcher.waiting == 1)
        late = clients.submit(post, url, whole)  # there is a place again
        until(lambda: batcher.waiting == 2)
        serving.server.should_exit = True
        until(lambda: serving.guard.draining)
        stub.let.set()
        assert [answer.result(60).status_code for answer in (first, stays, late)] == [200] * 3
    assert stub.batches == [1, 2]
    assert serving.guard.accepted == 5 and serving.guard.answered == 3
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR], "who leaves is no defect"
    left = [record.facts for record in caplog.records if getattr(record, "facts", {}).get("client_left")]
    assert len(left) == 2 and {fact["client"] for fact in left} == {"127.0.0.1"}


@pytest.mark.parametrize("where", ["params", "data"])
def test_a_request_may_have_less_time_than_the_server_gives(serving, stub, where):
    """Its place is free once its thread has ended; one who leaves the time out waits on."""
    file = {"file": wav(CLIP)}
    answer = httpx.post(f"{serving.url}/v1/predict", files=file, timeout=60, **{where: {"timeout": "0.2"}})
    assert refused(answer) == (503, "timed_out") and "within 0.2 s" in answer.json()["message"]
    for seconds in ("0", "-1", "301", "nan", "soon"):
        answer = httpx.post(f"{serving.url}/v1/predict", files=file, timeout=60, **{where: {"timeout": seconds}})
        assert refused(answer) == (422, "invalid_parameter") and "timeout" in answer.json()["message"]
    stub.let.set()
    answer = httpx.post(f"{serving.url}/v1/predict", files=file, timeout=60, **{where: {"timeout": "300"}})
    assert answer.status_code == 200


# -- strangers ----------------------------------------------------------------------------------------------------


def test_the_token_is_asked_for_and_told_to_nobody(caplog):
    with caplog.at_level(logging.INFO, logger="affetto.server"), Serving({"a": Stub()}, Limits(token=TOKEN)) as url:
        for credentials in (None, "Bearer wrong", "Bearer", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", "Bearer é"):
            headers = {"Content-Type": "audio/wav"}
            headers |= {"Authorization": credentials.encode()} if credentials else {}
            response = httpx.post(f"{url}/v1/predict", content=wav(CLIP), headers=headers)
            assert refused(response) == (401, "unauthorised") and "Bearer" in response.headers["WWW-Authenticate"]
        assert httpx.get(f"{url}/v1/models").status_code == httpx.get(f"{url}/openapi.json").status_code == 401
        api = httpx.get(f"{url}/openapi.json", auth=("anyone", TOKEN)).json()
        assert api["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
        assert {"token": []} in api["paths"]["/v1/predict"]["post"]["security"]
        assert "security" not in api["paths"]["/healthz"]["get"]
        assert httpx.get(f"{url}/healthz").status_code == httpx.get(f"{url}/readyz").status_code == 200
        assert httpx.get(f"{url}/v1/models", auth=("anyone", TOKEN)).status_code == 401, "only pages take a password"
        response = httpx.post(
            f"{url}/v1/predict",
            params={"model": "a"},
            files={"file": ("secret-name.wav", wav(CLIP))},
            headers={"Authorization": f"Bearer {TOKEN}", "X-Request-ID": "right"},
        )
        assert response.status_code == 200
    lines = [logs.JsonLines().format(record) for record in caplog.records if record.name == "affetto.server"]
    events = [json.loads(line) for line in lines]
    right = next(event for event in events if event.get("id") == "right")
    assert right["status"] == 200 and right["model"] == "a" and right["audio_seconds"] == 0.8 and right["bytes"] > 0
    refusals = [event["path"] for event in events if event.get("status") == 401]
    assert refusals == ["/v1/predict"] * 7 + ["/v1/models", "/openapi.json", "/v1/models"]
    assert events[-1]["event"] == "ended" and events[-1]["accepted"] == events[-1]["answered"] == 10
    assert not any(word in "".join(lines) for word in (TOKEN, "secret", "RIFF"))


def test_a_defect_is_told_apart_and_logged(serving, stub, monkeypatch, caplog):
    def broken(_waves):
        raise ZeroDivisionError("inside")

    stub.let.set()
    monkeypatch.setattr(serving.service.catalogue.find("a").kind, "work", broken)
    with caplog.at_level(logging.ERROR, logger="affetto.server"):
        response = post(serving.url, wav(clips(0.5)[0]))
        assert refused(response) == (500, "defect") and "inside" not in response.text
        until(lambda: "ZeroDivisionError" in caplog.text)
