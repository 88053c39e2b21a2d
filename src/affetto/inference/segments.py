"""Formats of a timeline's segments: JSON, CSV and WebVTT (W3C), which players show as subtitles."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from typing import Any

from affetto.errors import unknown
from affetto.inference.batch.columns import Columns
from affetto.inference.batch.outputs import TIMELINE_FORMATS
from affetto.inference.timeline import Segment

ABSTAINED = "–"


def format_segments(
    segments: Iterable[Segment], kind: str, *, file: str, columns: Columns, protocol: str | None = None
) -> str:
    """Write the segments of one recording in a format of TIMELINE_FORMATS; `columns` are those of the model's target.

    `protocol`: that of the predictor where it is not the model's own (`Predictor.protocol`); each format holds it.
    """
    if kind not in TIMELINE_FORMATS:
        raise unknown("format of a timeline", kind, TIMELINE_FORMATS)
    return {"json": _json, "csv": _csv, "vtt": _vtt}[kind](list(segments), file, columns, protocol)


def _json(segments: list[Segment], file: str, columns: Columns, protocol: str | None) -> str:
    content: dict[str, Any] = {"file": file} | ({} if protocol is None else {"protocol": protocol})
    content["segments"] = [segment.to_json() for segment in segments]
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _csv(segments: list[Segment], file: str, columns: Columns, protocol: str | None) -> str:
    column, cell = ([], []) if protocol is None else (["protocol"], [protocol])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "start", "end", *columns.header, *column])
    for segment in segments:
        cells = columns.cells(vars(segment))
        writer.writerow([file, f"{segment.start:.3f}", f"{segment.end:.3f}", *cells, *cell])
    return text.getvalue()


def _vtt(segments: list[Segment], _file: str, columns: Columns, protocol: str | None) -> str:
    notes = [] if protocol is None else [f"NOTE protocol: {protocol}\n"]
    cues = []
    for segment in segments:
        words = columns.words(segment, ABSTAINED)
        cues.append(f"{clock(segment.start)} --> {clock(segment.end)}\n{words}\n")
    return "\n".join(["WEBVTT\n", *notes, *cues])


def clock(seconds: float) -> str:
    """Format a time for WebVTT.

    >>> clock(3725.5)
    '01:02:05.500'
    """
    thousandths = round(1000 * seconds)
    minutes, rest = divmod(thousandths, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}.{rest % 1000:03}"
