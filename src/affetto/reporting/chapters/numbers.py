"""Dimensions such as arousal and valence: scores of each, truth beside prediction, and how sure the intervals are."""

from __future__ import annotations

from affetto.measures.registry import dimension_measures
from affetto.measures.regression import CCC
from affetto.reporting.chapters.chapter import Chapter
from affetto.reporting.chapters.coverage import coverage_pictures, coverage_table
from affetto.reporting.chapters.measures import (
    chance_cell,
    comparison_table,
    estimate_cell,
    evaluation_table,
    highest_words,
    over_probe_cell,
    pictures,
)
from affetto.reporting.chapters.plane import plane_pictures
from affetto.reporting.chapters.scatter import scatter_pictures
from affetto.reporting.chapters.selection import MOST_ROWS, opening
from affetto.reporting.render.section import Section
from affetto.reporting.render.sheet import MISSING, Cell, Sheet, Slim, columns, text_cell
from affetto.reporting.render.stamps import stamp_of
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.marks import footnotes, interval_words
from affetto.reporting.results.naming import Naming
from affetto.reporting.results.parts import NUMBERS, PartEvidence, part_of
from affetto.reporting.results.records import Configuration
from affetto.reporting.stats.judged import Judged
from affetto.targets.scored import MEAN_CCC

MEAN = "mean"
"""Row of the mean over dimensions."""


def build(evidence: Evidence) -> Section | None:
    of_numbers = part_of(evidence, NUMBERS)
    if not of_numbers.configurations:
        return None
    table = dimension_table(of_numbers)
    names = dict.fromkeys(name for config in of_numbers.configurations for name in of_numbers.target(config).dimensions)
    keys = (MEAN_CCC, *(f"{CCC.name}_{name}" for name in names))
    compared = comparison_table(of_numbers, "dimensions-comparisons", keys)
    tables = (compared, coverage_table(of_numbers), evaluation_table(of_numbers, "dimensions-across"))
    folded = [sheet for sheet in tables if sheet and len(sheet.rows) > MOST_ROWS]
    return Section(
        words=(
            "Dimensions are numbers on a scale, such as arousal and valence. The concordance correlation coefficient "
            "(CCC) is 1 where each prediction is its truth, and 0 for a guesser; unlike Pearson's r it falls where "
            "predictions are too high, too low or too timid. "
            f"{highest_words(of_numbers)}"
        ),
        items=(
            table,
            *pictures(of_numbers, "dimensions"),
            *plane_pictures(of_numbers),
            *scatter_pictures(of_numbers),
            *coverage_pictures(of_numbers),
            *(sheet for sheet in tables if sheet and sheet not in folded),
        ),
        folded=tuple(folded),
        headline=None if evidence.configurations else table,
    )


def dimension_table(evidence: PartEvidence) -> Sheet:
    """A row a configuration and dimension, after one of the mean CCC: every measure with its interval."""
    naming = Naming(evidence.configurations)
    rows: list[tuple[Cell, ...]] = []
    breaks: set[int] = set()
    for config in evidence.configurations:
        judged = {item.name: item for item in evidence.judged(config)}
        breaks |= {len(rows)} if rows else set()
        for name in (MEAN, *evidence.target(config).dimensions):
            rows.append((*naming.cells(config), *_cells(evidence, config, judged, name)))
    estimates = [evidence.estimate(config) for config in evidence.configurations]
    titles = [measure.title for measure in dimension_measures()]
    return Sheet(
        name="dimensions",
        title="Dimensions",
        columns=(
            *naming.columns(),
            *columns("dimension", "seeds", *titles, "over probe", "RMSE of a guesser", texts=("dimension",)),
        ),
        rows=tuple(rows),
        caption=(
            f"{opening(naming)}MAE and RMSE in units of the dimension. Mean ± standard deviation (ddof 1) over seeds; "
            f"below: {interval_words(estimates)}. Over probe: CCC minus the probe's, which is ridge regression on the "
            "frozen states. A guesser names the mean of the truth for every clip; its CCC is 0."
        ),
        slim=Slim(
            caption=(
                f"{opening(naming)}MAE and RMSE in units of the dimension. Mean ± standard deviation (ddof 1) over "
                "seeds. Over probe: CCC minus the probe's."
            ),
            without=("seeds", "RMSE of a guesser"),
        ),
        notes=footnotes(estimates),
        stamp=stamp_of(evidence.configurations),
        breaks=frozenset(breaks),
    )


def _cells(evidence: PartEvidence, config: Configuration, judged: dict[str, Judged], name: str) -> tuple[Cell, ...]:
    """Cells of one dimension, or of the mean over all."""
    seeds = Cell(str(len(config.done)), len(config.done))
    if name == MEAN:
        mean = judged[MEAN_CCC]
        empty = [Cell(MISSING)] * (len(dimension_measures()) - 1)
        score, gap = estimate_cell(evidence, config, mean), over_probe_cell(evidence, config, mean)
        return (text_cell(name), seeds, score, *empty, gap, Cell(MISSING))
    of_name = [judged[f"{measure.name}_{name}"] for measure in dimension_measures()]
    return (
        text_cell(name),
        seeds,
        *(estimate_cell(evidence, config, item) for item in of_name),
        over_probe_cell(evidence, config, judged[f"{CCC.name}_{name}"]),
        chance_cell(config, of_name[-1]),
    )


CHAPTER = Chapter(name="dimensions", title="Dimensions", order=430, build=build, needs_results=False)
