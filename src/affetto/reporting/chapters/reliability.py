"""Reliability of a system's probabilities: of clips called with 70 %, are 70 % right?

The expected calibration error is that of Guo et al. ("On Calibration of Modern Neural Networks", ICML 2017): 15 bins
of equal width over the confidence (the largest probability), the gap between mean confidence and accuracy in each,
weighed by clips. It tends to come out too large where clips are few, so that systems are best compared on the same
clips. Brier's score and the log loss judge the probabilities of all labels and reward being right as well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from affetto.errors import UserError
from affetto.measures.probability import brier, confidence_bins, expected_calibration_error, log_loss
from affetto.reporting.chapters.chapter import Chapter
from affetto.reporting.chapters.selection import Group, drawn_part, group_by_corpus, opening, stem
from affetto.reporting.render.canvas import BLUE, GREY, INK, LINE_GREY, framed, legend_above, save, style
from affetto.reporting.render.picture import Picture
from affetto.reporting.render.section import Section
from affetto.reporting.render.sheet import Cell, Sheet, Slim, columns, difference_cell, percent_cell
from affetto.reporting.render.stamps import stamp_of
from affetto.reporting.render.text import DASH
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.naming import Naming
from affetto.reporting.results.records import Configuration
from affetto.reporting.stats.systems import Predictions, System

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BINS = 15
FLOOR = 5e-7
"""Half of the last digit that a predictions file keeps: the most that a probability written as 0 may have been."""
PANELS_ACROSS = 4
BARS_PERCENT = 16.0
"""Height of the tallest bar of a panel, on the scale of the shares that are right."""
CAPTION = (
    "On the diagonal the probabilities are right; below it the system is overconfident. Whiskers: 95 % interval over "
    "clips (Wilson), as if clips were independent. Bars: clips of all seeds in each bin. "
    f"ECE: expected calibration error over {BINS} bins."
)


@dataclass(frozen=True, kw_only=True)
class Bin:
    """One bin of the reliability curve, open below and closed above; means are None where it holds no clip."""

    low: float
    high: float
    clips: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """Calibration of a system: scores are means over the seeds, the curve's bins hold the clips of all seeds."""

    ece: float
    """Expected calibration error, 0 to 1; 0 is calibrated."""
    log_loss: float
    """Mean of -ln of the true label's probability, in nats; ln K is that of a guesser among K labels."""
    brier: float
    """Mean over clips of the squared error summed over labels (Brier 1950): 0 to 2; 1 - 1/K is that of a guesser."""
    confidence: float
    accuracy: float
    bins: tuple[Bin, ...]
    seeds: tuple[int, ...]
    clips: int

    @property
    def overconfidence(self) -> float:
        """Mean confidence minus accuracy: above 0 where the system promises too much."""
        return self.confidence - self.accuracy


def build(evidence: Evidence) -> Section:
    return Section(
        words="A probability of 70 % should be right in 70 of 100 cases.",
        items=(*reliability_pictures(evidence), reliability_table(evidence)),
    )


def measure_reliability(system: System, bins: int = BINS) -> Reliability:
    """The calibration of a system on its test clips."""
    runs = [system.runs[seed] for seed in system.seeds]
    return Reliability(
        ece=fmean(expected_calibration_error(run.probabilities, run.truth, bins) for run in runs),
        log_loss=fmean(log_loss(run.probabilities, run.truth, FLOOR) for run in runs),
        brier=fmean(brier(run.probabilities, run.truth) for run in runs),
        confidence=fmean(float(run.probabilities.max(axis=1).mean()) for run in runs),
        accuracy=fmean(float((run.predicted == run.truth).mean()) for run in runs),
        bins=reliability_curve(runs, bins),
        seeds=system.seeds,
        clips=system.clips,
    )


def reliability_curve(runs: Sequence[Predictions], bins: int = BINS) -> tuple[Bin, ...]:
    """The reliability curve of the clips of all runs together."""
    parts = [confidence_bins(run.probabilities, run.truth, bins) for run in runs]
    clips, confidence, right = (np.sum(part, axis=0) for part in zip(*parts, strict=True))
    return tuple(
        Bin(
            low=number / bins,
            high=(number + 1) / bins,
            clips=int(clips[number]),
            confidence=float(confidence[number] / clips[number]) if clips[number] else None,
            accuracy=float(right[number] / clips[number]) if clips[number] else None,
        )
        for number in range(bins)
    )


def reliability_table(evidence: Evidence) -> Sheet:
    """A row a configuration: calibration error, confidence and accuracy, log loss, Brier's score."""
    naming = Naming(evidence.configurations)
    rows = []
    label_counts = set()
    for config in evidence.configurations:
        system = evidence.system(config)
        assert system is not None
        label_counts.add(len(system.labels))
        scores = measure_reliability(system)
        rows.append(
            (
                *naming.cells(config),
                percent_cell(scores.ece),
                percent_cell(scores.confidence),
                percent_cell(scores.accuracy),
                difference_cell(scores.overconfidence),
                Cell(f"{scores.log_loss:.2f}", scores.log_loss),
                Cell(f"{scores.brier:.2f}", scores.brier),
                *_scaled_cells(config),
            )
        )
    guesser = [f"a guesser among {n} has {math.log(n):.2f} and {1 - 1 / n:.2f}" for n in sorted(label_counts)]
    return Sheet(
        name="calibration",
        title="Calibration",
        columns=(
            *naming.columns(),
            *columns("ECE", "confidence", "accuracy", "too sure by", "log loss", "Brier", "temperature", "ECE, scaled"),
        ),
        rows=tuple(rows),
        caption=(
            f"{opening(naming)}ECE: expected calibration error over {BINS} bins, ×100, 0 is calibrated. Too sure by: "
            "mean confidence minus accuracy. Log loss in nats and Brier's score judge all labels; "
            f"{'; '.join(guesser)}. Temperature: fitted on validation speakers, it divides the logits; scaled: ECE of "
            "the test clips after that, of each fold by its own temperature. All other columns are of the "
            "probabilities as they are."
        ),
        stamp=stamp_of(evidence.configurations),
        slim=Slim(
            caption=(
                f"{opening(naming)}ECE: expected calibration error over {BINS} bins, ×100, of the probabilities as "
                "they are, and (scaled) after a temperature that was fitted on validation speakers."
            ),
            without=("confidence", "accuracy", "temperature"),
        ),
    )


def _scaled_cells(config: Configuration) -> tuple[Cell, Cell]:
    """Temperature, and calibration error after it, as the runs' metrics have them: means over seeds."""
    facts = [(run.metrics or {}).get("confidence") or {} for run in config.done]
    if config.done[0].is_beside or not all("temperature" in record and "test" in record for record in facts):
        return Cell(DASH), Cell(DASH)
    temperature = fmean(record["temperature"] for record in facts)
    return Cell(f"{temperature:.2f}", temperature), percent_cell(
        fmean(record["test"]["ece"]["after"] for record in facts)
    )


def reliability_pictures(evidence: Evidence) -> list[Picture]:
    """A figure a corpus and split, a panel a configuration."""
    return [_picture(evidence, drawn_part(evidence, group)) for group in group_by_corpus(evidence)]


def draw_reliability(scores: Mapping[str, Reliability], path: str | Path, title: str, stamp: str = "") -> Path:
    """Draw accuracy against confidence, a panel a configuration, dots by the number of clips in a bin.

    Raises UserError where there are no scores.
    """
    if not scores:
        raise UserError("no reliability to draw: give at least one configuration.")
    columns = min(PANELS_ACROSS, len(scores))
    rows = -(-len(scores) // columns)
    with style():
        figure = framed(max(5.2, 2.3 * columns + 0.5), 2.5 * rows + 0.4, title, CAPTION, stamp)
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axes in panels.flat[len(scores) :]:
            axes.set_visible(False)
        for axes, (name, reliability) in zip(panels.flat, scores.items(), strict=False):
            _draw_panel(axes, name, reliability)
        for axes in panels[:, 0]:
            axes.set_ylabel("right (%)")
        for axes in panels.flat[max(0, len(scores) - columns) : len(scores)]:
            axes.set_xlabel("confidence (%)")
            axes.tick_params(labelbottom=True)
        legend_above(figure, panels.flat)
        return save(figure, path)


def _picture(evidence: Evidence, group: Group) -> Picture:
    scores = {
        group.label(config): measure_reliability(system)
        for config in group.configurations
        if (system := evidence.system(config))
    }
    title, stamp = f"Reliability: {group.heading}", stamp_of(group.configurations)
    errors = "; ".join(f"{name} ECE {100 * reliability.ece:.1f}" for name, reliability in scores.items())
    return Picture(
        name=f"reliability-{stem(evidence, group)}",
        title=title,
        alt=f"{title}. {errors}.",
        draw=lambda path: draw_reliability(scores, path, title, stamp),
    )


def _draw_panel(axes: Axes, name: str, reliability: Reliability) -> None:
    filled = [part for part in reliability.bins if part.clips]
    x = np.array([100 * (part.confidence or 0.0) for part in filled])
    y = np.array([100 * (part.accuracy or 0.0) for part in filled])
    # Seeds answer the same clips: their number makes no interval narrower.
    ends = [wilson(part.accuracy or 0.0, part.clips / len(reliability.seeds)) for part in filled]
    low, high = (100 * np.array(side) for side in zip(*ends, strict=True))
    _draw_bars(axes, filled)
    axes.plot([0, 100], [0, 100], "--", color=INK, linewidth=1, label="calibrated")
    axes.vlines(x, low, high, color=BLUE, linewidth=1.2, alpha=0.5, label="95 % interval")
    axes.plot(x, y, color=BLUE, linewidth=1.2, zorder=3)
    axes.scatter(x, y, s=22, color=BLUE, edgecolors="white", linewidths=0.6, zorder=4)
    axes.set(xlim=(0, 102), ylim=(0, 102), aspect="equal")
    axes.set_title(name, fontsize=9)
    most = max(part.clips for part in filled)
    text = f"ECE {100 * reliability.ece:.1f}\ntallest bar: {most:,} clips"
    axes.text(4, 96, text, va="top", fontsize=7, color=GREY)


def _draw_bars(axes: Axes, bins: Sequence[Bin]) -> None:
    """Draw the number of clips of each bin along the lower edge."""
    most = max(part.clips for part in bins)
    left, widths = [100 * part.low for part in bins], [100 * (part.high - part.low) for part in bins]
    heights = [BARS_PERCENT * part.clips / most for part in bins]
    axes.bar(left, heights, widths, align="edge", color=LINE_GREY, edgecolor="white", linewidth=0.5, label="clips")


def wilson(share: float, count: float) -> tuple[float, float]:
    """95 % interval of a share of `count` independent clips (Wilson, 1927)."""
    z = 1.959964
    spread = z * z / count
    centre = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / count + spread / (4 * count)) / (1 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)


RELIABILITY = Chapter(name="calibration", title="Can the probabilities be trusted?", order=500, build=build)
