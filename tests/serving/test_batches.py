"""Many recordings in one form: a line for each, in any order, within the places of its client."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import socket

import httpx
import numpy as np
import pytest

from affetto.inference.batch.inputs import Input
from affetto.inference.batch.labelling import LocalLabeller
from affetto.inference.batch.outputs import Writer
from affetto.serving.batches import AT_ONCE
from affetto.serving.limits import Limits
from affetto.serving.refusals import timed_out
from affetto.serving.service import Service
from serving.served import RATE_HZ, Serving, Stub, until, wav
from serving.test_server import CLIP, post, refused


def send(url: str, *contents: bytes, data: dict[str, str] | None = None, **params: str) -> httpx.Response:
    files = [("file", ("same-name.wav", content)) for content in contents]
    return httpx.post(f"{url}/v1/batch", files=files, data=data or {}, params=params, timeout=60)


def lines(response: httpx.Response) -> list[dict]:
    """Lines in the order of their recordings."""
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/x-ndjson"
    return sorted((json.loads(line) for line in response.text.splitlines()), key=lambda line: line["index"])


@pytest.fixture(scope="module")
def url():
    with Serving({"a": Stub(), "b": Stub()}, Limits(max_megabytes=0.5, max_seconds=5)) as url:
        yield url


def test_each_recording_has_a_line_as_predict_answers_it(url):
    contents = [wav(np.full(round(seconds * RATE_HZ), 0.1, np.float32)) for seconds in (0.5, 1, 0.2)]
    answers = lines(send(url, *contents, model="b"))
    assert [line.pop("index") for line in answers] == [0, 1, 2]
    assert answers == [post(url, content, params={"model": "b"}).json() for content in contents]
    assert [line["emotion"] for line in lines(send(url, *contents, data={"abstain_below": "0.9"}))] == [None] * 3


def test_a_recording_that_cannot_be_used_is_a_line_and_spoils_no_other(url):
    answers = lines(send(url, wav(CLIP), b"text", wav(CLIP[:1]), wav(np.zeros(6 * RATE_HZ, np.float32)), wav(CLIP)))
    assert [line.get("error") for line in answers] == [None, "not_audio", "unusable_audio", "too_long", None]
    assert all(line["message"] for line in answers[1:4]) and answers[4]["emotion"] == "joy"


def test_a_batch_is_bounded_and_its_form_is_checked_before_it_begins(url):
    for response, expected in (
        (send(url, *[wav(CLIP[:1000])] * 65), (400, "broken_form")),
        (send(url, *[bytes(200_000)] * 3), (413, "too_large")),
        (httpx.post(f"{url}/v1/batch", files={"other": wav(CLIP)}), (400, "no_file")),
        (httpx.post(f"{url}/v1/batch", content=wav(CLIP), headers={"Content-Type": "audio/wav"}), None),
        (send(url, wav(CLIP), model="c"), (404, "unknown_model")),
        (send(url, wav(CLIP), data={"timeout": "1000"}), (422, "invalid_parameter")),
    ):
        assert refused(response) == (expected or (415, "wrong_content_type"))


def test_a_batch_has_no_more_places_than_its_client():
    stub = Stub()
    stub.let.clear()
    serving = Serving({"a": stub}, Limits(queue=9, client_queue=2))
    with serving as url, httpx.Client(timeout=60) as client:
        files = [("file", wav(CLIP))] * (AT_ONCE + 2)
        with client.stream("POST", f"{url}/v1/batch", files=files) as response:
            until(lambda: serving.service.places == 2)
            assert refused(post(url, wav(CLIP))) == (429, "client_queue_full")
            stub.let.set()
            assert len(list(response.iter_lines())) == len(files)
        until(lambda: serving.service.places == 0)
        assert len(lines(send(url, *[wav(CLIP)] * 3))) == 3


def test_a_batch_ends_with_its_time_and_with_its_client():
    stub = Stub()
    stub.let.clear()
    serving = Serving({"a": stub}, Limits(queue=9))
    with serving as url:
        answers = lines(send(url, *[wav(CLIP)] * 6, timeout="0.3"))
        assert [line["error"] for line in answers] == ["timed_out"] * 6 and "0.3 s" in answers[5]["message"]
        request = httpx.Request("POST", f"{url}/v1/batch", files=[("file", wav(CLIP))] * 6)
        content = request.read()
        head = f"POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Type: {request.headers['content-type']}\r\n"
        with socket.create_connection(url.removeprefix("http://").split(":")) as client:
            client.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
            until(lambda: serving.service.batcher.waiting >= AT_ONCE)
        until(lambda: serving.service.batcher.waiting == 0)
        stub.let.set()
        until(lambda: serving.service.places == 0)
    assert sum(stub.batches) < 6


def test_a_late_recording_has_what_is_left_of_the_time(monkeypatch):
    seconds = []

    async def process(self, *_recording, timeout):
        seconds.append(timeout)
        await asyncio.sleep(0.05)
        raise timed_out(timeout)

    monkeypatch.setattr(Service, "process", process)
    with Serving({"a": Stub()}) as url:
        lines(send(url, *[wav(CLIP)] * (AT_ONCE + 1), timeout="30"))
    assert max(seconds) <= 30 and seconds[-1] < seconds[0] - 0.04


def test_the_server_ends_after_the_batch(caplog):
    stub = Stub()
    stub.let.clear()
    serving = Serving({"a": stub})
    files = [("file", wav(CLIP))] * 9
    with serving as url, httpx.stream("POST", f"{url}/v1/batch", files=files, timeout=60) as response:
        serving.server.should_exit = True
        until(lambda: serving.guard.draining)
        stub.let.set()
        assert len(list(response.iter_lines())) == 9
    assert serving.guard.accepted == serving.guard.answered == 1


def test_a_table_has_the_rows_of_the_command_line_in_the_order_of_the_form(url, tmp_path):
    names = ["long.wav", "a, c.wav", "broken.wav", "short.wav", "é.wav"]
    contents = [wav(np.full(round(s * RATE_HZ), 0.1, np.float32)) for s in (5, 0.5, 0.5, 0.3, 1)]
    contents[2] = b"text"
    for name, content in zip(names, contents, strict=True):
        (tmp_path / name).write_bytes(content)
    labeller, text = LocalLabeller(Stub()), io.StringIO(newline="")
    writer = Writer(text, "csv", labeller.facts.columns, sections=False)
    for row in labeller.label(Input(name, file=tmp_path / name) for name in names):
        writer.write(row)
    files = [("file", (name, content)) for name, content in zip(names, contents, strict=True)]
    for options in ({"params": {"format": "csv"}}, {"data": {"format": "csv"}}):
        response = httpx.post(f"{url}/v1/batch", files=files, timeout=60, **options)
        assert response.headers["content-type"] == "text/csv; charset=utf-8"
        rows, expected = (list(csv.DictReader(io.StringIO(table))) for table in (response.text, text.getvalue()))
        assert rows[2].pop("error").startswith("the recording: ") and expected[2].pop("error")
        assert rows == expected and response.text.splitlines()[0] == text.getvalue().splitlines()[0]
    assert refused(send(url, wav(CLIP), data={"format": "json"})) == (422, "invalid_parameter")
    assert refused(send(url, wav(CLIP), format="json")) == (422, "invalid_parameter")


def test_a_name_of_any_letters_is_no_defect(url):
    """Without letters that UTF-8 has, the name of a file is shown as far as it goes."""
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="\\ud800.wav"\r\n\r\n'
    charset = {"Content-Type": "multipart/form-data; boundary=x; charset=unicode_escape"}
    content = head + wav(CLIP) + b"\r\n--x--\r\n"
    response = httpx.post(f"{url}/v1/batch?format=csv", content=content, headers=charset)
    assert response.status_code == 200 and ",joy," in response.text.splitlines()[1]
