"""Models of others: what `affetto evaluate` measured of them, beside the trained systems of the same corpus."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from statistics import fmean

from affetto.reporting.chapters.chapter import Chapter
from affetto.reporting.chapters.comparisons import BELOW, LEADING, comparison_cells, comparison_columns
from affetto.reporting.render.section import Section
from affetto.reporting.render.sheet import Cell, Sheet, Slim, columns, count_cell, text_cell
from affetto.reporting.render.stamps import stamp_of
from affetto.reporting.render.text import percent_text
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.crossed import read_system
from affetto.reporting.results.evaluations import Evaluation
from affetto.reporting.results.marks import footnotes, interval_words, span
from affetto.reporting.results.naming import Naming, corpus_title
from affetto.reporting.results.records import Configuration
from affetto.reporting.stats import estimation, paired
from affetto.reporting.stats.aligned import align
from affetto.reporting.stats.systems import System

OWN = "its other speakers"
"""Words for what a trained system was trained on: the same corpus, without the tested speakers."""
TEXTS = ("model", "trained on", "tested on")


def build(evidence: Evidence) -> Section | None:
    evaluations = [item for item in evidence.results.evaluations if item.outside is not None]
    if not evaluations:
        return None
    systems = [read_system(evidence, {0: item}, item.corpus) for item in evaluations]
    beside = _beside(evidence, {item.corpus for item in evaluations})
    table = score_table(evidence, evaluations, systems, beside)
    compared = difference_table(evidence, evaluations, systems, beside)
    return Section(
        words=(
            "Models that affetto did not train, on the clips of this report's corpora. What they were trained on is "
            "known from their cards alone; where a tested corpus is among it, the score says how well a model "
            "remembers."
        ),
        items=tuple(item for item in (table, compared) if item),
    )


def score_table(
    evidence: Evidence,
    evaluations: Sequence[Evaluation],
    systems: Sequence[System | None],
    beside: Sequence[Configuration],
) -> Sheet:
    """A row a model of others, and a row a trained system that was tested on the same corpus."""
    naming = Naming(beside)
    estimates = []
    rows = []
    for item, system in zip(evaluations, systems, strict=True):
        estimate = estimation.estimate([system]) if system else None
        estimates += [] if estimate is None else [estimate]
        trained = corpus_title(item.trained_on) + item.contamination_text
        cells = (text_cell(model_name(item)), text_cell(trained), text_cell(corpus_title(item.corpus)))
        rows.append((*cells, *_score_cells(item.test["macro_f1"], item.test["uar"], estimate), _clips_cell(item)))
    for config in beside:
        estimate, tests = evidence.estimate(config), [run.test for run in config.done]
        estimates.append(estimate)
        macro_f1, uar = (fmean(test[name] for test in tests) for name in ("macro_f1", "uar"))
        cells = (text_cell(naming.label(config)), text_cell(OWN), text_cell(corpus_title(config.axes.dataset)))
        rows.append((*cells, *_score_cells(macro_f1, uar, estimate), count_cell(tests[0]["n"])))
    return Sheet(
        name="outside",
        title="Models of others, and trained systems",
        columns=columns(*TEXTS, "macro F1", "UAR", "clips", texts=TEXTS),
        rows=tuple(rows),
        caption=(
            f"Scores ×100; below: {interval_words(estimates)}. Scores of a model of others are over the emotions of "
            "the corpus that it knows, and below its clips stand those that were left out; the next table has "
            "differences on the same clips. “contaminated”: its card names the tested corpus. “unknown”: its card "
            "names no data."
        ),
        notes=footnotes(estimates),
        stamp=stamp_of([*evaluations, *beside]),
        slim=Slim(
            caption=(
                f"Scores ×100; below: {interval_words(estimates)}. “contaminated”: the model's card names the tested "
                "corpus; “unknown”: it names no data."
            )
        ),
    )


def difference_table(
    evidence: Evidence,
    evaluations: Sequence[Evaluation],
    systems: Sequence[System | None],
    beside: Sequence[Configuration],
) -> Sheet | None:
    """Paired differences of each trained system and each model of others; None where they share no clips."""
    naming, compared = Naming(beside), []
    for config in beside:
        trained = evidence.system(config)
        for item, system in zip(evaluations, systems, strict=True):
            if trained is None or system is None or item.corpus != config.axes.dataset:
                continue
            pair = align(trained, system)
            if pair is not None:
                name = model_name(item) + item.contamination_text
                compared.append((naming.label(config), name, pair[0].clips, paired.compare([pair])))
    if not compared:
        return None
    corrected = paired.holm([comparison for *_, comparison in compared])
    return Sheet(
        name="outside-differences",
        title="Trained systems and models of others on the same clips",
        columns=comparison_columns("clips"),
        leading=LEADING,
        below=BELOW,
        rows=tuple(
            (text_cell(first), text_cell(second), count_cell(clips), *comparison_cells(comparison))
            for (first, second, clips, _), comparison in zip(compared, corrected, strict=True)
        ),
        caption=(
            "Macro F1 of the trained system minus the model of others, ×100, on the clips that both were tested on, "
            "over the emotions of these clips; an answer that is none of them is an error of either. The model of "
            "others stands beside each seed. Interval, p and verdict are as in paired comparisons, corrected by Holm "
            "over this table."
        ),
        stamp=stamp_of([*evaluations, *beside]),
        slim=Slim(
            caption=(
                "Macro F1 of the trained system minus the model of others, ×100, on the same clips, with the 95 % "
                "interval, and p of a permutation test over speakers, corrected by Holm."
            ),
            without=("speakers", "effect size", "speakers better (%)", "smallest p"),
        ),
    )


def model_name(item: Evaluation) -> str:
    """Name of a model of others: its hub id, else the last part of its folder; and speeds, if copies were averaged."""
    outside = item.outside or {}
    source = str(outside.get("source") or item.path.name)
    name = source if outside.get("revision") else PurePath(source).name
    return name + item.protocol_text


def _beside(evidence: Evidence, corpora: set[str]) -> list[Configuration]:
    """Configurations with predictions on one of these corpora."""
    same_corpus = (config for config in evidence.configurations if config.axes.dataset in corpora)
    return [config for config in same_corpus if evidence.system(config) is not None]


def _score_cells(macro_f1: float, uar: float, estimate: estimation.Estimate | None) -> tuple[Cell, Cell]:
    under = "no interval" if estimate is None else span(estimate)
    ends = (None, None) if estimate is None else (100 * estimate.low, 100 * estimate.high)
    values = (("", 100 * macro_f1), ("low", ends[0]), ("high", ends[1]))
    return Cell(percent_text(macro_f1), 100 * macro_f1, under=under, values=values), Cell(percent_text(uar), 100 * uar)


def _clips_cell(item: Evaluation) -> Cell:
    """Number of clips; below, the clips of emotions that the model does not know."""
    unknown = (item.metrics.get("left_out") or {}).get("unknown_emotions") or {}
    count = item.test["n"]
    if not unknown:
        return Cell(f"{count:,}", count)
    return Cell(f"{count:,}", count, under=f"without {', '.join(sorted(unknown))}")


OUTSIDE = Chapter(name="outside", title="Models of others", order=415, build=build, needs_results=False)
"""Models that affetto did not train."""
