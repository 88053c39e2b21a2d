"""A split: the clips that train, those that choose the model, those that are tested; and its file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from affetto.corpora.manifest import PARTS
from affetto.errors import UserError, unknown
from affetto.files import write_text

FORMAT = 1
WHOLE = "all"
"""The name of the fold of a protocol that has one fold only."""


@dataclass(frozen=True)
class Fold:
    """Three disjoint lists of clip ids, in the manifest's order; clips in none of them are left out."""

    name: str
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    @property
    def parts(self) -> dict[str, tuple[str, ...]]:
        return {part: getattr(self, part) for part in PARTS}


@dataclass(frozen=True)
class Split:
    """The folds of a protocol over one manifest, with the findings of their audit."""

    protocol: str
    seed: int
    corpus: str
    folds: tuple[Fold, ...]
    checksum: str
    """SHA-256 over the folds' membership (`membership`); two splits alike in it train and test the same."""
    audit: dict[str, Any] = field(default_factory=dict)
    """`affetto.splits.audit.Audit`; plain JSON."""
    notes: tuple[str, ...] = ()

    def fold(self, name: str) -> Fold:
        """The fold of that name."""
        for fold in self.folds:
            if fold.name == name:
                return fold
        raise unknown("fold", name, [fold.name for fold in self.folds])

    def save(self, path: Path | str) -> None:
        """Write the split as JSON, whole or not at all.

        A fold's training clips are not listed: they are all `clips` that stand in no other list of the
        fold. So leave-one-speaker-out over hundreds of speakers stays a small file.
        """
        clips = list(_everything(self.folds))
        folds = []
        for fold in self.folds:
            used = {*fold.train, *fold.validation, *fold.test}
            left_out = [clip for clip in clips if clip not in used]
            folds.append({"name": fold.name, "validation": fold.validation, "test": fold.test, "left_out": left_out})
        content: dict[str, Any] = {
            "format": FORMAT,
            "protocol": self.protocol,
            "seed": self.seed,
            "corpus": self.corpus,
            "checksum": self.checksum,
            "notes": self.notes,
            "audit": self.audit,
            "folds": folds,
            "clips": clips,
        }
        text = json.dumps({**content, "seal": _seal(content)}, indent=1, ensure_ascii=False) + "\n"
        write_text(Path(path), text, sync=True)

    @classmethod
    def load(cls, path: Path | str) -> Split:
        """Read a split that `save` wrote; UserError if it is missing, no split, or was changed since."""
        path = Path(path)
        content = _read(path)
        seal = content.pop("seal", None)
        try:
            folds = tuple(_fold(entry, content["clips"]) for entry in content["folds"])
            split = cls(
                protocol=content["protocol"],
                seed=content["seed"],
                corpus=content["corpus"],
                folds=folds,
                checksum=content["checksum"],
                audit=content["audit"],
                notes=tuple(content["notes"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path}: not a split file ({error!r}): make the split anew") from error
        if split.checksum != membership(folds) or seal != _seal(content):
            raise UserError(
                f"{path}: the split was changed since it was written (its checksum does not fit): "
                "restore the file, or make the split anew and train anew with it"
            )
        return split


def parts_by_fold(split: Split) -> dict[str, dict[str, str]]:
    """The part of each clip in each fold, by the fold's name and the clip's id."""
    return {fold.name: {clip: part for part, clips in fold.parts.items() for clip in clips} for fold in split.folds}


def membership(folds: Iterable[Fold]) -> str:
    """SHA-256 over the folds' names and each part's clip ids, whatever protocol or order they came from."""
    digest = hashlib.sha256()
    for fold in folds:
        digest.update(f"fold\x1f{fold.name}\x1e".encode())
        for part, clips in fold.parts.items():
            digest.update(f"part\x1f{part}\x1e".encode())
            digest.update("\x1e".join(sorted(clips)).encode() + b"\x1d")
    return digest.hexdigest()


def _everything(folds: Iterable[Fold]) -> list[str]:
    """The clips of all folds, sorted as a manifest sorts them."""
    return sorted({clip for fold in folds for clips in fold.parts.values() for clip in clips})


def _fold(entry: dict[str, Any], clips: list[str]) -> Fold:
    """A fold of the file, its training clips filled in."""
    elsewhere = {*entry["validation"], *entry["test"], *entry["left_out"]}
    return Fold(
        name=entry["name"],
        train=tuple(clip for clip in clips if clip not in elsewhere),
        validation=tuple(entry["validation"]),
        test=tuple(entry["test"]),
    )


def _seal(content: dict[str, Any]) -> str:
    """SHA-256 over the file's content, so that an edited note or audit is found as well."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _read(path: Path) -> dict[str, Any]:
    """The JSON object in a split file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot read the split ({error.strerror}): check the path") from error
    except ValueError as error:
        raise UserError(f"{path}: not a split file (no JSON: {error}): make the split anew") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        version = content.get("format") if isinstance(content, dict) else None
        raise UserError(f"{path}: not a split file of format {FORMAT} (found: {version}): make the split anew")
    return content
