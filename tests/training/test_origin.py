"""Licences that a run records, of all corpora that it learns from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from affetto.corpora.manifest import Clip, Manifest, merge
from affetto.training.origin import origin_facts, write_datasheet
from affetto.training.runs import RunFolder


def manifest(name: str, licence: str, *, synthetic: bool = False) -> Manifest:
    clip = Clip(file="a.wav", emotion="joy", speaker="s", corpus=name)
    return Manifest(corpus=name, root=Path(), clips=(clip,), key=name, licence=licence, synthetic=synthetic)


def test_all_corpora_that_are_learned_from_are_listed(tmp_path: Path) -> None:
    (tmp_path / "specialized.json").write_text(json.dumps({"corpus": {"name": "commonvoice", "licence": "CC0"}}))
    tested = merge([manifest("one", "CC BY-NC 4.0"), manifest("two", "", synthetic=True)])
    data = SimpleNamespace(
        manifest=tested.only(lambda clip: True),
        auxiliary=SimpleNamespace(manifests=(manifest("third", "CC BY 4.0"),)),
        licence="text",
        is_synthetic=True,
    )
    spec = SimpleNamespace(backbone=str(tmp_path), random_weights=False)
    facts = origin_facts(data, spec)
    rows = [(row["corpus"], row["commercial_use"], row["synthetic"], row["role"]) for row in facts["licences"]]
    assert rows == [
        ("one", False, False, "tested"),
        ("two", None, True, "tested"),
        ("third", True, False, "auxiliary"),
        ("commonvoice", True, False, "backbone"),
    ]
    assert facts["synthetic"] and facts["licence"] == "text"
    spec.random_weights = True
    assert len(origin_facts(data, spec)["licences"]) == 3
    assert replace(tested, joined=()).origins[0].corpus == "one+two"
    write_datasheet(RunFolder(tmp_path), data)
    sheet = (tmp_path / "datasheet.md").read_text(encoding="utf-8")
    assert sheet.count("\n## ") == 3 and "third" in sheet and str(tmp_path) not in sheet
