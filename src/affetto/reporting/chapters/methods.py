"""Results: every configuration beside the probe and chance, as a table and as a figure for each corpus."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from affetto.errors import UserError
from affetto.measures.classification import MACRO_F1
from affetto.measures.measure import Measure
from affetto.measures.registry import shown_measures
from affetto.reporting.chapters.chapter import Chapter
from affetto.reporting.chapters.selection import MOST_ROWS, Group, group_by_corpus, opening, stem
from affetto.reporting.render.canvas import BLUE, GREY, GRID, INK, framed, legend, save, style
from affetto.reporting.render.picture import Picture
from affetto.reporting.render.section import Section
from affetto.reporting.render.sheet import MISSING, Cell, Column, Sheet, Slim, difference_cell, percent_cell
from affetto.reporting.render.stamps import SYNTHETIC, stamp_of
from affetto.reporting.render.text import percent_text, range_text
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.marks import footnotes, interval_words, span
from affetto.reporting.results.naming import Naming
from affetto.reporting.results.records import Configuration

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SEEDS = "mean ± standard deviation (ddof 1) over seeds"
MOST_NAMED = 6
"""Configurations that a footnote names; of more it gives the number."""
MANY_SPEAKERS = 50
"""Above this number the dots of single speakers are drawn paler."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """One line of the figure: macro F1 of a configuration, with what it is compared to. All are fractions."""

    name: str
    value: float
    interval: tuple[float, float] | None = None
    chance: float | None = None
    speakers: Mapping[str, float] = field(default_factory=dict)
    """Macro F1 within each test speaker."""
    synthetic: bool = False
    """True if the speech is synthetic."""

    @property
    def text(self) -> str:
        """`58.9 (40.7–76.8)`, ×100."""
        if self.interval is None:
            return percent_text(self.value)
        return range_text(self.value, *self.interval)


def build(evidence: Evidence) -> Section:
    table, pictures = method_table(evidence), tuple(method_pictures(evidence))
    is_long = len(table.rows) > MOST_ROWS
    return Section(
        words=(
            "Every configuration on unseen speakers, beside the probe. A method that does not beat the probe, which "
            "is logistic regression on the frozen states, has learned nothing useful."
        ),
        items=pictures if is_long else (table, *pictures),
        folded=(table,) if is_long else (),
        headline=table,
    )


def method_table(evidence: Evidence) -> Sheet:
    """A row a configuration: all measures with intervals, the difference from the probe, and chance."""
    naming = Naming(evidence.planned)
    best = _best_of_each_corpus(evidence)
    rows = [(*naming.cells(config), *_cells(evidence, config, best)) for config in evidence.planned]
    corpora = [(config.axes.corpus, config.axes.split) for config in evidence.planned]
    breaks = {number for number in range(1, len(corpora)) if corpora[number] != corpora[number - 1]}
    estimates = [evidence.estimate(config) for config in evidence.configurations]
    measures = [Column(measure.title) for measure in shown_measures()]
    return Sheet(
        name="methods",
        title="Methods",
        columns=(*naming.columns(), Column("seeds"), *measures, Column("over probe"), Column("chance")),
        rows=tuple(rows),
        caption=(
            f"{opening(naming)}×100; {SEEDS}; below: {interval_words(estimates)}. Over probe: macro F1 minus the "
            "probe's, which is logistic regression on the frozen states. Chance: macro F1 of a guesser. Bold: the "
            "highest macro F1 of each corpus; whether it is significantly higher, the comparisons say."
        ),
        notes=(*footnotes(estimates), *_missing_notes(evidence)),
        stamp=stamp_of(evidence.configurations),
        breaks=frozenset(breaks),
        slim=Slim(
            caption=f"{opening(naming)}×100; {SEEDS}. Over probe: macro F1 minus the probe's. Bold: highest macro F1.",
            without=("seeds", "chance"),
        ),
    )


def method_pictures(evidence: Evidence) -> list[Picture]:
    """A figure a corpus and split: macro F1 with interval, single speakers and chance."""
    return [_picture(evidence, group) for group in group_by_corpus(evidence)]


def draw_methods(scores: Sequence[Score], path: str | Path, title: str, basis: str = "") -> Path:
    """Draw macro F1 with its interval over the dots of single speakers, a line a configuration, the first on top.

    `basis` says how many clips and which intervals the scores rest on. Raises UserError where there are no scores.
    """
    if not scores:
        raise UserError("no methods to compare: give at least one score.")
    is_synthetic = all(score.synthetic for score in scores)
    names = [textwrap.fill(_name(score, is_synthetic=is_synthetic), 30) for score in scores]
    whiskers = "Whiskers: the interval. " if any(score.interval for score in scores) else ""
    dots = "Dots: macro F1 within one speaker. " if any(score.speakers for score in scores) else ""
    with style():
        height = 0.8 + sum(0.3 + 0.17 * (1 + name.count("\n")) for name in names)
        figure = framed(8.2, height, title, f"{whiskers}{dots}{basis}", stamp_of(scores))
        axes = figure.add_subplot()
        for y, score in enumerate(scores):
            _draw_line(axes, y, score)
        axes.set_yticks(range(len(scores)), names)
        axes.set(ylim=(len(scores) - 0.5, -0.5), xlim=(0, min(102.0, axes.get_xlim()[1])), xlabel="macro F1 (×100)")
        axes.grid(axis="x", color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        right = axes.secondary_yaxis("right")
        right.set_yticks(range(len(scores)), [score.text for score in scores])
        for side in (axes, right):
            side.tick_params(axis="y", length=0)
            side.spines[["left", "right"]].set_visible(False)
        legend(axes)
        return save(figure, path)


def _cells(evidence: Evidence, config: Configuration, best: Sequence[Configuration]) -> list[Cell]:
    """The cells of a configuration after its name: seeds, measures, difference from the probe, chance."""
    usable, planned = _usable_seeds(evidence, config), len(config.runs)
    seeds = Cell(str(usable) if usable == planned else f"{usable} of {planned}", usable)
    if not usable:
        return [seeds, *[Cell(MISSING)] * (len(shown_measures()) + 2)]
    baseline = evidence.baseline(config)
    if baseline is config:
        over_probe = Cell("baseline", None, values=(("", None),))
    elif baseline is None:
        over_probe = difference_cell(None)
    else:
        over_probe = difference_cell(evidence.spread(config).mean - evidence.spread(baseline).mean)
    return [
        seeds,
        *(
            measure_cell(evidence, config, measure, is_bold=measure is MACRO_F1 and config in best)
            for measure in shown_measures()
        ),
        over_probe,
        percent_cell(_chance(config)),
    ]


def measure_cell(evidence: Evidence, config: Configuration, measure: Measure, *, is_bold: bool = False) -> Cell:
    """A score with its deviation over seeds, and its interval below. The configuration must have a system."""
    spread, estimate = evidence.spread(config, measure.name), evidence.estimate(config, measure.name)
    scale, deviation = measure.scale, spread.deviation
    return Cell(
        text=measure.text(spread.mean) + ("" if deviation is None else f" ± {measure.text(deviation)}"),
        key=scale * spread.mean,
        under=span(estimate),
        values=(
            ("mean", scale * spread.mean),
            ("sd", None if deviation is None else scale * deviation),
            ("low", scale * estimate.low),
            ("high", scale * estimate.high),
        ),
        is_bold=is_bold,
    )


def _best_of_each_corpus(evidence: Evidence) -> list[Configuration]:
    best: dict[tuple[str, str], Configuration] = {}
    for config in evidence.configurations:
        key = (config.axes.corpus, config.split)
        if key not in best or evidence.spread(config).mean > evidence.spread(best[key]).mean:
            best[key] = config
    return list(best.values())


def _chance(config: Configuration) -> float:
    """Macro F1 of a guesser, mean over seeds."""
    return fmean(run.test["chance"]["macro_f1"] for run in config.done)


def _usable_seeds(evidence: Evidence, config: Configuration) -> int:
    system = evidence.system(config)
    return len(system.seeds) if system else 0


def _missing_notes(evidence: Evidence) -> list[str]:
    """Sentences on configurations that lack seeds, or have no result at all."""
    configs = evidence.results.configurations
    naming = Naming(configs)
    partly, absent = [], []
    for config in configs:
        usable, planned = _usable_seeds(evidence, config), len(config.runs)
        if not usable:
            absent.append(naming.label(config))
        elif usable < planned:
            partly.append(f"{naming.label(config)} ({planned - usable} of {planned} seeds)")
    notes = [f"Seeds are missing of: {_listed(partly)}."] if partly else []
    return notes + ([f"No result is there of: {_listed(absent)}."] if absent else [])


def _listed(items: Sequence[str]) -> str:
    more = len(items) - MOST_NAMED
    return "; ".join(items[:MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")


def _picture(evidence: Evidence, group: Group) -> Picture:
    scores = [_score(evidence, group, config) for config in group.configurations]
    title = f"Macro F1: {group.heading}"
    clips = {config.done[0].test["n"] for config in group.configurations}
    basis = f"{clips.pop():,} clips. " if len(clips) == 1 else ""
    basis += f"{interval_words([evidence.estimate(config) for config in group.configurations])}."
    return Picture(
        name=f"methods-{stem(evidence, group)}",
        title=title,
        alt=f"{title}. {'; '.join(f'{score.name} {score.text}' for score in scores)}.",
        draw=lambda path: draw_methods(scores, path, title, basis),
    )


def _score(evidence: Evidence, group: Group, config: Configuration) -> Score:
    """Line of the figure: mean over seeds, interval with seeds averaged, mean of each speaker."""
    estimate = evidence.estimate(config)
    speakers = {speaker for run in config.done for speaker in run.test["per_speaker"]}
    return Score(
        name=group.label(config),
        value=evidence.spread(config).mean,
        interval=(estimate.low, estimate.high),
        chance=_chance(config),
        speakers={
            speaker: fmean(run.test["per_speaker"][speaker]["macro_f1"] for run in config.done) for speaker in speakers
        },
        synthetic=config.synthetic,
    )


def _name(score: Score, *, is_synthetic: bool) -> str:
    """Name of a line; it says that its speech is synthetic where the stamp on the figure does not say so of all."""
    return f"{score.name} ({SYNTHETIC})" if score.synthetic and not is_synthetic else score.name


def _draw_line(axes: Axes, y: int, score: Score) -> None:
    """One line of the comparison: speakers, chance, interval and score, the last on top."""
    dots = 100 * np.array([score.speakers[name] for name in sorted(score.speakers)], dtype=np.float64)
    if len(dots):
        # Multiples of the golden ratio spread the dots evenly over the line's height, without chance.
        offsets = 0.44 * (np.arange(len(dots)) * 0.6180339887 % 1 - 0.5)
        fade = 0.45 if len(dots) <= MANY_SPEAKERS else 0.2
        axes.scatter(dots, y + offsets, s=12, color=GREY, alpha=fade, linewidths=0, label="a speaker")
    if score.chance is not None:
        chance = 100 * score.chance
        axes.plot([chance] * 2, [y - 0.5, y + 0.5], "--", color=INK, linewidth=1, label="chance")
    if score.interval:
        ends = [100 * end for end in score.interval]
        axes.plot(ends, [y, y], "|-", color=BLUE, linewidth=2, markersize=10, zorder=3)
    axes.plot(100 * score.value, y, "o", color=BLUE, markersize=8, markeredgecolor="white", zorder=4)


RESULTS = Chapter(name="results", title="Results", order=100, build=build)
