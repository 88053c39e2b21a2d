"""Measurements for Prometheus: their values and format, and what a server counts."""

from __future__ import annotations

import math
import re

import httpx
import numpy as np

from affetto.serving.limits import Limits
from affetto.serving.meters import CONTENT_TYPE, Counter, Gauge, Histogram, Meters
from serving.served import RATE_HZ, Serving, Stub, until, wav

TOKEN = "correct-horse-battery"
CLIP = np.sin(np.arange(RATE_HZ, dtype=np.float32))
SAMPLE = re.compile(r'[a-z_]+(\{([a-z_]+="([^"\\\n]|\\[\\"n])*",?)+\})? (NaN|[+-]?Inf|-?[0-9.e+-]+)')


def values(text: str) -> dict[str, float]:
    """Samples of the text format by name and labels; every line must be one, or a comment."""
    samples = [line for line in text.splitlines() if not line.startswith("# ")]
    assert all(SAMPLE.fullmatch(line) for line in samples), samples
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in samples)}


def test_a_histogram_counts_what_is_at_most_each_bound():
    histogram = Histogram("h", "…", (1, 2.5))
    for value in (0.5, 1, 2, 9):
        histogram.observe(value)
    assert list(histogram.samples()) == [
        'h_bucket{le="1"} 2',
        'h_bucket{le="2.5"} 3',
        'h_bucket{le="+Inf"} 4',
        "h_sum 12.5",
        "h_count 4",
    ]


def test_a_counter_has_a_sum_for_each_combination_of_labels_and_escapes_them():
    counter = Counter("c", "…", ("path", "model"))
    counter.add(1, "/v1", "b")
    counter.add(0.5, "/v1", "b")
    counter.add(2, "/v1", 'a"\\\n')
    assert list(counter.samples()) == ['c{path="/v1",model="a\\"\\\\\\n"} 2', 'c{path="/v1",model="b"} 1.5']
    assert list(Counter("d", "…").samples()) == ["d 0"]
    assert list(Gauge("g", "…", lambda: math.nan).samples()) == ["g NaN"]


def test_a_batch_is_recorded_with_the_time_that_each_window_waited():
    meters = Meters()
    meters.record_batch([0.002, 0.2], 0.5)
    found = values(meters.text())
    assert found["affetto_batch_windows_sum"] == 2 and found["affetto_batch_windows_count"] == 1
    assert (found["affetto_waiting_seconds_sum"], found["affetto_waiting_seconds_count"]) == (0.202, 2)
    assert found['affetto_waiting_seconds_bucket{le="0.003"}'] == 1
    assert found["affetto_computing_seconds_sum"] == 0.5


def test_a_server_counts_requests_windows_and_seconds():
    served = Serving({"first": Stub(seconds=0.5), "second": Stub()}, Limits(token=TOKEN, queue=8))
    with served as url, httpx.Client(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}) as client:

        def post(content: bytes, path: str = "/v1/predict", **options: object) -> int:
            return client.post(path, files={"file": content}, **options).status_code  # type: ignore[arg-type]

        assert post(wav(CLIP)) == post(wav(CLIP), params={"model": "second"}) == 200
        assert post(b"text") == 415
        assert post(wav(CLIP), params={"model": "third"}) == 404
        assert client.get("/wp-login.php").status_code == client.get("/etc/passwd").status_code == 404
        assert httpx.get(f"{url}/metrics").status_code == 401

        other = 'affetto_requests_total{path="other",status="404",model=""}'
        until(lambda: values(client.get("/metrics").text).get(other) == 2)
        answer = client.get("/metrics")
        assert answer.headers["content-type"] == CONTENT_TYPE
        for path in ("/metrics", "/v1/models", "/openapi.json"):
            assert client.head(path).status_code == 200
    found = values(answer.text)
    of_path = {name: value for name, value in found.items() if 'path="/v1/predict"' in name}
    assert of_path == {
        'affetto_requests_total{path="/v1/predict",status="200",model="first"}': 1,
        'affetto_requests_total{path="/v1/predict",status="200",model="second"}': 1,
        'affetto_requests_total{path="/v1/predict",status="415",model="first"}': 1,
        'affetto_requests_total{path="/v1/predict",status="404",model=""}': 1,
    }
    assert found['affetto_requests_total{path="/metrics",status="401",model=""}'] == 1
    assert (
        found['affetto_audio_seconds_total{model="first"}'] == found['affetto_audio_seconds_total{model="second"}'] == 1
    )
    assert found["affetto_decoding_seconds_count"] == 2
    # A clip of 1 s is three windows of 0.5 s, each half a window behind the one before, and one of 4 s.
    assert found["affetto_batch_windows_sum"] == found["affetto_waiting_seconds_count"] == 4
    assert found["affetto_computing_seconds_count"] == found["affetto_batch_windows_count"] >= 2
    assert found["affetto_places"] == 0 and found["affetto_places_most"] == 8 and found["affetto_stalled"] == 0
    assert "token" not in answer.text and found["process_resident_memory_bytes"] > 1e6
