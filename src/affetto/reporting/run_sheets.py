"""Tables of any grid: what was run, how each configuration did as a whole, by class and by speaker, what it cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from affetto.reporting.intervals import footnotes, interval_words, span
from affetto.reporting.render.sheet import (
    MISSING,
    Cell,
    Column,
    Sheet,
    columns,
    count_cell,
    difference_cell,
    percent_cell,
    text_cell,
)
from affetto.reporting.render.stamps import stamp, stamp_of
from affetto.reporting.render.text import DASH, count_text, duration_text, percent_text
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.naming import Naming, backbone_title, changes, corpus_title, method_title
from affetto.reporting.results.records import Configuration, Results, Run
from affetto.training.evaluate import MEASURES

MOST_SPEAKERS = 12
"""More do not fit side by side: their spread is shown."""
SEEDS = "mean ± standard deviation (ddof 1) over seeds"


def all_runs(results: Results) -> Sheet:
    """A row a run, done or not."""
    names = ("corpus", "backbone", "method", "recipe", "split", "seed", "changed", "state")
    told = (*(measure.title for measure in MEASURES.values()), "probe macro F1", "time (s)", "folder")
    left = ("corpus", "backbone", "method", "recipe", "split", "changed", "state", "folder")
    rows = []
    for run in results.runs:
        axes, state = run.axes, "not run" if run.state == "waiting" else run.state
        split = str(run.metrics["split"]) if run.metrics else axes.split
        seconds = run.metrics["wall_seconds"] if run.metrics and _timed(run) else None
        rows.append(
            (
                text_cell(corpus_title(axes.corpus)),
                text_cell(backbone_title(axes)),
                text_cell(method_title(axes.method)),
                text_cell(axes.recipe),
                text_cell(split or "default"),
                Cell(str(axes.seed), axes.seed),
                Cell(changes(axes.settings)),
                text_cell(state),
                *(percent_cell(run.test[measure] if run.done else None) for measure in MEASURES),
                percent_cell(run.probe["macro_f1"] if run.probe else None),
                Cell(MISSING if seconds is None else f"{seconds:,.0f}", seconds),
                text_cell(run.name),
            )
        )
    states = {run.state for run in results.runs}
    caption = f"{len(results.runs)} runs, {len(results.done)} of them done. Scores on the test speakers, ×100."
    notes = [f"{run.name}: {run.error}" for run in results.runs if run.error]
    if states & {"running", "begun"}:
        notes.append("running, begun: at work when this was made, or broken off; the same command goes on.")
    shown = _stamp(results)
    return Sheet("runs", "All runs", columns(*names, *told, left=left), tuple(rows), caption, tuple(notes), shown)


def methods(evidence: Evidence) -> Sheet:
    """A row a configuration: all four measures with intervals, beside the probe and chance."""
    ones, planned = evidence.configurations, evidence.planned
    naming = Naming(planned)
    best = _best(evidence, ones)
    rows, breaks, before = [], set(), None
    for number, one in enumerate(planned):
        if before not in (None, (one.axes.corpus, one.axes.split)):
            breaks.add(number)
        before = (one.axes.corpus, one.axes.split)
        if one not in ones:
            rows.append((*naming.cells(one), seeds(evidence, one), *[Cell(MISSING)] * (len(MEASURES) + 2)))
            continue
        baseline = evidence.baseline(one)
        gap = None
        if baseline is not None and baseline is not one:
            gap = evidence.spread(one).mean - evidence.spread(baseline).mean
        is_probe = one.axes.method == "probe"
        rows.append(
            (
                *naming.cells(one),
                seeds(evidence, one),
                *(
                    _measure(evidence, one, measure, strong=measure == "macro_f1" and one in best)
                    for measure in MEASURES
                ),
                Cell("baseline", None, values=(("", None),)) if is_probe else difference_cell(gap),
                percent_cell(fmean(run.test["chance"]["macro_f1"] for run in one.done)),
            )
        )
    heads = (
        *naming.columns(),
        Column("seeds"),
        *(Column(measure.title) for measure in MEASURES.values()),
        Column("over probe"),
        Column("chance"),
    )
    estimates = [evidence.estimate(one) for one in ones]
    caption = (
        f"{shared(naming)}×100; {SEEDS}; below: {interval_words(estimates)}. "
        "Over probe: macro F1 minus the probe's, which is logistic regression on the frozen states. "
        "Chance: macro F1 of a guesser. Bold: the highest macro F1 of each corpus, which is no claim (see the "
        "comparisons)."
    )
    notes = (*footnotes(estimates), *missing_notes(evidence))
    return Sheet("methods", "Methods", heads, tuple(rows), caption, notes, stamp_of(ones), frozenset(breaks))


def per_class(evidence: Evidence) -> Sheet:
    """F1 of each emotion, over seeds; CSV has precision and recall too."""
    ones = evidence.configurations
    naming = Naming(ones)
    labels = list(dict.fromkeys(label for one in ones for label in one.done[0].test["labels"]))
    rows = []
    for one in ones:
        cells = [_class(one, label) for label in labels]
        shown = [cell.key for cell in cells if isinstance(cell.key, float)]
        low = min(shown) if shown else None
        rows.append((*naming.cells(one), *cells, _weakest(labels, cells, low)))
    caption = f"{shared(naming)}F1 of each class, ×100, mean over seeds; below: recall. Precision is in the CSV file."
    heads = (*naming.columns(), *map(Column, labels), Column("hardest", number=False))
    return Sheet("classes", "Classes", heads, tuple(rows), caption, (), stamp_of(ones))


def per_speaker(evidence: Evidence) -> list[Sheet]:
    """For each corpus and split each speaker's UAR, side by side; of many speakers how it is spread."""
    groups: dict[tuple[str, str], list[Configuration]] = {}
    for one in evidence.configurations:
        groups.setdefault((one.axes.corpus, one.split), []).append(one)
    several = len({corpus for corpus, _ in groups}) < len(groups)
    made = []
    for (corpus, split), ones in groups.items():
        name = f"speakers-{corpus}" + (f"-{split.replace(':', '')}" if several else "")
        title = f"Speakers of {corpus_title(corpus)}" + (f", split {split}" if several else "")
        speakers = sorted({speaker for one in ones for speaker in one.done[0].test["per_speaker"]})
        make = _side_by_side if len(speakers) <= MOST_SPEAKERS else _spread
        made.append(make(name, title, ones, speakers))
    return made


def cost(evidence: Evidence) -> Sheet:
    """What is trained, and what a run took."""
    from affetto.models.methods.registry import METHODS

    ones = [one for one in evidence.configurations if _timed(one.done[0])]
    naming = Naming(ones)
    rows = []
    for one in ones:
        runs = [run.metrics for run in one.done if run.metrics]
        trained, frozen = runs[0]["trainable_parameters"], runs[0]["backbone_parameters"]
        total = frozen if one.axes.method in METHODS and METHODS[one.axes.method].trains_backbone else trained + frozen
        seconds, memory = fmean(run["wall_seconds"] for run in runs), max(run["peak_memory_bytes"] for run in runs)
        rows.append(
            (
                *naming.cells(one),
                Cell(count_text(frozen), frozen),
                Cell(count_text(trained), trained),
                Cell(f"{100 * trained / total:.2f}", 100 * trained / total),
                Cell(duration_text(seconds), seconds),
                Cell(f"{memory / 2**30:.2f}", memory / 2**30),
                text_cell(str(runs[0].get("precision", ""))),
                text_cell(_device(runs[0])),
            )
        )
    heads = (
        *naming.columns(),
        *columns(
            "encoder",
            "trained",
            "share (%)",
            "time a run",
            "memory (GiB)",
            "precision",
            "device",
            left=("precision", "device"),
        ),
    )
    caption = (
        f"{shared(naming)}Parameters of the encoder as loaded, and those that are trained (head included), "
        "with their share of both. Time: mean over seeds, stored states found or made on the way, folds, probe and "
        "final model included; memory: the most of any seed. Compare times of one device only, and of one load."
    )
    return Sheet("cost", "Cost", heads, tuple(rows), caption, (), stamp_of(ones))


def shared(naming: Naming) -> str:
    """What all rows of a table share, as the first sentence of its caption."""
    text = naming.shared()
    return f"{text[:1].upper()}{text[1:]}. " if text else ""


def seeds(evidence: Evidence, one: Configuration) -> Cell:
    """The number of seeds that its scores are of, beside the planned: `3`, or `1 of 3`."""
    done, planned = _usable(evidence, one), len(one.runs)
    return Cell(str(done) if done == planned else f"{done} of {planned}", done)


def missing_notes(evidence: Evidence) -> tuple[str, ...]:
    """Sentences on configurations that lack seeds, or have no result at all."""
    ones = evidence.results.configurations
    naming = Naming(ones)
    absent = [naming.label(one) for one in ones if not evidence.system(one)]
    partly = [
        f"{naming.label(one)} ({len(one.runs) - usable} of {len(one.runs)} seeds)"
        for one in ones
        if 0 < (usable := _usable(evidence, one)) < len(one.runs)
    ]
    told = []
    if partly:
        told.append(f"Seeds are missing of: {_some(partly)}.")
    if absent:
        told.append(f"No result is there of: {_some(absent)}.")
    return tuple(told)


def _usable(evidence: Evidence, one: Configuration) -> int:
    system = evidence.system(one)
    return len(system.seeds) if system else 0


def _some(items: Sequence[str], most: int = 6) -> str:
    more = len(items) - most
    return "; ".join(items[:most]) + (f"; and {more} more" if more > 0 else "")


def _measure(evidence: Evidence, one: Configuration, measure: str, *, strong: bool = False) -> Cell:
    spread, estimate = evidence.spread(one, measure), evidence.estimate(one, measure)
    shown = percent_text(spread.mean)
    if spread.deviation is not None:
        shown += f" ± {percent_text(spread.deviation)}"
    return Cell(
        shown,
        100 * spread.mean,
        span(estimate),
        (
            ("mean", 100 * spread.mean),
            ("sd", None if spread.deviation is None else 100 * spread.deviation),
            ("low", 100 * estimate.low),
            ("high", 100 * estimate.high),
        ),
        strong,
    )


def _best(evidence: Evidence, ones: Sequence[Configuration]) -> list[Configuration]:
    highest: dict[tuple[str, str], Configuration] = {}
    for one in ones:
        key = (one.axes.corpus, one.split)
        if key not in highest or evidence.spread(one).mean > evidence.spread(highest[key]).mean:
            highest[key] = one
    return list(highest.values())


def _class(one: Configuration, label: str) -> Cell:
    found = [run.test["per_class"][label] for run in one.done if label in run.test["per_class"]]
    if not found or not found[0]["n"]:
        return Cell(DASH)
    f1, recall, precision = (100 * fmean(each[name] for each in found) for name in ("f1", "recall", "precision"))
    values = (("F1", f1), ("recall", recall), ("precision", precision), ("clips", found[0]["n"]))
    return Cell(f"{f1:.1f}", f1, f"{recall:.1f}", values)


def _weakest(labels: Sequence[str], cells: Sequence[Cell], low: float | None) -> Cell:
    return text_cell(next((label for label, cell in zip(labels, cells, strict=True) if cell.key == low), None))


def _of_speaker(one: Configuration, speaker: str) -> float | None:
    found = [run.test["per_speaker"].get(speaker) for run in one.done]
    return fmean(each["uar"] for each in found if each) if any(found) else None


def _side_by_side(name: str, title: str, ones: Sequence[Configuration], speakers: Sequence[str]) -> Sheet:
    naming = Naming(ones, hide=("corpus", "split"))
    rows = []
    for one in ones:
        values = [_of_speaker(one, speaker) for speaker in speakers]
        known = [value for value in values if value is not None]
        gap = max(known) - min(known) if len(known) > 1 else None
        rows.append((*naming.cells(one), *map(percent_cell, values), percent_cell(gap)))
    caption = f"{shared(naming)}UAR within each test speaker, ×100, mean over seeds; gap: best minus worst."
    heads = (*naming.columns(), *map(Column, speakers), Column("gap"))
    return Sheet(name, title, heads, tuple(rows), caption, (), stamp_of(ones))


def _spread(name: str, title: str, ones: Sequence[Configuration], speakers: Sequence[str]) -> Sheet:
    import numpy as np

    naming = Naming(ones, hide=("corpus", "split"))
    rows = []
    for one in ones:
        values = [value for speaker in speakers if (value := _of_speaker(one, speaker)) is not None]
        cuts = [float(cut) for cut in np.quantile(values, [0, 0.1, 0.25, 0.5, 0.75, 0.9, 1])]
        rows.append((*naming.cells(one), count_cell(len(values)), *map(percent_cell, cuts)))
    heads = (*naming.columns(), *columns("speakers", "worst", "10 %", "25 %", "median", "75 %", "90 %", "best"))
    caption = f"{shared(naming)}How UAR (×100, mean over seeds) is spread over the test speakers."
    return Sheet(name, title, heads, tuple(rows), caption, (), stamp_of(ones))


def _timed(run: Run) -> bool:
    return bool(run.metrics and "wall_seconds" in run.metrics and "trainable_parameters" in run.metrics)


def _device(metrics: Mapping[str, Any]) -> str:
    told = metrics.get("provenance") or {}
    threads = f", {told['threads']} thread{'s' if told['threads'] > 1 else ''}" if told.get("threads") else ""
    device = str(told.get("device", ""))
    return device + (threads if device.startswith("cpu") else "")


def _stamp(results: Results) -> str:
    return stamp(synthetic=results.synthetic, partly=results.partly_synthetic)
