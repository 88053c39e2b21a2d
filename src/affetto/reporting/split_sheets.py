"""What each result was tested on: the splits, with their speakers, shares and known prompts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from affetto.reporting.render.sheet import Cell, Sheet, columns, count_cell, text_cell
from affetto.reporting.render.stamps import stamp
from affetto.reporting.render.text import DASH
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.naming import corpus_title
from affetto.splits.audit import OVERLAP_FLAG_PERCENT

PARTS = ("train", "validation", "test")
SHOWN_DIGITS = 12


def splits(evidence: Evidence) -> Sheet:
    """A row a split, by checksum: what is in its parts, ranges over its folds."""
    rows, notes, origins = [], [], []
    for checksum, split in evidence.results.splits.items():
        folds = split.audit["folds"]
        runs = [run for run in evidence.results.done if run.metrics and run.metrics["split_checksum"] == checksum]
        origins += [run.synthetic for run in runs]
        corpus = corpus_title(runs[0].axes.corpus if runs else split.corpus)
        rows.append(
            (
                text_cell(corpus),
                text_cell(split.protocol),
                count_cell(len(folds)),
                *(_part([fold["parts"][part] for fold in folds]) for part in PARTS),
                _overlap(folds),
                _copies(folds),
                Cell(checksum[:SHOWN_DIGITS], checksum),
                count_cell(len(runs)),
            )
        )
        notes += [f"{corpus}, {split.protocol}: {note}" for note in split.notes]
    heads = columns(
        "corpus",
        "split",
        "folds",
        *PARTS,
        "known prompts (%)",
        "copies",
        "checksum",
        "runs",
        left=("corpus", "split", "checksum"),
    )
    caption = (
        "Of each part the speakers, the clips and their share of the fold; no speaker stands in two parts. Known "
        f"prompts: test clips whose sentence is also spoken in training, flagged above {OVERLAP_FLAG_PERCENT:.0f} %. "
        "Copies: recordings of equal content in two parts, where it was looked for. The checksum is SHA-256 over each "
        "fold's clips: equal checksums mean equal tests (whole in the CSV file)."
    )
    said = stamp(synthetic=bool(origins) and all(origins), partly=any(origins))
    return Sheet("splits", "Splits", heads, tuple(rows), caption, tuple(dict.fromkeys(notes)), said)


def _part(parts: Sequence[dict[str, Any]]) -> Cell:
    speakers, clips = [part["speakers"] for part in parts], [part["clips"] for part in parts]
    shares = [100 * part["share"] for part in parts]
    plural = "speaker" if max(speakers) == 1 else "speakers"
    values = (("speakers", min(speakers)), ("clips", min(clips)), ("share (%)", min(shares)))
    return Cell(f"{_range(speakers)} {plural}", min(speakers), f"{_range(clips)} clips\n{_range(shares, 1)} %", values)


def _overlap(folds: Sequence[dict[str, Any]]) -> Cell:
    known = [fold["prompt_overlap_percent"] for fold in folds if fold["prompt_overlap_percent"] is not None]
    if not known:
        return Cell("unknown", None)
    flagged = max(known) > OVERLAP_FLAG_PERCENT
    return Cell(_range(known), max(known), "flagged" if flagged else "", strong=flagged, values=(("", max(known)),))


def _copies(folds: Sequence[dict[str, Any]]) -> Cell:
    known = [fold["duplicates"] for fold in folds if fold["duplicates"] is not None]
    return count_cell(sum(known)) if known else Cell(DASH)


def _range(values: Sequence[float], digits: int = 0) -> str:
    """`98`, or `54–98`."""
    low, high = (f"{value:,.{digits}f}" for value in (min(values), max(values)))
    return low if low == high else f"{low}–{high}"
