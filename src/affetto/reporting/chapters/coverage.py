"""Conformal intervals around predicted numbers: their width, and the share of each test speaker's clips inside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np

from affetto.errors import UserError
from affetto.reporting.chapters.selection import Group, drawn_part, group_by_corpus, opening, stem
from affetto.reporting.render.canvas import BLUE, GREY, GRID, INK, framed, legend, save, style
from affetto.reporting.render.picture import Picture
from affetto.reporting.render.sheet import Cell, Sheet, columns, percent_cell, text_cell
from affetto.reporting.render.stamps import stamp_of
from affetto.reporting.results.naming import Naming
from affetto.reporting.results.parts import PartEvidence
from affetto.reporting.results.records import Configuration


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Intervals of one dimension, mean over seeds."""

    level: float
    """Share of clips that they promise to hold."""
    half_width: float
    coverage: float
    """Share of the test clips that they hold."""
    per_speaker: Mapping[str, float]


def coverages(config: Configuration) -> dict[str, Coverage]:
    """{dimension: coverage}; {} of a probe beside a method, for which no intervals were fitted."""
    facts = [((run.metrics or {}).get("confidence") or {}).get("conformal") for run in config.done if not run.is_beside]
    fitted = [conformal for conformal in facts if conformal]
    if not fitted:
        return {}
    of_dimensions = {name: [conformal["dimensions"][name] for conformal in fitted] for name in fitted[0]["dimensions"]}
    return {
        name: Coverage(
            level=fitted[0]["level"],
            half_width=fmean(values["half_width"] for values in of_seeds),
            coverage=fmean(values["coverage"] for values in of_seeds),
            per_speaker={
                speaker: fmean(values["per_speaker"][speaker] for values in of_seeds)
                for speaker in of_seeds[0]["per_speaker"]
            },
        )
        for name, of_seeds in of_dimensions.items()
    }


def coverage_table(evidence: PartEvidence) -> Sheet | None:
    """A row a configuration and dimension: half width, coverage, and the speakers of least and most coverage."""
    configs = [config for config in evidence.configurations if coverages(config)]
    if not configs:
        return None
    naming = Naming(configs)
    rows = []
    levels = set()
    for config in configs:
        for name, values in coverages(config).items():
            levels.add(values.level)
            least, most = (choose(values.per_speaker.items(), key=lambda item: item[1]) for choose in (min, max))
            rows.append(
                (
                    *naming.cells(config),
                    text_cell(name),
                    Cell(f"± {values.half_width:.3f}", values.half_width),
                    percent_cell(values.coverage),
                    _speaker_cell(*least),
                    _speaker_cell(*most),
                    Cell(str(len(values.per_speaker)), len(values.per_speaker)),
                )
            )
    names = ("half width", "coverage", "least of a speaker", "most of a speaker", "speakers")
    promised = " or ".join(f"{100 * level:.0f}" for level in sorted(levels))
    return Sheet(
        name="intervals",
        title="Intervals around predictions",
        columns=(*naming.columns(), *columns("dimension", *names, texts=("dimension",))),
        rows=tuple(rows),
        caption=(
            f"{opening(naming)}Half width of the conformal interval, fitted on validation speakers so that it holds "
            f"{promised} % of clips like theirs; coverage: share of the test clips whose truth it holds (%). Clips of "
            "other speakers are not like theirs in all, so that the coverage may differ."
        ),
        stamp=stamp_of(configs),
    )


def coverage_pictures(evidence: PartEvidence) -> list[Picture]:
    """A figure a corpus and split: coverage of all test clips and of each speaker's."""
    pictures = []
    for group in group_by_corpus(evidence):
        part = drawn_part(evidence, group)
        lines = {
            f"{group.label(config)}, {name}": values
            for config in part.configurations
            for name, values in coverages(config).items()
        }
        if lines:
            pictures.append(_picture(evidence, group, lines))
    return pictures


def draw_coverage(lines: Mapping[str, Coverage], path: str | Path, title: str, stamp: str = "") -> Path:
    """Draw coverage over the dots of single speakers, beside what was promised. UserError where there are no lines."""
    if not lines:
        raise UserError("no intervals to draw: give at least one configuration.")
    with style():
        caption = "Dots: share of one speaker's clips that the intervals hold. Height has no meaning."
        figure = framed(7.6, 0.8 + 0.45 * len(lines), title, caption, stamp)
        axes = figure.add_subplot()
        for y, values in enumerate(lines.values()):
            dots = 100 * np.array([values.per_speaker[speaker] for speaker in sorted(values.per_speaker)])
            # Multiples of the golden ratio spread the dots evenly over the line's height, without chance.
            offsets = 0.44 * (np.arange(len(dots)) * 0.6180339887 % 1 - 0.5)
            axes.scatter(dots, y + offsets, s=12, color=GREY, alpha=0.45, linewidths=0, label="a speaker")
            promised = [100 * values.level] * 2
            axes.plot(promised, [y - 0.5, y + 0.5], "--", color=INK, linewidth=1, label="promised")
            axes.plot(
                100 * values.coverage, y, "o", color=BLUE, markersize=8, markeredgecolor="white", label="all clips"
            )
        axes.set_yticks(range(len(lines)), list(lines))
        least = min(100 * share for values in lines.values() for share in (*values.per_speaker.values(), values.level))
        axes.set(
            ylim=(len(lines) - 0.5, -0.5), xlim=(10 * (least // 10) - 2, 102), xlabel="clips inside the interval (%)"
        )
        axes.grid(axis="x", color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        legend(axes)
        return save(figure, path)


def _picture(evidence: PartEvidence, group: Group, lines: Mapping[str, Coverage]) -> Picture:
    title, stamp = f"Coverage of the intervals: {group.heading}", stamp_of(group.configurations)
    words = "; ".join(f"{name} {100 * values.coverage:.1f} %" for name, values in lines.items())
    return Picture(
        name=f"intervals-{stem(evidence, group)}",
        title=title,
        alt=f"{title}. {words}.",
        draw=lambda path: draw_coverage(lines, path, title, stamp),
    )


def _speaker_cell(speaker: str, share: float) -> Cell:
    return Cell(f"{100 * share:.1f}", 100 * share, under=speaker, values=(("", 100 * share), ("speaker", speaker)))
