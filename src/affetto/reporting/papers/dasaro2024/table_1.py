"""Table I of the paper: the backbones as loaded, and the parameters that each method trains."""

from __future__ import annotations

from collections.abc import Sequence

from affetto.backbones.catalogue import BACKBONES
from affetto.reporting.papers.dasaro2024 import numbers
from affetto.reporting.papers.dasaro2024.protocols import SCENARIOS
from affetto.reporting.render.sheet import MISSING, Cell, Column, Sheet, Slim, columns, text_cell
from affetto.reporting.render.stamps import stamp_of
from affetto.reporting.render.text import DASH, signed_text
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.naming import backbone_title, method_title
from affetto.reporting.results.records import Run


def table_1(evidence: Evidence) -> Sheet:
    """Encoders as loaded, beside the paper's figures, with the number of parameters that each method trains."""
    configs = [config for config in evidence.configurations if config.axes.is_plain]
    done = [run for config in configs for run in config.done]
    unchanged = [run for config in configs if not evidence.changed(config) for run in config.done]
    recipes = list(dict.fromkeys(run.axes.recipe for run in done if run.axes.method in numbers.METHODS))
    rows = []
    footnotes: list[str] = []
    for name, key in _backbones(done):
        runs = [run for run in done if (run.axes.key == key if key else run.axes.backbone == name)]
        row = numbers.row_of(key)
        if row and row.footnote not in footnotes:
            footnotes.append(row.footnote)
        mark = f" [{footnotes.index(row.footnote) + 1}]" if row else ""
        loaded = next((run.metrics["backbone_parameters"] for run in runs if run.metrics), None)
        usual = [run for run in unchanged if run in runs]
        rows.append(
            (
                text_cell(row.title if row else backbone_title(runs[0].axes)),
                text_cell(row.language if row else DASH),
                text_cell(_scenario(key, runs)),
                Cell(MISSING if loaded is None else f"{loaded:,}", loaded),
                Cell(f"{row.parameters}{mark}", row.parameters) if row else Cell(DASH),
                _difference_cell(loaded, row),
                *(_trained_cell(usual, method, recipe) for recipe in recipes for method in numbers.METHODS),
            )
        )
    return Sheet(
        name="table-1",
        below=(("encoder as loaded", "paper"),),
        title="Table I: backbones and what is trained",
        columns=_columns(recipes),
        rows=tuple(rows),
        caption=_caption(done, recipes),
        notes=tuple(f"[{number}] {text[:1].upper()}{text[1:]}." for number, text in enumerate(footnotes, 1)),
        stamp=stamp_of(evidence.configurations),
        slim=Slim(caption=_caption(done, recipes), without=("difference (%)",), has_notes=True),
    )


def _backbones(done: Sequence[Run]) -> list[tuple[str, str | None]]:
    """(name, key) of each row: all backbones of the paper where one was run, then the others."""
    has_paper_s = any(run.axes.key in SCENARIOS for run in done)
    names: list[tuple[str, str | None]] = [(key, key) for key in SCENARIOS] if has_paper_s else []
    names += [(run.axes.backbone, None) for run in done if run.axes.key not in SCENARIOS]
    return list(dict.fromkeys(names))


def _columns(recipes: Sequence[str]) -> tuple[Column, ...]:
    several = len(recipes) > 1
    trained = [
        f"{method_title(method)}, {recipe}" if several else method_title(method)
        for recipe in recipes
        for method in numbers.METHODS
    ]
    names = ("backbone", "language", "scenario", "encoder as loaded", "paper", "difference (%)")
    return (*columns(*names, texts=names[:3]), *map(Column, trained))


def _caption(done: Sequence[Run], recipes: Sequence[str]) -> str:
    caption = (
        "Parameters of the encoder as loaded, with the paper's Table I beside, and the parameters that each method "
        "trains (head included)" + (f" under the recipe {recipes[0]}." if len(recipes) == 1 else ".")
    )
    if any(run.stand_in for run in done):
        caption += " Small random backbones stood in for the paper's: the counts are theirs."
    return caption


def _scenario(key: str | None, runs: Sequence[Run]) -> str:
    """Scenario of the paper's backbones; B of a backbone that `affetto specialize` made."""
    if key:
        return BACKBONES[key].scenario
    return "B" if any((run.metrics or {}).get("specialised") for run in runs) else DASH


def _difference_cell(loaded: int | None, row: numbers.Backbone | None) -> Cell:
    """Difference of the loaded and the printed number of parameters, in percent."""
    if row is None:
        return Cell(DASH)
    if loaded is None:
        return Cell(MISSING, under=f"{row.counted:,} expected")
    printed = float(row.parameters.removesuffix("M")) * 10**6
    difference = 100 * (loaded - printed) / printed
    return Cell(signed_text(difference, 2), difference)


def _trained_cell(runs: Sequence[Run], method: str, recipe: str) -> Cell:
    """Number of trained parameters, and their share of all."""
    metrics = [run.metrics for run in runs if run.metrics and (run.axes.method, run.axes.recipe) == (method, recipe)]
    if not metrics or metrics[0].get("trainable_parameters") is None:
        return Cell(MISSING)
    count = metrics[0]["trainable_parameters"]
    share = 100 * count / (count + metrics[0]["backbone_parameters"])
    return Cell(f"{count:,}", count, under=f"{share:.2f} %", values=(("", count), ("share (%)", share)))
