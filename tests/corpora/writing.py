"""A manifest written as a table, to be read back."""

from __future__ import annotations

import csv
import os
from pathlib import Path

from affetto.corpora.formats.rows import EXTRA
from affetto.corpora.manifest import Manifest

COLUMNS = ("file", "emotion", "speaker", "gender", "split", "prompt", "sentence", "start", "end")


def write_table(manifest: Manifest, path: Path) -> None:
    """Write a table that reads back equal: in the manifest's root to the same clips, elsewhere to the same audio."""
    extras = sorted({name for clip in manifest.clips for name, _ in clip.extra})
    header = [*COLUMNS, *(EXTRA + name for name in extras), *["synthetic"] * manifest.synthetic]
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",", lineterminator="\n")
        writer.writerow(header)
        for clip in manifest.clips:
            facts = dict(clip.extra)
            stored = clip.file if path.parent == manifest.root else os.fspath(manifest.path(clip))
            optional = (clip.gender, clip.part, clip.prompt, clip.sentence, clip.start, clip.end)
            row = [stored, clip.emotion, clip.speaker, *("" if value is None else str(value) for value in optional)]
            writer.writerow([*row, *(facts.get(name, "") for name in extras), *["true"] * manifest.synthetic])
