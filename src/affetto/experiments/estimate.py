"""Estimates of the time and disk space that a run takes.

The basis are finished runs of the same folder that differ from it in seeds alone. Without them the time is computed
from the operations of the run and of its probes and the rate of this machine (`affetto.experiments.work`), or it is
unknown. The size of stored frozen states is computed from the official numbers of clips, each as long as the window.
"""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from affetto.errors import UserError
from affetto.experiments.planned import AXES, PlannedRun
from affetto.experiments.states import GridFolder
from affetto.experiments.work import clips_of, operations, probe_operations, shapes_of
from affetto.models.heads.registry import HEADS
from affetto.models.methods.registry import METHODS
from affetto.models.parallel import threads
from affetto.training.identity import own_fields
from affetto.training.runs import METRICS, run_seconds

SEEDS = ("seed", "split_seed")
OVERHEAD_SECONDS = 10.0
"""Shortest time of a run, whatever its size: starting, reading, writing."""
PROBE_RATE = 6e9
"""Operations per second and thread of the fits of probes, float64 on a CPU: 6.3e9 on a core of an AMD EPYC."""


@dataclass(frozen=True)
class Estimate:
    """Seconds of a run, and bytes of its folder; None where there is no basis.

    `basis` is the number of finished runs whose medians they are. With none of them, seconds come from `operations`.
    """

    seconds: float | None = None
    size_bytes: int | None = None
    basis: int = 0
    operations: float | None = None

    def to_json(self) -> dict[str, float | int | str | None]:
        if self.basis:
            runs = f"median of {self.basis} finished run{'s' if self.basis != 1 else ''} that differ in seeds alone"
        elif self.seconds is not None:
            runs = "reckoned: operations at the rate of this machine's matrix product; may be off by half"
        else:
            runs = "unknown: no run of its kind is finished here"
        return {"estimated_seconds": self.seconds, "estimated_bytes": self.size_bytes, "estimate_basis": runs}


def estimates(
    folder: GridFolder, runs: Sequence[PlannedRun], rate: Callable[[str], float] | None = None
) -> dict[str, Estimate]:
    """{name of the run: estimate}, finished runs included.

    `rate(precision)` gives the operations per second of this machine, for runs of which no similar run is finished;
    without it their times are unknown. An interrupted run counts with the time since it was last resumed.
    """
    finished: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for run in runs:
        measured = _measured(folder, run)
        if measured is not None:
            finished[_kind(run)].append(measured)
    prepared: set[tuple[object, ...]] = set()
    results = {}
    for run in runs:
        similar = finished[_kind(run)]
        results[run.name] = _median(similar) if similar else _computed(run, run.shares in prepared, rate)
        prepared.add(run.shares)
    return results


def _computed(run: PlannedRun, stored: bool, rate: Callable[[str], float] | None) -> Estimate:
    # In a miniature, reading and starting take longer than computing.
    needed = None if rate is None or run.stand_in else operations(run, stored=stored)
    if needed is None or rate is None:
        return Estimate()
    choosing = probe_operations(run) / (PROBE_RATE * threads())
    seconds = OVERHEAD_SECONDS + choosing + needed / rate(run.settings.compute.precision)
    return Estimate(round(seconds, 1), operations=needed)


def stored_bytes(run: PlannedRun) -> int | None:
    """Most bytes that the run's frozen states take in the store; None where clips, width or window are unknown."""
    clips, model, shapes = clips_of(run), run.settings.model, shapes_of(run, run.settings.audio.seconds)
    method = METHODS.find(run["method"])
    frames_alone = method.takes_steps and not method.trains_embedding and run.settings.training.first_block == 0
    plain = HEADS.find(model.head).takes_frames and model.pooling != "weighted"
    if clips is None or shapes is None or not frames_alone:
        return None
    if not method.changes_blocks and not plain:
        return None
    statistics_for_the_probe = 2 * (shapes.depth + 1)
    values = clips * (shapes.frames + statistics_for_the_probe) * shapes.width
    return int(values * (2 if run.settings.store.precision == "float16" else 4))


def _kind(run: PlannedRun) -> str:
    axes = {axis: run[axis] for axis in AXES if axis not in SEEDS}
    return json.dumps([axes, own_fields(run.settings, run["method"]), run.stand_in], sort_keys=True)


def _measured(folder: GridFolder, run: PlannedRun) -> tuple[float, int] | None:
    files = folder.run(run.name)
    try:
        metrics = files.read(METRICS)
    except UserError:  # broken
        return None
    if metrics is None or not isinstance(metrics.get("wall_seconds"), int | float):
        return None
    return run_seconds(metrics), _size(files.path)


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _median(measured: list[tuple[float, int]]) -> Estimate:
    if not measured:
        return Estimate()
    seconds, sizes = zip(*measured, strict=True)
    return Estimate(round(statistics.median(seconds), 1), int(statistics.median(sizes)), len(measured))
