"""Learning curves: training loss and validation macro F1 over the epochs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from affetto.errors import UserError
from affetto.reporting.render.canvas import BLUE, INK, VERMILLION, framed, legend, legend_above, save, style
from affetto.reporting.render.stamps import SYNTHETIC

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Log = Sequence[Mapping[str, Any]]
"""One record an epoch: `epoch`, `loss`, perhaps `validation` (`macro_f1`) and `stage`; of the stages only `select`,
the training that validation judges, is drawn. Epoch 0 is the model as it was before any training."""
Line = NDArray[np.float64]
LOSS, MARK = "training loss", "validation macro F1 (×100)"


def learning_curves(
    logs: Mapping[str, Log], path: str | Path, title: str, synthetic: bool = False, *, chance: float | None = None
) -> Path:
    """Training loss and validation macro F1 over the epochs: a thin line a run, their mean bold.

    `logs` maps a run's or fold's name to its epochs. The mean spans the epochs that all have, so that it
    never jumps where one stopped early.
    """
    losses, marks = _lines(logs)
    best = _best(marks)
    with style():
        words = _words(len(logs), best) + _zero(marks)
        figure = framed(8.2, 3.2, title, words, SYNTHETIC if synthetic else "")
        left, right = figure.subplots(1, 2, sharex=True)
        _draw(left, losses)
        _draw(right, marks, best, chance)
        for axes, label in ((left, LOSS), (right, MARK)):
            axes.set(xlabel="epoch", ylabel=label)
            _scale(axes)
        legend(right)
        return save(figure, path)


def curves_by_method(
    methods: Mapping[str, Mapping[str, Log]],
    path: str | Path,
    title: str,
    synthetic: bool = False,
    *,
    chance: float | None = None,
) -> Path:
    """As `learning_curves`, a column a method on common scales; `methods` maps each name to the logs of its folds."""
    if not methods:
        raise UserError("no methods to compare: give at least one, with its logs.")
    lines = [_lines(logs) for logs in methods.values()]
    with style():
        words = "Thin: a fold; bold: the mean over the epochs that all folds reached."
        words += _zero([mark for _, marks in lines for mark in marks])
        width = max(4.5, 1 + 2.4 * len(methods))
        figure = framed(width, 4.6, title, words, SYNTHETIC if synthetic else "")
        panels = figure.subplots(2, len(methods), sharex=True, sharey="row", squeeze=False)
        for (above, below), name, (losses, marks) in zip(panels.T, methods, lines, strict=True):
            _draw(above, losses)
            _draw(below, marks, _best(marks), chance)
            above.set_title(name, fontsize=10)
            below.set_xlabel("epoch")
        for first, label in zip(panels[:, 0], (LOSS, MARK), strict=True):
            first.set_ylabel(label)
            _scale(first)
        legend_above(figure, panels.flat)
        return save(figure, path)


def _lines(logs: Mapping[str, Log]) -> tuple[list[Line], list[Line]]:
    """Of each log the training losses and the validation scores."""
    chosen = [[epoch for epoch in log if epoch.get("stage", "select") == "select"] for log in logs.values()]
    if not chosen or not all(chosen):
        raise UserError("no learning curve to draw: each run's log needs at least one epoch.")
    # Epoch 0 has no training loss: what is measured there is without dropout and smoothing, and so far lower.
    losses = [_series([epoch for epoch in log if epoch["epoch"]], lambda epoch: epoch.get("loss")) for log in chosen]
    return losses, [_series(log, lambda epoch: (epoch.get("validation") or {}).get("macro_f1"), 100) for log in chosen]


def _series(log: Log, pick: Callable[[Mapping[str, Any]], Any], scale: float = 1) -> Line:
    """The finite values of a log as (points, 2): epoch, value."""
    pairs = [(epoch["epoch"], pick(epoch)) for epoch in log]
    kept = [(number, scale * value) for number, value in pairs if value is not None and np.isfinite(value)]
    return np.array(kept, dtype=np.float64).reshape(-1, 2)


def _best(marks: Sequence[Line]) -> Line:
    """Each run's best point, the first where there are several: (runs with scores, 2)."""
    return np.array([mark[mark[:, 1].argmax()] for mark in marks if len(mark)]).reshape(-1, 2)


def _draw(axes: Axes, lines: Sequence[Line], best: Line | None = None, chance: float | None = None) -> None:
    """One line alone, or many thin ones and their mean over the epochs that all of them have."""
    alone = len(lines) == 1
    for line in lines:
        width, alpha, label = (2.0, 1.0, None) if alone else (0.8, 0.35, "one run")
        axes.plot(*line.T, color=BLUE, linewidth=width, alpha=alpha, label=label)
    shared = set.intersection(*({float(epoch) for epoch in line[:, 0]} for line in lines))
    if not alone and shared:
        epochs = np.array(sorted(shared))
        mean = np.mean([[dict(line.tolist())[epoch] for epoch in epochs] for line in lines], axis=0)
        axes.plot(epochs, mean, color=BLUE, linewidth=2.2, label="mean", zorder=3)
    if not any(map(len, lines)):
        axes.text(0.5, 0.5, "none", transform=axes.transAxes, ha="center")
    if best is not None and len(best):
        axes.plot(*best.T, "o", color=VERMILLION, markeredgecolor="white", zorder=4, label="best epoch")
    if chance is not None:
        axes.axhline(100 * chance, color=INK, linestyle="--", linewidth=1, label="chance")


def _scale(axes: Axes) -> None:
    """From zero to a little above the highest; epochs are whole numbers."""
    axes.set_ylim(0, 1.05 * axes.get_ylim()[1])
    axes.locator_params(axis="x", integer=True)


def _zero(marks: Sequence[Line]) -> str:
    return " Epoch 0: the warm start, before any training." if any((mark[:, 0] == 0).any() for mark in marks) else ""


def _words(runs: int, best: Line) -> str:
    """The caption of the learning curves."""
    if not len(best):
        return f"{runs} {'run' if runs == 1 else 'runs'}; no validation scores."
    if runs == 1:
        return f"Best validation macro F1: {best[0, 1]:.1f} at epoch {best[0, 0]:.0f}."
    epochs = f"{best[:, 0].min():.0f}–{best[:, 0].max():.0f}"
    return (
        f"{runs} runs; bold: their mean over the epochs that all reached. Best validation macro F1 of each: "
        f"{best[:, 1].min():.1f}–{best[:, 1].max():.1f}, mean {best[:, 1].mean():.1f}, at epochs {epochs}."
    )
