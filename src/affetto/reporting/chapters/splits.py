"""Splits: the speakers, clips and known sentences of each part that results were trained and tested on."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from affetto.errors import UserError
from affetto.reporting.chapters.chapter import Chapter
from affetto.reporting.render.section import Section
from affetto.reporting.render.sheet import Cell, Sheet, columns, count_cell, text_cell
from affetto.reporting.render.stamps import stamp_of
from affetto.reporting.render.text import DASH
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.naming import corpus_title
from affetto.reporting.results.records import Run
from affetto.splits.audit import OVERLAP_FLAG_PERCENT
from affetto.splits.split import Split

PARTS = ("train", "validation", "test")
SHOWN_DIGITS = 12
FEWER_SPEAKERS = (
    " With training.speakers set, each seed has a checksum of its own, since it draws the speakers to learn from; the "
    "tested clips are those of all speakers' split."
)
"""End of the caption where folds learn from fewer speakers."""


def build(evidence: Evidence) -> Section | None:
    if not (evidence.configurations or evidence.results.other_runs):
        return None
    return Section(
        words="Each speaker is in one part only; this was checked before training.",
        items=(split_table(evidence),),
    )


def split_table(evidence: Evidence) -> Sheet:
    """A row a split, by checksum: the contents of its parts, as ranges over its folds."""
    runs_by_checksum: dict[str, list[Run]] = {checksum: [] for checksum in evidence.results.splits}
    for run in evidence.results.every_done:
        if run.metrics:
            runs_by_checksum.setdefault(run.metrics["split_checksum"], []).append(run)
    limited = any(run.axes.speakers for run in evidence.results.every_done)
    rows, notes = [], []
    for checksum, split in evidence.results.splits.items():
        runs = runs_by_checksum[checksum]
        corpus = corpus_title(runs[0].axes.corpus if runs else split.corpus)
        rows.append(_row(corpus, checksum, split, runs=len(runs)))
        notes += [f"{corpus}, {split.protocol}: {note}" for note in _notes(split, runs)]
    return Sheet(
        name="splits",
        title="Splits",
        columns=columns(
            "corpus",
            "split",
            "folds",
            *PARTS,
            "known prompts (%)",
            "copies",
            "checksum",
            "runs",
            texts=("corpus", "split", "checksum"),
        ),
        rows=tuple(rows),
        caption=(
            "Speakers and clips of each part, and its share of the fold; no speaker is in two parts. Known prompts: "
            f"test clips whose sentence is also spoken in training, flagged above {OVERLAP_FLAG_PERCENT:.0f} %. "
            "Copies: recordings of equal content in two parts, where they were searched for. The checksum is SHA-256 "
            "over each fold's clips: equal checksums mean equal tests (complete in the CSV file)."
            + (FEWER_SPEAKERS if limited else "")
        ),
        notes=tuple(dict.fromkeys(notes)),
        stamp=stamp_of([run for checksum in evidence.results.splits for run in runs_by_checksum[checksum]]),
    )


def _notes(split: Split, runs: Sequence[Run]) -> list[str]:
    """Notes of a split in all its runs: equal tests may have been learned for with other auxiliary corpora."""
    notes = list(split.notes)
    for run in {run.axes.auxiliary: run for run in runs}.values():
        with suppress(UserError):  # an edited file, which a note of the results names
            own = run.split()
            notes += own.notes if own else ()
    return notes


def _row(corpus: str, checksum: str, split: Split, *, runs: int) -> tuple[Cell, ...]:
    folds = split.audit["folds"]
    return (
        text_cell(corpus),
        text_cell(split.protocol),
        count_cell(len(folds)),
        *(_part_cell([fold["parts"][part] for fold in folds]) for part in PARTS),
        _overlap_cell(folds),
        _copies_cell(folds),
        Cell(checksum[:SHOWN_DIGITS], checksum),
        count_cell(runs),
    )


def _part_cell(parts: Sequence[dict[str, Any]]) -> Cell:
    speakers, clips = [part["speakers"] for part in parts], [part["clips"] for part in parts]
    shares = [100 * part["share"] for part in parts]
    return Cell(
        text=f"{span_text(speakers)} {'speaker' if max(speakers) == 1 else 'speakers'}",
        key=min(speakers),
        under=f"{span_text(clips)} clips\n{span_text(shares, 1)} %",
        values=(("speakers", min(speakers)), ("clips", min(clips)), ("share (%)", min(shares))),
    )


def _overlap_cell(folds: Sequence[dict[str, Any]]) -> Cell:
    overlaps = [fold["prompt_overlap_percent"] for fold in folds if fold["prompt_overlap_percent"] is not None]
    if not overlaps:
        return Cell("unknown")
    is_flagged = max(overlaps) > OVERLAP_FLAG_PERCENT
    return Cell(
        text=span_text(overlaps),
        key=max(overlaps),
        under="flagged" if is_flagged else "",
        values=(("", max(overlaps)),),
        is_bold=is_flagged,
    )


def _copies_cell(folds: Sequence[dict[str, Any]]) -> Cell:
    copies = [fold["duplicates"] for fold in folds if fold["duplicates"] is not None]
    return count_cell(sum(copies)) if copies else Cell(DASH)


def span_text(values: Sequence[float], digits: int = 0) -> str:
    """The least and the most of some numbers: `98`, or `54–98`."""
    low, high = (f"{value:,.{digits}f}" for value in (min(values), max(values)))
    return low if low == high else f"{low}–{high}"


SPLITS = Chapter(name="splits", title="Splits", order=700, build=build, needs_results=False)
