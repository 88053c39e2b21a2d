"""One model whose weights are the mean of several models' (a model soup, Wortsman et al. 2022).

The mean of weights is a model where they have a common start: the backbone's own weights, or the numbers of one seed.
LoRA needs none, since the mean of its products B A is taken exactly, by factors side by side. Heads need one: they
start as the logistic regression of the training clips, or from the run's seed.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from affetto._version import __version__
from affetto.errors import UserError
from affetto.export.members import Member, mean_thresholds, united_card
from affetto.models.methods.registry import METHODS
from affetto.models.methods.weight_means import mean_file
from affetto.models.saved import HEAD, METHOD, original_backbone, put_together, save_classifier
from affetto.training.runs import FOLDS, SPEC, RunFolder

ADVICE = "average their answers instead: --how probabilities"


class NoMeanError(UserError):
    """Models whose weights have no mean that is a model, for this `reason`."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"{reason}: {ADVICE}")


_DECIDE_THE_PROBE = ("audio", "model", "probe", "target", "auxiliary", "augment", "store", "compute")
"""Sections of a run's settings by which the probe that a head starts from may differ."""


def check_soup(members: Sequence[Member]) -> None:
    """Raise NoMeanError for members whose weights have no mean that is a model."""
    first, start = members[0], _Start(members[0])
    method = METHODS.find(first.card["blueprint"]["method"]["name"])
    for member in members:
        pair = f"{member.name} and {first.name}"
        difference = _difference(first.card, member.card)
        if difference:
            raise NoMeanError(f"{pair} differ in {difference}, so that their weights have no mean")
        begin = _Start(member)
        if begin.head is None:
            raise NoMeanError(f"no {SPEC} of a run around {member.name} says where its head started")
        if begin.head != start.head:
            raise NoMeanError(
                f"the heads of {pair} started from different weights ({begin.words}), so that their mean is no head"
            )
        if method.has_random_start and begin.seed != start.seed:
            raise NoMeanError(
                f"{method.title} started from the random numbers of different seeds in {pair}, so that the mean of its "
                "weights is no model"
            )


def write_soup(
    members: Sequence[Member], folder: Path, *, identity: str, backbone: str | None = None
) -> dict[str, Any]:
    """Write the model folder of the members' mean; returns its card. The members have passed `check_soup`.

    `backbone`: the place of the backbone's weights, if they have moved. Raises UserError where they cannot be found,
    NoMeanError for a method whose weights have no mean.
    """
    first = members[0]
    blueprint: dict[str, Any] = dict(first.card["blueprint"])
    method = METHODS.find(blueprint["method"]["name"])
    with tempfile.TemporaryDirectory() as temporary:
        weights = Path(temporary)
        mean_file([member.folder / HEAD for member in members], weights / HEAD)
        settings = method.average(
            [member.folder / METHOD for member in members], blueprint["method"]["settings"], weights / METHOD
        )
        if settings is None:
            raise NoMeanError(f"the weights of the method {method.name} have no mean that is a model")
        blueprint["method"] = blueprint["method"] | {"settings": settings}
        card = _card(members, blueprint, identity)
        classifier = put_together(original_backbone(first.folder, first.card, backbone), card, weights)
        save_classifier(classifier, folder, card)
    return card


def _card(members: Sequence[Member], blueprint: dict[str, Any], identity: str) -> dict[str, Any]:
    method = blueprint["method"]
    is_wider = method["settings"] != members[0].card["blueprint"]["method"]["settings"]
    return {
        "affetto": __version__,
        "run": identity,
        "how": "weights",
        "blueprint": blueprint,
        "backbone": members[0].card["backbone"],
        **united_card(members),
        "confidence": _confidence(members),
        "averaged": "products of low-rank factors, exactly; other weights and the head, each tensor"
        if is_wider
        else "each trained tensor and the head",
        "members": [member.facts() for member in members],
    }


def _confidence(members: Sequence[Member]) -> dict[str, Any]:
    """Geometric mean of the members' temperatures, mean of their thresholds; no intervals, which nothing measured."""
    confidence: dict[str, Any] = {}
    if members[0].target.has_classes:
        cards = [member.card.get("confidence", {}) for member in members]
        logarithms = [math.log(card.get("temperature", 1.0)) for card in cards]
        confidence["temperature"] = round(math.exp(math.fsum(logarithms) / len(logarithms)), 4)
    thresholds = mean_thresholds(members)
    return confidence | ({"thresholds": thresholds} if thresholds else {})


def _difference(first: dict[str, Any], second: dict[str, Any]) -> str:
    """The first fact that has to agree and differs between two cards, in words; "" where there is none."""
    facts: dict[str, Callable[[dict[str, Any]], Any]] = {
        "the backbone": lambda card: (card["backbone"]["digest"], card["backbone"].get("layer_norm_swap", "none")),
        "the method": lambda card: card["blueprint"]["method"]["name"],
        "the method's settings": lambda card: card["blueprint"]["method"],
        "the state that is pooled": lambda card: card["blueprint"]["pooling"],
        "the head": lambda card: card["blueprint"]["head"],
        "the length of clips": lambda card: card["audio"]["seconds"],
    }
    return next((words for words, fact in facts.items() if fact(first) != fact(second)), "")


class _Start:
    """Start of a member's trained weights, as the run around it says."""

    def __init__(self, member: Member) -> None:
        run = member.run.parent.parent if member.run.parent.name == FOLDS else member.run
        content = RunFolder(run).read(SPEC) or {}
        spec = content.get("spec", {})
        settings = spec.get("settings", {})
        training = settings.get("training", {})
        self.seed = spec.get("seed")
        self.head: tuple[Any, ...] | None = None
        """Weights that the head started from, by what makes them; None: unknown."""
        if training.get("warm_start") == "probe":
            sections = {name: settings.get(name) for name in _DECIDE_THE_PROBE}
            choice = RunFolder(member.run).read("choice.json")
            fit = {name: training.get(name) for name in ("refit", "class_weights")}
            self.head, self.words = (sorted(member.trained_on), sections, choice, fit), "their probes differ"
        elif training:
            self.head, self.words = (self.seed,), "their seeds differ"
