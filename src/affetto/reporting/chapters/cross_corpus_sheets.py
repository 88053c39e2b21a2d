"""Tables beside the matrices of tests across corpora: means, paired differences, labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations

from affetto.reporting.chapters.comparisons import BELOW, LEADING, comparison_cells, comparison_columns
from affetto.reporting.render.sheet import Cell, Sheet, Slim, columns, count_cell, text_cell
from affetto.reporting.render.stamps import stamp_of
from affetto.reporting.render.text import DASH, percent_text
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.crossed import CrossedSystem, Row, Score, differing_axes, shared_tests
from affetto.reporting.results.naming import corpus_and_language
from affetto.reporting.stats import crossed, paired
from affetto.reporting.stats.systems import System

MOST_COMPARED = 6
"""Systems of which any two are compared; of more, only those that differ in one thing."""


def mean_table(systems: Sequence[CrossedSystem]) -> Sheet | None:
    """A row a system: mean score on the own corpora and on others, of the same language and of another one."""
    if not systems:
        return None
    rows = []
    for system in systems:
        means = (
            system.own_tests(),
            system.systems(),
            system.systems(same_language=True),
            system.systems(same_language=False),
        )
        rows.append((text_cell(system.label), *(_mean_cell(tests) for tests in means)))
    return Sheet(
        name="across-systems",
        title="Own corpora and others",
        columns=columns(
            "system", "own corpora", "other corpora", "same language", "another language", texts=("system",)
        ),
        rows=tuple(rows),
        caption=(
            "Macro F1 ×100, mean over the tests of the tables above: first over the corpora of the training, then over "
            "the tested corpora; below: 95 % interval by Student's t over speakers and seeds, and the number of tests. "
            "A speaker counts in all tests of his corpus at once. Corpora whose language is not known are in neither "
            "of the last two columns. Systems with different tests do not compare by these numbers."
        ),
        stamp=stamp_of([origin for system in systems for origin in system.origins]),
        slim=Slim(caption="Macro F1 ×100, mean over the corpora of the training, then over the tested corpora."),
    )


def difference_table(evidence: Evidence, systems: Sequence[CrossedSystem]) -> Sheet | None:
    """Paired differences on other corpora, a row for each two systems that have tests in common."""
    compared = []
    has_few = len(systems) <= MOST_COMPARED
    for second, first in combinations(systems, 2):
        if not has_few and differing_axes(first, second) > 1:
            continue
        tests = shared_tests(evidence, first, second)
        try:
            comparison = crossed.compare(tests) if tests else None
        except ValueError:
            comparison = None  # no seed that both were run with
        if comparison:
            compared.append((first, second, sum(map(len, tests.values())), comparison))
    if not compared:
        return None
    corrected = paired.holm([comparison for *_, comparison in compared])
    return Sheet(
        name="across-differences",
        title="Paired differences on other corpora",
        columns=comparison_columns("tests"),
        leading=LEADING,
        below=BELOW,
        rows=tuple(
            (text_cell(first.label), text_cell(second.label), count_cell(tests), *comparison_cells(comparison))
            for (first, second, tests, _), comparison in zip(compared, corrected, strict=True)
        ),
        caption=(
            "Macro F1 of the first system minus the second, ×100, mean over the tests on other corpora that both have, "
            "on the same clips: first over the corpora of the training, then over the tested corpora. A speaker is "
            "left out of, or exchanged in, all tests of his corpus at once. Interval, p and verdict are as in paired "
            "comparisons, corrected by Holm over this table."
            + ("" if has_few else " Only systems that differ in one thing are compared.")
        ),
        stamp=stamp_of([origin for first, second, *_ in compared for origin in (*first.origins, *second.origins)]),
    )


def label_table(systems: Sequence[CrossedSystem]) -> Sheet | None:
    """A row for each two corpora: labels that both have, and the clips that were left out of the test."""
    rows: dict[tuple[Cell, ...], None] = {}
    for system in systems:
        for row in system.rows:
            for corpus, score in row.scores.items():
                rows |= dict.fromkeys([_label_row(row, corpus, score)] if score.evaluations else [])
    if not rows:
        return None
    return Sheet(
        name="across-labels",
        title="Labels and clips of tests on other corpora",
        columns=columns(
            *("trained on", "tested on", "shared labels", "not in the test", "left out"),
            *("clips", "trained on, left out", "unusable"),
            texts=("trained on", "tested on", "shared labels", "not in the test", "left out"),
        ),
        rows=tuple(rows),
        caption=(
            "Scores are over the shared labels; a prediction of another label of the model is an error. Left out "
            "are clips of labels that the model does not know, or that are no class of the tested corpus (in brackets: "
            "their number), clips and speakers that the model has learned from, and files that cannot be read. Where "
            "the models of several folds were tested, tested and learned clips count once for each model."
        ),
        stamp=stamp_of([origin for system in systems for origin in system.origins]),
    )


def _mean_cell(tests: Mapping[str, Sequence[System]]) -> Cell:
    mean = crossed.mean_score(tests) if tests else None
    if mean is None:
        return Cell(DASH)
    low, high = mean.interval or (None, None)
    interval = "no interval" if low is None else f"{percent_text(low)}–{percent_text(high)}"
    count = "1 test" if mean.tests == 1 else f"{mean.tests} tests"
    return Cell(
        text=percent_text(mean.value),
        key=100 * mean.value,
        under=f"{interval}\n{count}",
        values=(
            ("mean", 100 * mean.value),
            ("low", None if low is None else 100 * low),
            ("high", None if high is None else 100 * high),
            ("tests", mean.tests),
            ("speakers", sum(mean.speakers.values())),
        ),
    )


def _label_row(row: Row, corpus: str, score: Score) -> tuple[Cell, ...]:
    test, left_out = score.tests[0], score.evaluations[0].metrics.get("left_out") or {}
    unknown = Counter(left_out.get("unknown_emotions") or {}) + Counter(left_out.get("dropped_labels") or {})
    present = [label for label in test["labels"] if test["per_class"][label]["n"]]
    absent = [label for label in test["labels"] if not test["per_class"][label]["n"]]
    return (
        text_cell(corpus_and_language(row.config.axes.corpus)),
        text_cell(corpus_and_language(corpus)),
        Cell(", ".join(present), len(present), values=(("", ", ".join(present)), ("count", len(present)))),
        Cell(", ".join(absent) or DASH, ", ".join(absent)),
        Cell(
            ", ".join(f"{label} ({clips:,})" for label, clips in unknown.items()) or DASH,
            unknown.total(),
            values=(("", ", ".join(unknown)), ("clips", unknown.total())),
        ),
        count_cell(test["n"]),
        count_cell(left_out.get("trained_on")),
        count_cell(len(left_out["unusable"]) if "unusable" in left_out else None),
    )
