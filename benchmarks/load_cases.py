"""Requests of honest clients in the load test (`load.py`): how each is sent, and what its answer must be."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from load_models import Clip, Offline, Talk, probability_gap, segment_gap
from load_requests import STREAMS, Answer, Case
from load_streams import converse
from load_swaps import Timetable

TOLERANCE = 1e-5
"""Largest difference of a probability in float32: padding and the number of threads change the last digits."""
CHUNK_BYTES = 16_384
LATER = ("queue_full", "client_queue_full")
"""Codes of refusals after which a client tries again."""


@dataclass
class Session:
    """Connection of one client."""

    url: str
    client: httpx.Client


# Sending ---------------------------------------------------------------------------------------------


def send(session: Session, case: Case, request_id: str) -> Answer:
    """Send a request once. Raises httpx.HTTPError, OSError or WebSocketException where there is no answer."""
    began = time.monotonic()
    sender = _SENDERS.get(case.kind)
    if sender is None:
        answer = converse(session.url, case, request_id)
    else:
        answer = _answer(sender(session.client, case, {"X-Request-ID": request_id}))
    answer.began = began
    return answer


def _answer(response: httpx.Response) -> Answer:
    is_json = response.headers.get("content-type", "").startswith("application/json")
    if response.headers.get("content-type", "").startswith("application/x-ndjson"):
        body: Any = [json.loads(line) for line in response.text.splitlines()]
    else:
        body = response.json() if is_json else response.text
    code = body.get("error", "") if isinstance(body, dict) else ""
    return Answer(response.status_code, body, code, retry_after=response.headers.get("Retry-After"))


def _query(case: Case) -> dict[str, str]:
    return {"model": case.model} if case.model else {}


def _post_body(path: str) -> Callable[[httpx.Client, Case, dict[str, str]], httpx.Response]:
    def post(client: httpx.Client, case: Case, headers: dict[str, str]) -> httpx.Response:
        clip = _clip(case)
        headers = headers | {"Content-Type": clip.media_type}
        return client.post(path, params=_query(case), content=clip.content, headers=headers)

    return post


def _post_chunks(path: str) -> Callable[[httpx.Client, Case, dict[str, str]], httpx.Response]:
    def post(client: httpx.Client, case: Case, headers: dict[str, str]) -> httpx.Response:
        clip = _clip(case)
        headers = headers | {"Content-Type": clip.media_type}
        chunks = (clip.content[at : at + CHUNK_BYTES] for at in range(0, len(clip.content), CHUNK_BYTES))
        return client.post(path, params=_query(case), content=chunks, headers=headers)

    return post


def _post_form(path: str, **fields: str) -> Callable[[httpx.Client, Case, dict[str, str]], httpx.Response]:
    def post(client: httpx.Client, case: Case, headers: dict[str, str]) -> httpx.Response:
        files = [("file", ("../../x.wav", _clip(case, number).content)) for number in range(len(case.recordings))]
        return client.post(path, data=fields | _query(case), files=files, headers=headers)

    return post


def _get(client: httpx.Client, case: Case, headers: dict[str, str]) -> httpx.Response:
    return client.get(case.path, headers=headers)


def _clip(case: Case, number: int = 0) -> Clip:
    recording = case.recordings[number]
    return recording.clip if isinstance(recording, Talk) else recording


TRANSCRIPTIONS = "/v1/audio/transcriptions"
_SENDERS: dict[str, Callable[[httpx.Client, Case, dict[str, str]], httpx.Response]] = {
    "predict": _post_body("/v1/predict"),
    "predict, form": _post_form("/v1/predict"),
    "predict, chunks": _post_chunks("/v1/predict"),
    "timeline": _post_body("/v1/timeline"),
    "timeline, chunks": _post_chunks("/v1/timeline"),
    "transcription": _post_form(TRANSCRIPTIONS),
    "transcription, segments": _post_form(TRANSCRIPTIONS, response_format="verbose_json"),
    "batch": _post_form("/v1/batch"),
    "read": _get,
}
WEIGHTS = {
    "predict": 25,
    "predict, form": 20,
    "predict, chunks": 10,
    "timeline": 7,
    "timeline, chunks": 4,
    "transcription": 5,
    "transcription, segments": 4,
    "batch": 8,
    "stream": 8,
    "stream of the page": 4,
    "read": 5,
}
"""Shares of the kinds among honest requests."""
PATHS = ("/v1/models", "/healthz", "/readyz", "/metrics", "/notice", "/openapi.json")


def choose(
    chance: random.Random, models: Sequence[str], clips: Sequence[Clip], talks: Sequence[Talk], *, has_page: bool
) -> Case:
    """Choose a request of any kind, for one of the models or for the default one."""
    kinds = [kind for kind in WEIGHTS if has_page or kind != "stream of the page"]
    (kind,) = chance.choices(kinds, [WEIGHTS[kind] for kind in kinds])
    seed, model = chance.randrange(1000), chance.choice(["", *models])
    if kind == "read":
        return Case(kind, path=chance.choice([*PATHS, *(["/en/live"] if has_page else [])]))
    if kind in STREAMS:
        return Case(kind, (chance.choice(talks),), model, seed=seed)
    if kind == "batch":
        # Together they stay below the limit of an upload.
        small = [clip for clip in clips if len(clip.content) < 100_000]
        return Case(kind, tuple(chance.choice(small) for _ in range(chance.randint(2, 6))), model)
    return Case(kind, (chance.choice([*clips, talks[0]]),), model)


# Judging ---------------------------------------------------------------------------------------------


@dataclass
class Judge:
    """Comparison of answers with the offline predictions of the models that may have answered."""

    offline: Offline
    timetable: Timetable
    largest_gap: float = 0.0
    """Largest difference of a probability in a right answer."""

    def problem(self, case: Case, answer: Answer) -> str:
        """Say what is wrong with an answer; "" for a right one."""
        if answer.status == 503 and answer.code in LATER:
            return "" if int(answer.retry_after or 0) >= 1 else "no Retry-After"
        if answer.status == 404 and answer.code == "unknown_model":
            may_lack = bool(case.model) and self.timetable.may_lack(case.model, answer.began, answer.ended)
            return "" if may_lack else "the model was there"
        if answer.status != 200:
            return "an honest request was refused"
        if case.kind == "read":
            return "" if answer.body else "empty"
        if case.kind in STREAMS:
            return self._stream_problem(case, answer)
        if case.kind == "batch":
            return self._batch_problem(case, answer)
        name = case.recordings[0].name
        if "segments" in answer.body:
            return self._compared(case, answer, answer.body, lambda version: self._timeline_gap(version, name, answer))
        return self._compared(
            case, answer, answer.body, lambda version: self._gap(version, name, answer.body["probabilities"])
        )

    def _compared(self, case: Case, answer: Answer, body: dict[str, Any], gap_to: Callable[[str], float]) -> str:
        """Compare with each model that may have answered. Returns the problem, "" for none."""
        if body["model"] != (case.model or body["model"]):
            return f"the model {body['model']!r} answered"
        if not body["notice"]:
            return "no notice"
        versions = self.timetable.versions(body["model"], answer.began, answer.ended)
        gap = min((gap_to(version) for version in versions), default=float("inf"))
        if gap > TOLERANCE:
            return f"{gap:.2g} off the offline prediction of {versions}"
        self.largest_gap = max(self.largest_gap, gap)
        return ""

    def _gap(self, version: str, name: str, probabilities: dict[str, float]) -> float:
        return probability_gap(probabilities, self.offline.probabilities[version, name])

    def _timeline_gap(self, version: str, name: str, answer: Answer) -> float:
        return segment_gap(answer.body["segments"], self.offline.segments[version, name])

    def _batch_problem(self, case: Case, answer: Answer) -> str:
        lines = sorted(answer.body, key=lambda line: line["index"])
        if [line["index"] for line in lines] != list(range(len(case.recordings))):
            return "not a line for each recording"
        refused = [line for line in lines if "error" in line]
        if refused:
            return f"refused: {refused[0]['error']}"

        def gap_to(version: str) -> float:
            pairs = zip(lines, case.recordings, strict=True)
            return max(self._gap(version, recording.name, line["probabilities"]) for line, recording in pairs)

        return self._compared(case, answer, lines[0], gap_to)

    def _stream_problem(self, case: Case, answer: Answer) -> str:
        """Compare a stream that ended as its client wished."""
        ready, *messages, end = answer.body
        if (ready["type"], end["type"], end["complete"], answer.close) != ("ready", "end", True, 1000):
            return f"{ready['type']} … {end['type']}, close code {answer.close}"
        segments = [message for message in messages if message["type"] == "segment"]
        if [{"type": "segment", **segment} for segment in end["segments"]] != segments:
            return "the segments of the end are not those that were sent"
        name = case.recordings[0].name
        expected = self.offline.segments
        return self._compared(case, answer, end, lambda version: segment_gap(end["segments"], expected[version, name]))

    def beginning_problem(self, case: Case, answer: Answer) -> str:
        """Compare a stream that the server ended early with the offline timeline of what it had taken."""
        end = answer.body[-1]
        talk = case.recordings[0]
        assert isinstance(talk, Talk)
        samples = talk.samples[: round(end["seconds"] * 16_000)]

        def gap_to(version: str) -> float:
            return segment_gap(end["segments"], self.offline.compute_beginning(version, samples))

        return self._compared(case, answer, end, gap_to)
