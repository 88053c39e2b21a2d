"""All runs, finished or not, one line each."""

from __future__ import annotations

from affetto.measures.measure import Measure
from affetto.measures.registry import shown_measures
from affetto.reporting.chapters.chapter import Chapter
from affetto.reporting.chapters.cost import is_timed
from affetto.reporting.render.section import Section
from affetto.reporting.render.sheet import MISSING, Cell, Sheet, columns, percent_cell, text_cell
from affetto.reporting.render.stamps import stamp
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.naming import backbone_title, changes, corpus_title, method_title
from affetto.reporting.results.records import Results, Run
from affetto.training.runs import run_seconds

TEXTS = ("corpus", "backbone", "method", "recipe", "split", "changed", "state", "folder")


def build(evidence: Evidence) -> Section:
    return Section(words="One line for each run, finished or not.", folded=(run_table(evidence.results),))


def run_table(results: Results) -> Sheet:
    """A row a run: what was run, its state and its scores."""
    notes = [f"{run.name}: {run.error}" for run in results.runs if run.error]
    if results.in_state("running", "begun"):
        notes.append(
            "running, begun: in progress when this report was made, or interrupted; the same command continues them."
        )
    return Sheet(
        name="runs",
        title="All runs",
        columns=columns(
            *("corpus", "backbone", "method", "recipe", "split", "seed", "changed", "state"),
            *(measure.title for measure in shown_measures()),
            *("probe macro F1", "time (s)", "folder"),
            texts=TEXTS,
        ),
        rows=tuple(_row(run) for run in results.runs),
        caption=f"{len(results.runs)} runs, {len(results.done)} of them done. Scores on the test speakers, ×100.",
        notes=tuple(notes),
        stamp=stamp(synthetic=results.synthetic, partly=results.partly_synthetic),
    )


def _score_cell(measure: Measure, value: float | None) -> Cell:
    """A score as the measure shows it; programs read it on the same scale, unrounded."""
    return Cell(MISSING) if value is None else Cell(measure.text(value), measure.scale * value)


def _row(run: Run) -> tuple[Cell, ...]:
    axes, test = run.axes, run.test if run.is_done else {}
    split = str(run.metrics["split"]) if run.metrics else axes.split
    seconds = run_seconds(run.metrics) if run.metrics and is_timed(run) else None
    return (
        text_cell(corpus_title(axes.corpus)),
        text_cell(backbone_title(axes)),
        text_cell(method_title(axes.method)),
        text_cell(axes.recipe),
        text_cell(split or "default"),
        Cell(str(axes.seed), axes.seed),
        Cell(changes(axes.settings)),
        text_cell("not run" if run.state == "waiting" else run.state),
        *(_score_cell(measure, test.get(measure.name)) for measure in shown_measures()),
        percent_cell(run.baseline_test["macro_f1"] if run.baseline_test else None),
        Cell(MISSING if seconds is None else f"{seconds:,.0f}", seconds),
        text_cell(run.name),
    )


RUNS = Chapter(name="runs", title="All runs", order=800, build=build)
