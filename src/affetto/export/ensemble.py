"""One model from several: a folder that holds them side by side."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from affetto._version import __version__
from affetto.export.folder import examine, new_folder
from affetto.export.members import Member, find_members, mean_thresholds, united_card, united_clips
from affetto.models.ensemble import ENSEMBLE, FORMAT, member_folder, model_files
from affetto.targets.registry import blueprint_of
from affetto.training.runs import TRAINED_ON, RunFolder


def build_ensemble(models: Sequence[str | Path], out: str | Path, *, folds: bool = False) -> dict[str, Any]:
    """Write an ensemble of these runs and model folders into the new folder `out`; returns its card.

    `folds`: the models of each run's folds instead of its final one. Raises UserError for models that do not go
    together, before anything is written.
    """
    target = Path(out)
    examine(target)
    members = find_members(models, folds=folds)
    card = _side_by_side(members)
    with new_folder(target) as folder:
        for number, member in enumerate(members, 1):
            _copy(member.folder, member_folder(folder, number))
        RunFolder(folder).write_lines(TRAINED_ON, united_clips(members))
        RunFolder(folder).write(ENSEMBLE, card)
    return card


def _side_by_side(members: Sequence[Member]) -> dict[str, Any]:
    thresholds = mean_thresholds(members)
    return {
        "format": FORMAT,
        "affetto": __version__,
        "run": identity(members, "probabilities"),
        "how": "probabilities",
        "blueprint": blueprint_of(members[0].target),
        **united_card(members),
        "confidence": {"thresholds": thresholds} if thresholds else {},
        "members": [member.facts() for member in members],
    }


def identity(members: Sequence[Member], how: str) -> str:
    """SHA-256 of the members' digests and of the way in which they are averaged."""
    digests = [member.digest for member in members]
    return hashlib.sha256(json.dumps([how, *digests]).encode()).hexdigest()


def _copy(model: Path, target: Path) -> None:
    for file in model_files(model):
        copy = target / file.relative_to(model)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
