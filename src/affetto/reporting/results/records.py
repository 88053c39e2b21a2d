"""Records of a report's input: runs with their axes, state, scores and predictions, and groups of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from affetto.backbones.catalogue import BACKBONES
from affetto.models.methods.registry import METHODS
from affetto.reporting.results.evaluations import Evaluation
from affetto.reporting.results.lines import Rows, read_lines
from affetto.reporting.stats.systems import Predictions
from affetto.splits.split import Split
from affetto.targets.registry import PLAIN, TARGETS, target_of_run
from affetto.targets.target import Target
from affetto.training.runs import LOG, PREDICTIONS, PROBE_PREDICTIONS, SPLIT, RunFolder

EDITION, LABELS, CLIPS = "@", "labels", "clips"
"""Separator between a name and its edition within a report, `emovo@4-labels`, and the words of an edition."""
AUXILIARY_SECTION = "auxiliary."
SPEAKERS = "training.speakers"
"""Setting of the number of speakers that a fold learns from."""
BESIDE = "–"
"""Recipe of a baseline that was tested beside a method: it is equal under all recipes."""


def baseline_name() -> str:
    """Name of the method that all others are compared with."""
    return next(name for name, method in METHODS.items() if method.is_baseline)


def key_of(backbone: str) -> str | None:
    """Key of a backbone that is given by its key or by its hub id; None for a backbone of the user's own."""
    return next((key for key, entry in BACKBONES.items() if backbone in (key, entry.hub_id)), None)


@dataclass(frozen=True)
class Axes:
    """Identity of a run within a report."""

    backbone: str
    """Key, hub id or folder, with an edition, `xlsr-53@0a1b2c3d`, where a report has other weights of one name."""
    corpus: str
    """Name, with an edition, `emovo@4-labels`, where a report has other labels or clips of one corpus."""
    method: str
    recipe: str
    seed: int
    split: str
    """Protocol as requested; empty where the default was left to the corpus."""
    split_seed: int = 0
    random_weights: bool = False
    weights_seed: int = 0
    settings: tuple[tuple[str, str], ...] = ()
    """Settings that differ from the recipe, as text, sorted by name."""
    backbone_name: str = ""
    """Title of a backbone of the user's own, where the name of its folder is not unique."""
    target: str = PLAIN
    """Name of the target; empty where an unfinished run left it to the corpus."""
    auxiliary: str = ""
    """Names of the corpora that joined the training, with + between them; with editions, `ravdess@72-clips`, where a
    report has other labels or clips of one of them."""

    @property
    def auxiliary_names(self) -> tuple[str, ...]:
        """Names of the corpora that joined the training, without editions."""
        return tuple(name.partition(EDITION)[0] for name in self.auxiliary.split("+") if name)

    @property
    def auxiliary_settings(self) -> tuple[tuple[str, str], ...]:
        """Settings of the corpora that joined the training."""
        return tuple((name, value) for name, value in self.settings if name.startswith(AUXILIARY_SECTION))

    @property
    def baseline_settings(self) -> tuple[tuple[str, str], ...]:
        """Settings that change the baseline beside a method too: of what both learn from."""
        shared = self.auxiliary_settings
        return tuple(setting for setting in self.settings if setting in shared or setting[0] == SPEAKERS)

    @property
    def speakers(self) -> int:
        """Number of speakers that a fold learns from; 0 for all."""
        return int(dict(self.settings).get(SPEAKERS, 0))

    @property
    def dataset(self) -> str:
        """Corpus without its edition."""
        return self.corpus.partition(EDITION)[0]

    @property
    def key(self) -> str | None:
        """Key of the backbone; None for one of the user's own."""
        return key_of(self.backbone)

    @property
    def title(self) -> str:
        """Title of the backbone."""
        if self.key:
            return BACKBONES[self.key].title
        return self.backbone_name or self.backbone.rstrip("/").rpartition("/")[2]

    @property
    def scenario(self) -> str | None:
        """Scenario of the paper, A or B; None for a backbone that it does not have."""
        scenario = BACKBONES[self.key].scenario if self.key else None
        return scenario if scenario in ("A", "B") else None

    @property
    def is_plain(self) -> bool:
        """True if the target is classes, which runs do not name."""
        return self.target == PLAIN

    @property
    def is_baseline(self) -> bool:
        """True if the method is the one that all others are compared with."""
        return self.method in METHODS and METHODS[self.method].is_baseline

    def without(self, *names: str) -> tuple[Any, ...]:
        """Values of all axes but the named ones."""
        return tuple(getattr(self, name) for name in self.__dataclass_fields__ if name not in names)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run, finished or not."""

    path: Path
    name: str
    state: str
    error: str
    """Reason why the run failed or cannot be used; else empty."""
    axes: Axes
    stand_in: str | None = None
    """Small random backbone that replaces the real one in a miniature."""
    spec: Mapping[str, Any] | None = None
    metrics: Mapping[str, Any] | None = None
    """Content of `metrics.json`; None unless the run is finished."""
    predictions_file: str = PREDICTIONS["test"]
    """Name of the file that holds the predictions."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """SHA-256 of the inputs: `manifest` (clips and labels), `audio`, `weights`."""
    predictions: Predictions | None = field(default=None, compare=False, repr=False)
    """Predictions of the test clips; None unless the run is finished."""
    rows: Rows = field(default_factory=list, compare=False, repr=False)
    """Lines of the predictions file, by clip; [] of a target that one label a clip decides."""
    baseline: Run | None = field(default=None, compare=False, repr=False)
    """Baseline that was tested beside the method, as a run; None where there was none."""

    @property
    def is_done(self) -> bool:
        return self.metrics is not None

    @property
    def is_beside(self) -> bool:
        """True if the run is a baseline that was tested beside a method, in the method's folder."""
        return self.predictions_file != PREDICTIONS["test"]

    @property
    def test(self) -> Mapping[str, Any]:
        """Test scores of a finished run."""
        assert self.metrics is not None
        scores: Mapping[str, Any] = self.metrics["test"]
        return scores

    @property
    def baseline_test(self) -> Mapping[str, Any] | None:
        """Test scores of the baseline: its own where the run is one, else of the one beside it."""
        if self.metrics is None:
            return None
        if self.axes.is_baseline:
            return self.test
        beside = self.metrics.get("probe")
        return beside["test"] if beside else None

    @property
    def synthetic(self) -> bool:
        """True if the speech is synthetic."""
        return bool(self.stand_in) if self.metrics is None else bool(self.metrics["synthetic"])

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the model; empty unless the run is finished, and for a target without labels."""
        return tuple(self.metrics["test"].get("labels", ())) if self.metrics else ()

    @cached_property
    def target(self) -> Target:
        """Target of a finished run."""
        assert self.metrics is not None
        return target_of_run(self.metrics)

    @property
    def has_classes(self) -> bool:
        """True if a prediction is one label; unknown targets of unfinished runs are taken to have labels."""
        target = TARGETS.get(self.axes.target)
        return target is None or target.has_classes

    def make_baseline(self) -> Run | None:
        """Make a run of the baseline beside the method, from the scores in this run's metrics; None without one."""
        if self.baseline_test is None or self.metrics is None or self.axes.is_baseline:
            return None
        metrics = {**self.metrics, "test": self.baseline_test, "method": baseline_name()}
        for name in ("trainable_parameters", "wall_seconds", "peak_memory_bytes", "folds"):
            metrics.pop(name, None)  # those of the method
        return replace(
            self,
            axes=replace(self.axes, method=baseline_name(), recipe=BESIDE, settings=self.axes.baseline_settings),
            metrics=metrics,
            predictions_file=PROBE_PREDICTIONS,
            predictions=None,
            rows=[],
            baseline=None,
        )

    @cached_property
    def logs(self) -> dict[str, Rows]:
        """{fold: records of its epochs}; the one log of a run without folds goes by the run's name."""
        folds = [fold["name"] for fold in (self.metrics or {}).get("folds", ())]
        files = {name: RunFolder(self.path).fold(name).path / LOG for name in folds} or {self.name: self.path / LOG}
        logs = {name: read_lines(file) for name, file in files.items()}
        return {name: rows for name, rows in logs.items() if rows}

    def split(self) -> Split | None:
        """Load the split with its audit; None where the folder has none. Raises UserError for an edited one."""
        file = self.path / SPLIT
        return Split.load(file) if file.is_file() else None


@dataclass(frozen=True)
class Configuration:
    """Runs that differ in nothing but the seed."""

    runs: tuple[Run, ...]

    @property
    def axes(self) -> Axes:
        return self.runs[0].axes

    @property
    def done(self) -> tuple[Run, ...]:
        """Finished runs."""
        return tuple(run for run in self.runs if run.is_done)

    @property
    def missing(self) -> int:
        """Number of runs without a result."""
        return len(self.runs) - len(self.done)

    @property
    def pool(self) -> tuple[tuple[str, ...], str]:
        """Labels and edition of the clips; scores on several corpora are averaged where these are equal."""
        clips = [part for part in self.axes.corpus.partition(EDITION)[2].split(",") if CLIPS in part.split("-")]
        return tuple(sorted(self.done[0].labels)) if self.done else (), "".join(clips)

    @property
    def split(self) -> str:
        """Protocol as it was run; as requested where no run is finished."""
        return str(self.done[0].metrics["split"]) if self.done and self.done[0].metrics else self.axes.split

    @property
    def synthetic(self) -> bool:
        """True if the speech of a run is synthetic."""
        return any(run.synthetic for run in self.runs)


@dataclass(frozen=True, kw_only=True)
class Results:
    """Content of a folder."""

    path: Path
    name: str
    runs: tuple[Run, ...]
    """Runs whose predictions are one label."""
    evaluations: tuple[Evaluation, ...] = ()
    """Tests on other corpora of models whose predictions are one label."""
    other_runs: tuple[Run, ...] = ()
    """Runs of targets without classes."""
    other_evaluations: tuple[Evaluation, ...] = ()
    """Tests on other corpora of models of targets without classes."""
    notes: tuple[str, ...] = ()
    """One line for each run or file that was left out, with the reason."""
    splits: dict[str, Split] = field(default_factory=dict, compare=False)
    """Splits of the finished runs, by checksum."""

    @property
    def done(self) -> tuple[Run, ...]:
        """Finished runs whose predictions are one label."""
        return tuple(run for run in self.runs if run.is_done)

    @property
    def every_run(self) -> tuple[Run, ...]:
        """Runs of all targets."""
        return self.runs + self.other_runs

    @property
    def every_done(self) -> tuple[Run, ...]:
        """Finished runs of all targets."""
        return tuple(run for run in self.every_run if run.is_done)

    @property
    def every_evaluation(self) -> tuple[Evaluation, ...]:
        """Tests on other corpora of models of all targets."""
        return self.evaluations + self.other_evaluations

    def in_state(self, *states: str) -> tuple[Run, ...]:
        """Runs of all targets in one of the states."""
        return tuple(run for run in self.every_run if run.state in states)

    @cached_property
    def configurations(self) -> tuple[Configuration, ...]:
        """Runs whose predictions are one label, grouped by all axes but the seed."""
        return _grouped(self.runs)

    @cached_property
    def every_configuration(self) -> tuple[Configuration, ...]:
        """Runs of all targets, grouped by all axes but the seed."""
        return _grouped(self.every_run)

    @property
    def synthetic(self) -> bool:
        """True if all speech is synthetic."""
        return all(self._origins())

    @property
    def partly_synthetic(self) -> bool:
        """True if some speech is synthetic, and some recorded."""
        return any(self._origins()) and not self.synthetic

    def _origins(self) -> list[bool]:
        runs = [run.synthetic for run in self.every_done]
        return runs + [evaluation.synthetic for evaluation in self.every_evaluation]


def _grouped(runs: Sequence[Run]) -> tuple[Configuration, ...]:
    """Runs grouped by all axes but the seed, in the order of the runs; seeds ascend."""
    groups: dict[tuple[Any, ...], list[Run]] = {}
    for run in runs:
        groups.setdefault(run.axes.without("seed"), []).append(run)
    return tuple(Configuration(tuple(sorted(group, key=lambda run: run.axes.seed))) for group in groups.values())
