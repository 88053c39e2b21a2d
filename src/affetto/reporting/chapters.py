"""The chapters of a report, each a few sentences, its tables and its figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
from affetto.reporting.papers.dasaro2024 import claim_sheets, numbers, sheets
from affetto.reporting.papers.dasaro2024.claims import Judgement
from affetto.reporting.pictures import Picture
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.sheet import Sheet

MOST_ROWS = 24
"""A longer table stands behind a line that opens it, where figures say the same."""


@dataclass(frozen=True)
class Chapter:
    """`folded` items stand behind a line that opens them."""

    name: str
    title: str
    intro: str
    items: tuple[Sheet | Picture, ...]
    folded: tuple[Sheet | Picture, ...] = ()

    @property
    def sheets(self) -> list[Sheet]:
        return [item for item in (*self.items, *self.folded) if isinstance(item, Sheet)]

    @property
    def pictures(self) -> list[Picture]:
        return [item for item in (*self.items, *self.folded) if isinstance(item, Picture)]


def chapters(evidence: Evidence) -> list[Chapter]:
    """All that the results have something for, in the order of the page."""
    made = [make(evidence) for make in CHAPTERS] if evidence.configurations else [_across(evidence)]
    found = [chapter for chapter in made if chapter is not None and (chapter.items or chapter.folded)]
    if any(protocol.is_paper_s for protocol in sheets.protocols(evidence)):
        # Of the paper's own grid its tables say in a page what a row a configuration says in many.
        found.sort(key=lambda chapter: chapter.name not in ("paper", "claims"))
    return found


def _results(evidence: Evidence) -> Chapter:
    table, drawn = run_sheets.methods(evidence), tuple(pictures.methods(evidence))
    long = len(table.rows) > MOST_ROWS
    return Chapter(
        "results", "Results",
        "Every configuration on speakers whom it never heard, beside the probe: a method that does not beat logistic "
        "regression on the frozen states has learned nothing that matters.",
        drawn if long else (table, *drawn), (table,) if long else (),
    )  # fmt: skip


def _paper(evidence: Evidence) -> Chapter | None:
    found = sheets.protocols(evidence)
    items: list[Sheet | Picture] = []
    for protocol in found:
        items += [sheets.table_3(protocol), sheets.figure_4(protocol), pictures.figure_4(protocol)]
    tables = (sheets.table_1(evidence), sheets.table_2(evidence))
    intro = (
        f"Each cell beside what the paper prints ({numbers.CITATION}), with the difference and whether the paper's "
        "value lies within the interval. Of its Figure 4 the text gives three values; nothing is read off the image."
        if found
        else "What was loaded and read here, beside what the paper prints of it where it has the same "
        f"({numbers.CITATION}). None of its own backbones was run under its methods, so its scores have no place here."
    )
    return Chapter("paper", "Beside the paper", intro, (*items, *tables) if found else tables)


def _claims(evidence: Evidence) -> Chapter | None:
    found = sheets.protocols(evidence)
    items: list[Sheet | Picture] = []
    folded: list[Sheet | Picture] = []
    judged: list[Judgement] = []
    for protocol in found:
        made = claim_sheets.judge(protocol)
        judged += made
        items.append(claim_sheets.overview(protocol, made))
        folded.append(claim_sheets.statements(protocol, made))
    verdicts = Counter(each.verdict for each in judged)
    told = ", ".join(f"{verdicts[verdict]} {verdict}" for verdict in claim_sheets.ORDER if verdicts[verdict])
    intro = f"What the paper says of its results, each sentence tested on what was run here. Of {len(judged)}: {told}."
    return Chapter("claims", "The paper's claims", intro, tuple(items), tuple(folded)) if found else None


def _comparisons(evidence: Evidence) -> Chapter | None:
    made = contrasts.contrasts(evidence, [kind for kind in contrasts.KINDS if kind != "settings"])
    if not made:
        return None
    long = len(made) > MOST_ROWS
    return Chapter(
        "comparisons", "What can be told apart",
        "Two configurations that differ in one thing, on the same clips. Speakers are what is resampled and exchanged, "
        "since the clips of one speaker err together; the number of speakers limits how small p can get. "
        f"{_told_apart(made)}",
        () if long else (contrasts.sheet(made),),
        (*((contrasts.sheet(made),) if long else ()), *contrasts.differences(made)),
    )  # fmt: skip


def _told_apart(made: Sequence[contrasts.Contrast]) -> str:
    """In one sentence what came of all comparisons."""
    tested = [one for one in made if one.comparison.models_differ is not None]
    if not tested:
        return f"Of {len(made)} comparisons none could be tested: there are too few speakers."
    found = sum(bool(one.comparison.models_differ) for one in tested)
    return f"Of {len(made)} comparisons {len(tested)} could be tested, and {found} are told apart after correction."


def _ablations(evidence: Evidence) -> Chapter | None:
    made = contrasts.contrasts(evidence, ["settings"])
    sizes = ablation_sheets.sizes(evidence)
    items: list[Sheet | Picture] = [ablation_sheets.effects(evidence, made)] if made else []
    items += [*pictures.layers(evidence), sizes] if sizes else []
    intro = "One setting changed at a time: what may be due to the implementation rather than to the method."
    return Chapter("ablations", "Ablations", intro, tuple(items)) if items else None


def _across(evidence: Evidence) -> Chapter | None:
    found = (cross_sheets.matrix(evidence), cross_sheets.matrix(evidence, unshared=True), cross_sheets.lone(evidence))
    items = tuple(sheet for sheet in found if sheet is not None)
    intro = "Trained on one corpus, tested on another: other voices, other sentences, another room."
    return Chapter("across", "Across corpora", intro, items) if items else None


def _specialised(evidence: Evidence) -> Chapter | None:
    found = (specialised.backbones(evidence), specialised.differences(evidence), specialised.moved(evidence))
    return Chapter(
        "specialised", "From A to B",
        "Backbones that were trained further on a language before they were adapted to emotion (scenario B), each "
        "beside the parent that it comes from, known by its weights, where that was run under the same conditions.",
        tuple(item for item in found if item),
    )  # fmt: skip


def _people(evidence: Evidence) -> Chapter:
    found = (group_sheets.genders(evidence), group_sheets.human_raters(evidence))
    return Chapter(
        "people", "By speaker, gender, and beside people",
        "A mean hides with whom a system fails.",
        (*pictures.speakers(evidence), *run_sheets.per_speaker(evidence), *(sheet for sheet in found if sheet)),
    )  # fmt: skip


def _emotions(evidence: Evidence) -> Chapter:
    drawn = pictures.confusions(evidence)
    return Chapter(
        "emotions", "By emotion", "What is taken for what.",
        (*drawn[:1], run_sheets.per_class(evidence)), tuple(drawn[1:]),
    )  # fmt: skip


def _calibration(evidence: Evidence) -> Chapter:
    return Chapter(
        "calibration", "Can the probabilities be trusted?",
        "A probability of 70 % should be right in 70 of 100 cases.",
        (*pictures.reliability(evidence), group_sheets.calibrations(evidence)),
    )  # fmt: skip


def _training(evidence: Evidence) -> Chapter:
    drawn = learning.pictures(evidence)
    return Chapter("training", "Training", "Loss and validation score over the epochs.", drawn[:1], drawn[1:])


def _cost(evidence: Evidence) -> Chapter:
    return Chapter(
        "cost", "What it costs", "Parameters that are trained, time and memory, against the score.",
        (*pictures.cost(evidence), run_sheets.cost(evidence)),
    )  # fmt: skip


def _splits(evidence: Evidence) -> Chapter:
    return Chapter(
        "splits", "What was tested on", "Whole speakers are in one part only; that was proved before training.",
        (split_sheets.splits(evidence),),
    )  # fmt: skip


def _runs(evidence: Evidence) -> Chapter:
    return Chapter("runs", "All runs", "One line a run, done or not.", (), (run_sheets.all_runs(evidence.results),))


CHAPTERS: Sequence[Callable[[Evidence], Chapter | None]] = (
    _results, _paper, _claims, _comparisons, _specialised, _people, _emotions, _ablations, _across,
    _calibration, _training, _cost, _splits, _runs,
)  # fmt: skip
