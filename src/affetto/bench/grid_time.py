"""Time of a grid's runs, summed from the measured speed of preparing and of steps on the shapes of its backbones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from affetto.backbones.catalogue import BACKBONES
from affetto.experiments.planned import PlannedRun
from affetto.experiments.work import clips_of, passes


@dataclass(frozen=True)
class Speed:
    """Measured seconds a clip: of preparing it, of a training step's share, of judging it."""

    prepare: float
    train: float
    judge: float


@dataclass(frozen=True)
class GridTime:
    """Seconds of a grid's runs one after another, without the start of processes and the reading of corpora.

    `missing`: pairs of backbone and method that were not measured; the seconds are then None.
    """

    runs: int
    prepare: float
    train: float
    judge: float
    missing: tuple[tuple[str, str], ...] = ()

    @property
    def seconds(self) -> float | None:
        return None if self.missing else self.prepare + self.train + self.judge


def shapes_of(key: str) -> str:
    """The first backbone of the catalogue that has the shapes of `key`: its steps take as long."""
    entry = BACKBONES[key]
    return next(
        name
        for name, candidate in BACKBONES.items()
        if (candidate.family, candidate.config) == (entry.family, entry.config)
    )


def speeds(results: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], Speed]:
    """{(backbone, method): speed} of the results of `affetto bench`, like with like where both were compared."""
    measured: dict[tuple[str, str], Speed] = {}
    for row in sorted(results, key=lambda row: row["comparison"] == "same"):
        if "epoch_seconds" not in row:
            continue
        train = row["epoch_seconds"] / row["clips"]
        # A judged clip goes forward alone. Where no forward pass was timed, it counts as a trained clip.
        forward = row["phases"]["forward"] / sum(row["phases"].values()) if "phases" in row else 1.0
        key = (shapes_of(row["backbone"]), row["method"])
        measured[key] = Speed(prepare=row["prepare_seconds"] / row["clips"], train=train, judge=forward * train)
    return measured


def grid_time(runs: Sequence[PlannedRun], measured: Mapping[tuple[str, str], Speed]) -> GridTime:
    """Time of runs on catalogued backbones and known corpora. Runs with equal states prepare them once."""
    prepare = train = judge = 0.0
    missing: dict[tuple[str, str], None] = {}
    prepared: set[tuple[object, ...]] = set()
    for run in runs:
        key, clips = (run.stand_in or run["backbone"], run["method"]), clips_of(run)
        speed = measured.get((shapes_of(key[0]), key[1])) if key[0] in BACKBONES else None
        expected = None if clips is None else passes(run, clips)
        if speed is None or clips is None or expected is None:
            missing[key] = None
            continue
        prepare += 0.0 if run.shares in prepared else clips * speed.prepare
        prepared.add(run.shares)
        train += expected.trained * speed.train
        judge += expected.judged * speed.judge
    return GridTime(len(runs), prepare, train, judge, tuple(missing))
