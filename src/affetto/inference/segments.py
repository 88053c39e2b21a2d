"""Formats of a timeline's segments: JSON, CSV and WebVTT (W3C), which players show as subtitles."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

from affetto.errors import unknown
from affetto.inference.batch.outputs import TIMELINE_FORMATS
from affetto.inference.timeline import Segment

ABSTAINED = "–"


def format_segments(
    segments: Iterable[Segment], kind: str, *, file: str, labels: Sequence[str], protocol: str | None = None
) -> str:
    """Write the segments of one recording in a format of TIMELINE_FORMATS; `labels` are the columns of a CSV.

    `protocol`: that of the predictor where it is not the model's own (`Predictor.protocol`); each format holds it.
    """
    if kind not in TIMELINE_FORMATS:
        raise unknown("format of a timeline", kind, TIMELINE_FORMATS)
    return {"json": _json, "csv": _csv, "vtt": _vtt}[kind](list(segments), file, labels, protocol)


def _json(segments: list[Segment], file: str, _labels: Sequence[str], protocol: str | None) -> str:
    content: dict[str, Any] = {"file": file} | ({} if protocol is None else {"protocol": protocol})
    content["segments"] = [segment.to_json() for segment in segments]
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _csv(segments: list[Segment], file: str, labels: Sequence[str], protocol: str | None) -> str:
    column, cell = ([], []) if protocol is None else (["protocol"], [protocol])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "start", "end", "emotion", *labels, *column])
    for segment in segments:
        shares = (f"{segment.probabilities[label]:.6f}" for label in labels)
        writer.writerow([file, f"{segment.start:.3f}", f"{segment.end:.3f}", segment.emotion or "", *shares, *cell])
    return text.getvalue()


def _vtt(segments: list[Segment], _file: str, _labels: Sequence[str], protocol: str | None) -> str:
    notes = [] if protocol is None else [f"NOTE protocol: {protocol}\n"]
    cues = []
    for segment in segments:
        sure = f"{100 * max(segment.probabilities.values()):.0f} %"
        cues.append(f"{clock(segment.start)} --> {clock(segment.end)}\n{segment.emotion or ABSTAINED} {sure}\n")
    return "\n".join(["WEBVTT\n", *notes, *cues])


def clock(seconds: float) -> str:
    """Format a time for WebVTT.

    >>> clock(3725.5)
    '01:02:05.500'
    """
    thousandths = round(1000 * seconds)
    minutes, rest = divmod(thousandths, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}.{rest % 1000:03}"
