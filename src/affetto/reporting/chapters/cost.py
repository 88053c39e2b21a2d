"""Cost of a point of macro F1: trained parameters, time and memory, as a table and against the score."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from affetto.errors import UserError
from affetto.models.methods.registry import METHODS
from affetto.reporting.chapters.chapter import Chapter
from affetto.reporting.chapters.selection import Group, group_by_corpus, opening, stem
from affetto.reporting.render.canvas import GREY, GRID, MARKS, framed, legend_above, save, style
from affetto.reporting.render.dodge import dodge
from affetto.reporting.render.picture import Picture
from affetto.reporting.render.section import Section
from affetto.reporting.render.sheet import Cell, Sheet, Slim, columns, text_cell
from affetto.reporting.render.stamps import stamp_of
from affetto.reporting.render.text import count_text, duration_text
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.marks import interval_words
from affetto.reporting.results.naming import Naming, backbone_title, method_order
from affetto.reporting.results.parts import other_configurations
from affetto.reporting.results.records import Configuration, Run
from affetto.training.runs import MODEL, run_seconds

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

CAPTION = (
    "One mark: a configuration, mean over seeds; whiskers: {interval}. Both scales below are "
    "logarithmic. Grey steps: the best score up to each cost. Marks that would hide each other stand side by side. "
    "Times depend on the machine: compare only those of one device."
)
MOST_TICKS = 4
DASHES = ("--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)), (0, (6, 3)))


@dataclass(frozen=True, kw_only=True)
class Point:
    """One configuration: its method and backbone, macro F1 ×100 with interval, and its cost."""

    method: str
    backbone: str
    score: float
    low: float
    high: float
    trained: int
    """Number of trained parameters."""
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Line:
    """A configuration of unmeasured cost, such as a probe that was run beside another method: macro F1 ×100 alone."""

    method: str
    backbone: str
    score: float


def build(evidence: Evidence) -> Section | None:
    if not (evidence.configurations or other_configurations(evidence)):
        return None
    return Section(
        words="Trained parameters, time and memory against the score.",
        items=(*cost_pictures(evidence), cost_table(evidence)),
    )


def cost_table(evidence: Evidence) -> Sheet:
    """A row a configuration: parameters, and the time and memory of a run."""
    every = (*evidence.configurations, *other_configurations(evidence))
    configs = [config for config in every if is_timed(config.done[0])]
    naming = Naming(configs)
    return Sheet(
        name="cost",
        title="Cost",
        columns=(
            *naming.columns(),
            *columns(
                "encoder",
                "trained",
                "share (%)",
                "time a run",
                "memory (GiB)",
                "precision",
                "device",
                texts=("precision", "device"),
            ),
        ),
        rows=tuple((*naming.cells(config), *_cost_cells(config)) for config in configs),
        caption=(
            f"{opening(naming)}Parameters of the encoder as loaded, and those that are trained (head included), with "
            "their share of both; below: files of the saved model, without the backbone. Time: mean over seeds, "
            "including stored states, folds, probe and final model; below: of all seeds together. Memory: the maximum "
            f"over seeds. All runs of this table took {duration_text(_total_seconds(configs))}. Compare only times of "
            "one device under one load."
        ),
        stamp=stamp_of(configs),
        slim=Slim(
            caption=(
                f"{opening(naming)}Parameters of the encoder and of what is trained (head included), with its share of "
                "both; time of a run, mean over seeds; most memory."
            ),
            without=("device", "precision"),
        ),
    )


def cost_pictures(evidence: Evidence) -> list[Picture]:
    """A figure a corpus and split, where more than one configuration was run and a cost was measured."""
    pictures = [_picture(evidence, group) for group in group_by_corpus(evidence)]
    return [picture for picture in pictures if picture]


def draw_cost(
    points: Sequence[Point],
    path: str | Path,
    title: str,
    stamp: str = "",
    *,
    lines: Sequence[Line] = (),
    interval: str = "95 % interval over speakers",
) -> Path:
    """Draw macro F1 against trained parameters, and against the time of a run, in two panels.

    Methods differ in colour; several backbones differ in shape. `interval` says what the whiskers are. Raises
    UserError where there are no points.
    """
    if not points:
        raise UserError("no cost to draw: give at least one configuration.")
    items: list[Point | Line] = [*points, *lines]
    colours = _looks(method_order(dict.fromkeys(item.method for item in items)), 0)
    backbones = list(dict.fromkeys(item.backbone for item in items))
    caption = CAPTION.format(interval=interval)
    if lines:
        caption += " Horizontal lines: macro F1 of configurations whose cost was not measured."
    with style():
        figure = framed(8.2, 3.3, title, caption, stamp)
        left, right = figure.subplots(1, 2, sharey=True)
        marks: list[tuple[Line2D, Artist]] = []
        for axes, quantity, label, tick_text in (
            (left, "trained", "parameters trained", lambda value: count_text(round(value))),
            (right, "seconds", "time of a run (s)", lambda value: f"{value:,.10g}"),
        ):
            _draw_front(axes, points, quantity)
            marks += _draw_points(axes, points, quantity, colours, backbones)
            _draw_lines(axes, lines, backbones)
            _scale(axes, label, tick_text)
        left.set_ylabel("macro F1 (×100)")
        top = max([*(point.high for point in points), *(line.score for line in lines)])
        left.set_ylim(0, min(102, 1.08 * top))
        legend_above(figure, [left, right])
        dodge(figure, marks)
        return save(figure, path)


def is_timed(run: Run) -> bool:
    """True if a run's metrics have its time and its trained parameters: those of a probe beside it have not."""
    return bool(run.metrics and "wall_seconds" in run.metrics and "trainable_parameters" in run.metrics)


def _cost_cells(config: Configuration) -> tuple[Cell, ...]:
    runs = [run.metrics for run in config.done if run.metrics]
    trained, encoder = runs[0]["trainable_parameters"], runs[0]["backbone_parameters"]
    method = METHODS.get(config.axes.method)
    total = encoder if method is not None and method.trains_backbone else trained + encoder
    seconds, memory = fmean(map(run_seconds, runs)), max(run["peak_memory_bytes"] for run in runs)
    return (
        Cell(count_text(encoder), encoder),
        _trained_cell(config, trained),
        Cell(f"{100 * trained / total:.2f}", 100 * trained / total),
        _time_cell(runs, seconds),
        Cell(f"{memory / 2**30:.2f}", memory / 2**30),
        text_cell(str(runs[0].get("precision", ""))),
        text_cell(_device(runs[0])),
    )


def _total_seconds(configurations: Sequence[Configuration]) -> float:
    """Time of all runs together."""
    return math.fsum(run_seconds(run.metrics) for config in configurations for run in config.done if run.metrics)


def _trained_cell(config: Configuration, trained: int) -> Cell:
    """Number of trained parameters, and below the size of the saved model without its backbone, where it was kept."""
    folders = [run.path / MODEL for run in config.done]
    folder = next((folder for folder in folders if folder.is_dir()), None)
    size = None if folder is None else sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 2**20
    return Cell(
        text=count_text(trained),
        key=trained,
        under="" if size is None else f"{size:.1f} MiB",
        values=(("", trained), ("MiB on disk", size)),
    )


def _time_cell(runs: Sequence[Mapping[str, Any]], seconds: float) -> Cell:
    """Mean time of a run, and below the time of all seeds together."""
    total = math.fsum(map(run_seconds, runs))
    return Cell(
        text=duration_text(seconds),
        key=seconds,
        under=f"in all {duration_text(total)}" if len(runs) > 1 else "",
        values=(("", seconds), ("of all seeds", total)),
    )


def _device(metrics: Mapping[str, Any]) -> str:
    """Device of a run; of a CPU with its number of threads."""
    provenance = metrics.get("provenance") or {}
    device, threads = str(provenance.get("device", "")), provenance.get("threads")
    if not device.startswith("cpu") or not threads:
        return device
    return f"{device}, {threads} thread{'s' if threads > 1 else ''}"


def _picture(evidence: Evidence, group: Group) -> Picture | None:
    points, lines, estimates = [], [], []
    naming = Naming(group.configurations, hide=("corpus", "split", "backbone"))
    for config in group.configurations:
        runs = [run.metrics for run in config.done if run.metrics and "wall_seconds" in run.metrics]
        method, backbone = naming.label(config), backbone_title(config.axes)
        estimate, score = evidence.estimate(config), 100 * evidence.spread(config).mean
        if not runs:
            lines.append(Line(method=method, backbone=backbone, score=score))
            continue
        estimates.append(estimate)
        points.append(
            Point(
                method=method,
                backbone=backbone,
                score=score,
                low=100 * estimate.low,
                high=100 * estimate.high,
                trained=max(1, runs[0]["trainable_parameters"]),
                seconds=max(0.1, fmean(map(run_seconds, runs))),
            )
        )
    if not points or len(points) + len(lines) < 2:
        return None
    title = f"Cost against macro F1: {group.heading}"
    return Picture(
        name=f"cost-{stem(evidence, group)}",
        title=title,
        alt=f"{title}. The same values stand in the tables.",
        draw=partial(
            draw_cost,
            points,
            title=title,
            stamp=stamp_of(group.configurations),
            lines=lines,
            interval=interval_words(estimates),
        ),
    )


def _looks(names: Sequence[str], part: int) -> dict[str, str]:
    """Colours (part 0) or shapes (part 1) by name, in turn: no two names have both in common, up to 64 of them."""
    # With every round of colours the shapes move on by one.
    turns = {name: number + part * (number // len(MARKS)) for number, name in enumerate(names)}
    return {name: MARKS[turn % len(MARKS)][part] for name, turn in turns.items()}


def _draw_points(
    axes: Axes, points: Sequence[Point], quantity: str, colours: Mapping[str, str], backbones: Sequence[str]
) -> list[tuple[Line2D, Artist]]:
    """Draw a mark and a whisker for each point; returns them."""
    drawn: list[tuple[Line2D, Artist]] = []
    has_one_backbone = len(backbones) == 1
    shapes = _looks(list(colours), 1) if has_one_backbone else _looks(backbones, 1)
    for method, colour in colours.items():
        for backbone in backbones:
            members = [point for point in points if (point.method, point.backbone) == (method, backbone)]
            shape = shapes[method if has_one_backbone else backbone]
            label = method if has_one_backbone else f"{method}, {backbone}"
            for number, point in enumerate(members):
                x = getattr(point, quantity)
                whisker = axes.vlines(x, point.low, point.high, color=colour, linewidth=1, alpha=0.35)
                look: dict[str, Any] = {"markersize": 8, "markeredgecolor": "white", "zorder": 3}
                (mark,) = axes.plot(x, point.score, shape, color=colour, label=None if number else label, **look)
                drawn.append((mark, whisker))
    return drawn


def pareto_front(points: Sequence[Point], quantity: str) -> list[Point]:
    """Points that score more than every one that costs no more, by rising cost; `quantity` names the cost."""
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (getattr(point, quantity), -point.score)):
        if not front or point.score > front[-1].score:
            front.append(point)
    return front


def _draw_front(axes: Axes, points: Sequence[Point], quantity: str) -> None:
    front = pareto_front(points, quantity)
    if len(front) < 2:
        return
    x, y = [getattr(point, quantity) for point in front], [point.score for point in front]
    axes.step(x, y, where="post", color=GREY, linewidth=1, zorder=2, label="best up to the cost")


def _draw_lines(axes: Axes, lines: Sequence[Line], backbones: Sequence[str]) -> None:
    for number, line in enumerate(lines):
        label = line.method if len(backbones) == 1 else f"{line.method}, {line.backbone}"
        dashes: Any = DASHES[number % len(DASHES)]
        axes.axhline(line.score, color=GREY, linewidth=1.2, linestyle=dashes, label=label, zorder=1)


def _scale(axes: Axes, label: str, tick_text: Callable[[float], str]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    axes.set_xscale("log")
    low, high = axes.get_xlim()
    # Within one decade a logarithmic locator falls back on many ticks, whose labels overlap.
    locator = LogLocator(subs=(1, 3), numticks=6) if high > 10 * low else MaxNLocator(MOST_TICKS)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: tick_text(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(label)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)


COST = Chapter(name="cost", title="What it costs", order=600, build=build, needs_results=False)
