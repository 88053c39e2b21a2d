"""Across corpora: what a model that was trained on one corpus makes of another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from affetto.reporting.evidence import Evidence
from affetto.reporting.naming import Naming, corpus_title
from affetto.reporting.records import Configuration, Evaluation
from affetto.reporting.run_sheets import stamp
from affetto.reporting.sheet import MISSING, Cell, Column, Sheet, Value, words
from affetto.training.runs import CROSSED


@dataclass(frozen=True)
class Place:
    """One cell: the tests of a configuration's seeds on one corpus."""

    tests: tuple[Mapping[str, Any], ...]
    within: bool
    """On its own corpus' test speakers."""
    synthetic: bool


def matrix(evidence: Evidence, *, unshared: bool = False) -> Sheet | None:
    """Train-on × test-on, a row a configuration and training corpus; None where nothing was tested across."""
    inside = _inside(evidence, unshared)
    if not any(inside.values()):
        return None
    ones = [one for one in evidence.configurations if inside.get(id(one))]
    corpora = list(dict.fromkeys(
        [one.axes.corpus for one in ones] + [corpus for one in ones for corpus in inside[id(one)]]
    ))  # fmt: skip
    naming = Naming(ones, hide=("corpus",))
    rows, origins = [], []
    for one in sorted(ones, key=lambda each: naming.label(each)):
        places = {one.axes.corpus: Place(tuple(run.test for run in one.done), True, one.synthetic)}
        for corpus, found in inside[id(one)].items():
            places[corpus] = Place(tuple(each.test for each in found), False, any(each.synthetic for each in found))
        origins += [place.synthetic for place in places.values()]
        cells = [_cell(places.get(corpus)) for corpus in corpora]
        rows.append((words(corpus_title(one.axes.corpus)), *naming.cells(one), *cells))
    heads = (Column("trained on", False), *naming.columns(), *(Column(corpus_title(corpus)) for corpus in corpora))
    without = " without the sentences that both corpora have" if unshared else ""
    caption = (
        f"Macro F1 ×100 of a model trained on the corpus of the row, tested on that of the column{without}; mean ± "
        "standard deviation (ddof 1) over seeds; below: 95 % interval over speakers of the first seed, and clips. In "
        "brackets: on its own corpus, the test speakers of its split. Clips that were trained on are left out."
    )
    name, title = ("across-unshared", "Across corpora, shared sentences left out") if unshared else (
        "across", "Across corpora")  # fmt: skip
    said = stamp(synthetic=all(origins), partly=any(origins))
    return Sheet(name, title, heads, tuple(rows), caption, (), said)


def lone(evidence: Evidence) -> Sheet | None:
    """Evaluations that lie outside any run's folder (`affetto evaluate --out`); None where there are none."""
    known = _paths(evidence)
    found = [each for each in evidence.results.evaluations if not _home(each, known)]
    if not found:
        return None
    rows = [
        (words(corpus_title(each.trained_on)), words(corpus_title(each.corpus)),
         _cell(Place((each.test,), False, each.synthetic)), words(each.path.name))
        for each in found
    ]  # fmt: skip
    heads = (Column("trained on", False), Column("tested on", False), Column("macro F1"), Column("folder", False))
    origins = [each.synthetic for each in found]
    caption = "Macro F1 ×100; below: 95 % interval, and clips."
    return Sheet("evaluations", "Single evaluations", heads, tuple(rows), caption, (),
                 stamp(synthetic=all(origins), partly=any(origins)))  # fmt: skip


def _inside(evidence: Evidence, unshared: bool) -> dict[int, dict[str, list[Evaluation]]]:
    """{configuration: {corpus: its evaluations}} of those that lie in the runs' folders, one of each run: the one that
    `affetto grid cross` has made, where there are others beside."""
    known = _paths(evidence)
    chosen: dict[tuple[Path, str], Evaluation] = {}
    for each in sorted(evidence.results.evaluations, key=lambda one: one.path.parent.name != CROSSED):
        run = _run_of(each, known)
        if run is not None and each.unshared == unshared:
            chosen.setdefault((run, each.corpus), each)
    found: dict[int, dict[str, list[Evaluation]]] = {}
    for (run, corpus), each in chosen.items():
        found.setdefault(id(known[str(run)]), {}).setdefault(corpus, []).append(each)
    return found


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
    scores = [100 * test["macro_f1"] for test in place.tests]
    mean, sd = fmean(scores), stdev(scores) if len(scores) > 1 else None
    shown = f"{mean:.1f}" + (f" ± {sd:.1f}" if sd is not None else "")
    interval = place.tests[0]["interval"]
    low, high = (100 * end for end in interval["macro_f1"])
    clips = place.tests[0]["n"]
    values: dict[str, Value] = {"mean": mean, "sd": sd, "low": low, "high": high, "clips": clips, "seeds": len(scores)}
    under = f"{low:.1f}–{high:.1f}\n{clips:,} clips"
    return Cell(f"({shown})" if place.within else shown, mean, under, tuple(values.items()))
