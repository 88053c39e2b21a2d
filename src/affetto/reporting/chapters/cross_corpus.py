"""Across corpora and languages: the score of a model that was trained on one corpus on another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from statistics import fmean

from affetto.corpora.registry import languages_of
from affetto.reporting.chapters.chapter import Chapter
from affetto.reporting.chapters.cross_corpus_map import HeatCell, draw_heat_map
from affetto.reporting.chapters.cross_corpus_sheets import difference_table, label_table, mean_table
from affetto.reporting.chapters.selection import MOST_DRAWN, MOST_ROWS
from affetto.reporting.render.picture import Picture, slug
from affetto.reporting.render.section import Section
from affetto.reporting.render.sheet import MISSING, Cell, Column, Sheet, text_cell
from affetto.reporting.render.stamps import stamp_of
from affetto.reporting.render.text import percent_text
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.crossed import (
    AUXILIARY,
    JOINED,
    OWN,
    CrossedSystem,
    Score,
    configurations_by_path,
    crossed_systems,
    read_system,
    run_path,
)
from affetto.reporting.results.marks import footnotes, interval_words, span
from affetto.reporting.results.naming import Naming, corpus_and_language, corpus_title
from affetto.reporting.stats import estimation

WORDS = {AUXILIARY: "auxiliary", JOINED: "trained on"}
"""Words in a cell of a corpus that the model has learned from."""


def build(evidence: Evidence) -> Section:
    systems = crossed_systems(evidence)
    unshared = crossed_systems(evidence, unshared=True)
    matrices = [cross_table(system, name) for system, name in _with_names(systems, "across")]
    pictures = [heat_map(system, name) for system, name in _with_names(systems, "across")[:MOST_DRAWN]]
    compared = difference_table(evidence, systems)
    is_long = compared is not None and len(compared.rows) > MOST_ROWS
    items = (*pictures[:1], *matrices[:1], mean_table(systems), None if is_long else compared, label_table(systems))
    return Section(
        words=(
            "Trained on one corpus, tested on another: other voices, other sentences, another room, and often another "
            "language."
        ),
        items=tuple(item for item in (*items, single_table(evidence)) if item),
        folded=(
            *([compared] if compared and is_long else []),
            *pictures[1:],
            *matrices[1:],
            *(cross_table(system, name, unshared=True) for system, name in _with_names(unshared, "across-unshared")),
        ),
    )


def cross_table(system: CrossedSystem, name: str = "across", *, unshared: bool = False) -> Sheet:
    """Train-on × test-on of one system, a row for each corpus of the training.

    `unshared` tells that the tests are without the sentences that both corpora have.
    """
    naming = Naming(system.configurations, hide=("corpus", "method"))
    estimates = [score.estimate for row in system.rows for score in row.scores.values() if score.estimate]
    without = " without the sentences that both corpora have" if unshared else ""
    return Sheet(
        name=name,
        title=f"Across corpora{', shared sentences left out' if unshared else ''}: {system.label}",
        columns=(
            Column("trained on", is_number=False),
            *naming.columns(),
            *(Column(corpus_and_language(corpus)) for corpus in system.corpora),
        ),
        rows=tuple(
            (
                _corpus_cell(row.config.axes.corpus, row.dataset),
                *(naming.cells(row.config) if naming.names else ()),
                *(_cell(row.scores.get(corpus)) for corpus in system.corpora),
            )
            for row in system.rows
        ),
        caption=(
            f"Macro F1 ×100 of a model trained on the corpus of the row, tested on that of the column{without}; mean ± "
            f"standard deviation (ddof 1) over seeds; below: {interval_words(estimates)}, and clips. "
            "Where the models of several folds were tested, a clip counts once for each. "
            "In brackets: on its own corpus, the test speakers of its split. “auxiliary” and “trained on”: the model "
            "has learned from that corpus too. Clips that were trained on are left out."
        ),
        notes=footnotes(estimates),
        stamp=stamp_of(system.origins),
    )


def heat_map(system: CrossedSystem, name: str) -> Picture:
    """The matrix of `cross_table` as a figure."""
    cells = [[_heat_cell(row.scores.get(corpus)) for corpus in system.corpora] for row in system.rows]
    title = f"Across corpora: {system.label}"
    names = [corpus_and_language(corpus, "\n") for corpus in system.corpora]
    row_names = [corpus_and_language(row.config.axes.corpus, "\n") for row in system.rows]
    scored = [
        f"{row_name} on {column} {percent_text(cell.score)}".replace("\n", " ")
        for row_name, row in zip(row_names, cells, strict=True)
        for column, cell in zip(names, row, strict=True)
        if cell.score is not None
    ]
    return Picture(
        name=name,
        title=title,
        alt=f"{title}. Macro F1: {'; '.join(scored)}.",
        draw=partial(
            draw_heat_map,
            cells=cells,
            rows=row_names,
            columns=names,
            title=title,
            caption="Macro F1 ×100, mean over seeds, with its 95 % interval. Framed: on the own corpus, on the test "
            "speakers of its split. Hatched: not tested, or trained on.",
            stamp=stamp_of(system.origins),
        ),
    )


def single_table(evidence: Evidence) -> Sheet | None:
    """Evaluations of affetto's models outside any run's folder (`affetto evaluate --out`); None for none."""
    run_paths = configurations_by_path(evidence)
    evaluations = [
        item for item in evidence.results.evaluations if item.outside is None and run_path(item, run_paths) is None
    ]
    if not evaluations:
        return None
    systems = [read_system(evidence, {0: evaluation}, evaluation.corpus) for evaluation in evaluations]
    estimates = [estimation.estimate([system]) if system else None for system in systems]
    drawn = [estimate for estimate in estimates if estimate]
    return Sheet(
        name="evaluations",
        title="Single evaluations",
        columns=(
            Column("trained on", is_number=False),
            Column("tested on", is_number=False),
            Column("macro F1"),
            Column("folder", is_number=False),
        ),
        rows=tuple(
            (
                text_cell(corpus_title(evaluation.trained_on)),
                text_cell(corpus_title(evaluation.corpus)),
                _cell(Score(relation="", tests=(evaluation.test,), estimate=estimate)),
                text_cell(evaluation.path.name + evaluation.protocol_text),
            )
            for evaluation, estimate in zip(evaluations, estimates, strict=True)
        ),
        caption=f"Macro F1 ×100; below: {interval_words(drawn)}, and clips.",
        notes=footnotes(drawn),
        stamp=stamp_of(evaluations),
    )


def _with_names(systems: Sequence[CrossedSystem], stem: str) -> list[tuple[CrossedSystem, str]]:
    """Systems with the stem of their files: `across` of a single one, `across-lora` of several."""
    if len(systems) == 1:
        return [(systems[0], stem)]
    names = Counter(slug(system.label) for system in systems)
    return [
        (system, f"{stem}-{slug(system.label)}" + (f"-{number}" if names[slug(system.label)] > 1 else ""))
        for number, system in enumerate(systems, 1)
    ]


def _corpus_cell(corpus: str, dataset: str) -> Cell:
    title, language = corpus_title(corpus), languages_of(dataset)
    return Cell(title, title, under=language, values=(("", title), ("language", language)))


def _mean(score: Score) -> estimation.Spread:
    return estimation.over_seeds({number: test["macro_f1"] for number, test in enumerate(score.tests)})


def _cell(score: Score | None) -> Cell:
    if score is None:
        return Cell(MISSING)
    if not score.tests:
        return Cell(WORDS[score.relation], values=(("relation", score.relation),))
    spread = _mean(score)
    deviation, estimate, clips = spread.deviation, score.estimate, score.tests[0]["n"]
    text = percent_text(spread.mean) + ("" if deviation is None else f" ± {percent_text(deviation)}")
    marks = [WORDS[score.relation]] if score.relation in WORDS else []
    return Cell(
        text=f"({text})" if score.relation == OWN else text,
        key=100 * spread.mean,
        under="\n".join(["no interval" if estimate is None else span(estimate), f"{clips:,} clips", *marks]),
        values=(
            ("mean", 100 * spread.mean),
            ("sd", None if deviation is None else 100 * deviation),
            ("low", None if estimate is None else 100 * estimate.low),
            ("high", None if estimate is None else 100 * estimate.high),
            ("uar", 100 * fmean(test["uar"] for test in score.tests)),
            ("clips", clips),
            ("seeds", len(score.tests)),
            *((("relation", score.relation),) if score.relation else ()),
        ),
    )


def _heat_cell(score: Score | None) -> HeatCell:
    if score is None:
        return HeatCell()
    if not score.tests:
        return HeatCell(words=WORDS[score.relation])
    under = "" if score.estimate is None else span(score.estimate)
    if score.relation in WORDS:
        under = WORDS[score.relation]
    return HeatCell(score=_mean(score).mean, under=under, is_own=score.relation == OWN)


ACROSS = Chapter(name="across", title="Across corpora", order=410, build=build, needs_results=False)
"""Testing of trained models on other corpora."""
