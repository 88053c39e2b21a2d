"""Streams: sound by a WebSocket as it is spoken, its segments as they are decided, and every mistake told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
import time
from base64 import b64encode
from typing import Any

import httpx
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from affetto.inference import timeline
from affetto.inference.identity import identity_of
from affetto.inference.loading import load
from affetto.serving import intake, messages
from affetto.serving.limits import Limits
from affetto.serving.socket_protocol import SocketProtocol
from models.systems import clips
from serving.served import RATE_HZ, Serving, Stub, until, wav, write_model

TOKEN = "correct-horse-battery"
LOUD = (20_000 * np.sin(np.arange(2 * RATE_HZ))).astype("<i2")
QUIET = np.zeros(RATE_HZ, "<i2")
HELLO: dict[str, Any] = {"sample_rate": RATE_HZ, "format": "pcm16"}


@pytest.fixture(autouse=True)
def detector(monkeypatch):
    """What is loud is speech: the detector is silero's own elsewhere."""
    pytest.importorskip("silero_vad")
    monkeypatch.setattr(timeline, "silero", lambda: lambda frame: float(np.abs(frame).max() > 0.05))


class Client:
    """`with Client(url, **hello) as client:` — a stream whose hello is sent, unless `is_silent`."""

    def __init__(
        self, url: str, *, headers: dict[str, str] | None = None, is_silent: bool = False, **hello: Any
    ) -> None:
        address = url.replace("http://", "ws://") + "/v1/stream"
        self.socket: ClientConnection = connect(address, additional_headers=headers, compression=None, proxy=None)
        if not is_silent:
            self.send(json.dumps(HELLO | hello))

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *contents: str | bytes | np.ndarray) -> Client:
        for content in contents:
            self.socket.send(content.tobytes() if isinstance(content, np.ndarray) else content)
        return self

    def end(self) -> Client:
        return self.send('{"type": "end"}')

    def message(self, seconds: float = 60) -> dict[str, Any]:
        return json.loads(self.socket.recv(timeout=seconds))

    def rest(self) -> tuple[list[dict[str, Any]], int]:
        """All messages that come, and the close code."""
        got = []
        try:
            while True:
                got.append(self.message())
        except ConnectionClosed as end:
            return got, 0 if end.rcvd is None else end.rcvd.code


def refusal(client: Client) -> tuple[str, int]:
    """The word of the error that ends a stream, and the close code."""
    got, code = client.rest()
    assert got[-1]["type"] == "error" and got[-1]["message"] and "\n" not in got[-1]["message"]
    return got[-1]["error"], code


@pytest.fixture(scope="module")
def serving():
    stub = Stub(seconds=1.0)
    serving = Serving({"a": stub}, Limits(max_seconds=30, upload_seconds=3, queue=2, compute_seconds=20))
    with serving as url:
        serving.url, serving.stub = url, stub
        yield serving


# -- answers ------------------------------------------------------------------------------------------------------


def test_the_end_is_the_offline_timeline_whatever_the_messages_are(tmp_path):
    predictor = load(write_model(tmp_path / "lora", "lora"), device="cpu")
    rng = np.random.default_rng(0)
    wave = np.concatenate([clips(1.7)[0], np.zeros(40_000, np.float32), clips(2.9)[0], np.zeros(60_000, np.float32)])
    samples = (20_000 * np.concatenate([wave, clips(1.2)[0]])).astype("<i2")
    with Serving({"lora": predictor}) as url:
        for rate_hz in (RATE_HZ, 44_100):
            offline = [segment.to_json() for segment in timeline.Timeline(predictor)(samples, rate_hz)]
            assert len(offline) >= 2
            with Client(url, sample_rate=rate_hz, model="lora") as client:
                cuts = np.sort(rng.integers(0, len(samples), 40))
                client.send(*np.split(samples, cuts)).end()
                got, code = client.rest()
            ready, *segments, end = got
            assert (ready["type"], ready["model"], ready["window_seconds"], code) == ("ready", "lora", 1.0, 1000)
            assert [segment.pop("type") for segment in segments] == ["segment"] * len(offline)
            assert end.pop("type") == "end" and end.pop("complete") is True and end["segments"] == segments
            assert (end["model"], end["synthetic"]) == ("lora", True)
            assert ready["model_version"] == end["model_version"] == identity_of(predictor.files)
            assert end["seconds"] == pytest.approx(len(samples) / rate_hz, abs=1e-4)
            for segment, expected in zip(segments, offline, strict=True):
                assert (segment["start"], segment["end"]) == (expected["start"], expected["end"])
                assert segment["emotion"] == expected["emotion"]
                assert segment["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-5)
        answer = httpx.post(f"{url}/v1/timeline", content=wav(samples / 32768), headers={"Content-Type": "audio/wav"})
        assert [segment["emotion"] for segment in answer.json()["segments"]]


def test_a_segment_comes_while_the_client_still_speaks(serving):
    with Client(serving.url, abstain_below=0.9) as client:
        assert client.message()["type"] == "ready"
        client.send(LOUD, QUIET)
        segment = client.message()
        assert (segment["type"], segment["start"], segment["end"]) == ("segment", 0.0, pytest.approx(2.3, abs=0.05))
        assert segment["emotion"] is None and segment["probabilities"] == {"joy": 0.75, "anger": 0.25}
        client.send(LOUD).end()
        got, code = client.rest()
        assert [message["type"] for message in got] == ["segment", "end"] and code == 1000
    until(lambda: serving.service.places == 0)


def test_windows_come_where_they_are_wanted(serving):
    with Client(serving.url, windows=True) as client:
        got, _ = client.send(LOUD, LOUD[:4000]).end().rest()
    windows = [(message["start"], message["end"]) for message in got if message["type"] == "window"]
    assert windows == [(0, 1), (0.5, 1.5), (1, 2), (1.25, 2.25)], "the last ends where the speech does"
    assert all(message["emotion"] == "joy" for message in got if message["type"] == "window")


def test_a_stream_is_one_line_of_the_log_and_counted(serving, caplog):
    with caplog.at_level(logging.INFO, logger="affetto.server"):
        for hello in ({}, {"model": "b"}):
            with Client(serving.url, headers={"X-Request-ID": "mine"}, **hello) as client:
                client.send(LOUD).end().rest()
        until(lambda: len([record for record in caplog.records if record.getMessage() == "request"]) == 2)
    good, bad = (record.facts for record in caplog.records if record.getMessage() == "request")
    assert (good["id"], good["path"], good["status"], good["close"]) == ("mine", "/v1/stream", 101, 1000)
    assert (good["model"], good["bytes"], good["audio_seconds"]) == ("a", 64_000, 2.0)
    assert (bad["status"], bad["error"], bad["close"]) == (404, "unknown_model", 1008)
    text = httpx.get(f"{serving.url}/metrics").text
    assert 'affetto_requests_total{path="/v1/stream",status="404",model=""} 1' in text
    assert 'affetto_requests_total{path="/v1/stream",status="101",model="a"}' in text


def test_webm_of_a_browser_gives_the_timeline_of_the_file(serving, tmp_path):
    pytest.importorskip("av")
    from test_containers import encoded

    content = encoded(tmp_path / "clip.webm", "libopus", 4).read_bytes()
    answer = httpx.post(f"{serving.url}/v1/timeline", content=content, headers={"Content-Type": "video/webm"})
    with Client(serving.url, sample_rate=None, format="webm-opus") as client:
        client.send(*(content[at : at + 333] for at in range(0, len(content), 333))).end()
        got, code = client.rest()
    assert code == 1000 and {"type": "end", "complete": True} | answer.json() == got[-1] and got[-1]["segments"]
    with Client(serving.url, sample_rate=None, format="webm-opus") as client:
        assert refusal(client.send(LOUD)) == ("not_audio", 1008)
    with Client(serving.url, sample_rate=None) as client:
        assert refusal(client) == ("invalid_parameter", 1008)


# -- mistakes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\0\0", "invalid_message"),
        ("hello", "invalid_message"),
        ("[" * 4000, "invalid_message"),
        ("7", "invalid_message"),
        (" " * 5000, "invalid_message"),
        ("{}", "invalid_parameter"),
        ('{"sample_rate": NaN}', "invalid_parameter"),
        ('{"sample_rate": 999}', "invalid_parameter"),
        ('{"sample_rate": 1e9}', "invalid_parameter"),
        ('{"sample_rate": "16000"}', "invalid_parameter"),
        ('{"sample_rate": 16000, "format": "mp3"}', "invalid_parameter"),
        ('{"sample_rate": 16000, "abstain_below": NaN}', "invalid_parameter"),
        ('{"sample_rate": 16000, "abstain_below": 2}', "invalid_parameter"),
        ('{"sample_rate": 16000, "what": 2}', "invalid_parameter"),
        ('{"sample_rate": 16000, "type": "end"}', "invalid_parameter"),
        ('{"sample_rate": 16000, "model": "b"}', "unknown_model"),
    ],
)
def test_a_hello_that_is_wrong_gets_one_clear_error(serving, content, expected):
    with Client(serving.url, is_silent=True) as client:
        assert refusal(client.send(content)) == (expected, 1008)
    until(lambda: serving.service.places == 0)


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        ([b"\0"], ("invalid_message", 1008)),
        ([b"\0\0", "end"], ("invalid_message", 1008)),
        ([json.dumps(HELLO)], ("invalid_message", 1008)),
        (['{"type": "end"}', b"\0\0"], ("invalid_message", 1008)),
        ([bytes(messages.MESSAGE_BYTES + 2)], ("too_large", 1009)),
        ([bytes(200_000)] * 5, ("too_long", 1009)),
        ([bytes(200), '{"type": "end"}'], ("unusable_audio", 1008)),
        (['{"type": "end"}'], ("unusable_audio", 1008)),
    ],
)
def test_what_comes_wrong_behind_the_hello_is_told(serving, contents, expected):
    if contents[-1] == b"\0\0":
        serving.stub.let.clear()
        contents = [LOUD.tobytes(), *contents]
    with Client(serving.url) as client:
        client.send(*contents)
        got = refusal(client)
        serving.stub.let.set()
        assert got == expected
    until(lambda: serving.service.places == 0)


def test_a_message_without_bounds_closes_the_stream(serving):
    with Client(serving.url) as client:
        with contextlib.suppress(ConnectionClosed):  # the server may close before all of it has gone out
            client.send(bytes(5 * messages.MESSAGE_BYTES))
        got, code = client.rest()
        # What is still sent may break the connection before the close code is read (0). An error would be of a message
        # that was taken in.
        assert code in (1009, 0) and not [message for message in got if message["type"] == "error"]
    until(lambda: serving.service.places == 0)


def test_a_client_that_says_nothing_is_ended(serving):
    with Client(serving.url) as client:
        client.send(LOUD)
        began = time.monotonic()
        assert refusal(client) == ("too_slow", 1008) and time.monotonic() - began < 30
    until(lambda: serving.service.places == 0, seconds=20)
    with Client(serving.url, is_silent=True) as client:
        assert refusal(client) == ("too_slow", 1008)


# -- clients ------------------------------------------------------------------------------------------------------


def test_a_slow_model_makes_the_client_wait_and_nothing_grows(serving, monkeypatch):
    held = []
    plain = intake.Intake._add

    def noted(self, count):
        plain(self, count)
        held.append(self._waiting)

    monkeypatch.setattr(intake.Intake, "_add", noted)
    serving.stub.let.clear()
    with Client(serving.url) as client:
        sender = threading.Thread(target=lambda: client.send(*[LOUD.tobytes()] * 14).end())
        sender.start()
        until(lambda: len(held) >= 4)
        time.sleep(0.3)
        assert max(held) <= intake.MOST_BYTES + LOUD.nbytes
        serving.stub.let.set()
        sender.join(60)
        got, code = client.rest()
        assert got[-1]["type"] == "end" and got[-1]["seconds"] == 28 and code == 1000
        assert max(held) <= intake.MOST_BYTES + LOUD.nbytes
    until(lambda: serving.service.places == 0)


def test_a_client_that_leaves_is_given_up_and_its_place_is_free(serving, caplog):
    serving.stub.let.clear()
    serving.stub.entered.clear()
    with caplog.at_level(logging.INFO, logger="affetto.server"):
        with Client(serving.url) as client:
            client.send(LOUD, LOUD)
            assert serving.stub.entered.wait(60) and serving.service.places == 1
        until(lambda: any(record.getMessage() == "request" for record in caplog.records))
    serving.stub.let.set()
    until(lambda: serving.service.places == 0)
    facts = next(record.facts for record in caplog.records if record.getMessage() == "request")
    assert facts["client_left"] and facts["status"] is None
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_streams_take_places(serving):
    with Client(serving.url) as first, Client(serving.url) as second:
        assert first.message()["type"] == second.message()["type"] == "ready"
        with Client(serving.url) as third:
            message = third.message()
            assert (message["error"], message["retry_after"]) == ("queue_full", 1) and third.rest()[1] == 1013
    until(lambda: serving.service.places == 0)


def test_empty_messages_do_not_fill_the_memory():
    async def waiting() -> int:
        sound = intake.Intake()
        for _ in range(100):
            await sound.put(b"")
        return sound._messages.qsize()

    assert asyncio.run(waiting()) == 0


# -- who asks -----------------------------------------------------------------------------------------------------


def test_an_admins_token_opens_a_stream_by_the_hello_too():
    with (
        Serving({"a": Stub()}, Limits(token=TOKEN, admin_token="admin-battery")) as url,
        Client(url, token="admin-battery") as client,
    ):
        assert client.message()["type"] == "ready"


def test_the_token_comes_in_a_header_or_in_the_hello(tmp_path, monkeypatch):
    (tmp_path / "tokens").write_text(f"ci {TOKEN}\n")
    with Serving({"a": Stub()}, Limits(token_file=tmp_path / "tokens", client_queue=1, queue=8)) as url:
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        with Client(url, headers=bearer) as one, Client(url, token=TOKEN) as two:
            assert one.message()["type"] == "ready"
            assert two.message()["error"] == "client_queue_full" and two.rest()[1] == 1013
        for hello in ({}, {"token": "correct-horse"}, {"token": ""}):
            with Client(url, **hello) as client:
                assert refusal(client) == ("unauthorised", 1008)
        for value in ("Bearer wrong-horse", f"Basic {b64encode(f'x:{TOKEN}'.encode()).decode()}", ""):
            with pytest.raises(InvalidStatus) as refused:
                Client(url, headers={"Authorization": value}, token=TOKEN)
            assert refused.value.response.status_code == 401
        with pytest.raises(InvalidStatus):
            connect(f"{url.replace('http', 'ws')}/v1/models?token={TOKEN}", proxy=None)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Origin": "http://evil.example"}, "cross_site"),
        ({"Origin": "null"}, "cross_site"),
        ({"Sec-Fetch-Site": "cross-site"}, "cross_site"),
        ({"Host": "evil.example"}, "wrong_host"),
    ],
)
def test_other_sites_open_no_stream(headers, expected, caplog):
    with Serving({"a": Stub()}, names={"127.0.0.1"}, root_path="/speech") as url:
        upgrade = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
        answer = httpx.get(f"{url}/v1/stream", headers=upgrade | headers)
        assert (answer.status_code, answer.json()["error"]) == (403, expected)
        assert answer.headers["x-content-type-options"] == "nosniff"
        with Client(f"{url}/speech", headers={"Origin": url}) as client:
            assert client.message()["type"] == "ready"
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR], "a refusal is no defect"


def test_a_request_that_is_no_handshake_is_told_so(serving):
    answer = httpx.get(f"{serving.url}/v1/stream")
    assert (answer.status_code, answer.json()["error"]) == (426, "upgrade_required")
    assert answer.headers["upgrade"] == "websocket"
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket"}
    assert httpx.get(f"{serving.url}/healthz", headers=upgrade).json() == {"status": "ok"}
    assert httpx.post(f"{serving.url}/v1/stream", headers=upgrade).status_code == 405
    assert httpx.get(f"{serving.url}/v1/stream", headers=upgrade).status_code in (400, 426)


def test_a_server_that_ends_answers_what_it_has_heard(caplog):
    stub = Stub(seconds=1.0)
    serving = Serving({"a": stub})
    with caplog.at_level(logging.INFO, logger="affetto.server"), serving as url:
        client, silent = Client(url), Client(url, is_silent=True)
        assert client.message()["type"] == "ready"
        stub.let.clear()
        client.send(LOUD)
        assert stub.entered.wait(60)
        serving.server.should_exit = True
        until(lambda: not serving.server.servers[0].is_serving())
        client.send(QUIET, QUIET).end()  # it speaks on until it is answered
        time.sleep(0.2)
        stub.let.set()
        got, code = client.rest()
        assert [message["type"] for message in got] == ["segment", "end"] and code == 1012
        assert got[-1]["seconds"] == 2 and got[-1]["complete"] is False
        assert refusal(silent) == ("ending", 1013)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_an_answer_behind_a_close_of_the_protocol_is_to_a_client_that_left() -> None:
    """As where a client sends what is no WebSocket message before it has heard that the stream is ready."""
    protocol = SocketProtocol.__new__(SocketProtocol)
    protocol.handshake_complete = protocol.close_sent = True
    with pytest.raises(OSError):  # noqa: PT011  # uvicorn's own, which `Socket` takes for a client that left
        asyncio.run(protocol.send({"type": "websocket.send", "text": "{}"}))
