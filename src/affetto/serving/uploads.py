"""A recording as it arrives: into memory, never onto a disk. The guard stops what is too large or too slow."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from affetto.serving.limits import Limits
from affetto.serving.refusals import RefusalError, too_large

RAW_TYPES = ("application/octet-stream", "application/ogg", "video/mp4", "video/webm")
"""Raw bodies that may hold sound, beside `audio/…`."""
UNSET = ("", "application/x-www-form-urlencoded")
"""Content types of clients that set none; the second is that of `curl --data-binary`."""
ENVELOPE_BYTES, MOST_FIELDS, LONGEST_FIELD_BYTES = 16_384, 16, 1024
"""Limits on the rest of a multipart body, beside the file."""
MOST_FILES = 64
"""Recordings in one form."""


@dataclass(frozen=True)
class Upload:
    """The bytes of a recording, and the other fields of its form. The name that the client gave it is not kept."""

    audio: bytes
    fields: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Batch:
    """The recordings of a form with the names that the client gave them, and the rest of the form."""

    contents: list[bytes]
    names: list[str]
    """Names that stand in a table that goes back to the client, and nowhere else."""
    clips: list[bytes]
    """Clips of one speaker to adapt to."""
    fields: dict[str, str]
    parts: set[str]
    """Names of the parts that are files."""


class _InMemory(MultiPartParser):
    spool_max_size = sys.maxsize


async def receive(request: Request, limits: Limits, part: str = "file") -> Upload:
    """The upload of a request: the part `part` of a form, or the whole body.

    Raises RefusalError: 413 too large, 408 too slow (both raised by the guard's `receive`), 415 neither a form nor
    audio, 400 a form that is broken or lacks the part; and starlette's ClientDisconnect if the client has gone.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    form = kind == "multipart/form-data"
    if not (form or kind in RAW_TYPES + UNSET or kind.startswith("audio/")):
        raise RefusalError(
            415,
            "wrong_content_type",
            f"content type {kind[:80]!r} is no recording: send a form (multipart/form-data) with a part {part!r}, or "
            "the recording alone as audio/wav, audio/flac, audio/mpeg, audio/ogg …",
        )
    upload = await _parsed(request, part) if form else Upload(b"".join([chunk async for chunk in request.stream()]))
    if len(upload.audio) > limits.max_bytes:
        raise too_large(limits.max_megabytes)
    return upload


async def receive_batch(request: Request, limits: Limits) -> Batch:
    """The parts `file` and `calibrate` of a form, and its fields; all are together no larger than one upload may be.

    Raises RefusalError as `receive`; 400 for more than `MOST_FILES`.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        message = f"content type {kind[:80]!r}: send a form (multipart/form-data) with parts 'file'"
        raise RefusalError(415, "wrong_content_type", message)
    items = await _items(request, MOST_FILES)
    try:
        parts = [(name, part) for name, part in items.multi_items() if not isinstance(part, str)]
        files = [part for name, part in parts if name == "file"]
        contents = [await file.read() for file in files]
        clips = [await part.read() for name, part in parts if name == "calibrate"]
    finally:
        await items.close()
    if not contents:
        raise RefusalError(400, "no_file", "the form has no file in a part named 'file'")
    if sum(map(len, [*contents, *clips])) > limits.max_bytes:
        raise too_large(limits.max_megabytes)
    return Batch(
        contents=contents,
        names=[file.filename or "" for file in files],
        clips=clips,
        fields={name: text for name, text in items.items() if isinstance(text, str)},
        parts={name for name, _ in parts},
    )


async def _items(request: Request, most_files: int) -> FormData:
    """The parts of a form. Raises RefusalError (400)."""
    parser = _InMemory(
        request.headers,
        request.stream(),
        max_files=most_files,
        max_fields=MOST_FIELDS,
        max_part_size=LONGEST_FIELD_BYTES,
    )
    try:
        return await parser.parse()
    except MultiPartException as problem:
        raise RefusalError(400, "broken_form", f"the form cannot be read: {problem.message}") from None
    except UnicodeError:  # Python has character sets that decode nothing, and a form may name one
        raise RefusalError(400, "broken_form", "the form cannot be read in the charset that it names") from None


async def _parsed(request: Request, part: str) -> Upload:
    items = await _items(request, 1)
    file = items.get(part)
    if file is None or isinstance(file, str):
        raise RefusalError(400, "no_file", f"the form has no file in a part named {part!r}")
    try:
        content = await file.read()
    finally:
        await items.close()
    return Upload(content, {name: value for name, value in items.items() if isinstance(value, str)})
