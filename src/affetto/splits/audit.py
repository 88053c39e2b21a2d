"""The audit of a split: proof that no speaker crosses, and the numbers that belong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from affetto.corpora.amounts import amount, verb
from affetto.corpora.labels import in_order
from affetto.corpora.manifest import PARTS, Clip, Manifest
from affetto.errors import UserError
from affetto.splits.optimiser import coded
from affetto.splits.split import Fold, Split

NAMED_SPEAKERS = 20
OVERLAP_FLAG_PERCENT = 10.0
FAR_OFF_POINTS = 2.0
FEW_SPEAKERS = 3
EXAMPLES = 5


class PartAudit(TypedDict):
    """One part of one fold. Shares are fractions of the part's clips."""

    speakers: int
    names: list[str]
    """The first 20 speakers."""
    clips: int
    share: float
    """Fraction of the fold's clips."""
    points_off: float | None
    """Share minus target, in percentage points; None where the protocol has no target."""
    classes: dict[str, int]
    class_shares: dict[str, float]
    total_variation: float
    """Between the part's classes and the corpus's: half the sum of the absolute differences of shares."""
    genders: dict[str, float]
    hours: NotRequired[float]


class FoldAudit(TypedDict):
    """One fold."""

    name: str
    left_out: int
    shared_speakers: list[str]
    """Always empty: `prove` refuses a fold in which a speaker crosses."""
    prompt_overlap_percent: float | None
    """Test clips whose prompt is also spoken in train; None where no prompts are known."""
    duplicates: int | None
    """Recordings of equal content in two parts, which is none; None where no contents were given."""
    duplicate_examples: list[list[str]]
    copies_left_out: NotRequired[dict[str, int]]
    """Clips of each part that were left out of it as copies of clips in an earlier part."""
    parts: dict[str, PartAudit]


class Audit(TypedDict):
    """All folds, and the corpus that they are compared with."""

    clips: int
    speakers: int
    classes: dict[str, int]
    folds: list[FoldAudit]


class Ledger:
    """A manifest as arrays (clips,), made once for the audit of many folds."""

    def __init__(
        self,
        manifest: Manifest,
        copies: Sequence[Sequence[Clip]] | None = None,
        seconds: Mapping[str, float] | None = None,
        strata: Sequence[str] | None = None,
    ) -> None:
        """`strata` are groups of the clips that parts have in proportion, in place of their emotions."""
        clips = manifest.clips
        self.ids = tuple(clip.id for clip in clips)
        self.row = {clip: i for i, clip in enumerate(self.ids)}
        self.speakers, self.speaker = coded([clip.speaker for clip in clips])
        self.genders, self.gender = coded([clip.gender or "unknown" for clip in clips])
        self.prompts, self.prompt = coded([clip.prompt or "" for clip in clips])
        groups = [clip.emotion for clip in clips] if strata is None else list(strata)
        self.labels = in_order(set(groups))
        self.trains_every_label = strata is None
        """True if a label that no training clip has is an error: a model would never say it."""
        index = {label: i for i, label in enumerate(self.labels)}
        self.emotion = np.fromiter((index[group] for group in groups), np.int64, len(clips))
        self.copies = None if copies is None else [[clip.id for clip in group] for group in copies]
        self.seconds: NDArray[np.float64] | None = None
        if seconds is not None and all(clip in seconds for clip in self.ids):
            self.seconds = np.array([seconds[clip] for clip in self.ids])
        elif all(clip.end is not None for clip in clips):
            self.seconds = np.array([(clip.end or 0.0) - (clip.start or 0.0) for clip in clips])

    def rows(self, clips: Sequence[str]) -> NDArray[np.int64]:
        """Indices of the clips in the arrays."""
        return np.fromiter((self.row[clip] for clip in clips), np.int64, len(clips))


def prove(ledger: Ledger, fold: Fold) -> None:
    """UserError if the fold cannot be used: a crossing speaker, an empty part, a class that is never trained."""
    parts: dict[str, str] = {}
    home = np.full(len(ledger.speakers), -1)
    for number, (part, clips) in enumerate(fold.parts.items()):
        if not clips:
            raise UserError(
                f"fold {fold.name!r}: no clips for {part}; each of {', '.join(PARTS)} needs some: "
                "choose another protocol, as in --split paper"
            )
        for clip in clips:
            if clip in parts:
                raise UserError(
                    f"fold {fold.name!r}: clip {clip!r} is in {parts[clip]} and in {part}; it may be in one part only"
                )
            parts[clip] = part
        speakers = np.unique(ledger.speaker[ledger.rows(clips)])
        crossing = speakers[home[speakers] >= 0]
        if len(crossing):
            speaker, earlier = ledger.speakers[crossing[0]], PARTS[home[crossing[0]]]
            raise UserError(
                f"fold {fold.name!r}: speaker {speaker!r} is in {earlier} and in {part} ({len(crossing)} such speakers "
                "here); a speaker may be in one part only: use --split kfold:5 or paper, which take whole speakers, or "
                "mend the column where the parts are your own"
            )
        home[speakers] = number
    trained = np.unique(ledger.emotion[ledger.rows(fold.train)])
    if ledger.trains_every_label and len(trained) < len(ledger.labels):
        missing = next(label for i, label in enumerate(ledger.labels) if i not in trained)
        raise UserError(
            f"fold {fold.name!r}: no training clip shows {missing!r}, which too few speakers show: leave the class "
            f"out with --label {missing}=drop, add recordings of it, or choose another --split"
        )


def audit(ledger: Ledger, folds: Sequence[Fold], target: Sequence[int] | None) -> Audit:
    """The facts about all folds; UserError if one of them cannot be used (`prove`)."""
    corpus = np.bincount(ledger.emotion, minlength=len(ledger.labels))
    audits = []
    for fold in folds:
        prove(ledger, fold)
        audits.append(_fold(ledger, fold, target, corpus / corpus.sum()))
    return {
        "clips": len(ledger.ids),
        "speakers": len(ledger.speakers),
        "classes": dict(zip(ledger.labels, corpus.tolist(), strict=True)),
        "folds": audits,
    }


def _fold(ledger: Ledger, fold: Fold, target: Sequence[int] | None, corpus: NDArray[np.float64]) -> FoldAudit:
    rows = {part: ledger.rows(clips) for part, clips in fold.parts.items()}
    used = sum(len(r) for r in rows.values())
    parts = {}
    for number, part in enumerate(PARTS):
        parts[part] = part_facts(ledger, rows[part], used, corpus)
        if target is not None:
            share = len(rows[part]) / used
            parts[part]["points_off"] = round(100 * (share - target[number] / sum(target)), 4)
    duplicates = None if ledger.copies is None else copies_across(ledger.copies, fold)
    return {
        "name": fold.name,
        "left_out": len(ledger.ids) - used,
        "shared_speakers": [],
        "prompt_overlap_percent": prompt_overlap(ledger, rows["train"], rows["test"]),
        "duplicates": None if duplicates is None else len(duplicates),
        "duplicate_examples": (duplicates or [])[:EXAMPLES],
        "parts": parts,
    }


def part_facts(ledger: Ledger, rows: NDArray[np.int64], used: int, corpus: NDArray[np.float64]) -> PartAudit:
    """The facts about one part of a fold that uses so many clips; `corpus` are the shares of all classes."""
    speakers = np.unique(ledger.speaker[rows])
    classes = np.bincount(ledger.emotion[rows], minlength=len(ledger.labels))
    genders = np.bincount(ledger.gender[rows], minlength=len(ledger.genders))
    shares = classes / len(rows)
    part: PartAudit = {
        "speakers": len(speakers),
        "names": [ledger.speakers[i] for i in speakers[:NAMED_SPEAKERS]],
        "clips": len(rows),
        "share": round(len(rows) / used, 6),
        "points_off": None,
        "classes": dict(zip(ledger.labels, classes.tolist(), strict=True)),
        "class_shares": {label: round(float(s), 6) for label, s in zip(ledger.labels, shares, strict=True)},
        "total_variation": round(float(np.abs(shares - corpus).sum() / 2), 6),
        "genders": {name: round(n / len(rows), 6) for name, n in zip(ledger.genders, genders.tolist(), strict=True)},
    }
    if ledger.seconds is not None:
        part["hours"] = round(float(ledger.seconds[rows].sum()) / 3600, 4)
    return part


def prompt_overlap(ledger: Ledger, train: NDArray[np.int64], test: NDArray[np.int64]) -> float | None:
    """Percent of the test clips whose prompt is also spoken in train; clips of unknown prompt do not overlap."""
    if ledger.prompts == ("",):
        return None
    has_words = np.array([prompt != "" for prompt in ledger.prompts])
    shared = np.isin(ledger.prompt[test], ledger.prompt[train]) & has_words[ledger.prompt[test]]
    return round(100 * float(shared.mean()), 2)


def copies_across(copies: Sequence[Sequence[str]], fold: Fold) -> list[list[str]]:
    """Clips of equal content that stand in different parts, one list for each content."""
    home = {clip: part for part, clips in fold.parts.items() for clip in clips}
    placed = ([(home[clip], clip) for clip in group if clip in home] for group in copies)
    return [[f"{part}: {clip}" for part, clip in group] for group in placed if len({part for part, _ in group}) > 1]


def remarks(audit: Audit) -> list[str]:
    """Remarks that people should read before they trust the split, one line each."""
    return [*_far_off(audit), *_absent(audit), *_overlaps(audit)]


def _far_off(audit: Audit) -> list[str]:
    if len(audit["folds"]) > 1:
        return []
    lines = []
    parts = audit["folds"][0]["parts"]
    if any(abs(part["points_off"] or 0.0) > FAR_OFF_POINTS for part in parts.values()):
        shares = "/".join(f"{100 * part['share']:.1f}" for part in parts.values())
        lines.append(f"whole speakers come no nearer to 80/10/10 than {shares} % of the clips")
    number = parts["test"]["speakers"]
    if number < FEW_SPEAKERS:
        tested = f"{amount(number, 'speaker')} {verb(number, 'are')}"
        lines.append(f"only {tested} tested: expect an interval of some ±10 points; --split loso tests all")
    return lines


def _absent(audit: Audit) -> list[str]:
    lines = []
    folds = audit["folds"]
    for part in PARTS[1:]:
        for label in audit["classes"]:
            lacking = [fold["name"] for fold in folds if not fold["parts"][part]["classes"][label]]
            if lacking:
                where = f" in {len(lacking)} of {len(folds)} folds" if len(folds) > 1 else ""
                lines.append(f"no {part} clip shows {label!r}{where}")
    return lines


def _overlaps(audit: Audit) -> list[str]:
    lines = []
    overlaps = [fold["prompt_overlap_percent"] for fold in audit["folds"]]
    worst = max((overlap for overlap in overlaps if overlap is not None), default=0.0)
    if worst > OVERLAP_FLAG_PERCENT:
        lines.append(
            f"{worst:.0f} % of the test clips have a prompt that is also spoken in train: the score may rest on known "
            "words; --split prompt-disjoint shows by how much"
        )
    return lines


def copies_note(audit: Audit) -> tuple[str, ...]:
    """A note on copies that were left out; () where there are none."""
    lost = [sum(fold.get("copies_left_out", {}).values()) for fold in audit["folds"]]
    if not any(lost):
        return ()
    clips = f"{amount(sum(lost), 'clip')} {verb(sum(lost), 'are')} left out of test or validation"
    return (f"{clips}, since copies are trained or validated on",)


def render(split: Split) -> RenderableType:
    """The split for the screen: its parts side by side, or one row per fold where there are several."""
    folds: list[FoldAudit] = split.audit["folds"]
    header, rows = _parts_beside(folds[0]) if len(folds) == 1 else _fold_rows(folds)
    title = f"split {split.protocol} of {split.corpus} (seed {split.seed}, checksum {split.checksum[:12]})"
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(header):
        table.add_column(column, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    return Group(table, *(Text(f"· {note}") for note in split.notes))


def _parts_beside(fold: FoldAudit) -> tuple[list[str], list[list[str]]]:
    """Header and one row per fact; percentages are of the part's clips."""
    first = fold["parts"]["train"]
    genders = [gender for gender in first["genders"] if list(first["genders"]) != ["unknown"]]
    facts = ["speakers", "clips", "% of all", "off target", *first["classes"], *genders, "total variation"]
    columns = [facts]
    for part in fold["parts"].values():
        off = "" if part["points_off"] is None else f"{part['points_off']:+.2f}"
        shares = [*part["class_shares"].values(), *(part["genders"][gender] for gender in genders)]
        percent = [f"{100 * share:.1f}" for share in (part["share"], *shares)]
        variation = f"{part['total_variation']:.4f}"
        columns.append([str(part["speakers"]), str(part["clips"]), percent[0], off, *percent[1:], variation])
    return ["", *fold["parts"]], [list(row) for row in zip(*columns, strict=True)]


def _fold_rows(folds: Sequence[FoldAudit]) -> tuple[list[str], list[list[str]]]:
    """Header and one row per fold."""
    header = ["fold", *PARTS, "test speakers", "test TV", "known prompts %"]
    rows = []
    for fold in folds:
        test, overlap = fold["parts"]["test"], fold["prompt_overlap_percent"]
        sizes = [str(fold["parts"][part]["clips"]) for part in PARTS]
        percent = "" if overlap is None else f"{overlap:.0f}"
        rows.append([fold["name"], *sizes, str(test["speakers"]), f"{test['total_variation']:.3f}", percent])
    return header, rows
