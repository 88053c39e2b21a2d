"""The registered targets: those of this package and those of plug-ins (entry points `affetto.targets`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from affetto.errors import UserError
from affetto.registry import Registry
from affetto.targets.target import AnnotatedClips, Target, TargetSettings

PLAIN = "classes"
"""The target of all runs and models that do not name theirs."""


def _is_target(value: object) -> bool:
    """True for a class with a name of its own; bases of several targets have none."""
    return isinstance(value, type) and issubclass(value, Target) and "name" in vars(value)


TARGETS: Registry[type[Target]] = Registry(
    "target",
    type,
    ["affetto.targets"],
    "affetto.targets",
    order=lambda target: (target.order, target.name),
    accepts=_is_target,
)
"""Classes of targets by the names that `--target` takes."""


def target_of(blueprint: Mapping[str, Any]) -> Target:
    """The target of a saved model, by its blueprint. Raises UserError for a target that is not installed."""
    stored = blueprint.get("target") or {"kind": PLAIN, "labels": blueprint["labels"]}
    kind = TARGETS.find(stored["kind"], hint="A target of a plug-in needs its package.")
    return kind.from_json({name: value for name, value in stored.items() if name != "kind"})


def target_of_run(metrics: Mapping[str, Any]) -> Target:
    """The target of a finished run, by its `metrics.json`. Raises UserError for a target that is not installed."""
    return target_of({"labels": metrics["test"].get("labels", ()), "target": metrics.get("target")})


def blueprint_of(target: Target) -> dict[str, Any]:
    """Fields of a blueprint from which `target_of` makes the target. A model of classes has its labels alone."""
    return {"labels": list(target.labels), **target_fields(target)}


def identity_of(target: Target) -> dict[str, Any]:
    """Facts of a target that identify a run, beside settings and data; {} of classes, whose runs do not name them."""
    return {} if target.name == PLAIN else {"target": target.name}


def target_fields(target: Target) -> dict[str, Any]:
    """Fields of `metrics.json` that describe the target; runs of classes do not name theirs."""
    return {} if target.name == PLAIN else {"target": {"kind": target.name, **target.to_json()}}


def choose_target(
    name: str | None, clips: AnnotatedClips, settings: TargetSettings, say: Callable[[str], None]
) -> Target:
    """The target of that name for these clips; without a name the first that they have, and `say` names the others.

    Raises UserError for a target that the clips lack, and for a setting that differs from its default without effect.
    """
    if name is not None:
        target = TARGETS.find(name).of_clips(clips, settings)
    else:
        possible: list[Target] = []
        problems: list[UserError] = []
        for kind in TARGETS.values():
            try:
                possible.append(kind.of_clips(clips, settings))
            except UserError as problem:
                problems.append(problem)
        if not possible:
            raise problems[0]
        target = possible[0]
        if len(possible) > 1:
            others = ", ".join(other.name for other in possible[1:])
            say(f"note: the target is {target.name}; these clips also have what --target {others} needs")
    default = TargetSettings()
    for setting in vars(settings):
        if setting not in target.uses and getattr(settings, setting) != getattr(default, setting):
            users = ", ".join(kind.name for kind in TARGETS.values() if setting in kind.uses)
            raise UserError(
                f"setting target.{setting}={getattr(settings, setting)} has no effect with the target {target.name}; "
                f"it belongs to {users}: leave it out, or give --target"
            )
    return target
