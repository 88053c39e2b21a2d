"""Scores for programs: all measures of all runs in one tidy table.

results.csv     a row for each run, part and measure: score, interval, and digests of the inputs
results.json    the same rows, with the meaning of each column
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from affetto._version import __version__
from affetto.measures import intervals
from affetto.measures.confusion import tally
from affetto.measures.registry import shown_measures
from affetto.reporting.render.stamps import SYNTHETIC
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.evaluations import Evaluation
from affetto.reporting.results.naming import changes
from affetto.reporting.results.parts import MARKS, NUMBERS, SHARES, Part, PartEvidence, is_of_classes, part_of
from affetto.reporting.results.prediction_exports import PredictionFile, csv_text
from affetto.reporting.results.records import Configuration, Run
from affetto.reporting.stats import estimation
from affetto.reporting.stats.systems import Predictions, System

FORMAT = 1
ALL_SEEDS = "all"
BOOTSTRAP = "bootstrap"
"""Method of intervals whose file names none."""
TEST, PROBE, VALIDATION = "test", "probe beside", "validation"
DIGESTS = ("manifest", "audio", "weights")
OF_MODEL = ("auxiliary", "backbone", "random weights", "weights seed", "method", "recipe", "settings", "precision")
"""Columns of the model in the rows of a test on another corpus, where it lies in the run's folder."""
COLUMNS = {
    "corpus": "corpus that was tested; of a test on another corpus, that of the training",
    "auxiliary": "corpora that joined the training, with + between them; only where some run has any",
    "labels": "labels of the model, with spaces between them",
    "backbone": "key, hub id or folder of the backbone",
    "random weights": "true if the weights were drawn at random",
    "weights seed": "seed of such weights",
    "method": "method of adaptation",
    "target": "kind of target; only where some run is not of classes alone",
    "recipe": "recipe of the settings",
    "settings": "settings that differ from the recipe",
    "split": "protocol of the split",
    "split seed": "seed of the split",
    "seed": "seed of the training; `all`: mean over the seeds of a configuration",
    "part": "`test`, `validation`, `probe beside` or `test on CORPUS`",
    "measure": "name of the measure; `f1/anger`, `recall/anger`, `precision/anger` of one class",
    "score": "value, as the measure computes it: a fraction where it ends at 1",
    "low": "lower end of the interval",
    "high": "upper end of the interval",
    "level": "level of the interval",
    "interval": "method of the interval: `t` (Student's t, by leaving out units) or `bootstrap`",
    "drawn": "units of the interval: `speakers`, or `clips` where speakers were too few",
    "units": "number of these units",
    "clips": "number of clips",
    "speakers": "number of speakers",
    "precision": "precision of the computation",
    "manifest": "SHA-256 of clips and labels",
    "audio": "SHA-256 of the audio",
    "weights": "SHA-256 of the backbone's weights",
    "split checksum": "SHA-256 of the clips of all parts of the split",
    "predictions": "file of this report from which the score follows; empty where it was not written",
    "predictions digest": "SHA-256 of that file",
    "identity": "SHA-256 of all that changes the run's result",
    "run": "folder of the run",
    "speech": "`recorded` or `synthetic speech`",
}
"""Columns of results.csv and their meaning."""
PER_CLASS = ("precision", "recall", "f1")
Files = Mapping[tuple[Path, str, Part | None], PredictionFile]
"""{(folder of a run, name of its predictions, part of the target): file of the report}."""


def results_csv(evidence: Evidence, files: Sequence[PredictionFile] = ()) -> str:
    """Content of results.csv: the test, validation and baseline of each run, each configuration over its seeds, and
    each test on another corpus.

    Scores are fractions. The interval of a run is that of its own predictions; the interval of `all` seeds is that of
    the tables. `files` are the predictions that the report has.
    """
    header, rows = _table(evidence, files)
    return csv_text(header, ([row.get(name) for name in header] for row in rows))


def results_json(evidence: Evidence, files: Sequence[PredictionFile] = ()) -> str:
    """Content of results.json: the same rows as objects, with the meaning of each column."""
    header, rows = _table(evidence, files)
    content = {
        "format": FORMAT,
        "affetto": __version__,
        "columns": {name: COLUMNS[name] for name in header},
        "rows": [{name: _plain(row.get(name)) for name in header} for row in rows],
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _table(evidence: Evidence, files: Sequence[PredictionFile]) -> tuple[list[str], list[dict[str, Any]]]:
    """Columns and rows."""
    by_run: Files = {(run.path, run.predictions_file, file.part): file for file in files for run in file.runs}
    rows: list[dict[str, Any]] = []
    for config in evidence.configurations:
        for run in config.done:
            # The row of a baseline that was tested beside a method stands with the method's.
            if not run.is_beside:
                rows += _run_rows(run, TEST, by_run)
                rows += _run_rows(run.baseline, PROBE, by_run) if run.baseline else ()
        if len(config.done) > 1:
            rows += _seeds_rows(evidence, config, by_run)
    runs = {run.path: run for run in evidence.results.every_done}
    for evaluation in evidence.results.evaluations:
        rows += _evaluation_rows(evaluation, runs)
    header = list(COLUMNS)
    if is_of_classes(evidence.results.every_run):
        header.remove("target")
    else:
        rows += [row for part in (NUMBERS, SHARES, MARKS) for row in _part_rows(part_of(evidence, part), by_run)]
    if not any(run.axes.auxiliary for run in runs.values()):
        header.remove("auxiliary")
    return header, rows


def _plain(value: Any) -> Any:
    """A value for JSON: text as it is, numbers to ten decimals, None for one that is not finite."""
    if isinstance(value, float):
        return round(value, 10) if math.isfinite(value) else None
    return value


def _measures() -> list[str]:
    return [measure.name for measure in shown_measures()]


def _run_rows(run: Run, part: str, files: Files) -> Iterator[dict[str, Any]]:
    """Rows of a finished run: its test, and its validation where `part` is TEST."""
    assert run.predictions is not None
    system = System(run.axes.method, run.axes.corpus, {run.axes.seed: run.predictions})
    fields = _run_fields(run) | {"seed": run.axes.seed}
    tested = fields | {"part": part} | _size_fields(run.predictions) | _file_fields(run, files)
    for measure in _measures():
        yield tested | {"measure": measure} | _estimate_fields(estimation.estimate([system], measure))
    yield from _class_rows(system, tested)
    validation = (run.metrics or {}).get("validation") or {}
    if part == TEST:
        for measure in _measures():
            if measure in validation:
                counts = {"clips": validation.get("n"), "speakers": len(validation.get("per_speaker") or ()) or None}
                yield fields | {"part": VALIDATION, "measure": measure, "score": validation[measure]} | counts


def _class_rows(system: System, fields: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Rows of each class, means over the seeds, without intervals."""
    sums = tally(system.by_speaker(system.seeds).sum(axis=0))
    for name in PER_CLASS:
        for label, value in zip(system.labels, getattr(sums, name).mean(axis=0).tolist(), strict=True):
            yield fields | {"measure": f"{name}/{label}", "score": value}


def _file_fields(run: Run, files: Files, part: Part | None = None) -> dict[str, Any]:
    """File of the predictions within the report, and its digest."""
    file = files.get((run.path, run.predictions_file, part))
    return {} if file is None else {"predictions": file.path, "predictions digest": file.digest}


def _part_rows(evidence: PartEvidence, files: Files) -> Iterator[dict[str, Any]]:
    """Rows of the measures of a part: of each run, of each configuration over its seeds, of tests on other corpora."""
    for config in evidence.configurations:
        for run in config.done:
            if not run.is_beside:
                yield from _part_run_rows(evidence, run, TEST, files)
                yield from _part_run_rows(evidence, run.baseline, PROBE, files) if run.baseline else ()
        if len(config.done) > 1:
            fields = _run_fields(config.done[0]) | {"seed": ALL_SEEDS, "identity": None, "run": None}
            fields["part"] = PROBE if config.done[0].is_beside else TEST
            fields |= _file_fields(config.done[0], files, evidence.part)
            yield from _estimates(evidence, config, fields)
    runs = {run.path: run for run in evidence.results.every_done}
    for evaluation in evidence.results.evaluations:
        of_part = {judged.name for judged in evidence.part.judged(evaluation.target)}
        fields = _evaluation_fields(evaluation, runs)
        for scored in evaluation.target.scored(evaluation.test):
            if scored.name in of_part:
                low, high = scored.interval or (None, None)
                yield fields | {"measure": scored.name, "score": scored.value, "low": low, "high": high}


def _part_run_rows(evidence: PartEvidence, run: Run, part: str, files: Files) -> Iterator[dict[str, Any]]:
    """Rows of a finished run: its test, and its validation where `part` is TEST."""
    config = Configuration((run,))
    fields = _run_fields(run) | {"seed": run.axes.seed}
    yield from _estimates(evidence, config, fields | {"part": part} | _file_fields(run, files, evidence.part))
    validation = (run.metrics or {}).get("validation") or {}
    if part == TEST and validation:
        of_part = {judged.name for judged in evidence.judged(config)}
        counts = {"clips": validation.get("n"), "speakers": len(validation.get("per_speaker") or ()) or None}
        for scored in run.target.scored(validation):
            if scored.name in of_part:
                yield fields | {"part": VALIDATION, "measure": scored.name, "score": scored.value} | counts


def _estimates(evidence: PartEvidence, config: Configuration, fields: dict[str, Any]) -> Iterator[dict[str, Any]]:
    system = evidence.outcomes(config)
    assert system is not None
    sizes = {"clips": system.clips, "speakers": len(system.speakers)}
    for judged in evidence.judged(config):
        estimate = evidence.estimate(config, judged.name)
        yield fields | {"measure": judged.name} | _estimate_fields(estimate) | sizes


def _evaluation_rows(evaluation: Evaluation, runs: Mapping[Path, Run]) -> Iterator[dict[str, Any]]:
    """Rows of a test on another corpus; the interval is that of its metrics."""
    fields, interval = _evaluation_fields(evaluation, runs), evaluation.test["interval"]
    for measure in _measures():
        low, high = interval.get(measure, (None, None))
        yield fields | {"measure": measure, "score": evaluation.test.get(measure), "low": low, "high": high}


def _evaluation_fields(evaluation: Evaluation, runs: Mapping[Path, Run]) -> dict[str, Any]:
    """Fields of a test; those of its model are the run's in whose folder it lies."""
    test = evaluation.test
    interval = test["interval"]
    run = next((runs[path] for path in evaluation.path.parents if path in runs), None)
    of_model = {} if run is None else {name: value for name, value in _run_fields(run).items() if name in OF_MODEL}
    seed = {} if run is None else {"seed": run.axes.seed}
    return {
        **of_model,
        **seed,
        "target": evaluation.target.name,
        "corpus": evaluation.trained_on,
        "labels": " ".join(test.get("labels", ())),
        "part": f"test on {evaluation.corpus}"
        + (", shared sentences left out" if evaluation.excludes_shared else "")
        + evaluation.contamination_text
        + evaluation.protocol_text,
        "level": interval.get("level"),
        "interval": interval.get("by", BOOTSTRAP),
        "drawn": interval.get("over"),
        "units": interval.get("units"),
        "clips": test["n"],
        "speakers": len(test["per_speaker"]),
        "identity": evaluation.identity,
        "run": "/".join(evaluation.path.parts[-3:]),
        "speech": SYNTHETIC if evaluation.synthetic else "recorded",
    }


def _seeds_rows(evidence: Evidence, config: Configuration, files: Files) -> Iterator[dict[str, Any]]:
    """Rows of a configuration over its seeds."""
    run = config.done[0]
    assert run.predictions is not None
    fields = _run_fields(run) | {"seed": ALL_SEEDS, "identity": None, "run": None}
    fields |= {"part": PROBE if run.is_beside else TEST} | _size_fields(run.predictions) | _file_fields(run, files)
    for measure in _measures():
        yield fields | {"measure": measure} | _estimate_fields(evidence.estimate(config, measure))
    system = evidence.system(config)
    assert system is not None
    yield from _class_rows(system, fields)


def _run_fields(run: Run) -> dict[str, Any]:
    axes, metrics = run.axes, run.metrics or {}
    return {
        "corpus": axes.corpus,
        "auxiliary": axes.auxiliary,
        "labels": " ".join(run.labels),
        "backbone": axes.backbone,
        "random weights": axes.random_weights,
        "weights seed": axes.weights_seed,
        "method": axes.method,
        "target": axes.target,
        "recipe": axes.recipe,
        "settings": changes(axes.settings),
        "split": metrics.get("split"),
        "split seed": axes.split_seed,
        "precision": metrics.get("precision"),
        **{name: run.facts.get(name) for name in DIGESTS},
        "split checksum": metrics.get("split_checksum"),
        "identity": metrics.get("identity"),
        "run": run.name,
        "speech": SYNTHETIC if run.synthetic else "recorded",
    }


def _estimate_fields(estimate: estimation.Estimate) -> dict[str, Any]:
    return {
        "score": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "level": estimate.level,
        "interval": intervals.BY,
        "drawn": estimate.over[0],
        "units": estimate.units[0],
    }


def _size_fields(predictions: Predictions) -> dict[str, Any]:
    return {"clips": len(predictions.clips), "speakers": len(set(predictions.speakers))}
