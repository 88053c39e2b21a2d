"""Across corpora: what a model that was trained on one corpus makes of another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affetto.errors import UserError
from affetto.reporting.intervals import footnotes, interval_words, span
from affetto.reporting.render.sheet import MISSING, Cell, Column, Sheet, Value, text_cell
from affetto.reporting.render.stamps import stamp
from affetto.reporting.render.text import percent_text
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.naming import Naming, corpus_title
from affetto.reporting.results.records import Configuration, Evaluation, read_lines
from affetto.reporting.stats import estimation
from affetto.reporting.stats.systems import Predictions, System
from affetto.training.runs import CROSSED, PREDICTIONS


@dataclass(frozen=True)
class Place:
    """One cell: the tests of a configuration's seeds on one corpus."""

    tests: tuple[Mapping[str, Any], ...]
    estimate: estimation.Estimate | None
    """Over all of its seeds; None where their predictions do not lie beside them."""
    within: bool = False
    """On its own corpus' test speakers."""


def matrix(evidence: Evidence, *, unshared: bool = False) -> Sheet | None:
    """Train-on × test-on, a row a configuration and training corpus; None where nothing was tested across."""
    inside = _inside(evidence, unshared)
    if not any(inside.values()):
        return None
    ones = [one for one in evidence.configurations if inside.get(id(one))]
    corpora = list(
        dict.fromkeys([one.axes.corpus for one in ones] + [corpus for one in ones for corpus in inside[id(one)]])
    )
    naming = Naming(ones, hide=("corpus",))
    rows, origins, estimates = [], [], []
    for one in sorted(ones, key=lambda each: naming.label(each)):
        places = {one.axes.corpus: Place(tuple(run.test for run in one.done), evidence.estimate(one), True)}
        origins.append(one.synthetic)
        for corpus, found in inside[id(one)].items():
            places[corpus] = Place(tuple(each.test for each in found.values()), _estimate(evidence, found, corpus))
            origins.append(any(each.synthetic for each in found.values()))
        estimates += [place.estimate for place in places.values() if place.estimate]
        cells = [_cell(places.get(corpus)) for corpus in corpora]
        rows.append((text_cell(corpus_title(one.axes.corpus)), *naming.cells(one), *cells))
    heads = (Column("trained on", False), *naming.columns(), *(Column(corpus_title(corpus)) for corpus in corpora))
    without = " without the sentences that both corpora have" if unshared else ""
    caption = (
        f"Macro F1 ×100 of a model trained on the corpus of the row, tested on that of the column{without}; mean ± "
        f"standard deviation (ddof 1) over seeds; below: {interval_words(estimates)}, and clips. "
        "In brackets: on its own corpus, the test speakers of its split. Clips that were trained on are left out."
    )
    name, title = (
        ("across-unshared", "Across corpora, shared sentences left out") if unshared else ("across", "Across corpora")
    )
    said = stamp(synthetic=all(origins), partly=any(origins))
    return Sheet(name, title, heads, tuple(rows), caption, footnotes(estimates), said)


def lone(evidence: Evidence) -> Sheet | None:
    """Evaluations that lie outside any run's folder (`affetto evaluate --out`); None where there are none."""
    known = _paths(evidence)
    found = [each for each in evidence.results.evaluations if not _home(each, known)]
    if not found:
        return None
    estimates = [_estimate(evidence, {0: each}, each.corpus) for each in found]
    rows = [
        (
            text_cell(corpus_title(each.trained_on)),
            text_cell(corpus_title(each.corpus)),
            _cell(Place((each.test,), estimate)),
            text_cell(each.path.name),
        )
        for each, estimate in zip(found, estimates, strict=True)
    ]
    drawn = [estimate for estimate in estimates if estimate]
    heads = (Column("trained on", False), Column("tested on", False), Column("macro F1"), Column("folder", False))
    origins = [each.synthetic for each in found]
    caption = f"Macro F1 ×100; below: {interval_words(drawn)}, and clips."
    said = stamp(synthetic=all(origins), partly=any(origins))
    return Sheet("evaluations", "Single evaluations", heads, tuple(rows), caption, footnotes(drawn), said)


def _inside(evidence: Evidence, unshared: bool) -> dict[int, dict[str, dict[int, Evaluation]]]:
    """{configuration: {corpus: {seed: its evaluation}}} of those that lie in the runs' folders.

    One of each run: that which `affetto grid cross` has made, where there are others beside.
    """
    known = _paths(evidence)
    chosen: dict[tuple[Path, str], Evaluation] = {}
    for each in sorted(evidence.results.evaluations, key=lambda one: one.path.parent.name != CROSSED):
        run = _run_of(each, known)
        if run is not None and each.unshared == unshared:
            chosen.setdefault((run, each.corpus), each)
    found: dict[int, dict[str, dict[int, Evaluation]]] = {}
    for (path, corpus), each in chosen.items():
        one = known[str(path)]
        seed = next(run.axes.seed for run in one.done if run.path == path)
        found.setdefault(id(one), {}).setdefault(corpus, {})[seed] = each
    return found


def _estimate(evidence: Evidence, tests: Mapping[int, Evaluation], corpus: str) -> estimation.Estimate | None:
    """The score over all seeds with its interval; None, and a note, where predictions are missing or not of one set."""
    try:
        runs = {}
        for seed, each in tests.items():
            file = each.path / PREDICTIONS["test"]
            rows = read_lines(file)
            if not rows:
                raise UserError(f"{file}: no predictions; the test has no interval")
            # The models of several folds each answered to all clips.
            rows = [{**row, "file": f"{row['file']} {row['fold']}"} if "fold" in row else row for row in rows]
            runs[seed] = Predictions.from_rows(rows, source=str(file))
        return estimation.estimate([System("model", corpus, runs)])
    except UserError as problem:
        evidence.notes.append(str(problem))
        return None


def _run_of(each: Evaluation, known: Mapping[str, Configuration]) -> Path | None:
    """The folder of the run in which it lies."""
    return next((path for path in each.path.parents if str(path) in known), None)


def _paths(evidence: Evidence) -> dict[str, Configuration]:
    ones = [one for one in evidence.configurations if one in evidence.results.configurations]
    return {str(run.path): one for one in ones for run in one.done}


def _home(each: Evaluation, known: Mapping[str, Configuration]) -> Configuration | None:
    """The configuration in whose run's folder it lies."""
    run = _run_of(each, known)
    return None if run is None else known[str(run)]


def _cell(place: Place | None) -> Cell:
    if place is None:
        return Cell(MISSING)
    spread = estimation.over_seeds({number: test["macro_f1"] for number, test in enumerate(place.tests)})
    shown = percent_text(spread.mean)
    if spread.deviation is not None:
        shown += f" ± {percent_text(spread.deviation)}"
    clips, estimate = place.tests[0]["n"], place.estimate
    values: dict[str, Value] = {
        "mean": 100 * spread.mean,
        "sd": None if spread.deviation is None else 100 * spread.deviation,
        "low": None if estimate is None else 100 * estimate.low,
        "high": None if estimate is None else 100 * estimate.high,
        "clips": clips,
        "seeds": len(place.tests),
    }
    under = f"{'no interval' if estimate is None else span(estimate)}\n{clips:,} clips"
    return Cell(f"({shown})" if place.within else shown, 100 * spread.mean, under, tuple(values.items()))
