"""Tables of parts and of trust: women and men, human raters beside the model, and whether probabilities mean it."""

from __future__ import annotations

import math

from affetto.reporting import calibration
from affetto.reporting.intervals import footnotes, interval_words, span
from affetto.reporting.render.sheet import Cell, Column, Sheet, columns, count_cell, difference_cell, percent_cell
from affetto.reporting.render.stamps import stamp_of
from affetto.reporting.render.text import DASH, percent_text, signed_text
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.naming import Naming
from affetto.reporting.run_sheets import shared
from affetto.reporting.stats import groups, raters


def genders(evidence: Evidence) -> Sheet | None:
    """UAR with women and with men, and the gap; None where no corpus tells genders."""
    ones = [one for one in evidence.configurations if (system := evidence.system(one)) and system.genders]
    if not ones:
        return None
    naming = Naming(ones)
    rows, estimates = [], []
    for one in ones:
        system = evidence.system(one)
        assert system is not None
        found = {each.gender: each for each in groups.by_gender(system, ("uar",))}
        estimates += [each.estimates["uar"] for each in found.values()]
        gap = groups.gender_gap(system)
        rows.append(
            (*naming.cells(one), *(_gender(found.get(name)) for name in (groups.FEMALE, groups.MALE)), _gap(gap))
        )
    caption = (
        f"{shared(naming)}UAR of the test clips by women and by men, ×100, mean over seeds, with "
        f"{interval_words(estimates)}. Gap: women minus men, with its interval (Welch's t over the speakers of each, "
        "and seeds): one that spans 0 is no finding."
    )
    heads = (*naming.columns(), *columns("women", "men", "gap"))
    return Sheet("genders", "Women and men", heads, tuple(rows), caption, footnotes(estimates), stamp_of(ones))


def human_raters(evidence: Evidence) -> Sheet | None:
    """The raters' recall beside each system's, on the clips that were tested; None where nobody was asked."""
    found = {}
    for number, one in enumerate(evidence.configurations):
        system = evidence.system(one)
        heard = raters.human_scores(system) if system else None
        if heard is not None:
            found[number] = heard
    if not found:
        return None
    ones = [evidence.configurations[number] for number in found]
    naming = Naming(ones)
    labels = list(dict.fromkeys(label for each in found.values() for label in each.recall))
    rows = []
    for one, each in zip(ones, found.values(), strict=True):
        between = each.versus.interval
        span = "" if between is None else f"{signed_text(100 * between[0])} to {signed_text(100 * between[1])}"
        gap = Cell(difference_cell(each.system_uar - each.uar).shown, 100 * (each.system_uar - each.uar), span)
        recalls = [_versus(each.system_recall.get(label), each.recall.get(label)) for label in labels]
        rows.append((*naming.cells(one), _versus(each.system_uar, each.uar), gap, *recalls, count_cell(each.clips)))
    caption = (
        f"{shared(naming)}Recall of each emotion by the system, and below by human raters of the very same clips, "
        "×100. A clip counts once, and is as right as the share of its raters who named what was intended: a system "
        "that equals them is as good as one rater drawn by lot, not as their majority. Under the difference: 95 % "
        "interval over speakers."
    )
    heads = (*naming.columns(), *map(Column, ("UAR", "minus raters", *labels, "clips")))
    return Sheet("raters", "Human raters", heads, tuple(rows), caption, (), stamp_of(ones))


def calibrations(evidence: Evidence) -> Sheet:
    """How far probabilities can be trusted."""
    ones = evidence.configurations
    naming = Naming(ones)
    rows = []
    classes = set()
    for one in ones:
        system = evidence.system(one)
        assert system is not None
        classes.add(len(system.labels))
        found = calibration.calibration(system)
        rows.append(
            (
                *naming.cells(one),
                percent_cell(found.ece),
                percent_cell(found.confidence),
                percent_cell(found.accuracy),
                difference_cell(found.over_confident),
                Cell(f"{found.log_loss:.2f}", found.log_loss),
                Cell(f"{found.brier:.2f}", found.brier),
            )
        )
    heads = (*naming.columns(), *columns("ECE", "confidence", "accuracy", "too sure by", "log loss", "Brier"))
    caption = (
        f"{shared(naming)}ECE: expected calibration error over {calibration.BINS} bins, ×100, 0 is calibrated. Too "
        "sure by: mean confidence minus accuracy. Log loss in nats and Brier's score judge all labels; "
        + "; ".join(f"a guesser among {n} has {math.log(n):.2f} and {1 - 1 / n:.2f}" for n in sorted(classes))
        + ". No probability was recalibrated."
    )
    return Sheet("calibration", "Calibration", heads, tuple(rows), caption, (), stamp_of(ones))


def _gender(each: groups.GenderScore | None) -> Cell:
    if each is None:
        return Cell(DASH)
    found = each.estimates["uar"]
    values = (
        ("UAR", 100 * found.value),
        ("low", 100 * found.low),
        ("high", 100 * found.high),
        ("speakers", each.speakers),
        ("clips", each.clips),
    )
    people = f"{each.speakers} speaker{'s' if each.speakers > 1 else ''}"
    return Cell(percent_text(found.value), 100 * found.value, f"{span(found)}, {people}", values)


def _gap(gap: groups.Gap | None) -> Cell:
    if gap is None:
        return Cell(DASH)
    low, high = (None, None) if gap.interval is None else (100 * gap.interval[0], 100 * gap.interval[1])
    under = "" if low is None or high is None else f"{signed_text(low)} to {signed_text(high)}"
    values = (("", 100 * gap.difference), ("low", low), ("high", high), ("by", gap.interval_by))
    return Cell(difference_cell(gap.difference).shown, 100 * gap.difference, under, values)


def _versus(system: float | None, people: float | None) -> Cell:
    if system is None or people is None:
        return Cell(DASH)
    values = (("system", 100 * system), ("raters", 100 * people))
    return Cell(percent_text(system), 100 * system, f"raters {percent_text(people)}", values)
