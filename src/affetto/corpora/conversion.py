"""A corpus written anew in another format: `affetto corpora convert`.

The new folder appears whole or not at all. Its listing names the recordings where they are, or with `copy` copies of
them in the folder `audio`, so that the new folder stands alone.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath

from affetto.corpora.amounts import verb
from affetto.corpora.audit import faults_note
from affetto.corpora.corpus import Corpus
from affetto.corpora.folders import MARKER
from affetto.corpora.formats.written_rows import Folds
from affetto.corpora.manifest import Clip, Manifest
from affetto.corpora.provenance import RECORD, write_record
from affetto.corpora.registry import CORPORA
from affetto.errors import UserError, unknown
from affetto.files import replacing_folder

AUDIO = "audio"
"""Folder of copied recordings."""


def writable() -> dict[str, Corpus]:
    """The formats that can be written, by name."""
    return {name: record for name, record in CORPORA.items() if record.write is not None}


def convert(
    manifest: Manifest,
    out: Path,
    form: str,
    *,
    folds: Folds | None = None,
    copy: bool = False,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[str, ...]:
    """Write a manifest to the folder `out` in the format `form`; notes on what the format cannot hold, and on clips
    that cannot be used, by their headers.

    `folds` (the part of each clip, by fold and clip id) replaces the clips' own parts. `progress(done, total)` is
    called after each copied recording, and again after each header. Raises UserError, and leaves `out` as it was, where
    that cannot be done.
    """
    record = writable().get(form)
    if record is None or record.write is None:
        raise unknown("format to write", form, writable())
    _refuse_existing(out, manifest, overwrite)
    if folds is not None and len(folds) == 1:
        (parts,) = folds.values()
        manifest = replace(manifest, clips=tuple(replace(c, part=parts.get(c.id)) for c in manifest.clips))
        folds = None
    if folds and not record.holds_folds:
        names = ", ".join(name for name, able in writable().items() if able.holds_folds)
        raise UserError(f"{record.title} holds one split, not {len(folds)} folds: use {names}, or another --split")
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        with replacing_folder(out, overwrite=overwrite) as folder:
            copies = copy and not record.embeds_audio
            clips = _copied(manifest, folder, progress) if copies else _located(manifest)
            root = folder if copies else manifest.root
            written = replace(manifest, root=root, clips=tuple(clips.values()), roots={})
            renamed = {
                fold: {clips[clip].id: part for clip, part in parts.items()} for fold, parts in (folds or {}).items()
            }
            notes = record.write(written, folder, folds=renamed, copy=copy)
            write_record(folder, form, manifest)
            if manifest.synthetic:
                marker = {"synthetic": True, "corpus": manifest.corpus}
                (folder / MARKER).write_text(json.dumps(marker) + "\n", encoding="utf-8")
    except OSError as problem:
        raise UserError(f"{out} cannot be written ({problem.strerror}); give another folder") from None
    return (*notes, *_facts_left_behind(manifest), *faults_note(manifest, progress=progress))


def _refuse_existing(out: Path, manifest: Manifest, overwrite: bool) -> None:
    """Raise UserError where something would be lost: `overwrite` replaces an earlier conversion, and nothing else."""
    if out.is_file():
        raise UserError(f"{out} is a file; give a new folder")
    if not out.is_dir() or not any(out.iterdir()):
        return
    if not overwrite:
        raise UserError(f"{out} exists already: give a new folder, or replace it with --overwrite")
    if not (out / RECORD).is_file():
        raise UserError(
            f"{out} is no earlier conversion (it has no {RECORD}), so it is not replaced; give a new folder"
        )
    target = out.resolve()
    if any(target in manifest.path(clip).resolve().parents for clip in manifest.clips):
        raise UserError(f"{out} holds recordings of {manifest.corpus} itself, so it is not replaced; give a new folder")


def _located(manifest: Manifest) -> dict[str, Clip]:
    """The clips with the absolute paths of their recordings, by their earlier ids."""
    return {clip.id: replace(clip, file=os.path.abspath(manifest.path(clip))) for clip in manifest.clips}


def _copied(manifest: Manifest, folder: Path, progress: Callable[[int, int], None] | None) -> dict[str, Clip]:
    """The clips of recordings that are copied into `folder` and named from there on, by their earlier ids."""
    names: dict[Path, str] = {}
    used: set[str] = set()
    for clip in manifest.clips:
        source = manifest.path(clip)
        if source not in names:
            names[source] = _free_name(clip.file, used)
    for done, (source, name) in enumerate(names.items(), start=1):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(source, target)
        except OSError as problem:
            raise UserError(f"{source} cannot be copied ({problem.strerror}); leave it out, or --copy") from None
        if progress:
            progress(done, len(names))
    return {clip.id: replace(clip, file=names[manifest.path(clip)]) for clip in manifest.clips}


def _free_name(file: str, used: set[str]) -> str:
    """A name in the folder of audio: the file's own path, or for one from outside its last part."""
    path = PurePosixPath(file)
    inside = PurePosixPath(path.name) if path.is_absolute() or ".." in path.parts else path
    name, number = f"{AUDIO}/{inside}", 1
    while name.casefold() in used:  # some file systems do not tell capitals from small letters
        number += 1
        name = f"{AUDIO}/{inside.with_name(f'{inside.stem}-{number}{inside.suffix}')}"
    used.add(name.casefold())
    return name


def _facts_left_behind(manifest: Manifest) -> tuple[str, ...]:
    facts = [*["official counts"] * bool(manifest.official), *["default split"] * bool(manifest.protocol)]
    if not facts:
        return ()
    number = 2 * bool(manifest.official) + bool(manifest.protocol)
    return (f"the {' and '.join(facts)} of {manifest.corpus} {verb(number, 'are')} in {RECORD} alone",)
