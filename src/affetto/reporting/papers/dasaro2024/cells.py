"""Cells of the paper's tables: one of our results, its interval, the paper's value and their difference."""

from __future__ import annotations

from collections.abc import Sequence

from affetto.backbones.catalogue import BACKBONES
from affetto.reporting.papers.dasaro2024 import numbers
from affetto.reporting.papers.dasaro2024.protocols import SCENARIOS, Protocol
from affetto.reporting.render.sheet import MISSING, Cell, Column, Sheet, Slim, Value
from affetto.reporting.render.stamps import stamp_of
from affetto.reporting.render.text import signed_text
from affetto.reporting.results.marks import footnotes, span
from affetto.reporting.stats import estimation

EXPECTED = (
    "whether the paper's value is one that an equal study with its own speakers and seeds may give: inside our "
    "interval widened by √2, since the paper's value has such an error too (undecided: outside, where clips of too few "
    "speakers were drawn, which says nothing of other voices)"
)
"""Meaning of `inside`, `outside` and `undecided`, for captions."""
VERDICTS = {True: "inside", False: "outside", None: "undecided"}


def mean_cell(protocol: Protocol, key: str, method: str, measure: str = "macro_f1") -> Cell:
    """Cell of a backbone and method: the mean of a measure over the three corpora."""
    configs = protocol.done(key, method)
    published = numbers.published(key, method)
    if len(configs) < len(numbers.CORPORA):
        reason = f"{len(configs)} of {len(numbers.CORPORA)} corpora done" if configs else "not run"
        return _missing_cell(reason, published)
    systems = [system for config in configs if (system := protocol.evidence.system(config))]
    try:
        scores = {system.corpus: estimation.score_by_seed(system, measure) for system in systems}
        spread = estimation.over_corpora(scores)
    except ValueError:
        return _missing_cell("no seed that all corpora have", published)
    planned = max(len(config.runs) for config in configs)
    return _result_cell(spread, estimation.estimate(systems, measure), published, planned)


def corpus_cell(protocol: Protocol, key: str, corpus: str) -> Cell:
    """Cell of a frozen backbone on one corpus."""
    config = protocol.find(key, "frozen", corpus)
    published = numbers.published(key, "frozen", corpus)
    if config is None or not protocol.evidence.system(config):
        return _missing_cell("not run", published, absent=numbers.NOT_PUBLISHED)
    baseline = protocol.evidence.baseline(config)
    return _result_cell(
        protocol.evidence.spread(config),
        protocol.evidence.estimate(config),
        published,
        len(config.runs),
        absent=numbers.NOT_PUBLISHED,
        probe=None if baseline is None else protocol.evidence.spread(baseline).mean,
    )


def protocol_sheet(
    protocol: Protocol,
    *,
    name: str,
    title: str,
    columns: tuple[Column, ...],
    rows: Sequence[tuple[Cell, ...]],
    caption: str,
    slim: str,
    breaks: frozenset[int] | None = None,
) -> Sheet:
    """Table of one protocol; without `breaks` a row a backbone, with a rule between the scenarios.

    `slim` is the caption of its slim form.
    """
    notes = list(footnotes(protocol.estimates))
    if any(run.stand_in for config in protocol.configurations for run in config.runs):
        notes.append("A miniature: small random backbones and synthetic corpora. It shows that all of it works.")
    first_b = next(number for number, key in enumerate(SCENARIOS) if BACKBONES[key].scenario == "B")
    return Sheet(
        name=name + protocol.suffix,
        title=protocol.title(title),
        columns=columns,
        rows=tuple(rows),
        caption=caption.strip(),
        notes=tuple(notes),
        stamp=stamp_of(protocol.usable),
        breaks=frozenset({first_b}) if breaks is None else breaks,
        slim=Slim(caption=f"{slim} {protocol.words}".strip()),
    )


def _result_cell(
    spread: estimation.Spread,
    estimate: estimation.Estimate,
    published: numbers.Published | None,
    planned: int,
    *,
    absent: str = "",
    probe: float | None = None,
) -> Cell:
    """Cell of a score; `planned` counts its seeds, `absent` is said where the paper has no value."""
    mean, sd = 100 * spread.mean, None if spread.deviation is None else 100 * spread.deviation
    low, high = 100 * estimate.low, 100 * estimate.high
    values: dict[str, Value] = {"mean": mean, "sd": sd, "low": low, "high": high, "seeds": len(spread.seeds)}
    lines = [span(estimate)]
    if len(spread.seeds) < planned:
        lines[0] += f", {len(spread.seeds)} of {planned} seeds"
    if probe is not None:
        lines.append(f"probe {100 * probe:.1f}")
        values["probe"] = 100 * probe
    values |= {"paper": None, "paper sd": None, "difference": None, "paper inside": None}
    if published is not None:
        is_inside = estimate.expects(published.mean / 100)
        lines += [_published_text(published), f"{signed_text(mean - published.mean)}, {VERDICTS[is_inside]}"]
        values |= {
            "paper": published.mean,
            "paper sd": published.deviation,
            "difference": mean - published.mean,
            "paper inside": is_inside,
        }
    elif absent:
        lines.append(f"paper: {absent}")
    text = f"{mean:.1f}" + ("" if sd is None else f" ± {sd:.1f}")
    return Cell(text, mean, under="\n".join(lines), values=tuple(values.items()))


def _missing_cell(reason: str, published: numbers.Published | None, absent: str = "") -> Cell:
    values: tuple[tuple[str, Value], ...] = (("mean", None), ("paper", None))
    if published is None:
        return Cell(MISSING, under=reason + (f"\npaper: {absent}" if absent else ""), values=values)
    values = (("mean", None), ("paper", published.mean), ("paper sd", published.deviation))
    return Cell(MISSING, under=f"{reason}\n{_published_text(published)}", values=values)


def _published_text(published: numbers.Published) -> str:
    return f"paper {published.mean:.2f}" + ("" if published.deviation is None else f" ± {published.deviation:.2f}")
