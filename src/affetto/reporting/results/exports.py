"""Files for programs: all scores of all runs in one table, and the predictions that they are computed from.

results.csv             a row for each run, part and measure: score, interval, and digests of the inputs
predictions/NAME.csv    a row for each clip and seed of a configuration: truth and probabilities
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from affetto.measures.registry import shown_measures
from affetto.reporting.render.formats import field_text
from affetto.reporting.render.picture import slug
from affetto.reporting.render.stamps import SYNTHETIC
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.naming import changes
from affetto.reporting.results.part_files import ENDINGS, part_header, part_rows, part_systems
from affetto.reporting.results.parts import MARKS, NUMBERS, SHARES, PartEvidence, is_of_classes, part_of
from affetto.reporting.results.records import Configuration, Evaluation, Run
from affetto.reporting.stats import estimation
from affetto.reporting.stats.systems import Predictions, System

MOST_ROWS = 200_000
"""Largest number of rows of predictions (some 25 MB) that are written without a request."""
ALL_SEEDS = "all"
TEST, PROBE, VALIDATION = "test", "probe beside", "validation"
DIGESTS = ("manifest", "audio", "weights")
OF_MODEL = ("auxiliary", "backbone", "random weights", "weights seed", "method", "recipe", "settings", "precision")
"""Columns of the model in the rows of a test on another corpus, where it lies in the run's folder."""
HEADER = (
    "corpus",
    "labels",
    "backbone",
    "random weights",
    "weights seed",
    "method",
    "recipe",
    "settings",
    "split",
    "split seed",
    "seed",
    "part",
    "measure",
    "score",
    "low",
    "high",
    "level",
    "drawn",
    "units",
    "clips",
    "speakers",
    "precision",
    *DIGESTS,
    "split checksum",
    "identity",
    "run",
    "speech",
)


def results_csv(evidence: Evidence) -> str:
    """Content of results.csv: the test, validation and baseline of each run, each configuration over its seeds, and
    each test on another corpus.

    Scores are fractions. The interval of a run is that of its own predictions; the interval of `all` seeds is that of
    the tables.
    """
    rows: list[dict[str, Any]] = []
    is_plain = is_of_classes(evidence.results.every_run)
    for config in evidence.configurations:
        for run in config.done:
            # The row of a baseline that was tested beside a method stands with the method's.
            if not run.is_beside:
                rows += [*_run_rows(run, TEST), *(_run_rows(run.baseline, PROBE) if run.baseline else ())]
        if len(config.done) > 1:
            rows += _seeds_rows(evidence, config)
    runs = {run.path: run for run in evidence.results.every_done}
    for evaluation in evidence.results.evaluations:
        rows += _evaluation_rows(evaluation, runs)
    header = list(HEADER)
    if not is_plain:
        rows += [row for part in (NUMBERS, SHARES, MARKS) for row in _part_rows(part_of(evidence, part))]
        header.insert(header.index("method") + 1, "target")
    if any(run.axes.auxiliary for run in runs.values()):
        header.insert(header.index("corpus") + 1, "auxiliary")
    return _csv_text(header, ([row.get(name) for name in header] for row in rows))


def prediction_files(evidence: Evidence, *, is_requested: bool) -> dict[str, str]:
    """{name: content} of the predictions of each configuration.

    Empty, with a note in the evidence, for more than MOST_ROWS rows that were not requested.
    """
    systems = [(config, system) for config in evidence.configurations if (system := evidence.system(config))]
    parts = part_systems(evidence)
    count = sum(system.clips * len(system.seeds) for _, system in systems)
    count += sum(outcomes.clips * len(outcomes.seeds) for *_, outcomes in parts)
    if count > MOST_ROWS and not is_requested:
        evidence.notes.append(
            f"predictions: {count:,} rows, more than {MOST_ROWS:,}, are not copied; --format predictions writes them"
        )
        return {}
    names = [_file_name(config) for config, _ in systems]
    are_unique = len(set(names)) == len(names)
    files = {
        name if are_unique else f"{number:03}-{name}": _predictions_csv(system, synthetic=config.synthetic)
        for number, (name, (config, system)) in enumerate(zip(names, systems, strict=True), 1)
    }
    for number, (part, config, outcomes) in enumerate(parts, len(files) + 1):
        name = f"{_file_name(config)}-{ENDINGS[part]}"
        header = ("clip", "speaker", "seed", *part_header(part, outcomes.target))
        rows = part_rows(part, outcomes)
        files[f"{number:03}-{name}" if name in files else name] = _stamped_csv(header, rows, synthetic=config.synthetic)
    return files


def _measures() -> list[str]:
    return [measure.name for measure in shown_measures()]


def _run_rows(run: Run, part: str) -> Iterator[dict[str, Any]]:
    """Rows of a finished run: its test, and its validation where `part` is TEST."""
    assert run.predictions is not None
    system = System(run.axes.method, run.axes.corpus, {run.axes.seed: run.predictions})
    fields = _run_fields(run) | {"seed": run.axes.seed}
    for measure in _measures():
        estimate = estimation.estimate([system], measure)
        yield fields | {"part": part, "measure": measure} | _estimate_fields(estimate) | _size_fields(run.predictions)
    validation = (run.metrics or {}).get("validation") or {}
    if part == TEST:
        for measure in _measures():
            if measure in validation:
                counts = {"clips": validation.get("n"), "speakers": len(validation.get("per_speaker") or ()) or None}
                yield fields | {"part": VALIDATION, "measure": measure, "score": validation[measure]} | counts


def _part_rows(evidence: PartEvidence) -> Iterator[dict[str, Any]]:
    """Rows of the measures of a part: of each run, of each configuration over its seeds, of tests on other corpora."""
    for config in evidence.configurations:
        for run in config.done:
            if not run.is_beside:
                yield from _part_run_rows(evidence, run, TEST)
                yield from _part_run_rows(evidence, run.baseline, PROBE) if run.baseline else ()
        if len(config.done) > 1:
            fields = _run_fields(config.done[0]) | {"seed": ALL_SEEDS, "identity": None, "run": None}
            fields["part"] = PROBE if config.done[0].is_beside else TEST
            yield from _estimates(evidence, config, fields)
    runs = {run.path: run for run in evidence.results.every_done}
    for evaluation in evidence.results.evaluations:
        of_part = {judged.name for judged in evidence.part.judged(evaluation.target)}
        fields = _evaluation_fields(evaluation, runs)
        for scored in evaluation.target.scored(evaluation.test):
            if scored.name in of_part:
                low, high = scored.interval or (None, None)
                yield fields | {"measure": scored.name, "score": scored.value, "low": low, "high": high}


def _part_run_rows(evidence: PartEvidence, run: Run, part: str) -> Iterator[dict[str, Any]]:
    """Rows of a finished run: its test, and its validation where `part` is TEST."""
    config = Configuration((run,))
    fields = _run_fields(run) | {"seed": run.axes.seed}
    yield from _estimates(evidence, config, fields | {"part": part})
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
        + evaluation.speeds_text,
        "level": interval.get("level"),
        "drawn": interval.get("over"),
        "units": interval.get("units"),
        "clips": test["n"],
        "speakers": len(test["per_speaker"]),
        "identity": evaluation.identity,
        "run": "/".join(evaluation.path.parts[-3:]),
        "speech": SYNTHETIC if evaluation.synthetic else "recorded",
    }


def _seeds_rows(evidence: Evidence, config: Configuration) -> Iterator[dict[str, Any]]:
    """Rows of a configuration over its seeds."""
    run = config.done[0]
    assert run.predictions is not None
    fields = _run_fields(run) | {"seed": ALL_SEEDS, "identity": None, "run": None}
    part = PROBE if run.is_beside else TEST
    for measure in _measures():
        estimate = evidence.estimate(config, measure)
        yield fields | {"part": part, "measure": measure} | _estimate_fields(estimate) | _size_fields(run.predictions)


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
        "drawn": estimate.over[0],
        "units": estimate.units[0],
    }


def _size_fields(predictions: Predictions) -> dict[str, Any]:
    return {"clips": len(predictions.clips), "speakers": len(set(predictions.speakers))}


def _predictions_csv(system: System, *, synthetic: bool) -> str:
    header = ("clip", "speaker", "seed", "truth", *system.labels)
    rows = (row for seed in system.seeds for row in _prediction_rows(system.runs[seed], seed))
    return _stamped_csv(header, rows, synthetic=synthetic)


def _stamped_csv(header: Sequence[str], rows: Iterable[Sequence[Any]], *, synthetic: bool) -> str:
    """A table whose rows say that their speech is synthetic, if it is."""
    last = (SYNTHETIC,) if synthetic else ()
    return _csv_text((*header, *(("speech",) if synthetic else ())), ((*row, *last) for row in rows))


def _prediction_rows(run: Predictions, seed: int) -> Iterator[Sequence[Any]]:
    for clip, speaker, truth, probabilities in zip(
        run.clips, run.speakers, run.truth, run.probabilities.tolist(), strict=True
    ):
        yield clip, speaker, seed, run.labels[int(truth)], *(round(value, 6) for value in probabilities)


def _file_name(config: Configuration) -> str:
    axes = config.axes
    recipe = "" if axes.is_baseline else axes.recipe
    changed = changes(axes.settings)
    target = "" if axes.is_plain else axes.target
    joined = f"with {axes.auxiliary}" if axes.auxiliary else ""
    parts = (axes.corpus, joined, axes.title, axes.scenario, axes.method, target, recipe, config.split, changed)
    return slug(" ".join(part for part in parts if part))


def _csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([field_text(value) for value in row] for row in rows)
    return out.getvalue()
