"""Where the runs come from: versions, commits, hardware, precision, and the checksums of all that went in."""

from __future__ import annotations

import json
from collections.abc import Sequence

from affetto.reporting.render.sheet import Cell, Sheet, columns, count_cell, text_cell
from affetto.reporting.render.stamps import stamp
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.naming import backbone_title, corpus_title
from affetto.reporting.results.records import Run

DIGITS = 12


def provenance(evidence: Evidence) -> list[Sheet]:
    """A table of the machines and versions, and one of the inputs."""
    results = evidence.results
    said = stamp(synthetic=results.synthetic, partly=results.partly_synthetic)
    return [sheet for sheet in (_machines(results.done, said), _inputs(results.done, said)) if sheet.rows]


def _machines(runs: Sequence[Run], said: str) -> Sheet:
    """A row for each distinct set of versions, commit and hardware, with how many runs are of it."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        told = (run.metrics or {}).get("provenance") or {}
        groups.setdefault(json.dumps(told), []).append(run)
    rows = []
    for key, members in groups.items():
        told = json.loads(key)
        versions = told.get("versions") or {}
        rows.append(
            (
                count_cell(len(members)),
                text_cell(told.get("device")),
                text_cell(told.get("threads")),
                text_cell(told.get("commit")),
                text_cell(", ".join(sorted({str(run.metrics["precision"]) for run in members if run.metrics}))),
                Cell(", ".join(f"{name} {version}" for name, version in versions.items() if version)),
            )
        )
    heads = columns(
        "runs",
        "device",
        "threads",
        "commit",
        "precision",
        "versions",
        left=("device", "commit", "precision", "versions"),
    )
    caption = "What the runs were computed by. Numbers may differ in their last digits between devices and precisions."
    return Sheet("provenance", "Machines and versions", heads, tuple(rows), caption, (), said)


def _inputs(runs: Sequence[Run], said: str) -> Sheet:
    """A row for each backbone on each corpus: SHA-256 of clips, labels and weights."""
    rows = {}
    for run in runs:
        facts = run.facts
        named = (run.axes.corpus, run.axes.backbone, run.axes.weights_seed)
        digests = tuple(str(facts.get(name, "")) for name in ("manifest", "audio", "weights"))
        title = backbone_title(run.axes) + (" (random weights)" if run.axes.random_weights else "")
        rows[*named, *digests] = (
            text_cell(corpus_title(run.axes.corpus)),
            text_cell(title),
            *(Cell(d[:DIGITS] or "–", d or None) for d in digests),
        )
    names = ("corpus", "backbone", "clips and labels", "audio", "weights")
    caption = "SHA-256 of what went in (whole in the CSV file): equal sums mean equal inputs."
    return Sheet("inputs", "Inputs", columns(*names, left=names), tuple(rows.values()), caption, (), said)
