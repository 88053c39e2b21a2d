"""Origin of a collection: the record of a conversion, with the licence that moves with the clips, or a licence file."""

from __future__ import annotations

import json
from pathlib import Path

from affetto.corpora.manifest import Manifest

RECORD = "conversion.json"
LICENCE_FILE = "licence.txt"
"""File beside a collection of one's own, whose first line names the licence."""
LONGEST_LICENCE = 200


def write_record(folder: Path, form: str, manifest: Manifest) -> None:
    """Write the facts of the corpus that was converted to the format `form`."""
    content = {
        "format": form,
        "corpus": manifest.corpus,
        "root": str(manifest.root),
        "clips": len(manifest.clips),
        "checksum": manifest.checksum(with_annotations=True),
        "licence": manifest.licence,
        "protocol": manifest.protocol,
        "official": manifest.official,
    }
    (folder / RECORD).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def recorded_licence(path: Path) -> str:
    """Licence of a collection, by `licence.txt` or the record of a conversion in its folder; "" for none."""
    folder = path if path.is_dir() else path.parent
    return _stated_licence(folder / LICENCE_FILE) or _converted_licence(folder / RECORD)


def _stated_licence(file: Path) -> str:
    """First line of the file that is not blank, cut to a length that a table can show; "" where there is none."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return ""
    return next((line.strip()[:LONGEST_LICENCE] for line in lines if line.strip()), "")


def _converted_licence(file: Path) -> str:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    licence = content.get("licence") if isinstance(content, dict) else None
    return licence if isinstance(licence, str) else ""
