"""Auxiliary corpora: their clips join the training part of every fold, and no other part.

The tested corpus decides: its labels are those that are learned, its clips alone validate and test. Clips of an
auxiliary corpus with another label are left out, and no speaker and no recording of one may be in validation or test.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from affetto.corpora.content import Content, copies
from affetto.corpora.labels import DROP
from affetto.corpora.manifest import Clip, Manifest
from affetto.corpora.names import unified
from affetto.corpora.prompts import sentence
from affetto.corpora.registry import CORPORA
from affetto.errors import UserError
from affetto.splits import Split
from affetto.targets.target import Target

SPEAKER, COPY = "speaker in validation or test", "copy of a validation or test clip"
"""Reasons why a clip may not be learned from."""
EXAMPLES = 3
OVERLAP_FLAG_PERCENT = 10.0


@dataclass(frozen=True)
class Auxiliary:
    """Clips of auxiliary corpora that are learned from, and the facts of each corpus."""

    manifests: tuple[Manifest, ...] = ()
    """The clips that are learned from, one manifest a corpus."""
    facts: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """Facts by the corpus's name: `clips`, `used`, `left_out` by reason, `speakers`, and the percentage of test clips
    whose sentence is spoken in it (None where no words are known)."""

    @property
    def clips(self) -> tuple[Clip, ...]:
        """All clips that are learned from, in the order of the corpora."""
        return tuple(clip for manifest in self.manifests for clip in manifest.clips)

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of `clips`."""
        return tuple(clip.id for clip in self.clips)

    def join(self, ids: Sequence[str]) -> tuple[str, ...]:
        """Training clips of the tested corpus, and behind them those of the auxiliary corpora."""
        return (*ids, *self.ids)

    def recorded(self, split: Split) -> Split:
        """The split, whose file names the auxiliary corpora. Its checksum stays: it is about the tested corpus."""
        if not self.manifests:
            return split
        return replace(split, audit={**split.audit, "auxiliary": dict(self.facts)}, notes=(*split.notes, *self.notes()))

    def notes(self) -> list[str]:
        """Sentences on what joins the training, for people."""
        lines = []
        for name, facts in self.facts.items():
            left_out = ", ".join(f"{count:,} {reason}" for reason, count in facts["left_out"].items())
            lines.append(
                f"{facts['used']:,} of {facts['clips']:,} clips of {name} join the training part of every fold"
                + (f"; left out: {left_out}" if left_out else "")
            )
            percent = facts["shared_sentences_percent"]
            if percent is not None and percent > OVERLAP_FLAG_PERCENT:
                lines.append(f"{percent:.0f} % of the test clips have a sentence that is also spoken in {name}")
        return lines

    def digests(self, audio: Mapping[str, str], *, with_annotations: bool) -> dict[str, dict[str, str]]:
        """SHA-256 over labels and over audio of each corpus, for the identity of a run; `audio` by clip id."""
        return {
            manifest.corpus: {
                "manifest": manifest.checksum(with_annotations=with_annotations),
                "audio": hashlib.sha256("".join(audio[clip.id] for clip in manifest.clips).encode()).hexdigest(),
            }
            for manifest in self.manifests
        }


def own_names(manifest: Manifest) -> Manifest:
    """The manifest, with its name in front of speakers and prompts, as `merge` gives them to several corpora."""
    name = manifest.corpus
    clips = tuple(
        replace(clip, corpus=name, speaker=f"{name}:{clip.speaker}", prompt=clip.prompt and f"{name}:{clip.prompt}")
        for clip in manifest.clips
    )
    return replace(manifest, clips=clips)


def select(
    corpora: Sequence[Manifest],
    tested: Manifest,
    target: Target,
    split: Split,
    *,
    digests: Mapping[str, str],
    contents: Mapping[str, Content],
    allow_duplicates: bool,
) -> Auxiliary:
    """The clips of these corpora (with `own_names`) that a run on the split of the tested corpus may learn from.

    Raises UserError for a corpus without a clip of the target, for a speaker who is validated or tested too and,
    unless `allow_duplicates` leaves them out, for copies of validation and test clips.
    """
    judged_ids = {clip for fold in split.folds for clip in (*fold.validation, *fold.test)}
    judged = [clip for clip in tested.clips if clip.id in judged_ids]
    people = {_person(clip, tested) for clip in judged}
    files = {digests[clip.id] for clip in judged}
    originals = [contents[clip.id] for clip in judged if clip.id in contents]
    tested_ids = {clip for fold in split.folds for clip in fold.test}
    manifests, facts = [], {}
    for manifest in corpora:
        obstacles = _obstacles(manifest, target, tested)
        clips = [clip for clip in manifest.clips if clip.id not in obstacles]
        heard = copies({clip.id: contents[clip.id] for clip in clips if clip.id in contents}, originals)
        crossing = {clip.id: COPY for clip in clips if clip.id in heard or digests[clip.id] in files}
        crossing |= {clip.id: SPEAKER for clip in clips if _person(clip, manifest) in people}
        if crossing and not allow_duplicates:
            _refuse(manifest, crossing)
        if len(crossing) == len(clips):
            raise UserError(
                f"auxiliary corpus {manifest.corpus}: all of its {len(clips)} clips are of speakers or recordings that "
                "are validated or tested: leave it out"
            )
        reasons = obstacles | crossing
        dropped = {change.label: change.clips for change in manifest.relabelled or () if change.target == DROP}
        used = manifest.only(lambda clip, reasons=reasons: clip.id not in reasons)  # type: ignore[misc]
        manifests.append(used)
        facts[manifest.corpus] = {
            "clips": len(manifest.clips) + sum(dropped.values()),
            "used": len(used.clips),
            "left_out": dict(sorted((Counter(reasons.values()) + Counter(dropped)).items())),
            "speakers": len(used.speakers),
            "shared_sentences_percent": _shared_sentences_percent(
                [clip for clip in judged if clip.id in tested_ids], used
            ),
        }
    return Auxiliary(tuple(manifests), facts)


def check_names(tested: Manifest, corpora: Sequence[Manifest]) -> None:
    """Raise UserError for an auxiliary corpus that has the name of another corpus of the run."""
    names = {clip.corpus for clip in tested.clips}
    for manifest in corpora:
        if manifest.corpus in names:
            raise UserError(
                f"two corpora are named {manifest.corpus!r}: give the auxiliary corpus another name, as in "
                f"--auxiliary {manifest.corpus}-2=PATH, or leave it out where it is the tested one"
            )
        names.add(manifest.corpus)


def _obstacles(manifest: Manifest, target: Target, tested: Manifest) -> dict[str, str]:
    """Reason why each unusable clip cannot be learned from, by id. Raises UserError where no clip can."""
    for name, scale in target.dimensions.items():
        available = manifest.dimensions.get(name)
        if available is not None and (available.low, available.high) != (scale.low, scale.high):
            raise UserError(
                f"auxiliary corpus {manifest.corpus}: {name} goes from {available.low:g} to {available.high:g}, and in "
                f"{tested.corpus} from {scale.low:g} to {scale.high:g}: convert its column, or leave the corpus out"
            )
    obstacles = {clip.id: reason for clip in manifest.clips if (reason := target.obstacle(clip))}
    if len(obstacles) == len(manifest.clips):
        wanted = ", ".join((*target.labels, *target.dimensions))
        present = ", ".join(sorted(set(obstacles.values())))
        advice = f"map its labels with --label {manifest.corpus}:NAME=EMOTION"
        if not target.labels:
            advice = f"name its columns with --dimension {manifest.corpus}:NAME=COLUMN:LOW:HIGH"
        raise UserError(
            f"auxiliary corpus {manifest.corpus} has no clip to learn {tested.corpus} from: the run learns {wanted}, "
            f"and its clips have {present}: {advice}, or leave the corpus out"
        )
    return obstacles


def _refuse(manifest: Manifest, crossing: Mapping[str, str]) -> None:
    clip, reason = next(iter(crossing.items()))
    names = ", ".join(list(crossing)[:EXAMPLES])
    more = f" and {len(crossing) - EXAMPLES} more" if len(crossing) > EXAMPLES else ""
    words = "of a" if reason == SPEAKER else "a"
    raise UserError(
        f"auxiliary corpus {manifest.corpus}: {len(crossing)} of its clips may not be learned from ({names}{more}): "
        f"{clip} is {words} {reason}. Take them out, or let --allow-duplicates leave them out of the training"
    )


def _person(clip: Clip, manifest: Manifest) -> tuple[str, str]:
    """Identity of a speaker among corpora: a published corpus has the same people under whatever name it runs."""
    keys = dict(zip(manifest.corpus.split("+"), manifest.key.split("+"), strict=False))
    record = CORPORA.get(keys.get(clip.corpus, ""))
    owner = clip.corpus if record is None or record.is_format else record.name
    return owner, unified(clip.speaker).removeprefix(f"{clip.corpus}:")


def _shared_sentences_percent(tested: Sequence[Clip], auxiliary: Manifest) -> float | None:
    """Percentage of the test clips whose sentence is spoken in the auxiliary corpus."""
    spoken = {sentence(clip) for clip in auxiliary.clips} - {None}
    words = [sentence(clip) for clip in tested]
    if not spoken or not any(words):
        return None
    return round(100 * sum(text in spoken for text in words) / len(words), 2)
