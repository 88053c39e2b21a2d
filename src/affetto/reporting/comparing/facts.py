"""Facts of two runs that differ: axes, settings, inputs, versions, machine, identity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from affetto.experiments.planned import AXES
from affetto.models.methods.registry import METHODS
from affetto.reporting.results.records import EDITION, Axes, Run
from affetto.training.effects import belongs
from affetto.training.spec import CorpusSpec, RunSpec, stored_settings, text

AXIS, SETTING, INPUT, VERSION, MACHINE, IDENTITY = "axis", "setting", "input", "version", "machine", "identity"
KINDS = (AXIS, SETTING, INPUT, VERSION, MACHINE, IDENTITY)
"""Kinds of facts, in the order in which they are listed."""
DIGESTS = (INPUT, IDENTITY)
"""Kinds whose values are long digests."""
COMPARED_ELSEWHERE = ("corpora", "auxiliary", "settings", "seed", "record_states")
"""Fields of a run's spec that are axes, change no result, or hold paths."""
HARDWARE = ("device", "threads", "cores", "processes")
TARGET = "target."


@dataclass(frozen=True, kw_only=True)
class Change:
    """One fact that differs between two runs; None where a run does not state it."""

    kind: str
    name: str
    first: str | None
    second: str | None


def changes(first: Run, second: Run) -> list[Change]:
    """List the facts that differ between two finished runs."""
    of_first, of_second = (dict(_facts(run)) for run in (first, second))
    names = sorted({**of_first, **of_second}, key=lambda fact: KINDS.index(fact[0]))
    return [
        Change(kind=kind, name=name, first=of_first.get((kind, name)), second=of_second.get((kind, name)))
        for kind, name in names
        if of_first.get((kind, name)) != of_second.get((kind, name))
    ]


def _facts(run: Run) -> Iterator[tuple[tuple[str, str], str]]:
    """((kind, name), value) of all facts that a run states."""
    metrics = run.metrics or {}
    yield from (((AXIS, name), value) for name, value in _axes(run.axes, str(metrics.get("split"))))
    yield from (((SETTING, name), value) for name, value in _settings(run))
    yield from (((INPUT, name), str(digest)) for name, digest in run.facts.items() if digest)
    provenance = metrics.get("provenance") or {}
    yield from (((VERSION, name), str(version)) for name, version in _versions(provenance) if version)
    yield from (((MACHINE, name), str(provenance[name])) for name in HARDWARE if provenance.get(name) is not None)
    yield (MACHINE, "precision"), str(metrics.get("precision"))
    yield (IDENTITY, "identity"), str(metrics.get("identity"))


def _axes(axes: Axes, split: str) -> Iterator[tuple[str, str]]:
    """Axes without editions: those are named by what else a folder holds, and their digests are among the inputs."""
    values = {name: getattr(axes, name) for name in AXES if name != "seed"} | {"split": split}
    values |= {"corpus": axes.dataset, "backbone": axes.backbone.partition(EDITION)[0]}
    yield from ((name, str(value)) for name, value in values.items() if value != "")


def _versions(provenance: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from (provenance.get("versions") or {}).items()
    yield "commit", provenance.get("commit")


def _settings(run: Run) -> Iterator[tuple[str, str]]:
    """Settings that have an effect, options of the corpora, and fields of the spec that are no axes."""
    spec = run.spec or {}
    try:
        settings = stored_settings(spec["settings"])
        corpora = [CorpusSpec.model_validate(corpus) for corpus in (*spec["corpora"], *spec.get("auxiliary", ()))]
    except (KeyError, TypeError, ValueError):
        return  # written by a version whose settings cannot be read any more
    method = METHODS.find(run.axes.method)
    for section, record in settings.model_dump(mode="json").items():
        if belongs(section, getattr(settings, section), method):
            for name, value in record.items():
                if f"{section}." != TARGET or name in run.target.uses:
                    yield f"{section}.{name}", text(value)
    for corpus in corpora:
        yield from ((f"option {name} of {corpus.address}", value) for name, value in corpus.options.items())
    for name, spec_field in RunSpec.model_fields.items():
        if name not in (*AXES, *COMPARED_ELSEWHERE):
            yield name, text(spec.get(name, spec_field.default))
