"""Scores by the number of speakers that a fold learns from (`training.speakers`), on the same tested clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from statistics import fmean
from typing import Any

from affetto.measures.classification import MACRO_F1
from affetto.reporting.chapters.chapter import Chapter
from affetto.reporting.chapters.comparisons import missing_interval
from affetto.reporting.chapters.fewer_speakers_picture import Line, Point, draw_numbers
from affetto.reporting.chapters.methods import SEEDS, measure_cell
from affetto.reporting.chapters.selection import Group, opening
from affetto.reporting.chapters.splits import span_text
from affetto.reporting.render.picture import Picture, slug
from affetto.reporting.render.section import Section
from affetto.reporting.render.sheet import Cell, Sheet, Slim, columns, count_cell, difference_cell
from affetto.reporting.render.stamps import stamp_of
from affetto.reporting.render.text import DASH, range_text, signed_range
from affetto.reporting.results import contrasts
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.marks import footnotes, interval_words
from affetto.reporting.results.naming import Naming, backbone_title
from affetto.reporting.results.records import SPEAKERS, Configuration
from affetto.reporting.stats.estimation import FOLDS

ALL = "all"
"""Word for a fold that learns from all speakers that it does not test."""


@dataclass(frozen=True, kw_only=True)
class TrainingSize:
    """Speakers and clips that a configuration learns from; a value for each fold of each seed, () where unknown."""

    training: tuple[int, ...] = ()
    """Numbers of training speakers."""
    validation: tuple[int, ...] = ()
    """Numbers of validation speakers."""
    clips: tuple[int, ...] = ()
    """Numbers of training and validation clips together."""

    @property
    def speakers(self) -> tuple[int, ...]:
        """Numbers of training and validation speakers together."""
        return tuple(map(sum, zip(self.training, self.validation, strict=True)))


@dataclass(frozen=True)
class Curve:
    """Configurations that differ in the number of speakers alone, by that number; all speakers come last."""

    configurations: tuple[Configuration, ...]

    @cached_property
    def unlimited(self) -> Configuration:
        """The first configuration without its number of speakers: all have its name."""
        return without_number(self.configurations[0])


def build(evidence: Evidence) -> Section | None:
    curves = find_curves(evidence)
    if not curves:
        return None
    return Section(
        words=(
            "What more speakers would be worth: the same folds, tested on the same clips, learn from fewer of their "
            "speakers. A curve that still rises at its right end suggests that more speakers would help. Whether "
            "training pays with so many speakers, the difference to the probe says."
        ),
        items=(number_table(evidence, curves), *number_pictures(evidence, curves)),
    )


def find_curves(evidence: Evidence) -> list[Curve]:
    """Curves of two numbers of speakers at least, in the order of the tables."""
    groups: dict[tuple[Any, ...], dict[int, Configuration]] = {}
    for config in evidence.configurations:
        bare = without_number(config).axes
        # A probe of its own and one beside a method differ in the name of the recipe alone.
        recipe = "" if bare.is_baseline else bare.recipe
        key = (bare.without("seed", "recipe", "split"), recipe, config.split, evidence.pool(config))
        groups.setdefault(key, {}).setdefault(config.axes.speakers, config)
    return [
        Curve(tuple(by_number[number] for number in sorted(by_number, key=lambda number: number or float("inf"))))
        for by_number in groups.values()
        if len(by_number) > 1
    ]


def without_number(config: Configuration) -> Configuration:
    """The configuration as if it had been run without `training.speakers`."""
    return Configuration(
        tuple(
            replace(run, axes=replace(run.axes, settings=tuple(s for s in run.axes.settings if s[0] != SPEAKERS)))
            for run in config.runs
        )
    )


def training_size(evidence: Evidence, config: Configuration) -> TrainingSize:
    """Speakers and clips that the folds of all seeds learn from, by their splits; empty where one is not known."""
    splits = [
        evidence.results.splits.get(run.metrics["split_checksum"]) if run.metrics else None for run in config.done
    ]
    parts = [fold["parts"] for split in splits if split for fold in split.audit.get("folds", ())]
    if None in splits or not parts:
        return TrainingSize()
    return TrainingSize(
        training=tuple(part["train"]["speakers"] for part in parts),
        validation=tuple(part["validation"]["speakers"] for part in parts),
        clips=tuple(part["train"]["clips"] + part["validation"]["clips"] for part in parts),
    )


def number_table(evidence: Evidence, curves: Sequence[Curve]) -> Sheet:
    """A row for each number of speakers of each curve: what is learned from, the score, and the gain over the probe."""
    configs = [config for curve in curves for config in curve.configurations]
    naming = Naming([curve.unlimited for curve in curves])
    estimates = [evidence.estimate(config) for config in configs]
    ends, row = set(), 0
    for curve in curves[:-1]:
        row += len(curve.configurations)
        ends.add(row)
    what = (
        f"{opening(naming)}Macro F1 ×100 by the speakers and clips that a fold learns from, training and validation "
        f"together; the tested clips are the same. {SEEDS[:1].upper()}{SEEDS[1:]}"
    )
    return Sheet(
        name="fewer-speakers",
        title="How many speakers to learn from",
        columns=(*naming.columns(), *columns("speakers", "clips", "seeds", "macro F1", "over probe")),
        rows=tuple(
            (*naming.cells(curve.unlimited), *_cells(evidence, config))
            for curve in curves
            for config in curve.configurations
        ),
        caption=(
            f"{what}; each seed draws speakers of its own, so that the deviation of fewer speakers includes the draw; "
            f"below: {interval_words(estimates)}. Over probe: minus the probe that learned from the same speakers, "
            "paired by tested speaker and seed; below: 95 % interval (Student's t over speakers and seeds, without "
            "correction for the number of rows): one that spans 0 is no finding."
        ),
        notes=(*footnotes(estimates), *((FOLDS,) if contrasts.by_folds(configs) else ())),
        stamp=stamp_of(configs),
        breaks=frozenset(ends),
        slim=Slim(
            caption=f"{what}. Over probe: minus the probe that learned from the same speakers.",
            without=("clips", "seeds"),
        ),
    )


def number_pictures(evidence: Evidence, curves: Sequence[Curve]) -> list[Picture]:
    """A figure a corpus and split: the score against the number of speakers, a panel a backbone, a line a method."""
    groups: dict[tuple[str, str, int], list[Curve]] = {}
    for curve in curves:
        axes = curve.unlimited.axes
        groups.setdefault((axes.corpus, curve.unlimited.split, axes.split_seed), []).append(curve)
    corpora = [corpus for corpus, _, _ in groups]
    return [
        _picture(evidence, members, slug(" ".join(map(str, key if corpora.count(key[0]) > 1 else key[:1]))))
        for key, members in groups.items()
    ]


def _cells(evidence: Evidence, config: Configuration) -> tuple[Cell, ...]:
    size = training_size(evidence, config)
    return (
        _number_cell(config, size),
        Cell(span_text(size.clips), fmean(size.clips)) if size.clips else Cell(DASH),
        count_cell(len(config.done)),
        measure_cell(evidence, config, MACRO_F1),
        _over_probe_cell(evidence, config),
    )


def _number_cell(config: Configuration, size: TrainingSize) -> Cell:
    """Number of speakers; below, how many train and how many validate."""
    limit = config.axes.speakers
    if not size.speakers:
        return Cell(str(limit or ALL), limit or None)
    mean = fmean(size.speakers)
    return Cell(
        text=_number_text(limit, size),
        key=mean,
        under=f"training {span_text(size.training)}, validation {span_text(size.validation)}",
        values=(("", mean), ("setting", limit)),
    )


def _number_text(limit: int, size: TrainingSize) -> str:
    """`4`; of all speakers `all (16–17)`, or `all` where their number is not known."""
    if limit:
        return str(limit)
    return f"{ALL} ({span_text(size.speakers)})" if size.speakers else ALL


def _over_probe_cell(evidence: Evidence, config: Configuration) -> Cell:
    """Score minus that of the probe that learned from the same speakers, with its interval below."""
    if config.axes.is_baseline:
        return Cell("baseline", None, values=(("", None),))
    baseline = evidence.baseline(config)
    contrast = contrasts.compare(evidence, "method", [(config, baseline)]) if baseline else None
    if contrast is None:
        return difference_cell(None)
    comparison = contrast.comparison
    cell = difference_cell(comparison.difference)
    low, high = (None, None) if comparison.interval is None else (100 * end for end in comparison.interval)
    return replace(
        cell,
        under=signed_range(comparison.interval) or missing_interval(comparison),
        values=(("", cell.key), ("low", low), ("high", high)),
    )


def _picture(evidence: Evidence, curves: Sequence[Curve], stem: str) -> Picture:
    configs = [config for curve in curves for config in curve.configurations]
    unlimited = tuple(curve.unlimited for curve in curves)
    heading = Group(unlimited[0].axes.corpus, unlimited[0].split, unlimited).heading
    naming = Naming(unlimited, hide=("corpus", "split", "split seed", "backbone"))
    lines = [
        Line(
            panel=backbone_title(curve.unlimited.axes),
            name=naming.label(curve.unlimited),
            points=_points(evidence, curve),
        )
        for curve in curves
    ]
    title, words = f"Macro F1 by number of speakers: {heading}", []
    for line in lines:
        scores = (
            f"{point.label} speakers {range_text(point.value / 100, point.low / 100, point.high / 100)}"
            for point in line.points
        )
        words.append(f"{line.panel}, {line.name}: {', '.join(scores)}")
    return Picture(
        name=f"fewer-speakers-{stem}",
        title=title,
        alt=f"{title}. {'; '.join(words)}.",
        draw=partial(
            draw_numbers,
            lines,
            title=title,
            stamp=stamp_of(configs),
            interval=interval_words([evidence.estimate(config) for config in configs]),
        ),
    )


def _points(evidence: Evidence, curve: Curve) -> tuple[Point, ...]:
    """Points of the numbers that are known: of all speakers their number is that of the split."""
    points = []
    for config in curve.configurations:
        size, estimate = training_size(evidence, config), evidence.estimate(config)
        number = fmean(size.speakers) if size.speakers else float(config.axes.speakers)
        if number:
            points.append(
                Point(
                    number=number,
                    label=_number_text(config.axes.speakers, size),
                    is_all=not config.axes.speakers,
                    value=100 * evidence.spread(config).mean,
                    low=100 * estimate.low,
                    high=100 * estimate.high,
                )
            )
    return tuple(points)


FEWER_SPEAKERS = Chapter(name="fewer-speakers", title="How many speakers to learn from", order=405, build=build)
