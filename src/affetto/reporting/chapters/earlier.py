"""The chapters of a report, each a few sentences, its tables and its figures."""

from __future__ import annotations

from collections.abc import Sequence

from affetto.reporting import (
    ablation_sheets,
    contrasts,
    cross_sheets,
    group_sheets,
    learning,
    pictures,
    run_sheets,
    specialised,
    split_sheets,
)
from affetto.reporting.chapters.chapter import Chapter
from affetto.reporting.render.picture import Picture
from affetto.reporting.render.section import Section
from affetto.reporting.render.sheet import Sheet
from affetto.reporting.results.analysis import Evidence

MOST_ROWS = 24
"""A longer table stands behind a line that opens it, where figures say the same."""


def _results(evidence: Evidence) -> Section:
    table, drawn = run_sheets.methods(evidence), tuple(pictures.methods(evidence))
    long = len(table.rows) > MOST_ROWS
    return Section(
        words=(
            "Every configuration on speakers whom it never heard, beside the probe: a method that does not beat "
            "logistic regression on the frozen states has learned nothing that matters."
        ),
        items=drawn if long else (table, *drawn),
        folded=(table,) if long else (),
        headline=table,
    )


def _comparisons(evidence: Evidence) -> Section | None:
    made = contrasts.contrasts(evidence, [kind for kind in contrasts.KINDS if kind != "settings"])
    if not made:
        return None
    long = len(made) > MOST_ROWS
    return Section(
        words=(
            "Two configurations that differ in one thing, on the same clips. Speakers are what is resampled and "
            "exchanged, since the clips of one speaker err together; the number of speakers limits how small p can "
            f"get. {_told_apart(made)}"
        ),
        items=() if long else (contrasts.sheet(made),),
        folded=(*((contrasts.sheet(made),) if long else ()), *contrasts.differences(made)),
    )


def _told_apart(made: Sequence[contrasts.Contrast]) -> str:
    """In one sentence what came of all comparisons."""
    tested = [one for one in made if one.comparison.models_differ is not None]
    if not tested:
        return f"Of {len(made)} comparisons none could be tested: there are too few speakers."
    found = sum(bool(one.comparison.models_differ) for one in tested)
    return f"Of {len(made)} comparisons {len(tested)} could be tested, and {found} are told apart after correction."


def _ablations(evidence: Evidence) -> Section | None:
    made = contrasts.contrasts(evidence, ["settings"])
    sizes = ablation_sheets.sizes(evidence)
    items: list[Sheet | Picture] = [ablation_sheets.effects(evidence, made)] if made else []
    items += [*pictures.layers(evidence), sizes] if sizes else []
    intro = "One setting changed at a time: what may be due to the implementation rather than to the method."
    return Section(words=intro, items=tuple(items)) if items else None


def _across(evidence: Evidence) -> Section | None:
    found = (cross_sheets.matrix(evidence), cross_sheets.matrix(evidence, unshared=True), cross_sheets.lone(evidence))
    items = tuple(sheet for sheet in found if sheet is not None)
    intro = "Trained on one corpus, tested on another: other voices, other sentences, another room."
    return Section(words=intro, items=items) if items else None


def _specialised(evidence: Evidence) -> Section | None:
    found = (specialised.backbones(evidence), specialised.differences(evidence), specialised.moved(evidence))
    return Section(
        words=(
            "Backbones that were trained further on a language before they were adapted to emotion (scenario B), each "
            "beside the parent that it comes from, known by its weights, where that was run under the same conditions."
        ),
        items=tuple(item for item in found if item),
    )


def _people(evidence: Evidence) -> Section:
    found = (group_sheets.genders(evidence), group_sheets.human_raters(evidence))
    return Section(
        words="A mean hides with whom a system fails.",
        items=(*pictures.speakers(evidence), *run_sheets.per_speaker(evidence), *(sheet for sheet in found if sheet)),
    )


def _emotions(evidence: Evidence) -> Section:
    drawn = pictures.confusions(evidence)
    return Section(
        words="What is taken for what.",
        items=(*drawn[:1], run_sheets.per_class(evidence)),
        folded=tuple(drawn[1:]),
    )


def _calibration(evidence: Evidence) -> Section:
    return Section(
        words="A probability of 70 % should be right in 70 of 100 cases.",
        items=(*pictures.reliability(evidence), group_sheets.calibrations(evidence)),
    )


def _training(evidence: Evidence) -> Section:
    drawn = learning.pictures(evidence)
    return Section(words="Loss and validation score over the epochs.", items=drawn[:1], folded=drawn[1:])


def _cost(evidence: Evidence) -> Section:
    return Section(
        words="Parameters that are trained, time and memory, against the score.",
        items=(*pictures.cost(evidence), run_sheets.cost(evidence)),
    )


def _splits(evidence: Evidence) -> Section:
    return Section(
        words="Whole speakers are in one part only; that was proved before training.",
        items=(split_sheets.splits(evidence),),
    )


def _runs(evidence: Evidence) -> Section:
    return Section(words="One line a run, done or not.", items=(), folded=(run_sheets.all_runs(evidence.results),))


RESULTS = Chapter(name="results", title="Results", order=100, build=_results)
COMPARISONS = Chapter(name="comparisons", title="What can be told apart", order=200, build=_comparisons)
SPECIALISED = Chapter(name="specialised", title="From A to B", order=210, build=_specialised)
PEOPLE = Chapter(name="people", title="By speaker, gender, and beside people", order=300, build=_people)
EMOTIONS = Chapter(name="emotions", title="By emotion", order=310, build=_emotions)
ABLATIONS = Chapter(name="ablations", title="Ablations", order=400, build=_ablations)
ACROSS = Chapter(name="across", title="Across corpora", order=410, build=_across, needs_results=False)
CALIBRATION = Chapter(name="calibration", title="Can the probabilities be trusted?", order=500, build=_calibration)
TRAINING = Chapter(name="training", title="Training", order=510, build=_training)
COST = Chapter(name="cost", title="What it costs", order=600, build=_cost)
SPLITS = Chapter(name="splits", title="What was tested on", order=700, build=_splits)
RUNS = Chapter(name="runs", title="All runs", order=800, build=_runs)
