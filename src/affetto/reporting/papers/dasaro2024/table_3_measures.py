"""Table III of the paper by three measures: it does not say of which F1 its numbers are."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from affetto.backbones.catalogue import BACKBONES
from affetto.measures.registry import MEASURES
from affetto.reporting.papers.dasaro2024 import numbers
from affetto.reporting.papers.dasaro2024.cells import EXPECTED, mean_cell, protocol_sheet
from affetto.reporting.papers.dasaro2024.protocols import SCENARIOS, Protocol
from affetto.reporting.render.sheet import Cell, Sheet, columns, text_cell
from affetto.reporting.results.naming import method_title

CANDIDATES = ("macro_f1", "weighted_f1", "uar")
"""Measures that the paper may mean by its score."""


def table_3_by_measures(protocol: Protocol) -> Sheet | None:
    """A row a backbone and measure; None where no cell is complete on all corpora of the paper."""
    rows = [
        (
            text_cell(BACKBONES[key].scenario),
            text_cell(BACKBONES[key].title),
            text_cell(MEASURES[measure].title),
            *(mean_cell(protocol, key, method, measure) for method in numbers.METHODS),
        )
        for key in SCENARIOS
        for measure in CANDIDATES
    ]
    rows = [row for row in rows if any(cell.key is not None for cell in row[3:])]
    if not rows:
        return None
    names = ("scenario", "backbone", "measure", *map(method_title, numbers.METHODS))
    return protocol_sheet(
        protocol,
        name="table-3-measures",
        title="Table III by measure",
        columns=columns(*names, texts=names[:3]),
        rows=rows,
        caption=(
            "The paper calls its score an F1 and does not say which. Each row beside the same numbers of the paper: "
            f"mean over the three corpora ×100, as in Table III. Below: {EXPECTED}. {protocol.words}{_closest(rows)}"
        ),
        slim="Mean over the three corpora ×100; below: the paper's Table III, which does not say which F1 it is.",
        breaks=frozenset(n for n in range(1, len(rows)) if rows[n][1].text != rows[n - 1][1].text),
    )


def _closest(rows: Sequence[tuple[Cell, ...]]) -> str:
    """Mean absolute difference from the paper by measure, over the cells that both have."""
    gaps: dict[str, list[float]] = {}
    for row in rows:
        differences = [dict(cell.values).get("difference") for cell in row[3:]]
        gaps.setdefault(row[2].text, []).extend(abs(gap) for gap in differences if isinstance(gap, float))
    filled = {measure: values for measure, values in gaps.items() if values}
    if not filled:
        return ""
    cells = max(map(len, filled.values()))
    words = ", ".join(f"{measure} {fmean(values):.1f}" for measure, values in filled.items())
    return f"Mean absolute difference from the paper over {cells} cell{'s' if cells > 1 else ''}: {words} points."
