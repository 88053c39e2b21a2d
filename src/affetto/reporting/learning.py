"""Learning curves of a report: of each corpus the backbone with the highest score, and of few backbones all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from affetto.errors import UserError
from affetto.reporting import curves
from affetto.reporting.pictures import grouped, highest, stem
from affetto.reporting.render.picture import Picture, slug
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.naming import Naming, backbone_title, corpus_title, split_title
from affetto.reporting.results.records import Configuration

FEW = 3
"""Up to so many backbones of a corpus are all drawn."""
COLUMNS = 6
"""Methods side by side in one figure."""


def pictures(evidence: Evidence) -> tuple[Picture, ...]:
    """Of each corpus and backbone, the one with the highest score first; of many backbones that one alone."""
    made = []
    for corpus, split, ones in grouped(evidence):
        learned = [one for one in ones if one.axes.method != "probe"]
        backbones = list(dict.fromkeys(one.axes.backbone for one in learned))
        if not learned:
            continue
        best = highest(evidence, learned).axes.backbone
        chosen = sorted(backbones, key=lambda name: name != best)[: FEW if len(backbones) <= FEW else 1]
        for backbone in chosen:
            of_one = [one for one in learned if one.axes.backbone == backbone][:COLUMNS]
            picture = _curves(evidence, of_one, corpus, split)
            made += [picture] if picture else []
    return tuple(made)


def _curves(evidence: Evidence, ones: Sequence[Configuration], corpus: str, split: str) -> Picture | None:
    """Learning curves of the methods on one corpus and backbone; None where none of them has a log."""
    naming = Naming(ones, hide=("corpus", "split", "backbone"))
    logs: dict[str, dict[str, Any]] = {}
    for one in ones:
        epochs: dict[str, Any] = {}
        for run in one.done:
            try:
                epochs |= {f"{run.axes.seed} {fold}": rows for fold, rows in run.logs.items() if _judged(rows)}
            except UserError as problem:
                evidence.notes.append(str(problem))
        if epochs:
            logs[naming.label(one)] = epochs
    if not logs:
        return None
    title = f"Learning curves: {corpus_title(corpus)}, {split_title(split)}, {backbone_title(ones[0].axes)}"
    chance = fmean(run.test["chance"]["macro_f1"] for run in ones[0].done)
    name = f"curves-{stem(evidence, corpus, split)}-{slug(backbone_title(ones[0].axes))}"
    synthetic = all(one.synthetic for one in ones)

    def draw(path: Path) -> Path:
        return curves.curves_by_method(logs, path, title, synthetic, chance=chance)

    return Picture(name, title, f"{title}: training loss and validation macro F1 over the epochs.", draw)


def _judged(rows: Sequence[dict[str, Any]]) -> bool:
    return any(row.get("stage", "select") == "select" and row.get("epoch") for row in rows)
