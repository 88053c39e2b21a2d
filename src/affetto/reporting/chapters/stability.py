"""Stability of the scores: folds, validation beside test, and the sources of their spread."""

from __future__ import annotations

from statistics import fmean, stdev

from affetto.reporting.chapters.chapter import Chapter
from affetto.reporting.chapters.selection import opening
from affetto.reporting.render.section import Section
from affetto.reporting.render.sheet import Cell, Sheet, Slim, columns, difference_cell, percent_cell
from affetto.reporting.render.stamps import stamp_of
from affetto.reporting.render.text import DASH
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.naming import Naming
from affetto.reporting.results.records import Configuration
from affetto.reporting.stats.sources import Sources, sources


def build(evidence: Evidence) -> Section | None:
    tables = [table for table in (fold_table(evidence), source_table(evidence)) if table]
    if not tables:
        return None
    return Section(
        words=(
            "How far a score depends on the fold, on the speakers by whom epochs were chosen, and on who spoke which "
            "sentence in the test."
        ),
        folded=tuple(tables),
    )


def fold_table(evidence: Evidence) -> Sheet | None:
    """A row a trained configuration: test score of all clips, mean and deviation over folds, validation score."""
    configs = [config for config in evidence.configurations if not config.done[0].is_beside]
    if not configs:
        return None
    naming = Naming(configs)
    return Sheet(
        name="folds",
        title="Folds and validation",
        columns=(*naming.columns(), *columns("test", "mean of folds", "folds", "validation", "validation − test")),
        rows=tuple((*naming.cells(config), *_fold_cells(evidence, config)) for config in configs),
        caption=(
            f"{opening(naming)}Macro F1 ×100, mean over seeds. Test: of the clips of all folds together, as in all "
            "other tables. Mean of folds: of the scores of each fold, ± their standard deviation (ddof 1, mean over "
            "seeds); a fold of one speaker often lacks classes and scores lower. Validation: of the speakers by whom "
            "epochs and settings were chosen, which flatters."
        ),
        stamp=stamp_of(configs),
        slim=Slim(
            caption=(
                f"{opening(naming)}Macro F1 ×100, mean over seeds: of the clips of all folds together, mean ± standard "
                "deviation (ddof 1) over folds, and of the validation speakers."
            )
        ),
    )


def source_table(evidence: Evidence) -> Sheet | None:
    """A row a trained configuration: standard error of macro F1 by source. None where only one source is known."""
    configs = [config for config in evidence.configurations if not config.done[0].is_beside]
    spreads = []
    for config in configs:
        system = evidence.system(config)
        assert system is not None
        spreads.append((config, sources(system)))
    spreads = [(config, spread) for config, spread in spreads if len(spread.shares()) > 1]
    if not spreads:
        return None
    naming = Naming([config for config, _ in spreads])
    return Sheet(
        name="spread",
        title="What a score depends on",
        columns=(*naming.columns(), *columns("speakers", "sentences", "seeds", "largest", texts=("largest",))),
        rows=tuple((*naming.cells(config), *_source_cells(spread)) for config, spread in spreads),
        caption=(
            f"{opening(naming)}Standard error of macro F1 ×100, mean over seeds, if speakers, sentences or seeds were "
            "drawn anew and all else stayed: by leaving out each speaker or sentence in turn, and by the deviation "
            "over seeds. Below: share of the sum of the variances shown. More of the largest source would help most. "
            f"{DASH}: too few, or unknown."
        ),
        stamp=stamp_of([config for config, _ in spreads]),
    )


def _fold_cells(evidence: Evidence, config: Configuration) -> tuple[Cell, ...]:
    metrics = [run.metrics for run in config.done if run.metrics]
    test = evidence.spread(config).mean
    folds = [
        [float(fold["test"]["macro_f1"]) for fold in record.get("folds", ()) if "test" in fold] for record in metrics
    ]
    validation = [record["validation"]["macro_f1"] for record in metrics if "macro_f1" in record.get("validation", {})]
    mean_validation = fmean(validation) if len(validation) == len(metrics) else None
    has_folds = all(len(scores) > 1 for scores in folds)
    mean, deviation = (fmean(map(fmean, folds)), fmean(map(stdev, folds))) if has_folds else (None, None)
    text = DASH if mean is None or deviation is None else f"{100 * mean:.1f} ± {100 * deviation:.1f}"
    ends = (("", None if mean is None else 100 * mean), ("sd", None if deviation is None else 100 * deviation))
    return (
        percent_cell(test),
        Cell(text, ends[0][1], values=ends),
        Cell(str(len(folds[0])), len(folds[0])) if has_folds else Cell(DASH),
        percent_cell(mean_validation),
        difference_cell(None if mean_validation is None else mean_validation - test),
    )


def _source_cells(spread: Sources) -> tuple[Cell, ...]:
    shares = spread.shares()
    cells = []
    for name, error in vars(spread).items():
        if error is None:
            cells.append(Cell(DASH))
            continue
        share = 100 * shares[name]
        values = (("", 100 * error), ("share (%)", share))
        cells.append(Cell(f"{100 * error:.1f}", 100 * error, under=f"{share:.0f} %", values=values))
    return (*cells, Cell(max(shares, key=lambda name: shares[name])))


STABILITY = Chapter(name="stability", title="How steady the scores are", order=320, build=build)
