"""Ranks: methods over all backbones and corpora that they were run on, with wins and the critical difference."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from affetto.reporting.chapters.chapter import Chapter
from affetto.reporting.render.canvas import BLUE, GRID, framed, save, style
from affetto.reporting.render.picture import Picture, slug
from affetto.reporting.render.section import Section
from affetto.reporting.render.sheet import Cell, Column, Sheet, Slim, text_cell
from affetto.reporting.render.stamps import stamp_of
from affetto.reporting.render.text import DASH
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.naming import auxiliary_title, changes, method_title, split_title
from affetto.reporting.results.records import Configuration
from affetto.reporting.stats.ranks import BLOCKS_FOR_TEST, Ranking, indistinct, rank

CAUTION = (
    "Backbones on one corpus are tested on the same speakers, so that blocks are not independent and the test finds "
    "somewhat too much; the paired comparisons above do not have this fault."
)

Families = Mapping[tuple[Any, ...], list[Configuration]]
"""Trained configurations that may be ranked together, by what they share."""


def build(evidence: Evidence) -> Section | None:
    ranked = [
        (key, configs, ranking)
        for key, configs in _families(evidence).items()
        if (ranking := rank(_scores(evidence, configs))) is not None
    ]
    if not ranked:
        return None
    is_single = len(ranked) == 1
    tables, pictures = [], []
    for key, configs, ranking in ranked:
        words, suffix = _words(configs[0]), "" if is_single else f"-{slug(' '.join(map(str, key)))}"
        stamp_text = stamp_of(configs)
        tables.append(rank_table(ranking, f"ranks{suffix}", words, stamp_text))
        if ranking.critical is not None:
            pictures.append(_picture(ranking, f"ranks{suffix}", words, stamp_text))
    return Section(
        words="Methods ranked within each backbone and corpus: it counts how often one wins, not by how much.",
        items=(*pictures, *tables),
    )


def rank_table(ranking: Ranking, name: str, words: str, stamp_text: str = "") -> Sheet:
    """A row a method: its mean rank, and the number of blocks in which it beats each of the others."""
    return Sheet(
        name=name,
        title="Ranks of the methods",
        columns=(Column("method", is_number=False), Column("mean rank"), *map(Column, ranking.methods)),
        rows=tuple(
            (
                text_cell(method),
                Cell(f"{mean:.2f}", mean),
                *(Cell(DASH) if number == row else Cell(f"{count:g}", count) for number, count in enumerate(wins)),
            )
            for row, (method, mean, wins) in enumerate(
                zip(ranking.methods, ranking.mean_ranks, ranking.wins, strict=True)
            )
        ),
        caption=(
            f"{words}Macro F1, mean over seeds, ranked within each of {ranking.blocks} pairs of backbone and corpus; 1 "
            "is the best. Right: in how many of them the method of the row scores higher than that of the column (ties "
            f"count half). {_test_words(ranking)}"
        ),
        notes=(CAUTION,) if ranking.critical is not None else (),
        stamp=stamp_text,
        slim=Slim(
            caption=(
                f"{words}Macro F1, mean over seeds, ranked within each of {ranking.blocks} pairs of backbone and "
                f"corpus. Right: how often the method of the row beats that of the column. {_test_words(ranking)}"
            )
        ),
    )


def draw_ranks(ranking: Ranking, path: str | Path, title: str, stamp: str = "") -> Path:
    """Draw the mean rank of each method with half the critical difference to both sides."""
    assert ranking.critical is not None
    half = ranking.critical / 2
    caption = (
        f"Mean rank over {ranking.blocks} pairs of backbone and corpus; 1 is the best. Bars: half the critical "
        "difference (Nemenyi, 5 %) to both sides: methods whose bars do not overlap differ."
    )
    with style():
        figure = framed(7.2, 0.6 + 0.32 * len(ranking.methods), title, caption, stamp)
        axes = figure.add_subplot()
        for y, mean in enumerate(ranking.mean_ranks):
            axes.plot([mean - half, mean + half], [y, y], "|-", color=BLUE, linewidth=2, markersize=10)
            axes.plot(mean, y, "o", color=BLUE, markersize=8, markeredgecolor="white")
        axes.set_yticks(range(len(ranking.methods)), ranking.methods)
        axes.set(ylim=(len(ranking.methods) - 0.5, -0.5), xlabel="mean rank")
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        return save(figure, path)


def _families(evidence: Evidence) -> Families:
    """Trained configurations that differ in method, backbone and corpus alone."""
    families: dict[tuple[Any, ...], list[Configuration]] = {}
    for config in evidence.trained:
        axes = config.axes
        key = (
            axes.recipe,
            config.split,
            axes.split_seed,
            axes.target,
            axes.auxiliary,
            changes(evidence.changed(config)),
        )
        families.setdefault(key, []).append(config)
    return families


def _scores(evidence: Evidence, configurations: list[Configuration]) -> dict[str, dict[str, float]]:
    """{backbone on a corpus: {title of the method: macro F1}}, with the baseline of each."""
    scores: dict[str, dict[str, float]] = {}
    for config in configurations:
        axes = config.axes
        block = scores.setdefault(f"{axes.backbone} {axes.random_weights} {axes.weights_seed} {axes.corpus}", {})
        for member in (config, evidence.baseline(config)):
            if member is not None:
                block.setdefault(method_title(member.axes.method), evidence.spread(member).mean)
    return scores


def _words(config: Configuration) -> str:
    """Sentence on what all ranked configurations share, with a space after it."""
    axes = config.axes
    parts = [f"Recipe {axes.recipe}", split_title(config.split), "" if axes.is_plain else f"target {axes.target}"]
    number = f"{axes.speakers} speakers to learn from" if axes.speakers else ""
    return ", ".join(part for part in (*parts, auxiliary_title(axes.auxiliary), number) if part) + ". "


def _test_words(ranking: Ranking) -> str:
    if ranking.critical is None:
        return f"With fewer than {BLOCKS_FOR_TEST} pairs no test is made."
    friedman = "" if ranking.p is None else f"Friedman's test: p {ranking.p:.3f}. "
    rivals = ", ".join(indistinct(ranking)) or "none"
    return f"{friedman}Critical difference by Nemenyi: {ranking.critical:.2f}. Not told from the best: {rivals}."


def _picture(ranking: Ranking, name: str, words: str, stamp: str) -> Picture:
    title = f"Mean ranks: {words.removesuffix('. ')}"
    ranks = "; ".join(f"{method} {mean:.2f}" for method, mean in zip(ranking.methods, ranking.mean_ranks, strict=True))
    return Picture(
        name=name,
        title=title,
        alt=f"{title}. {ranks}. Critical difference {ranking.critical:.2f}.",
        draw=partial(draw_ranks, ranking, title=title, stamp=stamp),
    )


RANKS = Chapter(name="ranks", title="Which method wins most often", order=205, build=build)
