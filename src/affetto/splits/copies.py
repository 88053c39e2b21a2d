"""Copies of one recording under two speakers: what is learned from the one would be tested on the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from affetto.corpora.content import Content, groups
from affetto.corpora.manifest import PARTS, Clip, Manifest
from affetto.errors import UserError
from affetto.splits.split import Fold

NAMED = 3


def crossing(manifest: Manifest, contents: Mapping[str, Content]) -> list[list[Clip]]:
    """Groups of clips that are copies of one another under two speakers or more."""
    clips = {clip.id: clip for clip in manifest.clips}
    alike = groups({clip: contents[clip] for clip in clips if clip in contents})
    found = [[clips[clip] for clip in group] for group in alike]
    return [group for group in found if len({clip.speaker for clip in group}) > 1]


def refuse(copies: Sequence[Sequence[Clip]]) -> None:
    """Raise UserError, naming some of the copies, where there are any."""
    if not copies:
        return
    named = "; ".join(" = ".join(f"{clip.id} of {clip.speaker}" for clip in group[:NAMED]) for group in copies[:NAMED])
    more = f"; and {len(copies) - NAMED} more" if len(copies) > NAMED else ""
    count = f"{len(copies)} recordings are" if len(copies) > 1 else "1 recording is"
    raise UserError(
        f"{count} listed under two speakers: {named}{more}. What is trained on would be tested: give copies one "
        "speaker's name, leave all but one of each out, or let --allow-duplicates leave copies out of the test part"
    )


def without(fold: Fold, copies: Sequence[Sequence[Clip]]) -> Fold:
    """The fold without test clips that are trained or validated on too, and validation clips that are trained on."""
    kept = {part: list(clips) for part, clips in fold.parts.items()}
    home = {clip: part for part, clips in fold.parts.items() for clip in clips}
    for group in copies:
        ids = [clip.id for clip in group if clip.id in home]
        first = min((PARTS.index(home[clip]) for clip in ids), default=0)
        for clip in ids:
            if PARTS.index(home[clip]) > first:
                kept[home[clip]].remove(clip)
    return Fold(fold.name, *(tuple(kept[part]) for part in PARTS))


def left_out(before: Fold, after: Fold) -> dict[str, int]:
    """How many copies each part has lost."""
    return {part: len(before.parts[part]) - len(after.parts[part]) for part in PARTS}
