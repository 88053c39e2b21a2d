"""Tables and figures that all parts of targets share: measures with intervals, comparisons, tests on other corpora."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from affetto.errors import UserError
from affetto.measures.measure import Measure
from affetto.reporting.chapters.comparisons import (
    BELOW,
    LEADING,
    UNDECIDED_WORDS,
    effect_cell,
    p_cell,
    speakers_cell,
    verdict,
    verdict_cell,
)
from affetto.reporting.chapters.selection import Group, group_by_corpus, opening, stem
from affetto.reporting.render.canvas import BLUE, GRID, INK, framed, legend, save, style
from affetto.reporting.render.picture import Picture
from affetto.reporting.render.sheet import MISSING, Cell, Sheet, Slim, columns, text_cell
from affetto.reporting.render.stamps import stamp_of
from affetto.reporting.render.text import DASH, signed_text
from affetto.reporting.results import contrasts
from affetto.reporting.results.contrasts import Contrast
from affetto.reporting.results.marks import footnotes, interval_words, mark
from affetto.reporting.results.naming import Naming, corpus_title
from affetto.reporting.results.parts import PartEvidence
from affetto.reporting.results.records import Configuration
from affetto.reporting.stats.estimation import FEW_SPEAKERS, FOLDS, Estimate

if TYPE_CHECKING:
    from affetto.reporting.stats.judged import Judged


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the figure: the score of a configuration, on the scale of tables."""

    name: str
    value: float
    low: float
    high: float
    text: str
    chance: float | None = None
    synthetic: bool = False


def estimate_cell(evidence: PartEvidence, config: Configuration, judged: Judged) -> Cell:
    """A score with its deviation over seeds; the interval below."""
    spread, estimate = evidence.spread(config, judged.name), evidence.estimate(config, judged.name)
    measure, scale = judged.measure, judged.measure.scale
    deviation = spread.deviation
    return Cell(
        text=measure.text(spread.mean) + ("" if deviation is None else f" ± {measure.text(deviation)}"),
        key=scale * spread.mean,
        under=span(measure, estimate),
        values=(
            ("mean", scale * spread.mean),
            ("sd", None if deviation is None else scale * deviation),
            ("low", scale * estimate.low),
            ("high", scale * estimate.high),
        ),
    )


def span(measure: Measure, estimate: Estimate) -> str:
    """Interval as the measure shows its values, with the mark where clips were drawn."""
    return f"{measure.text(estimate.low)}–{measure.text(estimate.high)}{mark(estimate)}"


def over_probe_cell(evidence: PartEvidence, config: Configuration, judged: Judged) -> Cell:
    """Score minus that of the probe."""
    baseline = evidence.baseline(config)
    if baseline is config:
        return Cell("baseline", None, values=(("", None),))
    if baseline is None:
        return Cell(MISSING)
    gap = evidence.spread(config, judged.name).mean - evidence.spread(baseline, judged.name).mean
    return difference(judged.measure, gap)


def difference(measure: Measure, gap: float) -> Cell:
    """A difference of two scores as the measure shows its values, with its sign."""
    return Cell(signed_text(measure.scale * gap, digits(measure)), measure.scale * gap)


def digits(measure: Measure) -> int:
    """Number of decimals with which a measure is written."""
    return len(measure.text(0.0).partition(".")[2])


def measure_table(evidence: PartEvidence, name: str, title: str, words: str) -> Sheet:
    """A row a configuration: every measure, and the main one beside that of the probe and of a guesser."""
    naming = Naming(evidence.configurations)
    judged = evidence.judged(evidence.configurations[0])
    rows = [
        (
            *naming.cells(config),
            Cell(str(len(config.done)), len(config.done)),
            *(estimate_cell(evidence, config, item) for item in judged),
            over_probe_cell(evidence, config, evidence.compared(config)),
            chance_cell(config, judged[0]),
        )
        for config in evidence.configurations
    ]
    estimates = [evidence.estimate(config) for config in evidence.configurations]
    main = evidence.compared(evidence.configurations[0])
    return Sheet(
        name=name,
        title=title,
        columns=(*naming.columns(), *columns("seeds", *(item.title for item in judged), "over probe", "chance")),
        rows=tuple(rows),
        caption=(
            f"{opening(naming)}{words} Mean ± standard deviation (ddof 1) over seeds; below: "
            f"{interval_words(estimates)}. Over probe: {main.title} minus the probe's. Chance: {judged[0].title} of a "
            "guesser."
        ),
        notes=footnotes(estimates),
        stamp=stamp_of(evidence.configurations),
        slim=Slim(
            caption=(
                f"{opening(naming)}{words} Mean ± standard deviation (ddof 1) over seeds. Over probe: "
                f"{main.title} minus the probe's."
            ),
            without=("seeds", "chance"),
        ),
    )


def highest_words(evidence: PartEvidence) -> str:
    """Sentences on the configuration with the best main score of each corpus and split."""
    sentences = []
    for group in group_by_corpus(evidence):
        main = evidence.judged(group.configurations[0])[0]
        having = [config for config in group.configurations if main.name in {m.name for m in evidence.judged(config)}]
        choose = max if main.measure.higher_is_better else min
        best = choose(having, key=lambda config: evidence.spread(config, main.name).mean)
        text = f"{main.measure.text(evidence.spread(best, main.name).mean)}"
        interval = span(main.measure, evidence.estimate(best, main.name))
        sentences.append(f"{group.heading}: {group.label(best)} has the best {main.title}, {text} ({interval}).")
    return " ".join(sentences)


def chance(config: Configuration, name: str) -> float | None:
    """Score of a guesser; None where it is not known."""
    run = config.done[0]
    return next((scored.chance for scored in run.target.scored(run.test) if scored.name == name), None)


def chance_cell(config: Configuration, judged: Judged) -> Cell:
    value = chance(config, judged.name)
    return Cell(DASH) if value is None else Cell(judged.measure.text(value), judged.measure.scale * value)


def pictures(evidence: PartEvidence, prefix: str) -> list[Picture]:
    """A figure a corpus and split: the main measure of each configuration with its interval and chance."""
    return [_picture(evidence, group, prefix) for group in group_by_corpus(evidence)]


def draw_lines(lines: Sequence[Line], path: str | Path, title: str, measure: str, basis: str = "") -> Path:
    """Draw scores with their intervals, a line a configuration, the first on top. UserError where there are none."""
    if not lines:
        raise UserError("no scores to draw: give at least one.")
    names = [textwrap.fill(line.name, 30) for line in lines]
    with style():
        height = 0.8 + sum(0.3 + 0.17 * (1 + name.count("\n")) for name in names)
        figure = framed(8.2, height, title, f"Whiskers: the interval. {basis}", stamp_of(lines))
        axes = figure.add_subplot()
        for y, line in enumerate(lines):
            if line.chance is not None:
                axes.plot([line.chance] * 2, [y - 0.5, y + 0.5], "--", color=INK, linewidth=1, label="chance")
            axes.plot([line.low, line.high], [y, y], "|-", color=BLUE, linewidth=2, markersize=10, zorder=3)
            axes.plot(line.value, y, "o", color=BLUE, markersize=8, markeredgecolor="white", zorder=4)
        axes.set_yticks(range(len(lines)), names)
        axes.set(ylim=(len(lines) - 0.5, -0.5), xlabel=measure)
        axes.grid(axis="x", color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        right = axes.secondary_yaxis("right")
        right.set_yticks(range(len(lines)), [line.text for line in lines])
        for side in (axes, right):
            side.tick_params(axis="y", length=0)
            side.spines[["left", "right"]].set_visible(False)
        legend(axes)
        return save(figure, path)


def _picture(evidence: PartEvidence, group: Group, prefix: str) -> Picture:
    judged = evidence.judged(group.configurations[0])[0]
    lines = [_line(evidence, group, config, judged) for config in group.configurations]
    title = f"{judged.title[:1].upper()}{judged.title[1:]}: {group.heading}"
    basis = f"{interval_words([evidence.estimate(config) for config in group.configurations])}."
    scale = " (×100)" if judged.measure.in_per_cent else ""
    return Picture(
        name=f"{prefix}-{stem(evidence, group)}",
        title=title,
        alt=f"{title}. {'; '.join(f'{line.name} {line.text}' for line in lines)}.",
        draw=lambda path: draw_lines(lines, path, title, f"{judged.title}{scale}", basis),
    )


def _line(evidence: PartEvidence, group: Group, config: Configuration, judged: Judged) -> Line:
    estimate, measure = evidence.estimate(config, judged.name), judged.measure
    guess = chance(config, judged.name)
    return Line(
        name=group.label(config),
        value=measure.scale * estimate.value,
        low=measure.scale * estimate.low,
        high=measure.scale * estimate.high,
        text=f"{measure.text(estimate.value)} ({measure.text(estimate.low)}–{measure.text(estimate.high)})",
        chance=None if guess is None else measure.scale * guess,
        synthetic=config.synthetic,
    )


# Comparisons ------------------------------------------------------------------------------------


def comparison_table(evidence: PartEvidence, name: str, keys: Sequence[str] = ("",)) -> Sheet | None:
    """A row a comparison of two configurations that differ in one thing, for each measure in `keys` ("": the main)."""
    compared: list[tuple[Judged, Contrast]] = []
    for key in keys:
        of_key = evidence.by(key)
        kinds = [kind for kind in contrasts.KINDS if kind != "settings"]
        for contrast in contrasts.contrasts(of_key, kinds):
            compared.append((of_key.compared(contrast.configurations[0]), contrast))
    if not compared:
        return None
    configs = [config for _, contrast in compared for config in contrast.configurations]
    texts = ("first", "second", "under", "measure", "verdict")
    numbers = ("speakers", "difference", "95 % interval", "effect size", "p, corrected")
    return Sheet(
        name=name,
        title="Paired comparisons",
        columns=columns(*texts[:4], *numbers, "verdict", texts=texts),
        leading=LEADING,
        below=BELOW,
        lists=("under",),
        rows=tuple(_comparison_row(judged, contrast) for judged, contrast in compared),
        caption=(
            "The first minus the second, on the same clips, seeds averaged, mean over corpora. Interval: Student's t "
            "over speakers and seeds; with one seed it is about these trained models alone. With fewer than "
            f"{FEW_SPEAKERS} effective speakers no test is made. Effect size: mean over standard deviation of the "
            "speakers' differences (d_z). p: by exchanging the two within speakers, two-sided, corrected by Holm over "
            "the comparisons of one kind and measure on the same corpora. A point is 0.01 of a measure that ends at 1. "
            f"{UNDECIDED_WORDS}"
        ),
        notes=(FOLDS,) if contrasts.by_folds(configs) else (),
        stamp=stamp_of(configs),
        slim=Slim(
            caption=(
                "The first minus the second, on the same clips, with the 95 % interval over speakers and seeds "
                "(Student's t), and p of a permutation test over speakers, corrected by Holm."
            ),
            without=("speakers", "effect size"),
        ),
    )


def _comparison_row(judged: Judged, contrast: Contrast) -> tuple[Cell, ...]:
    comparison, measure = contrast.comparison, judged.measure
    interval = comparison.interval
    if interval is None:
        ends = Cell(DASH, under="all speakers alike" if comparison.allows_interval else "too few speakers")
    else:
        low, high = (difference(measure, end) for end in interval)
        ends = Cell(f"{low.text} to {high.text}", low.key, values=(("low", low.key), ("high", high.key)))
    sign = 1 if measure.higher_is_better else -1
    words = verdict(comparison, sign * comparison.difference, "first is better", "second is better")
    return (
        text_cell(contrast.first),
        text_cell(contrast.second),
        text_cell(contrast.under),
        text_cell(judged.title),
        speakers_cell(comparison),
        difference(measure, comparison.difference),
        ends,
        effect_cell(comparison.effect_size),
        p_cell(comparison),
        verdict_cell(comparison, words) if measure.range[0] >= -1 and measure.range[1] == 1 else Cell(words),
    )


def evaluation_table(evidence: PartEvidence, name: str) -> Sheet | None:
    """A row a test on another corpus: every measure with the interval of its metrics; None where there is none."""
    evaluations = evidence.results.evaluations
    if not evaluations:
        return None
    of_part = {judged.name: judged for item in evaluations for judged in evidence.part.judged(item.target)}
    rows = []
    for item in evaluations:
        scored = {score.name: score for score in item.target.scored(item.test)}
        cells = [
            Cell(
                score.measure.text(score.value),
                score.measure.scale * score.value,
                under=score.text.partition(" ")[2].strip("()"),
            )
            if (score := scored.get(key))
            else Cell(MISSING)
            for key in of_part
        ]
        clips = Cell(f"{item.test['n']:,}", item.test["n"])
        trained = corpus_title(item.trained_on) + item.contamination_text
        titles = (text_cell(trained), text_cell(corpus_title(item.corpus)))
        rows.append((*titles, *cells, clips, text_cell("/".join(item.path.parts[-3:]) + item.protocol_text)))
    texts = ("trained on", "tested on", "folder")
    return Sheet(
        name=name,
        title="On other corpora",
        columns=columns(*texts[:2], *(judged.title for judged in of_part.values()), "clips", "folder", texts=texts),
        rows=tuple(rows),
        caption="Models tested on a corpus that they were not trained on. Below: the 95 % interval.",
        stamp=stamp_of(evaluations),
    )
