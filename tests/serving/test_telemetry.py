"""Spans of requests, as a collector of OpenTelemetry gets them."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest

from affetto import __version__, cli
from affetto.errors import UserError
from affetto.serving import logs, telemetry
from affetto.serving.limits import Limits
from affetto.serving.telemetry import Telemetry, is_wanted
from serving.collector import Collector
from serving.served import Serving, Stub, until, wav, write_model

ENDPOINT, TOKEN = "OTEL_EXPORTER_OTLP_ENDPOINT", "correct-horse-battery"
CLIP = wav(np.full(16_000, 0.1, np.float32))
LONG = wav(np.full(160_000, 0.1, np.float32))
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"

has_extra = pytest.mark.skipif(
    not all(map(telemetry._is_installed, telemetry.NEEDED)), reason="needs the extra telemetry"
)


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with Collector() as collector:
        threading.Thread(target=collector.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv(ENDPOINT, collector.url)
        yield collector
        collector.let.set()
        collector.shutdown()


def serving(limits: Limits | None = None) -> Serving:
    """Server with one model, whose requests are traced."""
    server = Serving({"a": Stub()}, limits)
    server.guard.telemetry = Telemetry()
    return server


def flush(server: Serving, seconds: float = 30.0) -> None:
    assert server.guard.telemetry is not None
    server.guard.telemetry.flush(seconds)()


@has_extra
def test_a_request_continues_the_client_s_trace_and_shows_its_parts(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger=logs.LOGGER.name)
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logs.JsonLines())
    logs.LOGGER.addHandler(handler)
    server = serving(Limits(token=TOKEN))
    headers = {"Authorization": f"Bearer {TOKEN}", "traceparent": f"00-{TRACE}-{PARENT}-01", "X-Request-ID": "seven"}
    try:
        with server as url:
            files = {"file": ("private-name.wav", LONG)}
            answer = httpx.post(f"{url}/v1/predict", files=files, params={"abstain_below": 0.125}, headers=headers)
            assert answer.status_code == 200
            assert httpx.get(f"{url}/healthz").status_code == 200
            until(lambda: server.guard.answered == 1 and server.guard.open_answers == 0)
    finally:
        logs.LOGGER.removeHandler(handler)
    flush(server)
    request, *parts = sorted(collector.spans(), key=lambda span: span["parent"] != PARENT)
    assert request["name"] == "POST /v1/predict" and (request["trace"], request["parent"]) == (TRACE, PARENT)
    assert request["http.route"] == "/v1/predict" and request["http.response.status_code"] == 200
    assert request["affetto.model"] == "a" and request["affetto.request_id"] == "seven"
    assert request["affetto.audio_seconds"] == 10.0 and request["service"] == "affetto"
    assert {part["parent"] for part in parts} == {request["id"]} and {part["trace"] for part in parts} == {TRACE}
    named = {part["name"]: part for part in parts}
    assert sorted(named) == ["compute", "decode", "upload", "wait"] and len(parts) == 4
    assert named["upload"]["affetto.bytes"] == named["decode"]["affetto.bytes"] == len(LONG)
    assert named["decode"]["affetto.audio_seconds"] == 10.0
    windows = answer.json()["windows"]
    assert (named["compute"]["affetto.windows"], named["compute"]["affetto.batch_windows"]) == (windows, windows)
    order = [named[name]["times"] for name in ("upload", "decode", "wait", "compute")]
    ends = [request["times"][0], *(time for times in order for time in times), request["times"][1]]
    assert all(before <= after + 5e6 for before, after in pairwise(ends)), "in this order, within the request"
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert [(line["event"], line.get("trace_id")) for line in lines][:2] == [("request", TRACE), ("draining", None)]
    for private in (b"private-name", TOKEN.encode(), b"0.125", b"127.0.0.1"):
        assert not any(private in body for body in collector.bodies)


@has_extra
def test_refusals_batches_and_broken_files_are_marked(collector: Collector) -> None:
    server = serving()
    with server as url:
        assert httpx.post(f"{url}/v1/predict", params={"model": "none"}, content=CLIP).status_code == 404
        assert httpx.get(f"{url}/v1/private-path").status_code == 404
        files = [("file", CLIP), ("file", b"no audio")]
        assert len(httpx.post(f"{url}/v1/batch", files=files).text.splitlines()) == 2
        until(lambda: server.guard.answered == 3 and server.guard.open_answers == 0)
    flush(server)
    spans = collector.spans()
    unknown, missing, batch = (span for span in spans if not span["parent"])
    assert (unknown["http.response.status_code"], unknown["error.type"]) == (404, "unknown_model")
    assert missing["name"] == "GET" and "http.route" not in missing and not any(span["events"] for span in spans)
    assert len({unknown["trace"], missing["trace"], batch["trace"]}) == 3 and not batch["status"]
    assert batch["affetto.files"] == 2
    recordings = {span["affetto.index"]: span["id"] for span in spans if span["name"] == "recording"}
    assert len(recordings) == 2 and "error.type" not in batch
    below = {(span["parent"], span["name"]): span for span in spans}
    assert (recordings[0], "compute") in below and (recordings[1], "compute") not in below
    assert below[recordings[1], "decode"]["error.type"] == "UnknownFormatError"
    assert not any(b"private-path" in body for body in collector.bodies)


@has_extra
def test_a_collector_that_hangs_or_is_away_holds_up_nobody(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    collector.let.clear()
    server = serving()
    with server as url:
        assert httpx.post(f"{url}/v1/predict", files={"file": CLIP}).status_code == 200
        assert collector.entered.wait(60)
        for _ in range(5):
            assert httpx.post(f"{url}/v1/predict", files={"file": CLIP}).status_code == 200
    flush(server, 0.1)
    assert any(thread.name == "affetto-traces" for thread in threading.enumerate()), "it is waited for no longer"
    collector.let.set()
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:9")
    server = serving()
    with server as url:
        assert httpx.post(f"{url}/v1/predict", files={"file": CLIP}).status_code == 200
    flush(server, 0.1)


def exchange(status: int, path: str = "/v1/predict", method: str = "POST", **facts: Any) -> Any:
    """A request that was answered so, with the facts of its line in the log."""
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=1"} if status == 200 else {}
    return SimpleNamespace(status=status, path=path, method=method, headers=headers, id="seven", facts=facts)


@has_extra
def test_a_span_has_the_facts_of_its_request_and_those_of_the_server_are_its_errors(collector: Collector) -> None:
    traced = Telemetry()
    for request in (
        exchange(200, bytes=7, model="a", private="x"),
        exchange(404, method="PRIVATE", error="unknown_model"),
        exchange(503, error="queue_full"),
        exchange(0, client_left=True),
    ):
        traced.end(traced.begin(request), request)
    traced.flush(30)()
    good, refused, busy, left = collector.spans()
    assert (good["state"], good["http.request.method"], good["version"]) == ("vendor=1", "POST", __version__)
    assert {span["kind"] for span in (good, refused, busy, left)} == {2}, "of a server"
    assert {name: good[name] for name in good if "affetto" in name} == {
        "affetto.request_id": "seven",
        "affetto.model": "a",
        "affetto.bytes": 7,
    }
    assert (refused["name"], refused["http.request.method"]) == ("_OTHER /v1/predict", "_OTHER")
    assert [span["status"] for span in (good, refused, busy, left)] == [0, 0, 2, 0]
    assert [span.get("error.type") for span in (good, refused, busy)] == [None, "unknown_model", "queue_full"]
    assert left["affetto.client_left"] is True and "http.response.status_code" not in left


@has_extra
def test_the_variables_name_the_service_or_are_refused_in_a_line(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_exit: list[Any] = []
    monkeypatch.setattr("atexit.register", lambda *arguments, **_: at_exit.append(arguments))
    monkeypatch.setenv("OTEL_SERVICE_NAME", "voices")
    traced = Telemetry()
    assert not at_exit, "the server sends the last spans, and waits no longer than it says"
    traced.end(traced.begin(exchange(200)), exchange(200))
    traced.flush(30)()
    assert [span["service"] for span in collector.spans()] == ["voices"]
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "0")
    with pytest.raises(UserError, match="OpenTelemetry refuses one of its variables") as caught:
        Telemetry()
    assert "\n" not in str(caught.value)


@has_extra
def test_the_last_spans_are_sent_beside_the_caller_who_waits_from_the_call_on(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, waits = [100.0], []

    class Sender(threading.Thread):
        def join(self, timeout: float | None = None) -> None:
            waits.append(timeout)
            super().join(60)

    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "600000")
    traced = Telemetry()
    traced.end(traced.begin(exchange(200)), exchange(200))
    monkeypatch.setattr(telemetry, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(telemetry, "threading", SimpleNamespace(Thread=Sender))
    wait = traced.flush(30)
    assert collector.entered.wait(60) and not waits
    for moment in (100.0, 120.0, 140.0):
        clock[0] = moment
        wait()
    assert waits == [30.0, 10.0, 0.0]


@has_extra
def test_a_message_of_the_exporter_is_repeated_once_in_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import __name__ as name

    clock, logger = [100.0], logging.getLogger(name)
    monkeypatch.setattr(logger, "filters", [])
    Telemetry().flush(30)()
    monkeypatch.setattr(telemetry, "time", SimpleNamespace(monotonic=lambda: clock[0]))

    def passes(message: str, value: object) -> bool:
        return bool(logger.filter(logger.makeRecord(name, logging.ERROR, "", 0, message, (value,), None)))

    assert passes("no answer: %s", 1) and not passes("no answer: %s", 2) and passes("refused: %s", 1)
    clock[0] += telemetry.SILENT_SECONDS
    assert passes("no answer: %s", 3) and not passes("no answer: %s", 4)


def test_without_a_collector_nothing_is_traced_or_imported() -> None:
    for environment in (
        {},
        {ENDPOINT: ""},
        {ENDPOINT: "http://h", "OTEL_SDK_DISABLED": "True"},
        {ENDPOINT: "http://h", "OTEL_TRACES_EXPORTER": "none"},
    ):
        assert not is_wanted(environment)
    code = (
        "import sys, affetto.serving.middleware, affetto.serving.telemetry as telemetry; telemetry.is_wanted({})\n"
        "sys.exit(any(name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter')) for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_variables_that_cannot_be_followed_are_a_line_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "NEEDED", ("json", "nowhere.at.all"))
    traces = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
    for environment, message in (
        ({ENDPOINT: "http://h:4318"}, rf"{ENDPOINT} is set.*affetto\[telemetry\]"),
        ({ENDPOINT: "http://h", traces: "collector:4318"}, f"{traces}: no address"),
        ({ENDPOINT: "http://secret@:4318"}, f"{ENDPOINT}: no address"),
        ({ENDPOINT: "http://h:99999999"}, f"{ENDPOINT}: no address"),
        ({ENDPOINT: "http://h:0"}, f"{ENDPOINT}: no address"),
        ({ENDPOINT: "grpc://h:4317"}, f"{ENDPOINT}: no address"),
        ({ENDPOINT: "http://h", "OTEL_TRACES_EXPORTER": "zipkin"}, "otlp alone"),
        ({ENDPOINT: "http://h", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL: affetto speaks"),
    ):
        with pytest.raises(UserError, match=message) as caught:
            is_wanted(environment)
        assert "\n" not in str(caught.value) and "secret" not in str(caught.value)
    monkeypatch.setattr(telemetry, "NEEDED", ("json",))
    assert is_wanted({ENDPOINT: "https://h/otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"})
    protocols = {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    assert is_wanted({ENDPOINT: "http://h", "OTEL_TRACES_EXPORTER": ""} | protocols), "that of traces is the first"


def test_the_command_line_refuses_a_collector_without_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(telemetry, "NEEDED", ("nowhere.at.all",))
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:4318")
    monkeypatch.setattr(sys, "argv", ["affetto", "serve", "nowhere"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    line = capsys.readouterr().err
    assert ended.value.code == 2 and line.count("\n") == 1 and "pip install 'affetto[telemetry]'" in line


@has_extra
@pytest.mark.slow
def test_sigterm_sends_the_last_spans(collector: Collector, tmp_path: Path) -> None:
    model = write_model(tmp_path / "lora", "lora")
    command = [sys.executable, "-m", "affetto", "serve", str(model), "--port", "0", "--no-page", "--device", "cpu"]
    environment = {**os.environ, "OTEL_BSP_SCHEDULE_DELAY": "600000", "OTEL_SERVICE_NAME": "voices"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as server:
        assert server.stdout is not None and server.stderr is not None
        url = server.stdout.readline().decode().split()[3]
        assert httpx.post(f"{url}/v1/predict", files={"file": CLIP}, timeout=60).status_code == 200
        assert not collector.bodies
        server.send_signal(signal.SIGTERM)
        assert server.wait(120) == 0
        lines = [json.loads(line) for line in server.stderr.read().splitlines()]
    spans = collector.spans()
    assert {span["name"] for span in spans} == {"POST /v1/predict", "upload", "decode", "wait", "compute"}
    assert {span["service"] for span in spans} == {"voices"}
    (line,) = [line for line in lines if line["event"] == "request"]
    assert {span["trace"] for span in spans} == {line["trace_id"]}
