"""What a report is made of: runs told apart by their axes, each with where it stands and what it found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from affetto.errors import UserError
from affetto.models.catalogue import BACKBONES
from affetto.reporting.stats.systems import Predictions
from affetto.splits.split import Split
from affetto.training.runs import LOG, PREDICTIONS, PROBE_PREDICTIONS, SPLIT, RunFolder
from affetto.training.spec import Settings

Rows = list[dict[str, Any]]
EDITION, LABELS, CLIPS = "@", "labels", "clips"
"""Between a name and what tells apart the editions of it that a report has: `emovo@4-labels`; and its words."""
BESIDE = "–"
"""The recipe of a probe that was run beside a method: it is the same under each."""


def key_of(backbone: str) -> str | None:
    """The key of a backbone that is named by it or by its hub id."""
    return next((key for key, one in BACKBONES.items() if backbone in (key, one.hub_id)), None)


@dataclass(frozen=True)
class Axes:
    """What tells one run of a report from another."""

    backbone: str
    """An edition, `xlsr-53@0a1b2c3d`, where runs of a report have other weights under one name."""
    corpus: str
    """An edition, `emovo@4-labels`, where runs of a report have other labels or clips of one corpus."""
    method: str
    recipe: str
    seed: int
    split: str
    """As asked for; empty where the default was left to the corpus."""
    split_seed: int = 0
    random_weights: bool = False
    weights_seed: int = 0
    settings: tuple[tuple[str, str], ...] = ()
    """The settings in which it differs from its recipe, as text, sorted by name."""
    called: str = ""
    """A backbone of the user's own, where its folder's name is another's too."""

    @property
    def dataset(self) -> str:
        """The corpus without its edition."""
        return self.corpus.partition(EDITION)[0]

    @property
    def key(self) -> str | None:
        """The backbone's key, where it was named by it or by its hub id."""
        return key_of(self.backbone)

    @property
    def title(self) -> str:
        """The backbone as people name it."""
        return BACKBONES[self.key].title if self.key else self.called or self.backbone.rstrip("/").rpartition("/")[2]

    @property
    def scenario(self) -> str | None:
        """The paper's scenario, A or B; None where the backbone is none of its own."""
        found = BACKBONES[self.key].scenario if self.key else None
        return found if found in ("A", "B") else None

    @property
    def protocol(self) -> tuple[Any, ...]:
        """What must be alike for two results to stand in one table: everything but backbone, corpus, method, seed."""
        return (self.recipe, self.split, self.split_seed, self.settings)

    def without(self, *names: str) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.__dataclass_fields__ if name not in names)


@dataclass(frozen=True)
class Run:
    """One run, done or not. `error` says what is wrong with a failed or broken one."""

    path: Path
    name: str
    state: str
    error: str
    axes: Axes
    stand_in: str | None = None
    """The small random backbone that stood in, in a miniature."""
    spec: Mapping[str, Any] | None = None
    metrics: Mapping[str, Any] | None = None
    variant: str | None = None
    """What the grid calls it, where it is a variant of another run: that one with one thing changed."""
    tested: str = PREDICTIONS["test"]
    """The file that its predictions stand in."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """SHA-256 of what went in: `manifest` (clips and labels), `audio`, `weights`."""
    scored: Predictions | None = field(default=None, compare=False, repr=False)
    """Its predictions, of a run that is done."""
    beside: Run | None = field(default=None, compare=False, repr=False)
    """The probe that was tested beside it, as a run of its own; None where there was none."""

    @property
    def done(self) -> bool:
        return self.metrics is not None

    @property
    def test(self) -> Mapping[str, Any]:
        """The test scores of a run that is done."""
        assert self.metrics is not None
        scored: Mapping[str, Any] = self.metrics["test"]
        return scored

    @property
    def probe(self) -> Mapping[str, Any] | None:
        """The probe's test scores beside it; a probe's own where the run is one."""
        if self.metrics is None:
            return None
        if self.axes.method == "probe":
            return self.test
        beside = self.metrics.get("probe")
        return beside["test"] if beside else None

    @property
    def synthetic(self) -> bool:
        return bool(self.stand_in) if self.metrics is None else bool(self.metrics["synthetic"])

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that its model knows; none of a run that is not done."""
        return tuple(self.metrics["test"]["labels"]) if self.metrics else ()

    def as_probe(self) -> Run | None:
        """The probe that was tested beside it, with the scores that stand in this run's metrics; None: no probe."""
        if self.probe is None or self.metrics is None or self.axes.method == "probe":
            return None
        axes = replace(self.axes, method="probe", recipe=BESIDE, settings=())
        metrics = {**self.metrics, "test": self.probe, "method": "probe"}
        for name in ("trainable_parameters", "wall_seconds", "peak_memory_bytes", "folds"):
            metrics.pop(name, None)  # the method's, not the probe's
        return replace(
            self, axes=axes, metrics=metrics, tested=PROBE_PREDICTIONS, variant=None, scored=None, beside=None
        )

    @cached_property
    def logs(self) -> dict[str, Rows]:
        """{fold: a record an epoch}; a run of one fold has one log, under its own name."""
        names = [fold["name"] for fold in (self.metrics or {}).get("folds", ())]
        places = {name: RunFolder(self.path).fold(name).path / LOG for name in names} or {self.name: self.path / LOG}
        found = {name: read_lines(file) for name, file in places.items()}
        return {name: rows for name, rows in found.items() if rows}

    @property
    def settings(self) -> Settings | None:
        """All its settings, resolved."""
        return Settings.model_validate(self.spec["settings"]) if self.spec else None

    def split(self) -> Split | None:
        """Its split, with audit; None where the folder has none. Raises UserError for one that was changed."""
        file = self.path / SPLIT
        return Split.load(file) if file.is_file() else None


@dataclass(frozen=True)
class Evaluation:
    """A run's model tested on another corpus (`affetto evaluate --out`)."""

    path: Path
    trained_on: str
    corpus: str
    identity: str | None
    metrics: Mapping[str, Any]
    unshared: bool = False
    """Whether clips were left out whose sentence is spoken in the training corpus too."""

    @property
    def test(self) -> Mapping[str, Any]:
        scored: Mapping[str, Any] = self.metrics["test"]
        return scored

    @property
    def synthetic(self) -> bool:
        return bool(self.metrics.get("synthetic") or self.metrics.get("trained_on_synthetic"))


@dataclass(frozen=True)
class Configuration:
    """Runs that differ in nothing but the seed."""

    runs: tuple[Run, ...]

    @property
    def axes(self) -> Axes:
        return self.runs[0].axes

    @property
    def done(self) -> tuple[Run, ...]:
        return tuple(run for run in self.runs if run.done)

    @property
    def missing(self) -> int:
        """How many of its seeds have no result."""
        return len(self.runs) - len(self.done)

    @property
    def pool(self) -> tuple[tuple[str, ...], str]:
        """Labels and edition of the clips: alike where scores on several corpora may be averaged."""
        clips = [part for part in self.axes.corpus.partition(EDITION)[2].split(",") if CLIPS in part.split("-")]
        return tuple(sorted(self.done[0].labels)) if self.done else (), "".join(clips)

    @property
    def split(self) -> str:
        """The protocol as it was run; as asked for where nothing is done."""
        return str(self.done[0].metrics["split"]) if self.done and self.done[0].metrics else self.axes.split

    @property
    def synthetic(self) -> bool:
        return any(run.synthetic for run in self.runs)


@dataclass(frozen=True)
class Results:
    """All that a folder holds."""

    path: Path
    name: str
    runs: tuple[Run, ...]
    evaluations: tuple[Evaluation, ...] = ()
    notes: tuple[str, ...] = ()
    """What was left out, and why, one line each."""
    splits: dict[str, Split] = field(default_factory=dict, compare=False)
    """By checksum, of the runs that are done."""

    @property
    def done(self) -> tuple[Run, ...]:
        return tuple(run for run in self.runs if run.done)

    def in_state(self, *states: str) -> tuple[Run, ...]:
        return tuple(run for run in self.runs if run.state in states)

    @cached_property
    def configurations(self) -> tuple[Configuration, ...]:
        """In the order of the runs; seeds in theirs."""
        groups: dict[tuple[Any, ...], list[Run]] = {}
        for run in self.runs:
            groups.setdefault(run.axes.without("seed"), []).append(run)
        return tuple(Configuration(tuple(sorted(runs, key=lambda run: run.axes.seed))) for runs in groups.values())

    @property
    def synthetic(self) -> bool:
        """Whether all of it is from synthetic speech."""
        return all(self._origins())

    @property
    def partly_synthetic(self) -> bool:
        return any(self._origins()) and not self.synthetic

    def _origins(self) -> list[bool]:
        return [run.synthetic for run in self.done] + [one.synthetic for one in self.evaluations]


def read_lines(file: Path) -> Rows:
    """JSON Lines; none where the file is missing. Raises UserError where it is broken."""
    try:
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        if not all(isinstance(row, dict) for row in rows):
            raise ValueError
        return rows
    except FileNotFoundError:
        return []
    except (OSError, ValueError):
        raise UserError(f"{file}: cannot be read; run again with another --out") from None
