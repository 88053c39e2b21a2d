"""A timeline as text."""

from __future__ import annotations

import json

from affetto.inference.batch.columns import Columns
from affetto.inference.batch.outputs import TIMELINE_FORMATS
from affetto.inference.segments import format_segments
from affetto.inference.timeline import Segment

SEGMENTS = [
    Segment(0.5, 2.25, "joy", {"joy": 0.8, "sadness": 0.2}),
    Segment(3600.0, 3725.5, None, {"joy": 0.5, "sadness": 0.5}),
]


def test_as_json_csv_and_vtt() -> None:
    columns = Columns(("joy", "sadness"))
    content = json.loads(format_segments(SEGMENTS, "json", file="talk.mp3", columns=columns))
    assert content["file"] == "talk.mp3" and content["segments"][0] == {
        "start": 0.5,
        "end": 2.25,
        "emotion": "joy",
        "probabilities": {"joy": 0.8, "sadness": 0.2},
    }
    assert format_segments(SEGMENTS, "csv", file="talk.mp3", columns=columns) == (
        "file,start,end,emotion,joy,sadness\n"
        "talk.mp3,0.500,2.250,joy,0.800000,0.200000\n"
        "talk.mp3,3600.000,3725.500,,0.500000,0.500000\n"
    )
    assert format_segments(SEGMENTS, "vtt", file="talk.mp3", columns=columns) == (
        "WEBVTT\n\n00:00:00.500 --> 00:00:02.250\njoy 80 %\n\n01:00:00.000 --> 01:02:05.500\n– 50 %\n"
    )
    protocol = "speaker-calibrated (10 clips)"
    marked = {
        kind: format_segments(SEGMENTS[:1], kind, file="t", columns=columns, protocol=protocol)
        for kind in TIMELINE_FORMATS
    }
    assert list(json.loads(marked["json"])) == ["file", "protocol", "segments"] and protocol in marked["json"]
    assert marked["csv"].splitlines()[0] == "file,start,end,emotion,joy,sadness,protocol"
    assert marked["csv"].splitlines()[1] == f"t,0.500,2.250,joy,0.800000,0.200000,{protocol}"
    assert marked["vtt"] == (f"WEBVTT\n\nNOTE protocol: {protocol}\n\n00:00:00.500 --> 00:00:02.250\njoy 80 %\n")
    assert format_segments([], "vtt", file="talk.mp3", columns=columns) == "WEBVTT\n"
