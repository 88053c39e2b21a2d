"""A benchmark as a picture: how many times as fast, and where a step's time goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affetto.bench.report import TITLES
from affetto.models.methods.registry import METHODS
from affetto.reporting.render.canvas import BLUE, GREY, INK, VERMILLION, framed, save, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROW_INCHES = 0.34
SHADES = ("#0072B2", "#A6D5F2", "#F5CE7A", "#009E73")


def ratios(result: Mapping[str, Any], path: Path) -> Path:
    """Ratios to the yardstick on a logarithmic axis, and the shares of a training step's parts below."""
    rows = _rows(result["results"])
    trained = [row for row in result["results"] if "phases" in row]
    shapes = ", ".join(dict.fromkeys(row["backbone"] for row in result["results"]))
    with style():
        title = f"affetto beside transformers' Trainer and pipeline: {shapes}"
        figure = framed(7.2, ROW_INCHES * (len(rows) + len(trained)) + 1.5, title, _words(result), "")
        heights = [len(rows) + 1.5, len(trained) + 1.5]
        panels = figure.subplots(2, 1, height_ratios=heights) if trained else [figure.add_subplot()]
        _draw_ratios(panels[0], rows)
        if trained:
            _draw_phases(panels[1], trained)
        return save(figure, path)


def _rows(results: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, Mapping[str, Any]]]:
    rows = []
    for row in results:
        rows.append((row["comparison"], row["method"], row))
        if "three_seeds" in row:
            rows.append((row["comparison"], f"{row['method']}, three seeds", row["three_seeds"]))
        for fits, result in row.get("stacked", {}).items():
            rows.append((row["comparison"], f"{row['method']}, {fits} stacked", result))
    return rows


def _draw_ratios(axes: Axes, rows: Sequence[tuple[str, str, Mapping[str, Any]]]) -> None:
    for at, (comparison, _, row) in enumerate(rows):
        colour = BLUE if comparison == "same" else VERMILLION
        axes.plot([row["ratio_lowest"], row["ratio_highest"]], [at, at], color=colour, linewidth=2)
        axes.plot([row["ratio"]], [at], "o" if comparison == "same" else "s", color=colour, markersize=7)
        digits = 0 if row["ratio"] >= 10 else 2
        label: dict[str, Any] = {"textcoords": "offset points", "xytext": (9, 0), "va": "center", "fontsize": 9}
        axes.annotate(f"{row['ratio']:.{digits}f}×", (row["ratio_highest"], at), color=INK, **label)
    axes.axvline(1, color=GREY, linewidth=1, linestyle="--")
    axes.set_xscale("log")
    axes.set_yticks(range(len(rows)), [f"{_title(method)}, {TITLES[comparison]}" for comparison, method, _ in rows])
    axes.set_xlim(0.7, 2.4 * max(row["ratio_highest"] for *_, row in rows))
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}×")
    axes.set_xlabel("times as fast as the yardstick")


def _draw_phases(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    for at, row in enumerate(rows):
        total, start = sum(row["phases"].values()), 0.0
        for shade, (name, seconds) in zip(SHADES, row["phases"].items(), strict=True):
            share = 100 * seconds / total
            axes.barh(at, share, left=start, height=0.62, color=shade)
            if share >= 12:
                axes.text(start + share / 2, at, f"{name} {share:.0f} %", ha="center", va="center", color=INK)
            start += share
    axes.set_yticks(range(len(rows)), [f"{_title(row['method'])}, {TITLES[row['comparison']]}" for row in rows])
    axes.set_xlim(0, 100)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel("where a training step's time goes, percent")


def _title(method: str) -> str:
    """`lora` → "LoRA"; `frozen, three seeds` keeps its addition."""
    name, comma, addition = method.partition(",")
    title = METHODS[name].title if name in METHODS else {"int8": "inference in int8"}.get(name, name)
    return f"{title}{comma}{addition}"


def _words(result: Mapping[str, Any]) -> str:
    first = result["results"][0]
    spread = (
        "one round" if first["rounds"] == 1 else f"{first['rounds']} rounds in turns, median with lowest and highest"
    )
    return (
        f"Random weights, {first['clips']} clips, batch {first['batch_size']}; {spread}. Circles, like with like: the "
        "same precision and window. Squares, as each comes: our defaults against the yardstick's. "
        f"{result['provenance']['device']}."
    )
