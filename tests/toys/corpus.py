"""Lodge, a corpus that nobody published: two moods of three porters.

    LODGE/takes/<porter>-<mood>-<take>.wav      ada-gio-1.wav: Ada is glad, first take

All of it was written for a test and is in the public domain.
"""

from __future__ import annotations

import re
from pathlib import Path

from affetto.corpora.corpus import Corpus
from affetto.corpora.folders import existing_folder, files_of, passed_over
from affetto.corpora.labels import canonical
from affetto.corpora.manifest import Clip, Manifest

_FILE = re.compile(r"(ada|bea|carlo)-(gio|tri)-(\d)\.wav")


def matches(path: Path) -> bool:
    folder = path / "takes"
    return folder.is_dir() and any(_FILE.fullmatch(file.name) for file in files_of(folder))


def read(path: Path, *, label_map: dict[str, str] | None = None, strict: bool = False) -> Manifest:
    root = existing_folder(path, CORPUS.title)
    clips = []
    for file in files_of(root / "takes"):
        fit = _FILE.fullmatch(file.name)
        emotion = canonical(fit[2], where=file.name, label_map=label_map) if fit else None
        if fit and emotion:
            clips.append(Clip(file=f"takes/{file.name}", emotion=emotion, speaker=fit[1], prompt=fit[3]))
    notes = passed_over(root, {clip.file for clip in clips}, "<porter>-<mood>-<take>.wav")
    return CORPUS.manifest(root, clips, notes=notes, strict=strict)


CORPUS = Corpus(
    name="lodge",
    title="Lodge",
    matches=matches,
    read=read,
    licence="public domain",
    language="Italian",
    official={"joy": 6, "sadness": 6},
    genders={"female": 2, "male": 1},
    protocol="loso",
    protocol_reason="three speakers",
    sentences={"1": "Buongiorno", "2": "Buonasera"},
)
