"""Copies of one recording under two speakers: a model could be trained on one copy and tested on another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from affetto.corpora.amounts import amount, verb
from affetto.corpora.content import Content, groups
from affetto.corpora.manifest import PARTS, Clip, Manifest
from affetto.errors import UserError
from affetto.splits.split import Fold

EXAMPLES = 3


def crossing(manifest: Manifest, contents: Mapping[str, Content]) -> list[list[Clip]]:
    """Groups of clips that are copies of one another under two speakers or more."""
    clips = {clip.id: clip for clip in manifest.clips}
    copies = groups({clip: contents[clip] for clip in clips if clip in contents})
    grouped = [[clips[clip] for clip in group] for group in copies]
    return [group for group in grouped if len({clip.speaker for clip in group}) > 1]


def refuse(copies: Sequence[Sequence[Clip]]) -> None:
    """Raise UserError, naming some of the copies, where there are any."""
    if not copies:
        return
    titles = ([f"{clip.id} of {clip.speaker}" for clip in group[:EXAMPLES]] for group in copies[:EXAMPLES])
    examples = "; ".join(" = ".join(clips) for clips in titles)
    more = f"; and {len(copies) - EXAMPLES} more" if len(copies) > EXAMPLES else ""
    count = f"{amount(len(copies), 'recording')} {verb(len(copies), 'are')}"
    raise UserError(
        f"{count} listed under two speakers: {examples}{more}. A training clip would be tested: give copies one "
        "speaker's name, leave all but one of each out, or let --allow-duplicates leave copies out of the test part"
    )


def without(fold: Fold, copies: Sequence[Sequence[Clip]]) -> Fold:
    """The fold without test clips that are trained or validated on too, and validation clips that are trained on."""
    parts = {part: list(clips) for part, clips in fold.parts.items()}
    home = {clip: part for part, clips in fold.parts.items() for clip in clips}
    for group in copies:
        ids = [clip.id for clip in group if clip.id in home]
        first = min((PARTS.index(home[clip]) for clip in ids), default=0)
        for clip in ids:
            if PARTS.index(home[clip]) > first:
                parts[home[clip]].remove(clip)
    return Fold(fold.name, *(tuple(parts[part]) for part in PARTS))


def left_out(before: Fold, after: Fold) -> dict[str, int]:
    """Number of copies that each part has lost."""
    return {part: len(before.parts[part]) - len(after.parts[part]) for part in PARTS}
