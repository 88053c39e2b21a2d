"""From A to B: backbones that `affetto specialize` made, each beside its parent.

A parent is known by the digest of its weights, not by its name or place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from affetto.reporting import contrasts
from affetto.reporting.render.canvas import BLUE, INK, VERMILLION, framed, legend_above, save, style
from affetto.reporting.render.picture import Picture
from affetto.reporting.render.sheet import Cell, Sheet, columns, percent_cell, text_cell
from affetto.reporting.render.stamps import stamp
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.naming import backbone_title
from affetto.reporting.results.records import Configuration
from affetto.training.runs import SPEC, RunFolder

LOOKS = ((BLUE, "o", "-"), (VERMILLION, "^", "--"), (INK, "s", ":"), ("#009E73", "D", "-."))
MOST_DRAWN = len(LOOKS)


def children(evidence: Evidence) -> dict[str, Mapping[str, Any]]:
    """{backbone as named in its runs: what its folder told of its making}."""
    found: dict[str, Mapping[str, Any]] = {}
    for one in evidence.configurations:
        made = (one.done[0].metrics or {}).get("specialised")
        if made:
            found[one.axes.backbone] = made
    return found


def backbones(evidence: Evidence) -> Sheet | None:
    """A row a backbone."""
    rows = []
    for name, made in children(evidence).items():
        corpus = made["corpus"]
        version = f" {corpus['version']}" if corpus["version"] else ""
        parent = made["parent"]
        rows.append(
            (
                text_cell(_title(evidence, name)),
                text_cell("B"),
                text_cell(Path(parent["name"]).name),
                text_cell(made["objective"]),
                text_cell(made["method"]),
                text_cell(f"{corpus['name']}{version}" + " (synthetic speech)" * corpus["synthetic"]),
                Cell(f"{corpus['hours']:.2f}", corpus["hours"]),
                Cell(f"{made['hours_heard']:.2f}", made["hours_heard"]),
                Cell(f"{made['steps']:,}", made["steps"]),
                Cell(f"{made['validation_loss']:.3f}", made["validation_loss"]),
                percent_cell(made.get("cer")),
                percent_cell(made.get("wer")),
            )
        )
    if not rows:
        return None
    heads = columns(
        "backbone",
        "scenario",
        "parent",
        "objective",
        "trained",
        "corpus",
        "hours",
        "hours heard",
        "steps",
        "validation loss",
        "CER",
        "WER",
        left=("backbone", "scenario", "parent", "objective", "trained", "corpus"),
    )
    caption = "Specialised by `affetto specialize`. Hours: of the sample; heard: over all passes. Loss and error rates "
    caption += "(×100): on speakers held out, in the end."
    return Sheet("specialised", "Specialised backbones", heads, tuple(rows), caption, (), _stamp(evidence))


def differences(evidence: Evidence) -> Sheet | None:
    """Each child minus its parent, all else alike, on the same clips."""
    made = []
    digests = [(one, _digest(one)) for one in evidence.configurations]
    for name, told in children(evidence).items():
        groups: dict[tuple[Any, ...], list[tuple[Configuration, Configuration]]] = {}
        for child in (one for one in evidence.configurations if one.axes.backbone == name):
            for parent, digest in digests:
                alike = parent.axes.without("backbone", "seed") == child.axes.without("backbone", "seed")
                if alike and digest is not None and digest == told["parent"]["digest"] and parent.split == child.split:
                    under = (child.axes.without("backbone", "seed", "corpus"), child.pool, parent.axes.backbone)
                    groups.setdefault(under, []).append((child, parent))
        made += [each for pairs in groups.values() for each in contrasts.by_corpus(evidence, "backbone", pairs)]
    if not made:
        return None
    title = "Specialised minus its parent"
    return replace(contrasts.sheet(contrasts.corrected(made)), name="from-a-to-b", title=title, stamp=_stamp(evidence))


def moved(evidence: Evidence) -> Picture | None:
    """How far each layer's states moved."""
    lines = {_title(evidence, name): list(made["cka"]) for name, made in children(evidence).items()}
    lines = dict(list(lines.items())[:MOST_DRAWN])
    if not lines:
        return None
    title = "How far each layer's states moved in specialisation"
    told = "; ".join(f"{name}: {', '.join(f'{v:.2f}' for v in values)}" for name, values in lines.items())
    said = _stamp(evidence)
    return Picture(
        "specialised-cka", title, f"{title}. {told}.", lambda path: similarity_curves(lines, path, title, said)
    )


def similarity_curves(lines: Mapping[str, list[float]], path: Path, title: str, said: str = "") -> Path:
    """A curve a backbone over its states 0 … L."""
    caption = (
        "Linear CKA between parent and child of each state, on the same clips of speakers held out: 1 says equal up to "
        "rotation and scale. State 0 enters the first block, the last one leaves the encoder."
    )
    with style():
        figure = framed(7.2, 3.0, title, caption, said)
        axes = figure.add_subplot()
        for (name, values), (colour, mark, line) in zip(lines.items(), LOOKS, strict=False):
            axes.plot(range(len(values)), values, color=colour, marker=mark, linestyle=line, label=name)
        most = max(len(values) for values in lines.values())
        axes.set(ylim=(0, 1.05), xlabel="state", ylabel="linear CKA", xticks=range(0, most, max(1, most // 12)))
        axes.grid(axis="y", color="#E5E5E5", linewidth=0.8)
        axes.set_axisbelow(True)
        legend_above(figure, [axes])
        return save(figure, path)


def _title(evidence: Evidence, name: str) -> str:
    return next(backbone_title(one.axes) for one in evidence.configurations if one.axes.backbone == name)


def _digest(one: Configuration) -> str | None:
    facts = (RunFolder(one.done[0].path).read(SPEC) or {}).get("facts") or {}
    return facts.get("weights")


def _stamp(evidence: Evidence) -> str:
    """Synthetic where the emotion or the specialisation is of synthetic speech."""
    trained = [bool(made["corpus"]["synthetic"]) for made in children(evidence).values()]
    results = evidence.results
    every = results.synthetic and all(trained)
    return stamp(synthetic=every, partly=results.partly_synthetic or results.synthetic or any(trained))
