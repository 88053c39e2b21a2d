"""Files for programs: all scores of all runs in one table, and the predictions that they are computed from.

results.csv             a row a run, part and measure: the score, its interval, and the digests of all that went in
predictions/NAME.csv    a row a clip and seed of a configuration: truth and probabilities, to compute any of it anew
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from affetto.measures.registry import shown_measures
from affetto.reporting.render.formats import field_text
from affetto.reporting.render.picture import slug
from affetto.reporting.render.stamps import SYNTHETIC
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.naming import changes
from affetto.reporting.results.records import Configuration, Evaluation, Run
from affetto.reporting.stats import estimation
from affetto.reporting.stats.systems import Predictions, System

MOST_ROWS = 200_000
"""Predictions beyond so many rows (some 25 MB) are written only when they are asked for."""
ALL_SEEDS = "all"
TEST, PROBE, VALIDATION = "test", "probe beside", "validation"
DIGESTS = ("manifest", "audio", "weights")
HEADER = (
    *("corpus", "labels", "backbone", "random weights", "weights seed", "method", "recipe", "settings"),
    *("split", "split seed", "seed", "part", "measure", "score", "low", "high", "level", "drawn", "units"),
    *("clips", "speakers", "precision", *DIGESTS, "split checksum", "identity", "run", "speech"),
)


def scores(evidence: Evidence) -> str:
    """The rows of results.csv: each run's test, validation and probe, each configuration over seeds, each evaluation.

    Scores are fractions. A run's interval is of its own predictions; that of `all` seeds is the tables'.
    """
    rows: list[dict[str, Any]] = []
    for config in evidence.configurations:
        for run in config.done:
            # A probe's row stands with the run that it was tested beside.
            if not run.is_beside:
                rows += [*_of_run(run, TEST), *(_of_run(run.baseline, PROBE) if run.baseline else ())]
        if len(config.done) > 1:
            rows += _over_seeds(evidence, config)
    for evaluation in evidence.results.evaluations:
        rows += _of_evaluation(evaluation)
    return _text(HEADER, ([row.get(name) for name in HEADER] for row in rows))


def predictions(evidence: Evidence, *, asked: bool) -> dict[str, str]:
    """{name: text} of a file a configuration.

    Nothing, and a note in the evidence, where they are more than MOST_ROWS and were not `asked` for.
    """
    systems = [(config, system) for config in evidence.configurations if (system := evidence.system(config))]
    count = sum(system.clips * len(system.seeds) for _, system in systems)
    if count > MOST_ROWS and not asked:
        evidence.notes.append(
            f"predictions: {count:,} rows, more than {MOST_ROWS:,}, are not copied; --format predictions writes them"
        )
        return {}
    names = [_name(config) for config, _ in systems]
    unique = len(set(names)) == len(names)
    return {
        name if unique else f"{number:03}-{name}": _lines(system, synthetic=config.synthetic)
        for number, (name, (config, system)) in enumerate(zip(names, systems, strict=True), 1)
    }


def _of_run(run: Run, part: str) -> Iterator[dict[str, Any]]:
    assert run.predictions is not None
    system = System(run.axes.method, run.axes.corpus, {run.axes.seed: run.predictions})
    named = _named(run) | {"seed": run.axes.seed}
    for measure in (measure.name for measure in shown_measures()):
        estimate = estimation.estimate([system], measure)
        yield named | {"part": part, "measure": measure} | _estimated(estimate) | _counted(run.predictions)
    validation = (run.metrics or {}).get("validation") or {}
    if part == TEST:
        for measure in (measure.name for measure in shown_measures()):
            if measure in validation:
                counts = {"clips": validation.get("n"), "speakers": len(validation.get("per_speaker") or ()) or None}
                yield named | {"part": VALIDATION, "measure": measure, "score": validation[measure]} | counts


def _of_evaluation(evaluation: Evaluation) -> Iterator[dict[str, Any]]:
    """The test of a trained model on another corpus; the interval is that of its metrics."""
    test = evaluation.test
    interval = test["interval"]
    named = {
        "corpus": evaluation.trained_on,
        "labels": " ".join(test["labels"]),
        "part": f"test on {evaluation.corpus}" + (", shared sentences left out" if evaluation.excludes_shared else ""),
        "level": interval.get("level"),
        "drawn": interval.get("over"),
        "units": interval.get("units"),
        "clips": test["n"],
        "speakers": len(test["per_speaker"]),
        "identity": evaluation.identity,
        "run": "/".join(evaluation.path.parts[-3:]),
        "speech": SYNTHETIC if evaluation.synthetic else "recorded",
    }
    for measure in (measure.name for measure in shown_measures()):
        low, high = interval.get(measure, (None, None))
        yield named | {"measure": measure, "score": test.get(measure), "low": low, "high": high}


def _over_seeds(evidence: Evidence, config: Configuration) -> Iterator[dict[str, Any]]:
    run = config.done[0]
    assert run.predictions is not None
    named = _named(run) | {"seed": ALL_SEEDS, "identity": None, "run": None}
    part = PROBE if run.is_beside else TEST
    for measure in (measure.name for measure in shown_measures()):
        estimate = evidence.estimate(config, measure)
        yield named | {"part": part, "measure": measure} | _estimated(estimate) | _counted(run.predictions)


def _named(run: Run) -> dict[str, Any]:
    axes, metrics = run.axes, run.metrics or {}
    return {
        "corpus": axes.corpus,
        "labels": " ".join(run.labels),
        "backbone": axes.backbone,
        "random weights": axes.random_weights,
        "weights seed": axes.weights_seed,
        "method": axes.method,
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


def _estimated(estimate: estimation.Estimate) -> dict[str, Any]:
    return {
        "score": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "level": estimate.level,
        "drawn": estimate.over[0],
        "units": estimate.units[0],
    }


def _counted(scored: Predictions) -> dict[str, Any]:
    return {"clips": len(scored.clips), "speakers": len(set(scored.speakers))}


def _lines(system: System, *, synthetic: bool) -> str:
    header = ("clip", "speaker", "seed", "truth", *system.labels, *(("speech",) if synthetic else ()))
    last = (SYNTHETIC,) if synthetic else ()
    rows = ((*row, *last) for seed in system.seeds for row in _rows(system.runs[seed], seed))
    return _text(header, rows)


def _rows(run: Predictions, seed: int) -> Iterator[Sequence[Any]]:
    for clip, speaker, truth, probabilities in zip(
        run.clips, run.speakers, run.truth, run.probabilities.tolist(), strict=True
    ):
        yield clip, speaker, seed, run.labels[int(truth)], *(round(value, 6) for value in probabilities)


def _name(config: Configuration) -> str:
    axes = config.axes
    recipe = "" if axes.method == "probe" else axes.recipe
    changed = changes(axes.settings)
    parts = (axes.corpus, axes.title, axes.scenario, axes.method, recipe, config.split, changed)
    return slug(" ".join(part for part in parts if part))


def _text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([field_text(value) for value in row] for row in rows)
    return out.getvalue()
