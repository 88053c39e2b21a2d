"""Audio that a dataset has inside its rows, as files: everything else takes files.

Each row's bytes become a file under the split's name and the name that the row gives, in a folder that belongs to this
dataset: its name has a digest of the dataset's files. A file that is there with the right content is not written again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from affetto.corpora.folders import AUDIO_SUFFIXES
from affetto.errors import UserError
from affetto.files import cache_folder, replacing

SAMPLE_BYTES = 1 << 16
"""Bytes at each end of a file that its digest is of: the ends of Parquet and Arrow files describe all between."""
KINDS = ((b"RIFF", ".wav"), (b"fLaC", ".flac"), (b"OggS", ".ogg"), (b"ID3", ".mp3"), (b"FORM", ".aiff"))
"""First bytes of a file, and its suffix, for rows that give no name."""


def is_audio(field: Any) -> bool:
    """True for a column of records with `bytes` and `path`."""
    import pyarrow

    return pyarrow.types.is_struct(field.type) and {"bytes", "path"} <= {inner.name for inner in field.type}


def unpacked_folder(name: str, files: Sequence[Path], folder: str | None) -> Path:
    """The folder for the audio of a dataset with these files: `folder`, or one of its own in the cache."""
    if folder:
        return Path(folder).expanduser().resolve()
    digest = hashlib.sha256()
    for file in files:
        size = file.stat().st_size
        digest.update(f"{file.name} {size} ".encode())
        with open(file, "rb") as content:
            digest.update(content.read(SAMPLE_BYTES))
            content.seek(max(0, size - SAMPLE_BYTES))
            digest.update(content.read())
    return cache_folder("unpack audio into") / "datasets" / f"{name}-{digest.hexdigest()[:16]}"


class Unpacked:
    """The files of one reading, named so that no two contents share a name."""

    def __init__(self, folder: Path, *, is_users: bool) -> None:
        """`is_users` is True for a folder that the user named, in which nothing is replaced."""
        self._folder, self._is_users = folder, is_users
        self._contents: dict[str, bytes] = {}
        """Digest of the content of each file, by its name in small letters."""

    def file(self, sound: Mapping[str, Any], part: str, source: Path) -> str:
        """The file of a row's audio: the path that it names, or a file of its bytes, relative to the folder.

        Raises UserError for a row without audio.
        """
        content, path = sound.get("bytes"), sound.get("path") or ""
        if content is None:
            if not path:
                raise UserError(f"{source}: a row has neither bytes nor a path of audio; leave it out")
            return self._located(path, source)
        digest = hashlib.sha256(content).digest()
        name, number = f"{part}/{_name(path, content, digest)}", 1
        plain = PurePosixPath(name)
        while self._contents.setdefault(name.casefold(), digest) != digest:
            number += 1
            name = str(plain.with_name(f"{plain.stem}-{number}{plain.suffix}"))
        self._write(self._folder / name, content)
        return name

    def _located(self, path: str, source: Path) -> str:
        """A path as the row gives it; one that is relative starts in the dataset's folder, or in one around it."""
        if Path(path).is_absolute():
            return path
        around = (folder / path for folder in (source.parent, *source.parents[1:3]))
        return str(next((file for file in around if file.exists()), source.parent / path))

    def _write(self, file: Path, content: bytes) -> None:
        try:
            if file.is_file():
                if file.stat().st_size == len(content) and file.read_bytes() == content:
                    return
                if self._is_users:
                    raise UserError(f"{file} is there with other content; give another --option audio_folder=FOLDER")
            file.parent.mkdir(parents=True, exist_ok=True)
            with replacing(file) as temporary:
                temporary.write_bytes(content)
        except OSError as problem:
            raise UserError(
                f"audio cannot be unpacked into {self._folder} ({problem.strerror}); give another folder, as --option "
                "audio_folder=FOLDER"
            ) from None


def _name(path: str, content: bytes, digest: bytes) -> str:
    """The last part of a row's path, or a name by the content where it gives none that a file can have."""
    name = re.sub(r"[\x00-\x1f]", "", PurePosixPath(path.replace("\\", "/")).name).lstrip(".")
    kind = next((suffix for start, suffix in KINDS if content.startswith(start)), ".wav")
    if not name:
        return f"{digest.hex()[:16]}{kind}"
    return name if PurePosixPath(name).suffix.casefold() in AUDIO_SUFFIXES else f"{name}{kind}"
