"""Provenance of the runs: versions, commits, hardware, precision, and the checksums of all inputs."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from affetto.reporting.chapters.chapter import Chapter
from affetto.reporting.render.section import Section
from affetto.reporting.render.sheet import Cell, Sheet, columns, count_cell, text_cell
from affetto.reporting.render.stamps import stamp
from affetto.reporting.render.text import DASH
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.naming import auxiliary_title, backbone_title, corpus_title
from affetto.reporting.results.records import Run

SHOWN_DIGITS = 12
DIGESTS = ("manifest", "audio", "weights")


def build(evidence: Evidence) -> Section:
    results = evidence.results
    stamp_text = stamp(synthetic=results.synthetic, partly=results.partly_synthetic)
    tables = (machine_table(results.every_done, stamp_text), input_table(results.every_done, stamp_text))
    return Section(
        words=(
            "Machines and inputs of the runs. Two reports of the same runs are identical to the byte: they hold no "
            "date."
        ),
        items=tuple(table for table in tables if table.rows),
    )


def machine_table(runs: Sequence[Run], stamp_text: str = "") -> Sheet:
    """A row for each distinct set of versions, commit and hardware, with the number of its runs."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        provenance = (run.metrics or {}).get("provenance") or {}
        groups.setdefault(json.dumps(provenance), []).append(run)
    return Sheet(
        name="provenance",
        title="Machines and versions",
        columns=columns(
            *("runs", "device", "threads", "commit", "precision", "versions"),
            texts=("device", "commit", "precision", "versions"),
        ),
        rows=tuple(_machine_row(json.loads(text), members) for text, members in groups.items()),
        caption=(
            "Devices, versions and commits that computed the runs. Numbers may differ in their last digits between "
            "devices and precisions."
        ),
        stamp=stamp_text,
    )


def input_table(runs: Sequence[Run], stamp_text: str = "") -> Sheet:
    """A row for each backbone on each corpus: SHA-256 of clips, labels and weights; behind them auxiliary corpora."""
    rows: dict[Hashable, tuple[Cell, ...]] = {}
    joined: dict[Hashable, tuple[Cell, ...]] = {}
    for run in runs:
        axes = run.axes
        digests = tuple(str(run.facts.get(name, "")) for name in DIGESTS)
        title = backbone_title(axes) + (" (random weights)" if axes.random_weights else "")
        rows[axes.corpus, axes.backbone, axes.weights_seed, digests] = (
            text_cell(corpus_title(axes.corpus)),
            text_cell(title),
            *(Cell(digest[:SHOWN_DIGITS] or DASH, digest or None) for digest in digests),
        )
        facts = run.facts.get("auxiliary") or {}
        for name, edition in zip(axes.auxiliary_names, axes.auxiliary.split("+"), strict=False):
            digests = tuple(str(facts.get(name, {}).get(kind, "")) for kind in DIGESTS[:2])
            joined[edition, digests] = (
                text_cell(auxiliary_title(edition)),
                text_cell(None),
                *(Cell(digest[:SHOWN_DIGITS] or DASH, digest or None) for digest in (*digests, "")),
            )
    names = ("corpus", "backbone", "clips and labels", "audio", "weights")
    return Sheet(
        name="inputs",
        title="Inputs",
        columns=columns(*names, texts=names),
        rows=(*rows.values(), *joined.values()),
        caption="SHA-256 of the inputs (complete in the CSV file): equal digests mean equal inputs.",
        stamp=stamp_text,
    )


def _machine_row(provenance: Mapping[str, Any], runs: Sequence[Run]) -> tuple[Cell, ...]:
    versions = provenance.get("versions") or {}
    return (
        count_cell(len(runs)),
        text_cell(provenance.get("device")),
        text_cell(provenance.get("threads")),
        text_cell(provenance.get("commit")),
        text_cell(", ".join(sorted({str(run.metrics["precision"]) for run in runs if run.metrics}))),
        Cell(", ".join(f"{name} {version}" for name, version in versions.items() if version)),
    )


PROVENANCE = Chapter(name="provenance", title="Where this comes from", order=900, build=build, needs_results=False)
