"""Training: loss and validation score over the epochs, a column a method."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from affetto.errors import UserError
from affetto.models.methods.registry import METHODS
from affetto.reporting.chapters.chapter import Chapter
from affetto.reporting.chapters.selection import Group, group_by_corpus, highest, stem
from affetto.reporting.render.canvas import BLUE, INK, VERMILLION, framed, legend_above, save, style
from affetto.reporting.render.picture import Picture, slug
from affetto.reporting.render.section import Section
from affetto.reporting.render.stamps import stamp_of
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.naming import Naming, backbone_title, corpus_title, split_title
from affetto.reporting.results.parts import MARKS, NUMBERS, part_of
from affetto.reporting.results.records import Configuration

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Log = Sequence[Mapping[str, Any]]
"""One record an epoch: `epoch`, `loss`, perhaps `validation` (`macro_f1`) and `stage`. Only the stage `select`, the
training that validation judges, is drawn. Epoch 0 is the model before any training."""
Line = NDArray[np.float64]
"""Points (points, 2): epoch, value."""
LOSS = "training loss"
FEW_BACKBONES = 3
"""Up to so many backbones of a corpus are all drawn; of more only the best."""
MOST_METHODS = 6
"""Methods side by side in one figure."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Score of the validation clips that is drawn."""

    key: str
    """Key in the records of a log."""
    title: str
    scale: float = 100.0

    @property
    def label(self) -> str:
        return f"validation {self.title}" + (" (×100)" if self.scale == 100 else "")


MACRO_F1 = Curve(key="macro_f1", title="macro F1")
MEAN_CCC = Curve(key="mean_ccc", title="mean CCC", scale=1.0)
LABELS_F1 = Curve(key="multilabel_macro_f1", title="macro F1 of labels")


def build(evidence: Evidence) -> Section | None:
    pictures = tuple(curve_pictures(evidence))
    for part, curve in ((NUMBERS, MEAN_CCC), (MARKS, LABELS_F1)):
        of_part = part_of(evidence, part)
        pictures += tuple(curve_pictures(of_part, curve, lambda config: not config.done[0].has_classes))
    return Section(
        words="Loss and validation score over the epochs.",
        items=pictures[:1],
        folded=pictures[1:],
    )


def curve_pictures(
    evidence: Evidence, curve: Curve = MACRO_F1, is_shown: Callable[[Configuration], bool] = lambda _: True
) -> list[Picture]:
    """A figure a corpus, split and backbone, the best backbone first."""
    pictures = []
    for group in group_by_corpus(evidence):
        trained = [config for config in group.configurations if _takes_steps(config) and is_shown(config)]
        if not trained:
            continue
        best = highest(evidence, trained).axes.backbone
        backbones = sorted(dict.fromkeys(config.axes.backbone for config in trained), key=lambda name: name != best)
        for backbone in backbones if len(backbones) <= FEW_BACKBONES else backbones[:1]:
            configs = [config for config in trained if config.axes.backbone == backbone]
            pictures.append(_picture(evidence, group, configs[:MOST_METHODS], curve))
    return [picture for picture in pictures if picture]


def draw_curves(
    methods: Mapping[str, Mapping[str, Log]],
    path: str | Path,
    title: str,
    stamp: str = "",
    *,
    chance: float | None = None,
    curve: Curve = MACRO_F1,
) -> Path:
    """Draw training loss above the validation score, a column a method on common scales.

    `methods` maps each name to the logs of its folds. A thin line is a fold; the bold mean spans the epochs that all
    folds have, so that it never jumps where one stopped early. Raises UserError where there are no methods or a log
    has no epoch.
    """
    if not methods:
        raise UserError("no methods to compare: give at least one, with its logs.")
    lines = [_lines(logs, curve) for logs in methods.values()]
    with style():
        caption = "Thin: a fold; bold: the mean over the epochs that all folds reached."
        if any((score[:, 0] == 0).any() for _, scores in lines for score in scores):
            caption += " Epoch 0: the warm start, before any training."
        figure = framed(max(4.5, 1 + 2.4 * len(methods)), 4.6, title, caption, stamp)
        panels = figure.subplots(2, len(methods), sharex=True, sharey="row", squeeze=False)
        for (above, below), name, (losses, scores) in zip(panels.T, methods, lines, strict=True):
            _draw(above, losses)
            _draw(below, scores, _best_points(scores), None if chance is None else curve.scale * chance)
            above.set_title(name, fontsize=10)
            below.set_xlabel("epoch")
        for first, label in zip(panels[:, 0], (LOSS, curve.label), strict=True):
            first.set_ylabel(label)
            first.set_ylim(min(0, first.get_ylim()[0]) if curve.scale == 1 else 0, 1.05 * first.get_ylim()[1])
            first.locator_params(axis="x", integer=True)
        legend_above(figure, panels.flat)
        return save(figure, path)


def _takes_steps(config: Configuration) -> bool:
    """True if the method is trained in steps, so that a run has a log; unknown methods are taken to be."""
    method = METHODS.get(config.axes.method)
    return method is None or method.takes_steps


def _picture(evidence: Evidence, group: Group, configs: Sequence[Configuration], curve: Curve) -> Picture | None:
    """Learning curves of methods on one corpus and backbone; None where none of them has a log."""
    naming = Naming(configs, hide=("corpus", "split", "backbone"))
    logs = {naming.label(config): log for config in configs if (log := _logs(evidence, config))}
    if not logs:
        return None
    backbone = backbone_title(configs[0].axes)
    title = f"Learning curves: {corpus_title(group.corpus)}, {split_title(group.split)}, {backbone}"
    guesses = [run.test["chance"][curve.key] for run in configs[0].done if curve.key in run.test.get("chance", {})]
    chance = fmean(guesses) if guesses else None
    stamp = stamp_of(configs)
    target = "" if configs[0].done[0].has_classes else f"{configs[0].axes.target}-"
    return Picture(
        name=f"curves-{target}{stem(evidence, group)}-{slug(backbone)}",
        title=title,
        alt=f"{title}: training loss and validation {curve.title} over the epochs.",
        draw=lambda path: draw_curves(logs, path, title, stamp, chance=chance, curve=curve),
    )


def _logs(evidence: Evidence, config: Configuration) -> dict[str, Log]:
    """{seed and fold: log} of all runs whose training was judged by validation; notes on logs that are unreadable."""
    logs: dict[str, Log] = {}
    for run in config.done:
        try:
            logs |= {f"{run.axes.seed} {fold}": rows for fold, rows in run.logs.items() if _is_judged(rows)}
        except UserError as problem:
            evidence.notes.append(str(problem))
    return logs


def _is_judged(log: Log) -> bool:
    return any(row.get("stage", "select") == "select" and row.get("epoch") for row in log)


def _lines(logs: Mapping[str, Log], curve: Curve) -> tuple[list[Line], list[Line]]:
    """The training losses and the validation scores of each log."""
    epochs = [[epoch for epoch in log if epoch.get("stage", "select") == "select"] for log in logs.values()]
    if not epochs or not all(epochs):
        raise UserError("no learning curve to draw: each run's log needs at least one epoch.")
    # Epoch 0 has no training loss: it is measured there without dropout and smoothing, and so far lower.
    losses = [_series([epoch for epoch in log if epoch["epoch"]], lambda epoch: epoch.get("loss")) for log in epochs]
    scores = [_series(log, lambda epoch: (epoch.get("validation") or {}).get(curve.key), curve.scale) for log in epochs]
    return losses, scores


def _series(log: Log, pick: Callable[[Mapping[str, Any]], Any], scale: float = 1) -> Line:
    """The finite values of a log as (points, 2): epoch, value."""
    pairs = [(epoch["epoch"], pick(epoch)) for epoch in log]
    finite = [(number, scale * value) for number, value in pairs if value is not None and np.isfinite(value)]
    return np.array(finite, dtype=np.float64).reshape(-1, 2)


def _best_points(scores: Sequence[Line]) -> Line:
    """The best point of each run, the first where there are several: (runs with scores, 2)."""
    return np.array([score[score[:, 1].argmax()] for score in scores if len(score)]).reshape(-1, 2)


def _draw(axes: Axes, lines: Sequence[Line], best: Line | None = None, chance: float | None = None) -> None:
    """Draw one line bold, or many thin ones and their mean over the epochs that all of them have."""
    is_single = len(lines) == 1
    for line in lines:
        width, alpha, label = (2.0, 1.0, None) if is_single else (0.8, 0.35, "one run")
        axes.plot(*line.T, color=BLUE, linewidth=width, alpha=alpha, label=label)
    shared = set.intersection(*({float(epoch) for epoch in line[:, 0]} for line in lines))
    if not is_single and shared:
        epochs = np.array(sorted(shared))
        mean = np.mean([[dict(line.tolist())[epoch] for epoch in epochs] for line in lines], axis=0)
        axes.plot(epochs, mean, color=BLUE, linewidth=2.2, label="mean", zorder=3)
    if not any(map(len, lines)):
        axes.text(0.5, 0.5, "none", transform=axes.transAxes, ha="center")
    if best is not None and len(best):
        axes.plot(*best.T, "o", color=VERMILLION, markeredgecolor="white", zorder=4, label="best epoch")
    if chance is not None:
        axes.axhline(chance, color=INK, linestyle="--", linewidth=1, label="chance")


TRAINING = Chapter(name="training", title="Training", order=510, build=build, needs_results=False)
