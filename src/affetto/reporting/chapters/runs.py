"""All runs, finished or not, one line each."""

from __future__ import annotations

from collections.abc import Sequence

from affetto.measures.measure import Measure
from affetto.measures.registry import shown_measures
from affetto.reporting.chapters.chapter import Chapter
from affetto.reporting.chapters.cost import is_timed
from affetto.reporting.render.section import Section
from affetto.reporting.render.sheet import MISSING, Cell, Sheet, columns, percent_cell, text_cell
from affetto.reporting.render.stamps import stamp
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.naming import auxiliary_title, backbone_title, changes, corpus_title, method_title
from affetto.reporting.results.parts import is_of_classes
from affetto.reporting.results.records import Results, Run
from affetto.training.runs import run_seconds

TEXTS = ("corpus", "backbone", "method", "recipe", "split", "changed", "state", "folder")


def build(evidence: Evidence) -> Section | None:
    if not (evidence.configurations or evidence.results.other_runs):
        return None
    return Section(words="One line for each run, finished or not.", folded=(run_table(evidence.results),))


def run_table(results: Results) -> Sheet:
    """A row a run: what was run, its state and its scores."""
    notes = [f"{run.name}: {run.error}" for run in results.every_run if run.error]
    joined = ("auxiliary",) if any(run.axes.auxiliary for run in results.every_run) else ()
    targets = () if is_of_classes(results.every_run) else ("target",)
    extra = _other_measures(results)
    if results.in_state("running", "begun"):
        notes.append(
            "running, begun: in progress when this report was made, or interrupted; the same command continues them."
        )
    return Sheet(
        name="runs",
        title="All runs",
        columns=columns(
            *("corpus", *joined, "backbone", "method", *targets, "recipe", "split", "seed", "changed", "state"),
            *(measure.title for measure in shown_measures()),
            *extra.values(),
            *("probe macro F1", "time (s)", "folder"),
            texts=(*TEXTS, *joined, *targets),
        ),
        rows=tuple(
            _row(run, has_auxiliary=bool(joined), has_target=bool(targets), extra=tuple(extra))
            for run in results.every_run
        ),
        caption=(
            f"{len(results.every_run)} runs, {len(results.every_done)} of them done. Scores on the test speakers, ×100"
            f"{'; those of numbers and divergences as they are' if extra else ''}."
        ),
        notes=tuple(notes),
        stamp=stamp(synthetic=results.synthetic, partly=results.partly_synthetic),
    )


def _score_cell(measure: Measure, value: float | None) -> Cell:
    """A score as the measure shows it; programs read it on the same scale, unrounded."""
    return Cell(MISSING) if value is None else Cell(measure.text(value), measure.scale * value)


def _other_measures(results: Results) -> dict[str, str]:
    """{key: title} of the scores beside those of classes that some run has."""
    of_classes = {measure.name for measure in shown_measures()}
    return {
        scored.name: scored.title
        for run in results.every_done
        for scored in run.target.scored(run.test)
        if scored.name not in of_classes
    }


def _row(run: Run, *, has_auxiliary: bool, has_target: bool, extra: Sequence[str]) -> tuple[Cell, ...]:
    axes, test = run.axes, run.test if run.is_done else {}
    scored = {item.name: item for item in run.target.scored(test)} if run.is_done and extra else {}
    probe = run.baseline_test.get("macro_f1") if run.baseline_test else None
    split = str(run.metrics["split"]) if run.metrics else axes.split
    seconds = run_seconds(run.metrics) if run.metrics and is_timed(run) else None
    return (
        text_cell(corpus_title(axes.corpus)),
        *((text_cell(auxiliary_title(axes.auxiliary)),) if has_auxiliary else ()),
        text_cell(backbone_title(axes)),
        text_cell(method_title(axes.method)),
        *((text_cell(axes.target),) if has_target else ()),
        text_cell(axes.recipe),
        text_cell(split or "default"),
        Cell(str(axes.seed), axes.seed),
        Cell(changes(axes.settings)),
        text_cell("not run" if run.state == "waiting" else run.state),
        *(_score_cell(measure, test.get(measure.name)) for measure in shown_measures()),
        *(_score_cell(item.measure, item.value) if (item := scored.get(name)) else Cell(MISSING) for name in extra),
        percent_cell(probe),
        Cell(MISSING if seconds is None else f"{seconds:,.0f}", seconds),
        text_cell(run.name),
    )


RUNS = Chapter(name="runs", title="All runs", order=800, build=build, needs_results=False)
