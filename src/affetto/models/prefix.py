"""The store of frozen prefixes: states of a clip below the lowest trainable parameter.

One file a clip, in safetensors, memory-mapped, addressed by the clip's content and by all that the
prefix depends on (`namespace`). A file appears whole or not at all, so that any number of processes may
share a store; a changed clip, backbone or setting has another address, so that none is ever stale; and what is read
must have its checksum.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from affetto import audio
from affetto.audio.changes import Change
from affetto.errors import UserError
from affetto.files import replacing, write_text
from affetto.models.bank import Bank, fits
from affetto.models.classifier import Classifier, Prefix
from affetto.models.device import capabilities, send
from affetto.models.parallel import side_by_side
from affetto.models.pipeline import prefixes, stream
from affetto.models.storage import default_root

FORMAT = 2
"""Raised when the same clip, weights and settings give another prefix: stored ones are then computed anew."""
PRECISIONS = {"float16": torch.float16, "float32": torch.float32}
FLOAT16_OVERFLOW = 65520.0
"""The smallest number that float16 rounds to infinity."""
CHECKSUM = "crc32"
"""Key of the checksum of a file's tensors, in its header."""
IN_MEMORY_BYTES = 2**30
"""Prefixes up to this size in all are kept in memory; more are read from the (memory-mapped) files, batch by batch."""


@dataclass(frozen=True)
class Source:
    """Place of a clip's audio: a file, or its section from `start` to `end` seconds."""

    path: Path
    start: float | None = None
    end: float | None = None
    change: Change | None = None
    """Change of the voice; None: the clip as it is recorded."""

    def digest(self) -> str:
        """SHA-256 of the file's content, the section and the change. Raises AudioError for an unreadable file."""
        content = audio.content_digest(self.path)
        if self.start is not None or self.end is not None:
            content = hashlib.sha256(f"{content} {self.start} {self.end}".encode()).hexdigest()
        return content if self.change is None else self.change.address(content)

    def load(self, seconds: float | None) -> np.ndarray:
        """The wave (samples,), changed and then cropped to `seconds`."""
        samples = audio.load(self.path, self.start, self.end)
        if self.change is not None:
            if seconds is not None:  # what is cropped need not be changed
                samples = audio.crop(samples, self.change.source_seconds(seconds))
            samples = self.change.apply(samples)
        return audio.crop(samples, seconds)


class PrefixStore:
    """The files of one namespace: one classifier's cut, one precision, one kind of device."""

    def __init__(self, identity: dict[str, Any], precision: str = "float16", root: Path | None = None) -> None:
        self.precision = precision
        identity = identity | {"precision": precision, "format": FORMAT}
        text = json.dumps(identity, sort_keys=True)
        self.folder = (root or default_root()) / "prefixes" / hashlib.sha256(text.encode()).hexdigest()[:24]
        self._identity = identity

    def file(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.safetensors"

    def get(self, key: str) -> Prefix | None:
        """The stored prefix, or None; a broken or altered file counts as absent."""
        try:
            with safe_open(self.file(key), framework="pt") as file:
                prefix = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
                expected = (file.metadata() or {}).get(CHECKSUM)
        except (SafetensorError, OSError):
            return None
        return prefix if prefix and _checksum(prefix) == expected else None

    def put(self, key: str, prefix: Prefix) -> Prefix:
        """Store and return what a later `get` will return. Raises UserError where the disk is full."""
        stored = {name: self._round(tensor) for name, tensor in prefix.items()}
        file = self.file(key)
        content = save(stored, metadata={CHECKSUM: _checksum(stored)})
        try:
            try:
                self._write(content, file)
            except FileNotFoundError:  # another process, pruning, has taken the empty folder away
                self._write(content, file)
        except OSError as problem:
            raise UserError(
                f"the store of frozen states cannot be written in {self.folder} ({problem.strerror}): make room there, "
                "or set AFFETTO_CACHE to a folder on another disk; what is stored already stays good"
            ) from None
        return stored

    def _write(self, content: bytes, file: Path) -> None:
        if not file.parent.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            self._describe()
        with replacing(file) as temporary:
            temporary.write_bytes(content)

    def _round(self, tensor: Tensor) -> Tensor:
        """Tensor in the store's precision, or in its own if a value would overflow there."""
        tensor = tensor.detach().cpu()
        least, most = tensor.aminmax()
        # Of a number that is none (NaN) no comparison is true, and it stays as it is.
        fits = self.precision == "float16" and -float(least) < FLOAT16_OVERFLOW and float(most) < FLOAT16_OVERFLOW
        return (tensor.to(PRECISIONS[self.precision]) if fits else tensor).contiguous()

    def _describe(self) -> None:
        """Describe the folder's content in a file, for people and for pruning."""
        description = self.folder / "namespace.json"
        if not description.exists():
            write_text(description, json.dumps(self._identity, indent=2, sort_keys=True) + "\n")


class PrefixData:
    """The prefixes of many clips under one classifier, by clip id."""

    def __init__(
        self,
        classifier: Classifier,
        store: PrefixStore,
        sources: dict[str, Source],
        keys: dict[str, str],
        seconds: float | None,
    ) -> None:
        self.classifier, self.store, self.sources, self.keys, self.seconds = classifier, store, sources, keys, seconds
        self.frames: dict[str, int] = {}
        self._memory: dict[str, Prefix] = {}
        self._bytes = 0
        self._bank: Bank | None = None
        self._bank_device: torch.device | None = None

    def prepare(self, progress: Callable[[int, int], None] | None = None) -> dict[str, str]:
        """Compute and store what is missing. Returns {clip id: problem} of clips whose audio is unusable.

        On the CPU clips are decoded and computed side by side; for a GPU they are decoded ahead, and it takes padded
        batches of like length.
        """
        bad: dict[str, str] = {}
        for n, (clip_id, prefix) in enumerate(self._prefixes(self.sources)):
            if isinstance(prefix, audio.AudioError):
                bad[clip_id] = str(prefix)
            else:
                self._keep(clip_id, prefix)
            if progress is not None:
                progress(n + 1, len(self.sources))
        self.frames = {clip_id: self.frames[clip_id] for clip_id in self.sources if clip_id in self.frames}
        return {clip_id: bad[clip_id] for clip_id in self.sources if clip_id in bad}

    def _prefixes(self, ids: Iterable[str]) -> Iterator[tuple[str, Prefix | audio.AudioError]]:
        """Each clip's prefix, read or computed, in any order.

        Side by side it has the same bits however many are asked for; in batches it hangs on them by rounding.
        """
        ids = list(ids)
        outcomes: Iterator[tuple[str, Prefix | Exception]]
        if self._is_side_by_side:
            outcomes = zip(ids, side_by_side(self._compute, ids), strict=True)
        else:
            outcomes = stream(self.classifier, ids, self._decode, self._put)
        for clip_id, outcome in outcomes:
            if not isinstance(outcome, Exception):
                yield clip_id, outcome
            elif isinstance(outcome, audio.AudioError):
                yield clip_id, self._name_file(clip_id, outcome)
            else:
                raise outcome

    @property
    def _is_side_by_side(self) -> bool:
        """True if clips are computed alone, some at once, and not in padded batches."""
        return capabilities(self.classifier.backbone.device).clips_side_by_side

    def _compute(self, clip_id: str) -> Prefix:
        content = self._decode(clip_id)
        return self._put(clip_id, self.classifier.prefix(content)) if isinstance(content, np.ndarray) else content

    def _decode(self, clip_id: str) -> Prefix | np.ndarray:
        stored = self.store.get(self.keys[clip_id])
        if stored is not None:
            return stored
        source = self.sources[clip_id]
        return source.load(self.seconds if source.change is None else self._longest_seconds)

    @property
    def _longest_seconds(self) -> float | None:
        """Length to which a changed clip is cropped: played slower, it may be longer than the backbone takes."""
        limits = (self.seconds, self.classifier.backbone.longest_seconds)
        return min((limit for limit in limits if limit is not None), default=None)

    def _put(self, clip_id: str, prefix: Prefix) -> Prefix:
        return self.store.put(self.keys[clip_id], prefix)

    def _name_file(self, clip_id: str, problem: audio.AudioError) -> audio.AudioError:
        """The error with the clip's file in front, which errors of decoding have already."""
        path = str(self.sources[clip_id].path)
        return problem if str(problem).startswith(f"{path}: ") else audio.AudioError(f"{path}: {problem}")

    def _keep(self, clip_id: str, prefix: Prefix) -> None:
        self.frames[clip_id] = next(iter(prefix.values())).shape[0]
        size = sum(tensor.nbytes for tensor in prefix.values())
        if self._bytes + size <= IN_MEMORY_BYTES:
            # Cloned, so that no mapped file is held open for the length of a training.
            self._memory[clip_id] = {name: tensor.clone() for name, tensor in prefix.items()}
            self._bytes += size

    def __getitem__(self, clip_id: str) -> Prefix:
        # Not in memory nor, pruned or broken meanwhile, in the store: computed again.
        return self._memory.get(clip_id) or self._again(clip_id)

    def _again(self, clip_id: str) -> Prefix:
        stored = self.store.get(self.keys[clip_id])
        if stored is None:
            ((_, outcome),) = self._prefixes([clip_id])
            if isinstance(outcome, audio.AudioError):
                raise outcome
            stored = outcome
        return stored

    def bank(self, device: torch.device) -> Bank | None:
        """All prefixes, packed on the device at the first call; None where they do not fit or nothing is gained."""
        if device != self._bank_device:
            self._bank_device = device
            self._bank = Bank(self, tuple(self.frames), device) if fits(self, device) else None
        return self._bank

    def batch(self, ids: Sequence[str], device: torch.device) -> tuple[Prefix, Tensor]:
        """Prefixes of several clips as float32, zero-padded to the longest, and their lengths (batch,).

        The lengths lie on the CPU, or on the device where the prefixes are packed there.
        """
        bank = self.bank(device)
        if bank is not None:
            return bank.gather(bank.index(ids), max(self.frames[clip_id] for clip_id in ids))
        return collate([self[clip_id] for clip_id in ids], device)

    def fresh_batch(
        self, ids: Sequence[str], device: torch.device, change: Callable[[str, np.ndarray], np.ndarray]
    ) -> tuple[Prefix, Tensor]:
        """As `batch`, of waves that `change(clip id, wave)` has altered: computed anew, nothing is stored."""

        def load(clip_id: str) -> np.ndarray:
            return audio.crop(change(clip_id, self.sources[clip_id].load(None)), self._longest_seconds)

        if self._is_side_by_side:
            return collate([self.classifier.prefix(load(clip_id)) for clip_id in ids], device)
        waves = []
        for outcome in side_by_side(load, ids, computes=False):
            if isinstance(outcome, Exception):
                raise outcome
            waves.append(outcome)
        return collate(prefixes(self.classifier, waves), device)


def collate(prefixes: Sequence[Prefix], device: torch.device) -> tuple[Prefix, Tensor]:
    """[{name: (frames, …)}] → {name: (batch, frames, …)} float32 on `device`, and lengths (batch,), on the CPU."""
    batch = {
        name: torch.nn.utils.rnn.pad_sequence([prefix[name].float() for prefix in prefixes], batch_first=True)
        for name in prefixes[0]
    }
    lengths = torch.tensor([next(iter(prefix.values())).shape[0] for prefix in prefixes])
    return {name: send(tensor, device) for name, tensor in batch.items()}, lengths


def _checksum(prefix: Prefix) -> str:
    """CRC-32 of a prefix's names, types, shapes and values, in hexadecimal: against a disk's mistakes, not forgers."""
    crc = 0
    for name, tensor in sorted(prefix.items()):
        crc = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode(), crc)
        crc = zlib.crc32(tensor.numpy().data, crc)
    return f"{crc:08x}"
