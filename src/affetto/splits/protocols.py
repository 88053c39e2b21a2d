"""The ways to split a corpus by speakers, one function each; `make_split` runs and audits one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from affetto.corpora.amounts import verb
from affetto.corpora.content import Content
from affetto.corpora.manifest import PARTS, Manifest
from affetto.corpora.names import look_alikes_note
from affetto.errors import UserError, unknown
from affetto.splits.audit import Ledger, audit, copies_note, remarks
from affetto.splits.copies import crossing, left_out, refuse, without
from affetto.splits.fewer import fewer_note, with_speakers
from affetto.splits.optimiser import STEPS, Ints, Problem, assign
from affetto.splits.split import WHOLE, Fold, Split, membership

TRAIN, VALIDATION, TEST = range(len(PARTS))
LEFT_OUT = -1
TARGET = (8, 1, 1)
"""80/10/10."""
LEAST = len(PARTS)
"""Fewer speakers than parts cannot fill them."""
LARGEST_LISTING = 50_000_000
"""Folds × clips beyond which a split's lists of clip ids no longer fit ordinary memories."""

SPEAKERS_TURN, PROMPTS_TURN = range(2)
CROSSED_STARTS = (((17, 6, 6), SPEAKERS_TURN), (TARGET, SPEAKERS_TURN), (TARGET, PROMPTS_TURN))
"""Starts of the prompt-disjoint search, and whose turn is first. Where all speakers say all prompts, both
in the proportion of the square roots of 80/10/10 keep clips in that of 80/10/10; TARGET suits speakers with
prompts of their own (which then follow them), or prompts with speakers of their own."""
CROSSED_ROUNDS = 4
CROSSED_STEPS = STEPS // 6


@dataclass(frozen=True)
class Draft:
    """The decision of a protocol, before it is audited."""

    folds: tuple[tuple[str, Ints], ...]
    """Name and part of each clip (clips,), LEFT_OUT for none."""
    target: tuple[int, ...] | None = None
    notes: tuple[str, ...] = ()


def parse_protocol(protocol: str) -> tuple[str, str]:
    """The name of a protocol, and the K of `kfold:K`. Raises UserError for an unknown protocol, or too few folds."""
    name, _, argument = protocol.partition(":")
    if name not in PROTOCOLS or (argument and name != "kfold"):
        raise unknown("split protocol", protocol, ["kfold:K" if n == "kfold" else n for n in PROTOCOLS])
    if name == "kfold" and not (argument.isdecimal() and int(argument) >= LEAST):
        raise UserError(
            f"{protocol}: the number of folds must be {LEAST} or more (train, validation and test): say kfold:5"
        )
    return name, argument


def make_split(
    manifest: Manifest,
    protocol: str | None = None,
    seed: int = 0,
    *,
    contents: Mapping[str, Content] | None = None,
    seconds: Mapping[str, float] | None = None,
    allow_duplicates: bool = False,
    strata: Sequence[str] | None = None,
    speakers: int = 0,
    speakers_seed: int = 0,
) -> Split:
    """Split a manifest by speakers; the same manifest, protocol and seed give the same split everywhere.

    `protocol` is a name of PROTOCOLS (`kfold:5` for five folds), None for `default_protocol`. By clip id,
    `seconds` (of duration) let the audit sum up hours, and `contents` (of the audio) let copies be found:
    those under two speakers raise UserError, or with `allow_duplicates` are left out of the later parts. `strata` are
    groups of the clips, in their order, that the parts have in proportion in place of the emotions. Of `speakers` each
    fold learns, drawn by `speakers_seed`, and all others that are not tested are left out; 0: all are learned from.
    """
    protocol = protocol or default_protocol(manifest)
    name, argument = parse_protocol(protocol)
    unnamed = next((clip for clip in manifest.clips if not clip.speaker), None)
    if unnamed:
        raise UserError(f"clip {unnamed.name!r} has no speaker: a split by speakers needs one for each clip; name it")
    copies = None if contents is None else crossing(manifest, contents)
    if copies and not allow_duplicates:
        refuse(copies)
    ledger = Ledger(manifest, copies, seconds, strata)
    if len(ledger.speakers) < 2:
        raise UserError(
            f"{manifest.corpus}: one speaker only ({ledger.speakers[0]!r}), so no test can be speaker-independent: "
            f"add speakers, at least {LEAST} in all"
        )
    draft = PROTOCOLS[name](manifest, ledger, seed, argument)
    ids = np.array(ledger.ids, dtype=object)
    folds = tuple(Fold(fold, *(tuple(ids[parts == p]) for p in range(len(PARTS)))) for fold, parts in draft.folds)
    clean = tuple(without(fold, copies or []) for fold in folds)
    speaker_of = {clip.id: clip.speaker or "" for clip in manifest.clips}
    fewer = with_speakers(clean, speakers, speaker_of=speaker_of, seed=speakers_seed) if speakers else clean
    try:
        findings = audit(ledger, fewer, None if speakers else draft.target)
    except UserError as problem:
        if not speakers:
            raise
        raise UserError(f"training.speakers={speakers}: {problem}. Or learn from more speakers") from None
    for fold, before, after in zip(findings["folds"], folds, clean, strict=True):
        fold["copies_left_out"] = left_out(before, after)
    notes = (*draft.notes, *(fewer_note(speakers, fewer) if speakers else ()))
    return Split(
        protocol=protocol,
        seed=seed,
        corpus=manifest.corpus,
        folds=fewer,
        checksum=membership(fewer),
        audit=dict(findings),
        notes=(*notes, *remarks(findings), *copies_note(findings), *look_alikes_note(ledger.speakers)),
    )


def default_protocol(manifest: Manifest) -> str:
    """The protocol that the corpus's record names, else `column` where every clip names its part, else `paper`."""
    if manifest.protocol:
        return manifest.protocol
    return "column" if all(clip.part for clip in manifest.clips) else "paper"


def paper(manifest: Manifest, ledger: Ledger, seed: int, argument: str) -> Draft:
    """80/10/10 of the clips over whole speakers, emotions (and genders, less so) in proportion."""
    _enough(ledger, "paper", LEAST)
    problem = Problem.plain(_counts(ledger, ledger.speaker, len(ledger.speakers)), len(ledger.labels), TARGET)
    return Draft(((WHOLE, assign(problem, seed)[ledger.speaker]),), TARGET)


def loso(manifest: Manifest, ledger: Ledger, seed: int, argument: str) -> Draft:
    """One fold per speaker, who is tested; the next speaker validates, the others train."""
    _enough(ledger, "loso", LEAST)
    number = len(ledger.speakers)
    _listable(ledger, "loso", number)
    return Draft(tuple((name, _rotated(ledger.speaker, i, number)) for i, name in enumerate(ledger.speakers)))


def kfold(manifest: Manifest, ledger: Ledger, seed: int, argument: str) -> Draft:
    """K groups of whole speakers, alike in size and classes; each is tested once, the next one validates."""
    number = int(argument)
    _enough(ledger, f"kfold:{number}", number)
    _listable(ledger, f"kfold:{number}", number)
    counts = _counts(ledger, ledger.speaker, len(ledger.speakers))
    group = assign(Problem.plain(counts, len(ledger.labels), (1,) * number), seed)[ledger.speaker]
    folds = tuple((str(i + 1), _rotated(group, i, number)) for i in range(number))
    return Draft(folds, (number - 2, 1, 1))


def official(manifest: Manifest, ledger: Ledger, seed: int, argument: str) -> Draft:
    """The parts that the corpus or the table itself names."""
    source = f"{manifest.corpus}: its own split"
    counts = Counter(clip.part or "" for clip in manifest.clips)
    if set(counts) == {""}:
        raise UserError(f"{source} is asked for, but no clip names its part: fill a split column, or use --split paper")
    strange = next((part for part in counts if part and part not in PARTS), None)
    if strange:
        raise UserError(f"{source} has an unknown part {strange!r}: known are {', '.join(PARTS)}; rename it")
    if counts[""]:
        clip = next(clip.name for clip in manifest.clips if not clip.part)
        raise UserError(
            f"{source} names no part for {counts['']} of {len(manifest.clips)} clips, such as {clip!r}: "
            "fill the column, remove them, or use --split paper"
        )
    absent = [part for part in PARTS if not counts[part]]
    if absent == ["validation"]:
        raise UserError(
            f"{source} has train and test but no validation part, without which no model can be chosen: mark some "
            "train speakers as validation, or let --split paper make all three parts"
        )
    if absent:
        raise UserError(f"{source} has no clips for {' and '.join(absent)}: mark some, or use --split paper")
    parts = np.fromiter((PARTS.index(clip.part or "") for clip in manifest.clips), np.int64, len(manifest.clips))
    return Draft(((WHOLE, parts),))


def published(manifest: Manifest, ledger: Ledger, seed: int, argument: str) -> Draft:
    """The folds of speakers that were published for the corpus; each is tested once, the next one validates."""
    if len(manifest.folds) < LEAST:
        raise UserError(f"{manifest.corpus} has no published folds of speakers: use --split loso or --split kfold:5")
    fold_of = {speaker: number for number, fold in enumerate(manifest.folds) for speaker in fold}
    strange = next((speaker for speaker in ledger.speakers if speaker not in fold_of), None)
    if strange is not None:
        raise UserError(
            f"speaker {strange!r} is in none of the published folds of {manifest.corpus}: leave the clips out, or use "
            "--split loso"
        )
    group = np.array([fold_of[speaker] for speaker in ledger.speakers])[ledger.speaker]
    for number, fold in enumerate(manifest.folds):
        if number not in group:
            raise UserError(
                f"{manifest.corpus}: no clips of published fold {number + 1} (speakers {', '.join(fold)}): complete "
                "the copy, or use --split loso"
            )
    count = len(manifest.folds)
    return Draft(tuple((str(number + 1), _rotated(group, number, count)) for number in range(count)))


def prompt_disjoint(manifest: Manifest, ledger: Ledger, seed: int, argument: str) -> Draft:
    """Neither speakers nor prompts in two parts: clips whose speaker and prompt disagree are left out.

    Speakers and prompts take turns: one group is assigned anew while the other stays, until neither turn
    helps. The cost asks for 80/10/10, for the corpus's classes among the used clips, and for many of these.
    """
    _enough(ledger, "prompt-disjoint", LEAST)
    if "" in ledger.prompts:
        lacking = [clip.name for clip in manifest.clips if not clip.prompt]
        raise UserError(
            f"prompt-disjoint needs the prompt of every clip; {len(lacking)} of {len(manifest.clips)} have none, "
            f"such as {lacking[0]!r}: add a prompt column, or use --split paper"
        )
    if len(ledger.prompts) < LEAST:
        raise UserError(
            f"prompt-disjoint needs {LEAST} prompts or more, {manifest.corpus} has {len(ledger.prompts)}: "
            "use --split paper"
        )
    results = [_crossed(ledger, seed, start, first) for start, first in CROSSED_STARTS]
    _, parts = min(results, key=lambda result: result[0])
    used = int((parts != LEFT_OUT).sum())
    total = len(parts)
    lost = f"{total - used} {verb(total - used, 'are')} left out"
    note = f"prompt-disjoint keeps {used} of {total} clips ({100 * used / total:.1f} %); {lost}"
    return Draft(((WHOLE, parts),), TARGET, (note,))


def _crossed(ledger: Ledger, seed: int, start: tuple[int, ...], first: int) -> tuple[int, Ints]:
    """Cost, and part of each clip (clips,), of the alternating search from one start."""
    units = (ledger.speaker, ledger.prompt)
    sizes = (len(ledger.speakers), len(ledger.prompts))
    assigned = []
    for unit, size in zip(units, sizes, strict=True):
        problem = Problem.plain(_counts(ledger, unit, size), len(ledger.labels), start)
        assigned.append(assign(problem, seed, steps=CROSSED_STEPS))
    before: int | None = None
    for turn in range(first, first + 2 * CROSSED_ROUNDS):
        moving, staying = turn % 2, 1 - turn % 2
        brings = _brings(ledger, units[moving], sizes[moving], assigned[staying][units[staying]])
        problem = Problem(brings, _corpus(ledger), len(ledger.labels), len(ledger.genders), TARGET)
        assigned[moving] = assign(problem, seed + turn, start=assigned[moving], steps=CROSSED_STEPS)
        cost = int(problem.cost(problem.counts(assigned[moving])))
        if cost == before:
            break
        before = cost
    by_speaker, by_prompt = (assigned[i][units[i]] for i in range(2))
    return cost, np.where(by_speaker == by_prompt, by_speaker, LEFT_OUT)


def _rotated(group: Ints, tested: int, number: int) -> Ints:
    """Parts (clips,) that test one of `number` groups and validate on the next."""
    return np.select([group == tested, group == (tested + 1) % number], [TEST, VALIDATION], TRAIN)


def _counts(ledger: Ledger, unit: Ints, size: int) -> Ints:
    """Clips per class, then per gender, of each unit (units, features)."""
    return _brings(ledger, unit, size, np.zeros_like(unit), parts=1)[:, 0]


def _brings(ledger: Ledger, unit: Ints, size: int, parts_of_clips: Ints, parts: int = len(PARTS)) -> Ints:
    """The same (units, parts, features), for units that bring to each part only the clips assigned to it."""
    features = len(ledger.labels) + len(ledger.genders)
    cell = (unit * parts + parts_of_clips) * features
    classes = np.bincount(cell + ledger.emotion, minlength=size * parts * features)
    genders = np.bincount(cell + len(ledger.labels) + ledger.gender, minlength=size * parts * features)
    counts: Ints = (classes + genders).reshape(size, parts, features)
    return counts


def _corpus(ledger: Ledger) -> Ints:
    """Clips per class, then per gender, of the whole corpus (features,)."""
    corpus: Ints = _counts(ledger, np.zeros_like(ledger.speaker), 1)[0]
    return corpus


FEW_SPEAKERS = "add speakers, or let the corpus join another's training (--auxiliary NAME=PATH)"


def _enough(ledger: Ledger, protocol: str, least: int) -> None:
    if len(ledger.speakers) < least:
        raise UserError(
            f"--split {protocol} needs {least} speakers or more, and there are {len(ledger.speakers)}: "
            + (FEW_SPEAKERS if least <= LEAST else "use fewer folds, or --split loso")
        )


def _listable(ledger: Ledger, protocol: str, folds: int) -> None:
    clips = len(ledger.ids)
    if folds * clips > LARGEST_LISTING:
        raise UserError(
            f"--split {protocol} would list {clips} clips in each of {folds} folds, more than a split file may "
            f"({LARGEST_LISTING} in all): use --split kfold:10"
        )


PROTOCOLS: dict[str, Callable[[Manifest, Ledger, int, str], Draft]] = {
    "paper": paper,
    "loso": loso,
    "kfold": kfold,
    "official": official,
    "column": official,
    "published": published,
    "prompt-disjoint": prompt_disjoint,
}


def inner_folds(speakers_by_clip: Sequence[str], k: int) -> list[tuple[Ints, Ints]]:
    """Leave-speakers-out folds for choosing a model on training clips: indices to fit on, indices held out.

    min(k, speakers) folds, alike in clips; the speaker with most clips goes first to the emptiest.
    """
    sizes = Counter(speakers_by_clip)
    k = min(k, len(sizes))
    if k < 2:
        raise UserError(
            f"inner folds need 2 speakers and 2 folds or more; there are {len(sizes)} speakers: add speakers"
        )
    filled = [0] * k
    fold_of = {}
    for speaker in sorted(sizes, key=lambda name: (-sizes[name], name)):
        fold_of[speaker] = min(range(k), key=lambda fold: filled[fold])
        filled[fold_of[speaker]] += sizes[speaker]
    fold = np.fromiter((fold_of[speaker] for speaker in speakers_by_clip), np.int64, len(speakers_by_clip))
    return [(np.flatnonzero(fold != i), np.flatnonzero(fold == i)) for i in range(k)]
