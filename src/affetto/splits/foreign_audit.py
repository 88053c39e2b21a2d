"""The audit of anybody's split: speakers, clips, recordings and prompts that cross its parts, and how it is balanced.

On test clips with equally many of each class, weighted accuracy (WA, the share of clips that are right) and unweighted
accuracy (UA, the mean of the classes' recalls) are one number by arithmetic. A publication in which they differ was
tested on other clips. Where each speaker has equally many clips of each class, this holds for every test on whole
speakers, so that a difference shows a split that cuts through speakers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray

from affetto.corpora.amounts import amount, verb
from affetto.corpora.content import Content, groups
from affetto.corpora.manifest import PARTS, Manifest
from affetto.corpora.names import abbreviated, look_alikes_note
from affetto.errors import UserError
from affetto.splits.audit import (
    EXAMPLES,
    NAMED_SPEAKERS,
    Ledger,
    PartAudit,
    copies_across,
    part_facts,
    prompt_overlap,
)
from affetto.splits.foreign import ForeignSplit
from affetto.splits.split import Fold

UNBALANCED = 0.1
"""Total variation between the classes of a part and of the corpus from which a part is called unbalanced."""
ROUNDING = 0.011
"""In points: two figures with two decimals that are one number differ by no more."""
SHARED, DISJOINT, ONE_SPEAKER, UNDECIDED = "shared", "disjoint", "one speaker", "undecided"
"""Verdicts on the speakers of a split."""


class Crossing(TypedDict):
    """Speakers of one part that are in an earlier part too."""

    speakers: int
    shared: int
    clips: int
    """Clips of the later part by speakers who are in the earlier one."""
    names: list[str]
    """The first 20 shared speakers."""


class ForeignFold(TypedDict):
    """One fold. Pairs of parts are named `test in train`."""

    name: str
    left_out: int
    parts: dict[str, PartAudit]
    speakers: dict[str, Crossing]
    unknown_speakers: int
    """Clips of this fold whose speaker is not known."""
    clips_in_two_parts: int
    clip_examples: list[str]
    prompt_overlap_percent: float | None
    duplicates: int | None
    """Recordings of equal content in two parts; None where the audio was not compared."""
    duplicate_examples: list[list[str]]
    test_is_balanced: bool


class Claim(TypedDict):
    """Published figures, in percent, and True if they cannot both be of these test parts."""

    wa: float
    ua: float
    contradicts: bool


class ForeignAudit(TypedDict):
    """All folds of a split that somebody published."""

    corpus: str
    root: str
    synthetic: bool
    clips: int
    speakers: int
    classes: dict[str, int]
    verdict: str
    """On speakers: `shared`, `disjoint`, `one speaker` or `undecided`."""
    crosses: bool
    """True if a speaker, a clip or a recording is in two parts of a fold."""
    speakers_are_balanced: bool
    """True if each speaker has equally many clips of each class: then WA = UA in every test on whole speakers."""
    folds: list[ForeignFold]
    remarks: list[str]
    notes: list[str]
    claim: NotRequired[Claim]


@dataclass(frozen=True)
class Figures:
    """Weighted and unweighted accuracy as they were published, in percent."""

    wa: float
    ua: float


def audit_foreign(
    split: ForeignSplit, *, contents: Mapping[str, Content] | None = None, figures: Figures | None = None
) -> ForeignAudit:
    """The findings about a split; `contents` (of the audio, by clip id) let copies be found."""
    manifest = split.manifest
    by_id = {clip.id: clip for clip in manifest.clips}
    copies = None if contents is None else [[by_id[clip] for clip in group] for group in groups(contents)]
    ledger = Ledger(manifest, copies)
    corpus = np.bincount(ledger.emotion, minlength=len(ledger.labels))
    folds = [_fold(ledger, fold, corpus / corpus.sum()) for fold in split.folds]
    if not folds:
        raise UserError(f"{manifest.root}: no fold to audit; give the files of the parts, or --column NAME")
    verdict = _verdict(manifest, folds)
    audit: ForeignAudit = {
        "corpus": manifest.corpus,
        "root": str(manifest.root),
        "synthetic": manifest.synthetic,
        "clips": len(manifest.clips),
        "speakers": len(set(ledger.speakers) - {""}),
        "classes": dict(zip(ledger.labels, corpus.tolist(), strict=True)),
        "verdict": verdict,
        "crosses": verdict == SHARED or any(fold["clips_in_two_parts"] or fold["duplicates"] for fold in folds),
        "speakers_are_balanced": _are_balanced(ledger),
        "folds": folds,
        "remarks": [],
        "notes": [*manifest.notes, *look_alikes_note(ledger.speakers)],
    }
    if figures is not None:
        balanced = all(fold["test_is_balanced"] for fold in folds) or audit["speakers_are_balanced"]
        differ = abs(figures.wa - figures.ua) > ROUNDING
        audit["claim"] = {"wa": figures.wa, "ua": figures.ua, "contradicts": balanced and differ}
    audit["remarks"] = remarks(audit)
    return audit


def _fold(ledger: Ledger, fold: Fold, corpus: NDArray[np.float64]) -> ForeignFold:
    rows = {part: ledger.rows(clips) for part, clips in fold.parts.items() if clips}
    ids = {clip for clips in fold.parts.values() for clip in clips}
    times = Counter(clip for clips in fold.parts.values() for clip in clips)
    twice = sorted(clip for clip, parts in times.items() if parts > 1)
    duplicates = None if ledger.copies is None else copies_across(ledger.copies, fold)
    has_both = "train" in rows and "test" in rows
    parts = {part: part_facts(ledger, rows[part], len(ids), corpus) for part in rows}
    unknown = ledger.speakers.index("") if "" in ledger.speakers else -1
    for part, facts in parts.items():
        facts["names"] = [name for name in facts["names"] if name]
        facts["speakers"] -= int(unknown in ledger.speaker[rows[part]])
    tested = list(parts["test"]["classes"].values()) if "test" in parts else []
    return {
        "name": fold.name,
        "left_out": len(ledger.ids) - len(ids),
        "parts": parts,
        "speakers": {
            f"{later} in {earlier}": _crossing(ledger, rows[earlier], rows[later], unknown)
            for earlier, later in combinations(PARTS, 2)
            if earlier in rows and later in rows
        },
        "unknown_speakers": int(sum((ledger.speaker[part] == unknown).sum() for part in rows.values())),
        "clips_in_two_parts": len(twice),
        "clip_examples": twice[:EXAMPLES],
        "prompt_overlap_percent": prompt_overlap(ledger, rows["train"], rows["test"]) if has_both else None,
        "duplicates": None if duplicates is None else len(duplicates),
        "duplicate_examples": (duplicates or [])[:EXAMPLES],
        "test_is_balanced": len({count for count in tested if count}) == 1,
    }


def _crossing(ledger: Ledger, earlier: NDArray[np.int64], later: NDArray[np.int64], unknown: int) -> Crossing:
    speakers = np.setdiff1d(ledger.speaker[later], [unknown])
    shared = np.intersect1d(speakers, ledger.speaker[earlier])
    return {
        "speakers": len(speakers),
        "shared": len(shared),
        "clips": int(np.isin(ledger.speaker[later], shared).sum()),
        "names": [ledger.speakers[speaker] for speaker in shared[:NAMED_SPEAKERS]],
    }


def _verdict(manifest: Manifest, folds: Sequence[ForeignFold]) -> str:
    """The verdict on speakers. A shared speaker is proof whatever else is unknown; disjointness needs all names."""
    if len(manifest.speakers) == 1 and manifest.speakers != ("",):
        return ONE_SPEAKER
    if any(pair["shared"] for fold in folds for pair in fold["speakers"].values()):
        return SHARED
    if any(fold["unknown_speakers"] or not fold["speakers"] for fold in folds):
        return UNDECIDED
    return DISJOINT


def _are_balanced(ledger: Ledger) -> bool:
    if "" in ledger.speakers:
        return False
    table = np.zeros((len(ledger.speakers), len(ledger.labels)), np.int64)
    np.add.at(table, (ledger.speaker, ledger.emotion), 1)
    return bool((table == table[:, :1]).all())


def _has_one_class(fold: ForeignFold) -> bool:
    test = fold["parts"].get("test")
    return test is not None and sum(count > 0 for count in test["classes"].values()) == 1


# -- remarks -------------------------------------------------------------------------------------------------------


def remarks(audit: ForeignAudit) -> list[str]:
    """Remarks that people should read before they trust the split, one line each, the gravest first."""
    folds = audit["folds"]
    lines = [*_speaker_remarks(audit), *_clip_remarks(folds), *_balance_remarks(folds)]
    overlaps = [fold["prompt_overlap_percent"] for fold in folds]
    worst = max((overlap for overlap in overlaps if overlap is not None), default=0.0)
    if worst:
        lines.append(f"prompts: {worst:.0f} % of the test clips have a prompt that is also spoken in train")
    return [*lines, *_accuracy_remarks(audit)]


def _speaker_remarks(audit: ForeignAudit) -> list[str]:
    folds = audit["folds"]
    lines = []
    for pair in dict.fromkeys(pair for fold in folds for pair in fold["speakers"]):
        crossings = {fold["name"]: fold["speakers"][pair] for fold in folds if pair in fold["speakers"]}
        shared = {name: crossing for name, crossing in crossings.items() if crossing["shared"]}
        if not shared:
            continue
        name, worst = max(shared.items(), key=lambda item: item[1]["shared"])
        where = f" ({name}; {len(shared)} of {len(crossings)} folds)" if len(crossings) > 1 else ""
        later, _, earlier = pair.partition(" in ")
        speakers = f"{worst['shared']} of {worst['speakers']} speakers of {later} {verb(worst['shared'], 'are')}"
        lines.append(
            f"speakers: {speakers} also in {earlier}{where}: {abbreviated(worst['names'], most=3, longest=20)}; "
            f"theirs {verb(worst['clips'], 'are')} {amount(worst['clips'], 'clip')} of {later}"
        )
    if audit["verdict"] == ONE_SPEAKER:
        lines.append("speakers: there is one speaker only, so that no split can be speaker-independent")
    unknown = sum(fold["unknown_speakers"] for fold in folds)
    if unknown:
        lines.append(
            f"speakers: unknown for {unknown:,} of the clips listed; give --option speaker_pattern=PATTERN or "
            "--option speaker_table=FILE"
        )
    incomplete = [fold["name"] for fold in folds if not fold["speakers"]]
    if incomplete:
        lines.append(f"parts: only one part is known in {', '.join(incomplete[:3])}, so that nothing can be compared")
    return lines


def _clip_remarks(folds: Sequence[ForeignFold]) -> list[str]:
    lines = []
    twice = max(folds, key=lambda fold: fold["clips_in_two_parts"])
    if twice["clips_in_two_parts"]:
        clips = f"{twice['clips_in_two_parts']:,} {verb(twice['clips_in_two_parts'], 'are')}"
        lines.append(f"clips: {clips} in two parts of {twice['name']}, such as {twice['clip_examples'][0]}")
    copied = max(folds, key=lambda fold: fold["duplicates"] or 0)
    if copied["duplicates"] is None:
        lines.append("audio: not compared, so that copies of a recording under two names are not known")
    if copied["duplicates"]:
        example = " = ".join(copied["duplicate_examples"][0][:3])
        recordings = f"{amount(copied['duplicates'], 'recording')} {verb(copied['duplicates'], 'are')}"
        lines.append(f"audio: {recordings} in two parts of {copied['name']}: {example}")
    return lines


def _balance_remarks(folds: Sequence[ForeignFold]) -> list[str]:
    lines = []
    for part in PARTS:
        facts = [(fold["name"], fold["parts"][part]) for fold in folds if part in fold["parts"]]
        absent = [(name, label) for name, entry in facts for label, count in entry["classes"].items() if not count]
        if absent:
            name, label = absent[0]
            more = f" ({len(absent)} such gaps in all)" if len(absent) > 1 else ""
            lines.append(f"classes: in {name} no clip of {part} shows {label}{more}")
        name, worst = max(facts, key=lambda item: item[1]["total_variation"], default=("", None))
        if worst is not None and worst["total_variation"] > UNBALANCED:
            lines.append(
                f"classes: those of {part} differ from the corpus's by {100 * worst['total_variation']:.0f} % of the "
                f"clips in {name}"
            )
    return lines


def _accuracy_remarks(audit: ForeignAudit) -> list[str]:
    folds = audit["folds"]
    balanced = [fold["name"] for fold in folds if fold["test_is_balanced"]]
    lines = []
    if audit["speakers_are_balanced"]:
        lines.append(
            "accuracy: each speaker has equally many clips of each class, so that WA = UA in every test on whole "
            "speakers; a publication in which they differ split speakers"
        )
    elif all(_has_one_class(fold) for fold in folds):
        lines.append(
            "accuracy: the test parts have clips of one class each, so that WA and UA say little, and are equal"
        )
    elif len(balanced) == len(folds):
        lines.append(
            "accuracy: the test parts are balanced, so that WA = UA by arithmetic; a publication in which they differ "
            "was tested on other clips"
        )
    claim = audit.get("claim")
    if claim is None:
        return lines
    figures = f"WA {claim['wa']:g} and UA {claim['ua']:g}"
    if claim["contradicts"]:
        lines.append(f"accuracy: {figures} differ, and cannot both be of these test parts")
    elif lines:
        lines.append(f"accuracy: {figures} agree, as they must")
    else:
        lines.append(f"accuracy: {figures} prove nothing, since the test parts are not balanced")
    return lines
