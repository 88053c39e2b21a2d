"""Tables of women and men, and of human raters beside the systems."""

from __future__ import annotations

from affetto.reporting.chapters.selection import opening
from affetto.reporting.render.sheet import Cell, Column, Sheet, Slim, columns, count_cell
from affetto.reporting.render.stamps import stamp_of
from affetto.reporting.render.text import DASH, percent_text, signed_range, signed_text
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.marks import footnotes, interval_words, span
from affetto.reporting.results.naming import Naming
from affetto.reporting.stats import groups, raters


def gender_table(evidence: Evidence) -> Sheet | None:
    """UAR with women and with men, and the gap; None where no corpus tells genders."""
    systems = [
        (config, system) for config in evidence.configurations if (system := evidence.system(config)) and system.genders
    ]
    if not systems:
        return None
    configs = [config for config, _ in systems]
    naming = Naming(configs)
    rows, estimates = [], []
    for config, system in systems:
        scores = {score.gender: score for score in groups.by_gender(system, ("uar",))}
        estimates += [score.estimates["uar"] for score in scores.values()]
        rows.append(
            (
                *naming.cells(config),
                _gender_cell(scores.get(groups.FEMALE)),
                _gender_cell(scores.get(groups.MALE)),
                _gap_cell(groups.gender_gap(system)),
            )
        )
    return Sheet(
        name="genders",
        title="Women and men",
        columns=(*naming.columns(), *columns("women", "men", "gap")),
        rows=tuple(rows),
        caption=(
            f"{opening(naming)}UAR of the test clips by women and by men, ×100, mean over seeds, with "
            f"{interval_words(estimates)}. Gap: women minus men, with its interval (Welch's t over the speakers of "
            "each, and seeds): one that spans 0 is no finding."
        ),
        notes=footnotes(estimates),
        stamp=stamp_of(configs),
        slim=Slim(caption=f"{opening(naming)}UAR ×100, mean over seeds, of the clips by women and by men."),
    )


def rater_table(evidence: Evidence) -> Sheet | None:
    """Recall of the raters beside each system's, on the tested clips; None where nobody rated them."""
    rated = [
        (config, humans)
        for config in evidence.configurations
        if (system := evidence.system(config)) and (humans := raters.human_scores(system)) is not None
    ]
    if not rated:
        return None
    configs = [config for config, _ in rated]
    naming = Naming(configs)
    labels = list(dict.fromkeys(label for _, humans in rated for label in humans.recall))
    return Sheet(
        name="raters",
        title="Human raters",
        columns=(*naming.columns(), *map(Column, ("UAR", "minus raters", *labels, "clips"))),
        rows=tuple(
            (
                *naming.cells(config),
                _versus_cell(humans.system_uar, humans.uar),
                _rater_gap_cell(humans),
                *(_versus_cell(humans.system_recall.get(label), humans.recall.get(label)) for label in labels),
                count_cell(humans.clips),
            )
            for config, humans in rated
        ),
        caption=(
            f"{opening(naming)}Recall of each emotion by the system, and below by human raters of the very same clips, "
            "×100. Each clip counts once; the raters' score on it is the share of them who named the intended "
            "emotion. A system that equals them is as good as one rater drawn at random, not as their majority. Under "
            "the difference: 95 % interval over speakers."
        ),
        stamp=stamp_of(configs),
    )


def _gender_cell(score: groups.GenderScore | None) -> Cell:
    if score is None:
        return Cell(DASH)
    estimate = score.estimates["uar"]
    return Cell(
        text=percent_text(estimate.value),
        key=100 * estimate.value,
        under=f"{span(estimate)}, {score.speakers} speaker{'s' if score.speakers > 1 else ''}",
        values=(
            ("UAR", 100 * estimate.value),
            ("low", 100 * estimate.low),
            ("high", 100 * estimate.high),
            ("speakers", score.speakers),
            ("clips", score.clips),
        ),
    )


def _gap_cell(gap: groups.Gap | None) -> Cell:
    if gap is None:
        return Cell(DASH)
    low, high = (None, None) if gap.interval is None else (100 * end for end in gap.interval)
    return Cell(
        text=signed_text(100 * gap.difference),
        key=100 * gap.difference,
        under=signed_range(gap.interval),
        values=(("", 100 * gap.difference), ("low", low), ("high", high), ("by", gap.interval_by)),
    )


def _rater_gap_cell(humans: raters.HumanScores) -> Cell:
    """UAR of the system minus that of the raters, with its interval below."""
    difference = 100 * (humans.system_uar - humans.uar)
    return Cell(
        text=signed_text(difference),
        key=difference,
        under=signed_range(humans.versus.interval),
    )


def _versus_cell(system: float | None, people: float | None) -> Cell:
    if system is None or people is None:
        return Cell(DASH)
    return Cell(
        text=percent_text(system),
        key=100 * system,
        under=f"raters {percent_text(people)}",
        values=(("system", 100 * system), ("raters", 100 * people)),
    )
