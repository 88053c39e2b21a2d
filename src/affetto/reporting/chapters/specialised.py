"""From A to B: backbones that `affetto specialize` made, each beside its parent.

A parent is known by the digest of its weights, not by its name or folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from affetto.reporting.chapters.chapter import Chapter
from affetto.reporting.chapters.comparisons import comparison_table
from affetto.reporting.render.canvas import GRID, MARKS, framed, legend_above, save, style
from affetto.reporting.render.picture import Picture
from affetto.reporting.render.section import Section
from affetto.reporting.render.sheet import Cell, Sheet, columns, percent_cell, text_cell
from affetto.reporting.render.stamps import SYNTHETIC, stamp
from affetto.reporting.results import contrasts
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.naming import backbone_title
from affetto.reporting.results.records import Configuration
from affetto.training.runs import SPEC, RunFolder

LINES = ((1, "-"), (2, "--"), (0, ":"), (3, "-."))
"""Look of each curve: the number of its mark, and the style of its line."""
MOST_DRAWN = len(LINES)
MOST_TICKS = 12


def build(evidence: Evidence) -> Section:
    items = (backbone_table(evidence), difference_table(evidence), similarity_picture(evidence))
    return Section(
        words=(
            "Backbones that were trained further on a language before they were adapted to emotion (scenario B). Each "
            "stands beside its parent, which is identified by its weights, where the parent was run under the same "
            "conditions."
        ),
        items=tuple(item for item in items if item),
    )


def find_children(evidence: Evidence) -> dict[str, Mapping[str, Any]]:
    """{backbone as named in its runs: the record that its folder has of its making}."""
    records = {
        config.axes.backbone: (config.done[0].metrics or {}).get("specialised") for config in evidence.configurations
    }
    return {name: record for name, record in records.items() if record}


def backbone_table(evidence: Evidence) -> Sheet | None:
    """A row a backbone: its parent, how it was trained further, and what came of it; None where there are none."""
    children = find_children(evidence)
    if not children:
        return None
    texts = ("backbone", "scenario", "parent", "objective", "trained", "corpus")
    return Sheet(
        name="specialised",
        title="Specialised backbones",
        columns=columns(*texts, "hours", "hours heard", "steps", "validation loss", "CER", "WER", texts=texts),
        rows=tuple(_row(_title(evidence, name), record) for name, record in children.items()),
        caption=(
            "Specialised by `affetto specialize`. Hours: of the sample; heard: over all passes. Loss and error rates "
            "(×100): on held-out speakers, at the end."
        ),
        stamp=_stamp(evidence),
    )


def difference_table(evidence: Evidence) -> Sheet | None:
    """Each child minus its parent, all else alike, on the same clips; None where no parent was run."""
    compared: list[contrasts.Contrast] = []
    for name, record in find_children(evidence).items():
        for pairs in _pairs(evidence, name, record["parent"]["digest"]):
            compared += contrasts.by_corpus(evidence, "backbone", pairs)
    if not compared:
        return None
    table = comparison_table(contrasts.corrected(compared))
    return replace(table, name="from-a-to-b", title="Specialised minus its parent", stamp=_stamp(evidence))


def similarity_picture(evidence: Evidence) -> Picture | None:
    """Similarity of each layer's states to the parent's; None where no backbone was specialised."""
    children = list(find_children(evidence).items())[:MOST_DRAWN]
    if not children:
        return None
    curves = {_title(evidence, name): list(record["cka"]) for name, record in children}
    title, stamp_text = "How far each layer's states moved in specialisation", _stamp(evidence)
    numbers = "; ".join(f"{name}: {', '.join(f'{value:.2f}' for value in cka)}" for name, cka in curves.items())
    return Picture(
        name="specialised-cka",
        title=title,
        alt=f"{title}. {numbers}.",
        draw=lambda path: draw_similarity(curves, path, title, stamp_text),
    )


def draw_similarity(curves: Mapping[str, Sequence[float]], path: str | Path, title: str, stamp: str = "") -> Path:
    """Draw the linear CKA of each state 0 … L, a curve a backbone."""
    caption = (
        "Linear CKA between parent and child of each state, on the same clips of held-out speakers: 1 means equal up "
        "to rotation and scale. State 0 enters the first block, the last one leaves the encoder."
    )
    with style():
        figure = framed(7.2, 3.0, title, caption, stamp)
        axes = figure.add_subplot()
        for (name, cka), (mark_number, line) in zip(curves.items(), LINES, strict=False):
            colour, mark = MARKS[mark_number]
            axes.plot(range(len(cka)), cka, color=colour, marker=mark, linestyle=line, label=name)
        states = max(len(cka) for cka in curves.values())
        ticks = range(0, states, max(1, states // MOST_TICKS))
        axes.set(ylim=(0, 1.05), xlabel="state", ylabel="linear CKA", xticks=ticks)
        axes.grid(axis="y", color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        legend_above(figure, [axes])
        return save(figure, path)


def _row(title: str, record: Mapping[str, Any]) -> tuple[Cell, ...]:
    corpus = record["corpus"]
    version = f" {corpus['version']}" if corpus["version"] else ""
    speech = f" ({SYNTHETIC})" if corpus["synthetic"] else ""
    return (
        text_cell(title),
        text_cell("B"),
        text_cell(Path(record["parent"]["name"]).name),
        text_cell(record["objective"]),
        text_cell(record["method"]),
        text_cell(f"{corpus['name']}{version}{speech}"),
        Cell(f"{corpus['hours']:.2f}", corpus["hours"]),
        Cell(f"{record['hours_heard']:.2f}", record["hours_heard"]),
        Cell(f"{record['steps']:,}", record["steps"]),
        Cell(f"{record['validation_loss']:.3f}", record["validation_loss"]),
        percent_cell(record.get("cer")),
        percent_cell(record.get("wer")),
    )


def _pairs(evidence: Evidence, name: str, digest: str) -> list[list[tuple[Configuration, Configuration]]]:
    """Pairs of a child and its parent under the same conditions, grouped so that each group has a pair a corpus."""
    parents = [config for config in evidence.configurations if digest and _digest(config) == digest]
    groups: dict[tuple[Any, ...], list[tuple[Configuration, Configuration]]] = {}
    for child in evidence.configurations:
        if child.axes.backbone != name:
            continue
        for parent in parents:
            has_same_axes = parent.axes.without("backbone", "seed") == child.axes.without("backbone", "seed")
            if has_same_axes and parent.split == child.split:
                conditions = (child.axes.without("backbone", "seed", "corpus"), child.pool, parent.axes.backbone)
                groups.setdefault(conditions, []).append((child, parent))
    return list(groups.values())


def _title(evidence: Evidence, name: str) -> str:
    return next(backbone_title(config.axes) for config in evidence.configurations if config.axes.backbone == name)


def _digest(config: Configuration) -> str | None:
    facts = (RunFolder(config.done[0].path).read(SPEC) or {}).get("facts") or {}
    return facts.get("weights")


def _stamp(evidence: Evidence) -> str:
    """Stamp for synthetic speech in the training on emotion or in the specialisation."""
    results = evidence.results
    trained = [bool(record["corpus"]["synthetic"]) for record in find_children(evidence).values()]
    return stamp(
        synthetic=results.synthetic and all(trained),
        partly=results.partly_synthetic or results.synthetic or any(trained),
    )


SPECIALISED = Chapter(name="specialised", title="From A to B", order=210, build=build)
