"""One model from several: a folder that holds them side by side, or one model of the mean of their weights."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from affetto._version import __version__
from affetto.errors import UserError, unknown
from affetto.export.folder import examine, new_folder
from affetto.export.members import Member, find_members, mean_thresholds, united_card, united_clips
from affetto.export.soup import NoMeanError, check_soup, write_soup
from affetto.models.ensemble import ENSEMBLE, FORMAT, member_folder, model_files
from affetto.targets.registry import blueprint_of
from affetto.training.runs import TRAINED_ON, RunFolder

HOW = ("probabilities", "weights", "auto")
"""Ways to average: of answers, of weights, or of weights where they have a mean and else of answers."""


def build_ensemble(
    models: Sequence[str | Path],
    out: str | Path,
    *,
    how: str = "probabilities",
    folds: bool = False,
    backbone: str | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Write one model from these runs and model folders into the new folder `out`; returns its card.

    `how`: one of HOW. `folds`: the models of each run's folds instead of its final one. `backbone`: the place of the
    backbone's weights if they have moved; only the mean of weights needs them. Raises UserError for models that do not
    go together, and then writes nothing.
    """
    if how not in HOW:
        raise unknown("way to average", how, HOW)
    if how == "probabilities" and backbone is not None:
        raise UserError("--backbone is for the mean of weights: leave it out, or give --how weights")
    target = Path(out)
    examine(target)
    members = find_members(models, folds=folds)
    if how != "probabilities":
        try:
            check_soup(members)
            return _write_soup(members, target, backbone)
        except NoMeanError as problem:
            if how == "weights":
                raise
            say(f"note: probabilities are averaged, since the weights cannot be: {problem.reason}")
    return _write_side_by_side(members, target)


def _write_soup(members: Sequence[Member], target: Path, backbone: str | None) -> dict[str, Any]:
    with new_folder(target) as folder:
        card = write_soup(members, folder, identity=identity(members, "weights"), backbone=backbone)
        RunFolder(folder).write_lines(TRAINED_ON, united_clips(members))
    return card


def _write_side_by_side(members: Sequence[Member], target: Path) -> dict[str, Any]:
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
