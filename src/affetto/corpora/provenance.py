"""The record of a converted folder: where its clips come from, and their licence, which moves with them."""

from __future__ import annotations

import json
from pathlib import Path

from affetto.corpora.manifest import Manifest

RECORD = "conversion.json"


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
    """The licence of a converted corpus, by the record in its folder; "" where there is none."""
    folder = path if path.is_dir() else path.parent
    try:
        content = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    licence = content.get("licence") if isinstance(content, dict) else None
    return licence if isinstance(licence, str) else ""
