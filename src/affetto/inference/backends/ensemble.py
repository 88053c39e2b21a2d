"""Predictor of an ensemble: the mean of what its members answer, each calibrated by its own temperature."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from affetto.errors import UserError
from affetto.inference.backends.shared import load_folders
from affetto.inference.backends.trained import ClassifierPredictor
from affetto.inference.flow import Rows, at_once
from affetto.inference.predictor import Predictor
from affetto.models.classifier import Prefix
from affetto.models.ensemble import ENSEMBLE, member_folder, read_ensemble
from affetto.targets.registry import target_of


class EnsemblePredictor(Predictor):
    """Members with one target; those on the same backbone share its weights in memory.

    Probabilities of labels are the arithmetic mean of the members' calibrated ones, window by window, so the logits are
    the logarithm of that mean; dimensions are the mean of the members'. A window is as long as the shortest of theirs.
    """

    def __init__(
        self, members: Sequence[ClassifierPredictor], card: dict[str, Any], long_clips: str = "windows"
    ) -> None:
        target = members[0].target
        longest = [seconds for member in members if (seconds := member.classifier.backbone.longest_seconds) is not None]
        super().__init__(
            target.labels, card, longest_seconds=min(longest, default=None), long_clips=long_clips, target=target
        )
        self.members = tuple(members)
        self.precision = ", ".join(dict.fromkeys(member.precision for member in members))
        self.windows_at_once = min(member.windows_at_once for member in members)
        self.batches_ahead = min(member.batches_ahead for member in members)
        self.decoders = max(member.decoders for member in members)

    def begin(self, waves: Sequence[np.ndarray]) -> Rows:
        shared: dict[object, list[Prefix]] = {}
        begun = [(member, _begin(member, waves, shared)) for member in self.members]
        return lambda: np.mean([member.calibrated(rows()) for member, rows in begun], axis=0)

    def window_probabilities(self, waves: Sequence[np.ndarray]) -> np.ndarray:
        return self.begin(waves)()

    def warm_up(self, clips: int) -> None:
        for member in self.members:
            member.warm_up(clips)

    def for_speaker(self, recordings: Sequence[str | Path | np.ndarray]) -> EnsemblePredictor:
        adapted = copy.copy(self)
        adapted.members = tuple(member.for_speaker(recordings) for member in self.members)
        adapted.speaker_clips = adapted.members[0].speaker_clips
        return adapted


def _begin(member: ClassifierPredictor, waves: Sequence[np.ndarray], shared: dict[object, list[Prefix]]) -> Rows:
    """Begin a member's values; what other members have computed of the same waves is in `shared`, by `prefix_key`."""
    key = member.prefix_key
    if key is None:
        return member.begin(waves)
    if key not in shared:
        shared[key] = member.prefixes(waves)
    return at_once(lambda _: member.values_of(shared[key]))(waves)


def load_ensemble(
    folder: Path, *, device: str, backbone: str | None, precision: str, long_clips: str
) -> EnsemblePredictor:
    """The predictor of an ensemble's folder; see `loading.load`.

    Raises UserError for a member that is missing or answers for other labels, and for a `backbone` that cannot be that
    of all members.
    """
    card = read_ensemble(folder)
    if backbone is not None and len({member.get("backbone_digest") for member in card["members"]}) > 1:
        raise UserError(f"{folder} has members on several backbones: leave --backbone out, and put each where it was")
    folders = {str(n): member_folder(folder, n) for n in range(1, len(card["members"]) + 1)}
    members = [
        *load_folders(folders, device=device, backbone=backbone, precision=precision, long_clips=long_clips).values()
    ]
    names = target_of(card["blueprint"]).output_names
    for member in members:
        if member.target.output_names != names:
            raise UserError(
                f"{folder / ENSEMBLE}: a member predicts {', '.join(member.target.output_names)}, the ensemble "
                f"{', '.join(names)}; make the ensemble again"
            )
    predictor = EnsemblePredictor(members, card, long_clips)
    predictor.files = (folder / ENSEMBLE, *(file for member in members for file in member.files))
    return predictor
