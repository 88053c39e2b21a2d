"""Origin of what a run learns from: licences for metrics and the model card, and a data sheet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from affetto.corpora.datasheet import datasheet
from affetto.corpora.licences import allows_commercial_use
from affetto.corpora.manifest import Origin
from affetto.models.licences import Licence
from affetto.training.data import Data
from affetto.training.provenance import SPECIALIZED
from affetto.training.runs import DATASHEET, RunFolder
from affetto.training.spec import RunSpec


def origin_facts(data: Data, spec: RunSpec) -> dict[str, Any]:
    """Collect `licence` (all texts in one), `licences` and `synthetic` of the corpora that a run learns from.

    The corpus that `affetto specialize` trained the backbone on is among them.
    """
    entries = [_of(origin, "tested") for origin in data.manifest.origins]
    entries += [_of(origin, "auxiliary") for manifest in data.auxiliary.manifests for origin in manifest.origins]
    if not spec.random_weights:
        entries += _of_backbone(spec.backbone)
    return {
        "licence": data.licence,
        "licences": [entry.fields() for entry in entries],
        "synthetic": data.is_synthetic,
    }


def write_datasheet(folder: RunFolder, data: Data) -> None:
    """Write the data sheet of the corpora that a run learns from into its folder."""
    auxiliary = [(manifest, "in training alone") for manifest in data.auxiliary.manifests]
    folder.write_text(DATASHEET, datasheet([(data.manifest, "trained and tested on"), *auxiliary]))


def _of(origin: Origin, role: str) -> Licence:
    return Licence(
        corpus=origin.corpus,
        licence=origin.licence,
        commercial_use=allows_commercial_use(origin.licence),
        synthetic=origin.synthetic,
        role=role,
    )


def _of_backbone(backbone: str) -> list[Licence]:
    """Licence of the corpus that `affetto specialize` trained the backbone on; [] for any other backbone."""
    try:
        corpus = json.loads((Path(backbone) / SPECIALIZED).read_text(encoding="utf-8"))["corpus"]
        name, licence = str(corpus["name"]), str(corpus.get("licence") or "")
        is_synthetic = bool(corpus.get("synthetic"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
    return [
        Licence(
            corpus=name,
            licence=licence,
            commercial_use=allows_commercial_use(licence),
            synthetic=is_synthetic,
            role="backbone",
        )
    ]
