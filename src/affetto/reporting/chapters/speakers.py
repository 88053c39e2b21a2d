"""People: UAR by speaker as a figure and a table, women and men, and human raters beside the systems."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from affetto.errors import UserError
from affetto.reporting.chapters.chapter import Chapter
from affetto.reporting.chapters.people import gender_table, rater_table
from affetto.reporting.chapters.selection import (
    MOST_SPEAKERS,
    Group,
    drawn_part,
    group_by_corpus,
    has_several_splits,
    opening,
    stem,
)
from affetto.reporting.render.canvas import (
    BLUE,
    GREY,
    GRID,
    INK,
    LINE_GREY,
    MARKS,
    framed,
    legend_above,
    save,
    style,
)
from affetto.reporting.render.picture import Picture
from affetto.reporting.render.section import Section
from affetto.reporting.render.sheet import Column, Sheet, Slim, columns, count_cell, percent_cell
from affetto.reporting.render.stamps import stamp_of
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.naming import corpus_title
from affetto.reporting.results.records import Configuration

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Scores = Mapping[str, Mapping[str, float]]
"""{configuration: {speaker: score as a fraction}}."""

SPREAD = 0.3
"""Largest distance of a mark from its speaker's line, in lines."""


def build(evidence: Evidence) -> Section:
    groups = group_by_corpus(evidence)
    tables = [speaker_table(group, with_split=has_several_splits(groups)) for group in groups]
    people = (gender_table(evidence), rater_table(evidence))
    return Section(
        words="A mean hides the speakers on whom a system fails.",
        items=(*speaker_pictures(evidence), *tables, *(table for table in people if table)),
    )


def speaker_table(group: Group, *, with_split: bool = False) -> Sheet:
    """UAR of each speaker side by side; of many speakers, how it is spread. `with_split` names the split too."""
    speakers = sorted({name for config in group.configurations for name in config.done[0].test["per_speaker"]})
    naming = group.naming
    scores = [(config, _uar_by_speaker(config)) for config in group.configurations]
    if len(speakers) <= MOST_SPEAKERS:
        heads = (*map(Column, speakers), Column("gap"))
        rows = tuple(
            (
                *naming.cells(config),
                *(percent_cell(uar.get(speaker)) for speaker in speakers),
                percent_cell(max(uar.values()) - min(uar.values()) if len(uar) > 1 else None),
            )
            for config, uar in scores
        )
        caption = "UAR within each test speaker, ×100, mean over seeds; gap: best minus worst."
    else:
        heads = columns("speakers", "worst", "10 %", "25 %", "median", "75 %", "90 %", "best")
        rows = tuple(
            (
                *naming.cells(config),
                count_cell(len(uar)),
                *(
                    percent_cell(float(cut))
                    for cut in np.quantile(list(uar.values()), [0, 0.1, 0.25, 0.5, 0.75, 0.9, 1])
                ),
            )
            for config, uar in scores
        )
        caption = "How UAR (×100, mean over seeds) is spread over the test speakers."
    return Sheet(
        name=f"speakers-{group.corpus}" + (f"-{group.split.replace(':', '')}" if with_split else ""),
        title=f"Speakers of {corpus_title(group.corpus)}" + (f", split {group.split}" if with_split else ""),
        columns=(*naming.columns(), *heads),
        rows=rows,
        caption=f"{opening(naming)}{caption}",
        stamp=stamp_of(group.configurations),
        slim=Slim(caption=f"{opening(naming)}{caption}"),
    )


def speaker_pictures(evidence: Evidence) -> list[Picture]:
    """A figure a corpus and split: UAR within each speaker."""
    return [_picture(evidence, drawn_part(evidence, group)) for group in group_by_corpus(evidence)]


def draw_speakers(scores: Scores, path: str | Path, title: str, chance: float | None = None, stamp: str = "") -> Path:
    """Draw the UAR of each test speaker: a row a speaker where they are few, else a strip of dots a configuration.

    Raises UserError where there are no speakers.
    """
    speakers = list(dict.fromkeys(speaker for by_speaker in scores.values() for speaker in by_speaker))
    if not speakers:
        raise UserError("no speakers to draw: give at least one.")
    is_by_speaker = len(speakers) <= MOST_SPEAKERS and len(scores) <= len(MARKS)
    caption = (
        "Each mark: a configuration's UAR within that speaker, mean over seeds; speakers from easy to hard."
        if is_by_speaker
        else "Each dot: UAR within one test speaker, mean over seeds. Bar: the median; box: the middle half."
    )
    with style():
        lines = len(speakers) if is_by_speaker else len(scores)
        figure = framed(8.2, 0.9 + (0.34 if is_by_speaker else 0.46) * lines, title, caption, stamp)
        axes = figure.add_subplot()
        (_draw_by_speaker if is_by_speaker else _draw_by_configuration)(axes, scores, speakers)
        if chance is not None:
            axes.axvline(100 * chance, color=INK, linestyle="--", linewidth=1, label="chance", zorder=1)
        axes.set(ylim=(lines - 0.5, -0.5), xlim=(0, 102), xlabel="UAR (×100)")
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        legend_above(figure, [axes])
        return save(figure, path)


def _uar_by_speaker(config: Configuration) -> dict[str, float]:
    """Mean over seeds of the UAR within each test speaker, by name."""
    scores: dict[str, list[float]] = {}
    for run in config.done:
        for speaker, within in run.test["per_speaker"].items():
            scores.setdefault(speaker, []).append(within["uar"])
    return {speaker: fmean(values) for speaker, values in sorted(scores.items())}


def _picture(evidence: Evidence, group: Group) -> Picture:
    scores = {group.label(config): _uar_by_speaker(config) for config in group.configurations}
    title, stamp = f"UAR by speaker: {group.heading}", stamp_of(group.configurations)
    chance = 1 / len(group.configurations[0].done[0].test["labels"])
    return Picture(
        name=f"speakers-{stem(evidence, group)}",
        title=title,
        alt=f"{title}. The same values stand in the table.",
        draw=lambda path: draw_speakers(scores, path, title, chance, stamp),
    )


def _draw_by_speaker(axes: Axes, scores: Scores, speakers: list[str]) -> None:
    values = {
        speaker: [by_speaker[speaker] for by_speaker in scores.values() if speaker in by_speaker]
        for speaker in speakers
    }
    order = sorted(speakers, key=lambda speaker: (-fmean(values[speaker]), speaker))
    for y, speaker in enumerate(order):
        ends = [100 * min(values[speaker]), 100 * max(values[speaker])]
        axes.plot(ends, [y, y], color=LINE_GREY, linewidth=2, zorder=1, solid_capstyle="round")
    # Marks stand side by side, so that equal scores do not hide one another.
    offsets = np.linspace(-SPREAD, SPREAD, len(scores)) if len(scores) > 1 else [0.0]
    for (name, by_speaker), (colour, mark), offset in zip(scores.items(), MARKS, offsets, strict=False):
        points = [(100 * by_speaker[speaker], y + offset) for y, speaker in enumerate(order) if speaker in by_speaker]
        axes.plot(*zip(*points, strict=True), mark, color=colour, markersize=7, markeredgecolor="white", label=name)
    axes.set_yticks(range(len(order)), order)


def _draw_by_configuration(axes: Axes, scores: Scores, speakers: list[str]) -> None:
    for y, by_speaker in enumerate(scores.values()):
        values = 100 * np.array([by_speaker[speaker] for speaker in speakers if speaker in by_speaker])
        # Multiples of the golden ratio spread the dots evenly over the strip's height, without chance.
        offsets = 0.6 * (np.arange(len(values)) * 0.6180339887 % 1 - 0.5)
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
        axes.fill_between([low, high], y - 0.36, y + 0.36, color=BLUE, alpha=0.15, linewidth=0)
        axes.scatter(values, y + offsets, s=12, color=GREY, alpha=0.6, linewidths=0, label="a speaker")
        axes.plot([middle] * 2, [y - 0.38, y + 0.38], color=BLUE, linewidth=2.5, label="median")
    axes.set_yticks(range(len(scores)), list(scores))


SPEAKERS = Chapter(name="people", title="By speaker and gender, and beside human raters", order=300, build=build)
