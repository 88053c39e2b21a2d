"""Content of clips by their ids: heard once, and remembered in the store by the files' digests."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from affetto import audio
from affetto.corpora.content import VERSION, Content, content
from affetto.files import write_text
from affetto.models.prefix import Source
from affetto.models.storage import default_root

FOLDER = "contents"
"""Beside the prefixes; some 200 bytes a clip in 256 files, which are not worth pruning."""


def contents_of(sources: Mapping[str, Source], digests: Mapping[str, str]) -> dict[str, Content]:
    """The content of each clip that has a digest; clips that cannot be decoded are left out.

    `digests` are the sources' own, by clip id. Hearing a clip takes some milliseconds, remembering it none.
    """
    memory = _Memory()
    contents = {clip: memory.get(digests[clip]) for clip in sources if clip in digests}
    new = [clip for clip, marks in contents.items() if marks is None]
    with ThreadPoolExecutor() as pool:
        for clip, marks in zip(new, pool.map(_hear, (sources[clip] for clip in new)), strict=True):
            if marks is not None:
                contents[clip] = marks
                memory.put(digests[clip], marks)
    memory.save()
    return {clip: marks for clip, marks in contents.items() if marks is not None}


def marks_of(marks: Content | None) -> dict[str, Any]:
    """Fields of `trained_on.jsonl` by which a copy of the clip is recognised; {} where its content is unknown."""
    return {} if marks is None else {"content": marks.to_json()}


def _hear(source: Source) -> Content | None:
    try:
        return content(audio.stream(source.path, source.start, source.end))
    except audio.AudioError:
        return None


class _Memory:
    """Marks by a clip's digest, in one file for each two first digits. A file that is lost or broken is made anew."""

    def __init__(self) -> None:
        self._folder = default_root() / FOLDER / str(VERSION)
        self._shards: dict[str, dict[str, Any]] = {}
        self._changed: set[str] = set()

    def get(self, digest: str) -> Content | None:
        return Content.from_json(self._shard(digest[:2]).get(digest))

    def put(self, digest: str, marks: Content) -> None:
        self._shard(digest[:2])[digest] = marks.to_json()
        self._changed.add(digest[:2])

    def save(self) -> None:
        """Write what is new. Of two processes that write at once one is heard; what is forgotten is heard again."""
        for name in self._changed:
            # A full disk, or another user's, only costs the memory: the marks are known all the same.
            with contextlib.suppress(OSError):
                write_text(self._file(name), json.dumps(_read(self._file(name)) | self._shards[name]))
        self._changed.clear()

    def _shard(self, name: str) -> dict[str, Any]:
        if name not in self._shards:
            self._shards[name] = _read(self._file(name))
        return self._shards[name]

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.json"


def _read(file: Path) -> dict[str, Any]:
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return entries if isinstance(entries, dict) else {}
