"""Several labels a clip: scores of all labels together, and of each with its threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from affetto.corpora.labels import in_order
from affetto.errors import UserError
from affetto.reporting.chapters.chapter import Chapter
from affetto.reporting.chapters.measures import (
    comparison_table,
    evaluation_table,
    highest_words,
    measure_table,
    pictures,
)
from affetto.reporting.chapters.selection import MOST_DRAWN, group_by_corpus, opening, stem
from affetto.reporting.render.canvas import GRID, MARKS, framed, legend_above, save, style
from affetto.reporting.render.picture import Picture
from affetto.reporting.render.section import Section
from affetto.reporting.render.sheet import Cell, Sheet, columns, percent_cell, text_cell
from affetto.reporting.render.stamps import stamp_of
from affetto.reporting.render.text import DASH
from affetto.reporting.results import parts
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.naming import Naming
from affetto.reporting.results.parts import PartEvidence, part_of
from affetto.reporting.results.records import Configuration


def build(evidence: Evidence) -> Section | None:
    of_marks = part_of(evidence, parts.MARKS)
    if not of_marks.configurations:
        return None
    table = measure_table(of_marks, name="labels", title="Several labels", words="×100.")
    tables = (comparison_table(of_marks, "labels-comparisons"), evaluation_table(of_marks, "labels-across"))
    return Section(
        words=(
            "A clip may have several labels. A label is called where its probability reaches its threshold, which is "
            "tuned on validation speakers unless the settings say otherwise. "
            f"{highest_words(of_marks)}"
        ),
        items=(
            table,
            *pictures(of_marks, "labels"),
            label_table(of_marks),
            *label_pictures(of_marks),
            *(sheet for sheet in tables if sheet),
        ),
        headline=None if evidence.configurations else table,
    )


def label_table(evidence: PartEvidence) -> Sheet:
    """A row a configuration and label: F1, average precision, threshold, clips; means over seeds."""
    naming = Naming(evidence.configurations)
    rows = []
    for config in evidence.configurations:
        for label in in_order(set(config.done[0].labels)):
            of_seeds = [run.test["per_label"][label] for run in config.done]
            limits = _thresholds(config, label)
            rows.append(
                (
                    *naming.cells(config),
                    text_cell(label),
                    percent_cell(fmean(scores["f1"] for scores in of_seeds)),
                    percent_cell(fmean(scores["average_precision"] for scores in of_seeds)),
                    Cell(DASH) if not limits else Cell(f"{fmean(limits):.2f}", fmean(limits)),
                    Cell(f"{of_seeds[0]['n']:,}", of_seeds[0]["n"]),
                )
            )
    names = ("F1", "average precision", "threshold", "clips")
    return Sheet(
        name="labels-each",
        title="Each label",
        columns=(*naming.columns(), *columns("label", *names, texts=("label",))),
        rows=tuple(rows),
        caption=(
            f"{opening(naming)}×100, means over seeds. Threshold: probability from which a label is called, of the "
            "final model. Clips: test clips that have the label."
        ),
        stamp=stamp_of(evidence.configurations),
    )


def label_pictures(evidence: PartEvidence) -> list[Picture]:
    """A figure a corpus and split: F1 of each label, a mark a configuration."""
    drawn = []
    for group in group_by_corpus(evidence):
        scores = {
            group.label(config): {
                label: 100 * fmean(run.test["per_label"][label]["f1"] for run in config.done)
                for label in in_order(set(config.done[0].labels))
            }
            for config in group.configurations[:MOST_DRAWN]
        }
        title, stamp = f"F1 of each label: {group.heading}", stamp_of(group.configurations)
        drawn.append(_picture(scores, title, stamp, f"labels-each-{stem(evidence, group)}"))
    return drawn


def draw_labels(scores: Mapping[str, Mapping[str, float]], path: str | Path, title: str, stamp: str = "") -> Path:
    """Draw scores {configuration: {label: F1 ×100}}, a row a label. UserError where there are none."""
    if not scores:
        raise UserError("no labels to draw: give at least one configuration.")
    labels = list(next(iter(scores.values())))
    with style():
        figure = framed(7.2, 0.9 + 0.36 * len(labels), title, "Means over seeds.", stamp)
        axes = figure.add_subplot()
        for number, (name, of_labels) in enumerate(scores.items()):
            colour, shape = MARKS[number % len(MARKS)]
            shift = 0.5 * ((number + 0.5) / len(scores) - 0.5)
            places = [row + shift for row in range(len(labels))]
            axes.plot([of_labels[label] for label in labels], places, shape, color=colour, label=name)
        axes.set_yticks(range(len(labels)), labels)
        axes.set(ylim=(len(labels) - 0.5, -0.5), xlim=(-2, 102), xlabel="F1 (×100)")
        axes.grid(axis="x", color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        legend_above(figure, [axes])
        return save(figure, path)


def _picture(scores: Mapping[str, Mapping[str, float]], title: str, stamp: str, name: str) -> Picture:
    words = "; ".join(
        f"{config}: {', '.join(f'{label} {value:.1f}' for label, value in of_labels.items())}"
        for config, of_labels in scores.items()
    )
    return Picture(
        name=name,
        title=title,
        alt=f"{title}. {words}.",
        draw=lambda path: draw_labels(scores, path, title, stamp),
    )


def _thresholds(config: Configuration, label: str) -> Sequence[float]:
    """Threshold of a label in each run; () of a probe beside a method, whose thresholds are not kept."""
    if any(run.is_beside for run in config.done):
        return ()
    facts = [((run.metrics or {}).get("confidence") or {}).get("thresholds") or {} for run in config.done]
    return [limits[label] for limits in facts if label in limits]


CHAPTER = Chapter(name="labels", title="Several labels", order=450, build=build, needs_results=False)
