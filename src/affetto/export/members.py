"""Members of an ensemble: the models that runs and folders hold, and what has to agree between them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affetto.errors import UserError
from affetto.evaluation.seen import list_of
from affetto.export.source import without_paths
from affetto.inference.loading import kind_of
from affetto.models.ensemble import model_digest
from affetto.models.licences import united
from affetto.models.saved import read_card
from affetto.targets.registry import target_of
from affetto.targets.target import Target
from affetto.training.runs import FOLDS, METRICS, MODEL, SPEC, TRAINED_ON, RunFolder


@dataclass(frozen=True)
class Member:
    """A trained model, by its folder."""

    name: str
    """Path of the model as the user may write it."""
    folder: Path
    """Folder with the card and the weights."""
    card: dict[str, Any]
    digest: str
    """SHA-256 of the folder's files."""
    trained_on: tuple[str, ...]
    """Lines of the list of clips that it was trained on."""

    @property
    def target(self) -> Target:
        return target_of(self.card["blueprint"])

    @property
    def run(self) -> Path:
        """Folder of the run, or of the fold, that the model is of."""
        return self.folder.parent if self.folder.name == MODEL else self.folder

    def facts(self) -> dict[str, Any]:
        """The member in an ensemble's card, which others may read: no paths of this machine."""
        card, run = without_paths(self.card), self.run.resolve()
        parts = run.parts[-3:] if run.parent.name == FOLDS else run.parts[-1:]
        return {
            "name": "/".join(parts),
            "digest": self.digest,
            "run": card["run"],
            "corpus": card["corpus"],
            "licence": card["licence"],
            "trained_on": card.get("trained_on"),
            "method": card["blueprint"]["method"]["name"],
            "backbone": card["backbone"]["name"],
            "backbone_digest": card["backbone"]["digest"],
        }


def find_members(models: Sequence[str | Path], *, folds: bool = False) -> list[Member]:
    """The members that these runs and model folders have: two or more, of one target.

    A run is its final model, or, where it has none or with `folds`, the models of its folds. Raises UserError for an
    unfinished run, a model that is listed twice, fewer than two models, and models that answer for other labels.
    """
    folders = [folder for model in models for folder in _folders(Path(model), folds)]
    doubled = [folder for n, folder in enumerate(folders) if folder.resolve() in {f.resolve() for f in folders[:n]}]
    if doubled:
        raise UserError(f"{doubled[0]} is given twice: leave one out")
    if len(folders) < 2:
        raise UserError(f"{models[0]} is one model, and an ensemble needs two or more: {_more(Path(models[0]))}")
    members = [_member(folder) for folder in folders]
    _check_targets(members)
    return members


def _folders(model: Path, folds: bool) -> list[Path]:
    """Model folders of a run, or of a model itself."""
    if not model.is_dir():
        raise UserError(f"no folder {model}: give finished runs, or folders of models")
    kind = kind_of(model)
    if kind == "ensemble":
        raise UserError(f"{model} is an ensemble: give its members' runs instead")
    if kind != "trained":
        raise UserError(f"{model} was exported already, or is a model of others: give the folder of a run")
    run = RunFolder(model)
    if run.has(SPEC) and not run.has(METRICS):
        raise UserError(f"{model} is not finished: run its `affetto train` again, or leave it out")
    of_folds = _of_folds(model)
    if folds and not of_folds:
        raise UserError(f"{model} has no models of folds: leave --folds out")
    if of_folds and (folds or not run.model.is_dir()):
        return of_folds
    return [run.model if run.model.is_dir() else model]


def _of_folds(run: Path) -> list[Path]:
    if not (run / FOLDS).is_dir():
        return []
    return sorted(fold / MODEL for fold in (run / FOLDS).iterdir() if (fold / MODEL).is_dir())


def _more(model: Path) -> str:
    count = len(_of_folds(model))
    return f"--folds takes the models of its {count} folds" if count > 1 else "give another run"


def _member(folder: Path) -> Member:
    file = list_of(folder)
    if file is None:
        raise UserError(
            f"{folder} has no {TRAINED_ON}, which lists the clips that it was trained on, so that no test of the "
            "ensemble could leave them out: give the run's folder"
        )
    lines = tuple(line for line in file.read_text(encoding="utf-8").splitlines() if line)
    return Member(
        name=str(folder), folder=folder, card=read_card(folder), digest=model_digest(folder), trained_on=lines
    )


def _check_targets(members: Sequence[Member]) -> None:
    first = members[0]
    for member in members[1:]:
        target = member.target
        if target.name != first.target.name:
            raise UserError(
                f"{member.name} predicts {target.title}, {first.name} {first.target.title}: an ensemble has one target"
            )
        if target.output_names != first.target.output_names or target.dimensions != first.target.dimensions:
            raise UserError(
                f"{member.name} predicts {_outputs(target)}; {first.name} {_outputs(first.target)}: an ensemble has "
                "one list of labels and dimensions; train them on the same, with --label where corpora differ"
            )


def _outputs(target: Target) -> str:
    ranges = (f"{name} ({ends.low:g} to {ends.high:g})" for name, ends in target.dimensions.items())
    return ", ".join([*target.labels, *ranges])


def united_card(members: Sequence[Member]) -> dict[str, Any]:
    """Facts that the card of an ensemble has of all its members, without a score of its own."""
    cards = [member.card for member in members]
    seconds = [card["audio"]["seconds"] for card in cards if card["audio"]["seconds"] is not None]
    return {
        "audio": {"seconds": min(seconds, default=None)},
        "precision": "float32" if any(card["precision"] == "float32" for card in cards) else "bfloat16",
        "trained_on": "ensemble",
        "tested": False,
        "corpus": united_corpora(card["corpus"] for card in cards),
        "licence": _joined((card["licence"] for card in cards), "; "),
        "licences": united(cards),
        "synthetic": any(card["synthetic"] for card in cards),
    }


def united_corpora(names: Iterable[str]) -> str:
    """The corpora of several cards, each once: those that were tested, then those that joined their training alone.

    >>> united_corpora(["emovo + ravdess (auxiliary)", "emovo", "emovo+emodb + nemo (auxiliary)"])
    'emovo+emodb + ravdess (auxiliary) + nemo (auxiliary)'
    """
    tested: dict[str, None] = {}
    joined: dict[str, None] = {}
    for name in names:
        own, *others = name.split(" + ")
        tested |= dict.fromkeys(own.split("+"))
        joined |= dict.fromkeys(others)
    return " + ".join(["+".join(tested), *(name for name in joined if name.partition(" (")[0] not in tested)])


def mean_thresholds(members: Sequence[Member]) -> dict[str, float]:
    """Mean threshold of each label, as the members' cards have them; {} of other targets."""
    thresholds = [member.card.get("confidence", {}).get("thresholds") for member in members]
    if any(values is None for values in thresholds):
        return {}
    return {label: sum(values[label] for values in thresholds) / len(thresholds) for label in members[0].target.labels}


def united_clips(members: Iterable[Member]) -> list[dict[str, Any]]:
    """Lines of `trained_on.jsonl`: clips that any of the members was trained on, each once."""
    lines = dict.fromkeys(line for member in members for line in member.trained_on)
    return [json.loads(line) for line in lines]


def _joined(texts: Iterable[str], sign: str) -> str:
    """Parts of the texts, each once, in their order."""
    return sign.join(dict.fromkeys(part for text in texts for part in text.split(sign) if part))
