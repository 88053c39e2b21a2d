"""Stress tests of runs: the curve of the score under each perturbation, the table, and the gaps between groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from affetto.errors import UserError
from affetto.reporting.chapters.chapter import Chapter
from affetto.reporting.chapters.selection import MOST_DRAWN
from affetto.reporting.render.canvas import LINE_GREY, MARKS, framed, legend_above, save, style
from affetto.reporting.render.picture import Picture, slug
from affetto.reporting.render.section import Section
from affetto.reporting.render.sheet import Sheet
from affetto.reporting.render.text import signed_text
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.stress_sheets import (
    ALTERS,
    MEANING,
    effect_sheet,
    gap_sheet,
    level_text,
    main_scores,
    measure_of,
    stamp_of_test,
)
from affetto.training.runs import STRESS, STRESSED, RunFolder

ACROSS = 4
"""Panels beside each other in a figure."""
Tests = Mapping[str, Mapping[str, Any]]
"""Contents of `stress.json` by the run's name."""


def build(evidence: Evidence) -> Section | None:
    tests = read_tests(evidence)
    if not tests:
        return None
    sheets = [sheet for name, content in tests.items() for sheet in _sheets(name, content, is_only=len(tests) == 1)]
    pictures = [
        curves(tests, name, title)
        for name, title in {
            name: title for content in tests.values() for name, title in main_scores(content).items()
        }.items()
    ]
    return Section(
        words=(
            "The same clips, with their sound changed: how many predictions change, and how far the score moves. "
            "Under some changes people may hear another emotion too. A verdict compares the fall with what models "
            "that decide at random differ by."
        ),
        items=(*pictures, *sheets[:2]),
        folded=tuple(sheets[2:]),
    )


def read_tests(evidence: Evidence) -> dict[str, Mapping[str, Any]]:
    """Stress tests that lie in the folders of finished runs; a broken one is named and left out."""
    tests: dict[str, Mapping[str, Any]] = {}
    for run in (*evidence.results.runs, *evidence.results.other_runs):
        if not run.is_done:
            continue
        try:
            content = RunFolder(run.path / STRESS).read(STRESSED)
            if content is not None:
                effect_sheet(content)  # a file of another format lacks a field
                tests[run.name] = content
        except (UserError, KeyError, TypeError, IndexError, AttributeError) as problem:
            evidence.notes.append(f"{run.path / STRESS / STRESSED}: no stress test ({problem}); left out")
    return tests


def _sheets(name: str, content: Mapping[str, Any], *, is_only: bool) -> list[Sheet]:
    sheets = [sheet for sheet in (effect_sheet(content), gap_sheet(content)) if sheet is not None]
    if is_only:
        return sheets
    return [replace(sheet, name=f"{sheet.name}-{slug(name)}", title=f"{sheet.title}: {name}") for sheet in sheets]


def curves(tests: Tests, score: str, title: str) -> Picture:
    """A panel for each perturbation: the score untouched and at each level, a line for each run."""
    drawn = {name: content for name, content in list(tests.items())[:MOST_DRAWN] if score in main_scores(content)}
    measure = measure_of(score)
    falls = [
        f"{record['name']} {level_text(of_level['level'], record['unit'])} "
        f"{signed_text(measure.scale * of_level['scores'][score]['difference'], 1 if measure.in_per_cent else 3)}"
        for content in list(drawn.values())[:1]
        for record in content["perturbations"]
        for of_level in record["levels"]
    ]
    heading = f"Stress test: {title} under each perturbation"
    return Picture(
        name=f"stress-{slug(score)}",
        title=heading,
        alt=f"{heading}. Differences of {next(iter(drawn))}: {'; '.join(falls)}.",
        draw=partial(draw_curves, drawn, score, heading, title),
    )


def draw_curves(tests: Tests, score: str, heading: str, title: str, path: Path) -> Path:
    """Draw the panels of `curves`."""
    records: dict[str, Mapping[str, Any]] = {}
    for content in tests.values():
        records |= {record["name"]: record for record in content["perturbations"] if record["name"] not in records}
    first = next(iter(tests.values()))
    caption = (
        "The untouched clips stand at “none”, or at the level that changes nothing. "
        + ("Bars: 95 % interval of the difference over speakers. " if len(tests) == 1 else "")
        + ("Grey: less than random models differ by. " if len(tests) == 1 else "")
        + MEANING
    )
    with style():
        rows = -(-len(records) // ACROSS)
        figure = framed(7.6, 1.55 * rows + 0.3, heading, caption, stamp_of_test(first))
        grid = figure.subplots(rows, ACROSS, squeeze=False, sharey=True)
        for axes, record in zip(grid.flat, records.values(), strict=False):
            _draw_panel(axes, tests, record, score)
        for axes in list(grid.flat)[len(records) :]:
            axes.set_visible(False)
        scale = " ×100" if measure_of(score).in_per_cent else ""
        for axes in grid[:, 0]:
            axes.set_ylabel(f"{title}{scale}", fontsize=8)
        if len(tests) > 1:
            legend_above(figure, grid.flat)
        return save(figure, path)


def _draw_panel(axes: Any, tests: Tests, record: Mapping[str, Any], score: str) -> None:
    scale, neutral = measure_of(score).scale, record.get("neutral")
    mark = ALTERS if record["may_alter"] else ""
    axes.set_title(f"{record['name']}{mark}", fontsize=8, fontweight="bold")
    levels = [neutral, *(of_level["level"] for of_level in record["levels"])]
    order = list(range(len(levels))) if neutral is None else sorted(range(len(levels)), key=levels.__getitem__)
    names = ["none" if level is None else level_text(level) for level in levels]
    axes.set_xticks(range(len(levels)), [names[number] for number in order], fontsize=7)
    axes.set_xlabel(record["unit"], fontsize=7, labelpad=1)
    axes.tick_params(axis="y", labelsize=7)
    axes.set_xlim(-0.35, len(levels) - 0.65)
    for (name, content), (colour, shape) in zip(tests.items(), MARKS, strict=False):
        scores = [of_level["scores"][score] for of_level in _levels(content, record["name"])]
        if len(scores) != len(levels) - 1:
            continue
        untouched = scale * scores[0]["untouched"]
        values = [untouched, *(scale * of_level["perturbed"] for of_level in scores)]
        if len(tests) == 1:
            threshold = scale * content["thresholds"][score]
            axes.axhspan(untouched - threshold, untouched + threshold, color=LINE_GREY, alpha=0.5, linewidth=0)
            ends = np.array([of_level["interval"] or (np.nan, np.nan) for of_level in scores]).T * scale + untouched
            places = [order.index(number) for number in range(1, len(levels))]
            axes.vlines(places, ends[0], ends[1], color=colour, linewidth=1, alpha=0.7)
        drawn = [values[number] for number in order]
        axes.plot(range(len(drawn)), drawn, color=colour, marker=shape, markersize=3.5, linewidth=1.2, label=name)


def _levels(content: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    return next((record["levels"] for record in content["perturbations"] if record["name"] == name), [])


STRESS_TESTS = Chapter(name="stress", title="Stress tests", order=420, build=build, needs_results=False)
