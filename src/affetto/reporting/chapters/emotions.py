"""Emotions: the confusion of each configuration as a figure, and F1 of each class as a table."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from affetto.reporting.chapters.chapter import Chapter
from affetto.reporting.chapters.selection import MOST_DRAWN, Group, group_by_corpus, highest, opening, stem
from affetto.reporting.render.canvas import framed, save, style
from affetto.reporting.render.picture import Picture, slug
from affetto.reporting.render.section import Section
from affetto.reporting.render.sheet import Cell, Column, Sheet, Slim, text_cell
from affetto.reporting.render.stamps import stamp_of
from affetto.reporting.render.text import DASH, percent_text
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.marks import interval_words
from affetto.reporting.results.naming import Naming
from affetto.reporting.results.records import Configuration

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DARK = 0.71
"""Shares above it are written in white, those below in black: either at a contrast of 4.5:1 or more."""


def build(evidence: Evidence) -> Section:
    best, rest = confusion_pictures(evidence)
    return Section(
        words="Which emotions are taken for which.",
        items=(*best, class_table(evidence)),
        folded=tuple(rest),
    )


def class_table(evidence: Evidence) -> Sheet:
    """F1 of each emotion, over seeds; the CSV file has precision and recall too."""
    configs = evidence.configurations
    naming = Naming(configs)
    labels = list(dict.fromkeys(label for config in configs for label in config.done[0].test["labels"]))
    rows = []
    for config in configs:
        cells = [_class_cell(config, label) for label in labels]
        scores = {label: cell.key for label, cell in zip(labels, cells, strict=True) if isinstance(cell.key, float)}
        hardest = min(scores, key=lambda label: scores[label]) if scores else None
        rows.append((*naming.cells(config), *cells, text_cell(hardest)))
    return Sheet(
        name="classes",
        title="Classes",
        columns=(*naming.columns(), *map(Column, labels), Column("hardest", is_number=False)),
        rows=tuple(rows),
        caption=(
            f"{opening(naming)}F1 of each class, ×100, mean over seeds; below: recall. Precision is in the CSV file."
        ),
        stamp=stamp_of(configs),
        slim=Slim(caption=f"{opening(naming)}F1 of each class, ×100, mean over seeds.", without=("hardest",)),
    )


def confusion_pictures(evidence: Evidence) -> tuple[list[Picture], list[Picture]]:
    """The best configuration of each corpus and split, and the others where they are few."""
    first: list[Picture] = []
    rest: list[Picture] = []
    for group in group_by_corpus(evidence):
        best = highest(evidence, group.configurations)
        first.append(_picture(evidence, group, best))
        if len(group.configurations) <= MOST_DRAWN:
            rest += [_picture(evidence, group, config) for config in group.configurations if config is not best]
    return first, rest


def draw_confusion(
    scores: Mapping[str, Any], path: str | Path, title: str, *, basis: str = "", seeds: int = 1, stamp: str = ""
) -> Path:
    """Draw the confusion of one scored set: percent of each true label, clips below, F1 beside the row.

    `scores` is as `affetto.measures.scores.scores` returns it; `seeds` is the number of runs whose predictions of
    the same clips the matrix counts; `basis` ends the caption.
    """
    labels = list(scores["labels"])
    counts = np.asarray(scores["confusion"])
    support = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, support, out=np.zeros(counts.shape), where=support > 0)
    longest = max(map(len, labels))
    side = 0.74 * len(labels)
    together = f", of {seeds} seeds together" if seeds > 1 else ""
    caption = f"Cells: percent of the true label's clips, their number below{together}. {basis}"
    with style():
        figure = framed(side + 1.75 + 0.075 * longest, side + 0.9, title, caption, stamp)
        axes = figure.add_subplot()
        axes.pcolormesh(shares, cmap="Blues", vmin=0, vmax=1, edgecolors="white", linewidth=2)
        for row, column in np.ndindex(counts.shape):
            share = shares[row, column] if support[row, 0] else None
            _draw_cell(axes, row, column, share=share, clips=int(counts[row, column]))
        centres = np.arange(len(labels)) + 0.5
        slanted: dict[str, Any] = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if longest > 10 else {}
        axes.set_xticks(centres, labels, **slanted)
        axes.set_yticks(centres, [f"{label} ({n:,})" for label, n in zip(labels, support[:, 0], strict=True)])
        axes.set(aspect="equal", xlabel="predicted", ylabel="true (clips)", ylim=(len(labels), 0))
        right = axes.secondary_yaxis("right")
        classes = [scores["per_class"][label] for label in labels]
        right.set_yticks(centres, [percent_text(scored["f1"] if scored["n"] else None) for scored in classes])
        axes.text(1.0, 1.01, "  F1", transform=axes.transAxes, va="bottom")
        for side_axes in (axes, right):
            side_axes.tick_params(length=0)
            side_axes.spines[:].set_visible(False)
        return save(figure, path)


def _class_cell(config: Configuration, label: str) -> Cell:
    scored = [run.test["per_class"][label] for run in config.done if label in run.test["per_class"]]
    if not scored or not scored[0]["n"]:
        return Cell(DASH)
    f1, recall, precision = (100 * fmean(of_run[name] for of_run in scored) for name in ("f1", "recall", "precision"))
    return Cell(
        text=f"{f1:.1f}",
        key=f1,
        under=f"{recall:.1f}",
        values=(("F1", f1), ("recall", recall), ("precision", precision), ("clips", scored[0]["n"])),
    )


def _picture(evidence: Evidence, group: Group, config: Configuration) -> Picture:
    scores = _pooled_scores(evidence, config)
    label = group.label(config)
    title = f"Confusion: {label}, {group.heading}"
    classes = "; ".join(f"{name} F1 {percent_text(scored['f1'])}" for name, scored in scores["per_class"].items())
    return Picture(
        name=f"confusion-{stem(evidence, group)}-{slug(label)}",
        title=title,
        alt=f"{title}. {classes}.",
        draw=partial(
            draw_confusion,
            scores,
            title=title,
            basis=_basis(evidence, config),
            seeds=len(config.done),
            stamp=stamp_of([config]),
        ),
    )


def _pooled_scores(evidence: Evidence, config: Configuration) -> dict[str, Any]:
    """Scores with the counts of all seeds together, but F1 as in the tables: the mean over seeds."""
    scores = evidence.pooled(config)
    for label, scored in scores["per_class"].items():
        scored["f1"] = fmean(run.test["per_class"][label]["f1"] for run in config.done)
    return scores


def _basis(evidence: Evidence, config: Configuration) -> str:
    """Headline numbers of a configuration, and the clips and speakers that they rest on."""
    estimate, test = evidence.estimate(config), config.done[0].test
    speakers = len(test["per_speaker"])
    return (
        f"Macro F1 {percent_text(evidence.spread(config).mean)} ({percent_text(estimate.low)}–"
        f"{percent_text(estimate.high)}: {interval_words([estimate])}), "
        f"UAR {percent_text(evidence.spread(config, 'uar').mean)}; "
        f"chance {percent_text(test['chance']['macro_f1'])}. "
        f"{test['n']:,} clips, {speakers:,} {'speaker' if speakers == 1 else 'speakers'}."
    )


def _draw_cell(axes: Axes, row: int, column: int, *, share: float | None, clips: int) -> None:
    """Write percent and clips into one cell; a dash where the label has no clips at all."""
    look: dict[str, Any] = {"ha": "center", "color": "white" if share is not None and share > DARK else "black"}
    if share is None:
        axes.text(column + 0.5, row + 0.5, DASH, va="center", **look)
        return
    weight = "bold" if row == column else "normal"
    axes.text(column + 0.5, row + 0.44, f"{100 * share:.0f}", va="center", fontsize=11, fontweight=weight, **look)
    axes.text(column + 0.5, row + 0.74, f"{clips:,}", va="center", fontsize=7, **look)


EMOTIONS = Chapter(name="emotions", title="By emotion", order=310, build=build)
