"""Table II of the paper: clips of each emotion in the corpora."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from affetto.reporting.papers.dasaro2024 import numbers
from affetto.reporting.render.sheet import Cell, Column, Sheet, Slim, count_cell, text_cell
from affetto.reporting.render.stamps import stamp_of
from affetto.reporting.render.text import DASH
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.naming import corpus_title
from affetto.reporting.results.records import EDITION


@dataclass(frozen=True)
class Counts:
    """Clips and speakers of a corpus, as its runs read it."""

    labels: frozenset[str]
    clips: Mapping[str, int]
    """Number of clips of each emotion."""
    speakers: int


def table_2(evidence: Evidence) -> Sheet:
    """Clips of each emotion in the corpora that were used, with the paper's counts where they differ."""
    counts = _corpora(evidence)
    present = list(dict.fromkeys((*(config.axes.corpus for config in evidence.planned), *counts)))
    corpora = [corpus for name in numbers.CORPORA for corpus in present if _name(corpus) == name]
    corpora += [corpus for corpus in counts if corpus not in corpora]
    labels = list(dict.fromkeys([*numbers.TABLE_II["emovo"], *(label for c in counts.values() for label in c.clips)]))
    rows, notes = [], []
    for corpus in corpora:
        name, read = _name(corpus), counts.get(corpus)
        printed = numbers.TABLE_II.get(name, {})
        # Corpora with joined or omitted labels have counts that cannot be compared with the paper's.
        is_comparable = read is None or read.labels == set(printed)
        rows.append(
            (
                text_cell(corpus_title(corpus)),
                *(_label_cell(label, read, printed if is_comparable else {}) for label in labels),
                _count_cell(
                    sum(read.clips.values()) if read else None,
                    numbers.TABLE_II_TOTALS.get(name) if is_comparable else None,
                ),
                _count_cell(
                    read.speakers if read else None, numbers.TABLE_II_SPEAKERS.get(name) if is_comparable else None
                ),
            )
        )
        if is_comparable and name in numbers.TABLE_II_FOOTNOTES:
            notes.append(f"{corpus_title(corpus)}: {numbers.TABLE_II_FOOTNOTES[name]}")
    return Sheet(
        name="table-2",
        title="Table II: corpora",
        columns=(Column("corpus", is_number=False), *map(Column, (*labels, "total", "speakers"))),
        rows=tuple(rows),
        caption=(
            "Clips of each emotion in the corpora as they were read here; below: the paper's Table II, where it "
            "differs."
        ),
        notes=tuple(notes),
        stamp=stamp_of(evidence.configurations),
        slim=Slim(caption="Clips of each emotion; below: the paper's Table II."),
    )


def _corpora(evidence: Evidence) -> dict[str, Counts]:
    """{corpus: counts} from the splits of the runs; the largest where they differ."""
    largest: dict[str, Counts] = {}
    for run in evidence.results.done:
        split = evidence.results.splits.get(run.metrics["split_checksum"] if run.metrics else "")
        if split is None:
            continue
        earlier = largest.get(run.axes.corpus)
        if earlier is None or split.audit["clips"] > sum(earlier.clips.values()):
            largest[run.axes.corpus] = Counts(frozenset(run.labels), split.audit["classes"], split.audit["speakers"])
    return largest


def _label_cell(label: str, read: Counts | None, printed: Mapping[str, int]) -> Cell:
    """Number of clips of a label; a dash where the models do not have it."""
    if read is None:
        return _count_cell(None, printed.get(label))
    if label not in read.labels:
        return Cell(DASH)
    return _count_cell(read.clips.get(label, 0), printed.get(label))


def _count_cell(count: int | None, printed: int | None) -> Cell:
    """A count, with the paper's below where it differs."""
    cell = count_cell(count)
    if printed is None:
        return cell
    below = "" if count == printed else f"paper {printed:,}"
    return Cell(cell.text, count, under=below, values=(("", count), ("paper", printed)))


def _name(corpus: str) -> str:
    return corpus.partition(EDITION)[0]
