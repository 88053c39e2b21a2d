"""Changed copies of clips (`augment.copies`): they train beside their clip, and are judged nowhere.

A copy has the speaker, the label and the corpus of its clip. A clip and its copies together count as one clip.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from affetto.audio.changes import Change
from affetto.models.prefix import Source


@dataclass(frozen=True)
class Copies:
    """Copies of clips, by the ids of both."""

    changes: tuple[Change, ...] = ()
    of_clips: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Ids of the copies of each clip that has some."""
    sources: Mapping[str, Source] = field(default_factory=dict)
    """Audio of each copy."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """Digest of each copy, as `Source.digest` gives it."""

    @classmethod
    def make(
        cls,
        changes: tuple[Change, ...],
        clips: Iterable[str],
        *,
        sources: Mapping[str, Source],
        digests: Mapping[str, str],
        left_out: Mapping[str, str],
    ) -> Copies:
        """Copies of these clips under each change, but for those that are left out as unusable."""
        of_clips: dict[str, tuple[str, ...]] = {}
        copied: dict[str, Source] = {}
        addresses: dict[str, str] = {}
        for clip in clips:
            ids = {f"{clip} [{change}]": change for change in changes}
            usable = {copy: change for copy, change in ids.items() if copy not in left_out}
            copied |= {copy: replace(sources[clip], change=change) for copy, change in usable.items()}
            addresses |= {copy: change.address(digests[clip]) for copy, change in usable.items()}
            if usable:
                of_clips[clip] = tuple(usable)
        return cls(changes, of_clips, copied, addresses)

    @property
    def clips(self) -> dict[str, str]:
        """Clip of each copy."""
        return {copy: clip for clip, copies in self.of_clips.items() for copy in copies}

    def of(self, ids: Sequence[str]) -> tuple[str, ...]:
        """Copies of these clips, in their order."""
        return tuple(copy for clip in ids for copy in self.of_clips.get(clip, ()))

    def shared(self, factors: Mapping[str, float]) -> dict[str, float]:
        """Factors of clips (1 for a clip without one), shared out among each clip and its copies."""
        shares = dict(factors)
        for clip, copies in self.of_clips.items():
            share = factors.get(clip, 1.0) / (len(copies) + 1)
            shares |= dict.fromkeys((clip, *copies), share)
        return shares

    def spread(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values of clips, and for each copy that of its clip."""
        return {**values, **{copy: values[clip] for copy, clip in self.clips.items() if clip in values}}

    def facts(self) -> dict[str, Any]:
        """Fields of the metrics: the changes, the clips that have copies, and the copies. {} without copies."""
        if not self.changes:
            return {}
        changes = [str(change) for change in self.changes]
        return {"changed_copies": {"changes": changes, "clips": len(self.of_clips), "copies": len(self.sources)}}
