"""Identity of a saved model: a short digest of the files that decide what it answers, the same on every machine.

Large files would take seconds at each load. Of safetensors the header and a part of each large tensor are read:
training moves all numbers of a tensor, so that a part shows it, and small tensors, such as those of a head on a frozen
backbone, are read whole. Other files have no such parts that are known, and are read whole.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from affetto.errors import UserError

LENGTH = 12
"""Characters of an identity."""
WHOLE_BYTES = 2**20
"""Size up to which a tensor is read whole."""
PIECES, PIECE_BYTES = 4, 2**14
"""Number and size of the parts that are read of a larger one, its first and its last among them."""
WEIGHTS = ".safetensors"
HEADER_BYTES = 8
"""Bytes of the number at the start of such a file, which is the length of its header."""


def identity_of(files: Sequence[Path]) -> str | None:
    """The identity of a model that consists of these files; None for no files (a model of another package).

    Their order, names and contents count, and their folders do not. Raises UserError where one cannot be read.
    """
    if not files:
        return None
    digest = hashlib.sha256()
    for file in files:
        try:
            with file.open("rb") as stream:
                part = _sampled(stream) if file.suffix == WEIGHTS else hashlib.file_digest(stream, "sha256").hexdigest()
        except (OSError, ValueError, TypeError, LookupError, AttributeError) as problem:
            raise UserError(f"{file}: cannot be read ({problem}); the model may have changed: load it again") from None
        digest.update(f"{file.name} {part}\n".encode())
    return digest.hexdigest()[:LENGTH]


def _sampled(stream: IO[bytes]) -> str:
    """Digest of a safetensors file: its header, and of each tensor the bytes that `_parts` names."""
    first = stream.read(HEADER_BYTES)
    text = stream.read(int.from_bytes(first, "little"))
    digest = hashlib.sha256(first + text)
    start = HEADER_BYTES + len(text)
    tensors = (facts["data_offsets"] for name, facts in json.loads(text).items() if name != "__metadata__")
    for low, high in sorted(tensors):
        for offset, size in _parts(high - low):
            stream.seek(start + low + offset)
            digest.update(stream.read(size))
    return digest.hexdigest()


def _parts(size: int) -> Iterator[tuple[int, int]]:
    """Offsets and sizes of what is read of a tensor of so many bytes."""
    if size <= WHOLE_BYTES:
        yield 0, size
        return
    for number in range(PIECES):
        yield (size - PIECE_BYTES) * number // (PIECES - 1), PIECE_BYTES
