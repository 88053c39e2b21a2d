"""The paper's tables and its Figure 4 as a table: each cell beside what the paper prints, and nothing guessed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

from affetto.models.catalogue import BACKBONES
from affetto.reporting.intervals import footnotes, interval_words, span
from affetto.reporting.papers.dasaro2024 import numbers
from affetto.reporting.papers.dasaro2024.protocols import BASELINE, SCENARIOS
from affetto.reporting.papers.dasaro2024.protocols import Protocol as Protocol
from affetto.reporting.papers.dasaro2024.protocols import protocols as protocols
from affetto.reporting.render.sheet import MISSING, Cell, Column, Sheet, Value, columns, count_cell, text_cell
from affetto.reporting.render.stamps import stamp, stamp_of
from affetto.reporting.render.text import DASH, signed_text
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.naming import backbone_title, corpus_title, method_title
from affetto.reporting.results.records import EDITION, Configuration, Run
from affetto.reporting.stats import estimation
from affetto.splits.split import Split

EXPECTED = (
    "whether the paper's value is what an equal study with speakers and seeds of its own may give: inside our interval "
    "widened by √2, for the paper's value has such an error too (undecided: outside, where clips of too few speakers "
    "were drawn, which says nothing of other voices)"
)


def table_1(evidence: Evidence) -> Sheet:
    """The encoders as loaded, beside the paper's figures, and what each method trains."""
    done = [run for one in evidence.configurations for run in one.done]
    plain = [run for one in evidence.configurations if not evidence.changed(one) for run in one.done]
    recipes = list(dict.fromkeys(run.axes.recipe for run in done if run.axes.method in numbers.METHODS))
    known = [run.axes.key for run in done]
    names: list[tuple[str, str | None]] = [(key, key) for key in SCENARIOS] if set(known) & set(SCENARIOS) else []
    names += [(run.axes.backbone, None) for run in done if run.axes.key not in SCENARIOS]
    rows, notes = [], []
    for name, key in dict.fromkeys(names):
        own = [run for run in done if (run.axes.key == key if key else run.axes.backbone == name)]
        row = numbers.row_of(key)
        loaded = next((run.metrics["backbone_parameters"] for run in own if run.metrics), None)
        if row and row.footnote not in notes:
            notes.append(row.footnote)
        mark = f" [{notes.index(row.footnote) + 1}]" if row else ""
        title = row.title if row else backbone_title(own[0].axes)
        alike = [run for run in plain if run in own]
        trained = [_trained(alike, method, recipe) for recipe in recipes for method in numbers.METHODS]
        rows.append((
            text_cell(title), text_cell(row.language if row else "–"), text_cell(_scenario(key, own)),
            Cell(MISSING if loaded is None else f"{loaded:,}", loaded),
            Cell(f"{row.parameters}{mark}", row.parameters) if row else Cell(DASH),
            _beside_count(loaded, row), *trained,
        ))  # fmt: skip
    told = len(recipes) > 1
    heads = [f"{method_title(m)}, {recipe}" if told else method_title(m) for recipe in recipes for m in numbers.METHODS]
    caption = (
        "Parameters of the encoder as loaded, with the paper's Table I beside, and the parameters that each method "
        "trains (head included)" + (f" under the recipe {recipes[0]}. " if len(recipes) == 1 else ". ")
    )
    if any(run.stand_in for run in done):
        caption += "Small random backbones stood in for the paper's: the counts are theirs. "
    footnotes = [f"[{number}] {text[:1].upper()}{text[1:]}." for number, text in enumerate(notes, 1)]
    return Sheet(
        name="table-1", title="Table I: backbones and what is trained",
        columns=(*columns("backbone", "language", "scenario", "encoder as loaded", "paper", "difference (%)",
                  texts=("backbone", "language", "scenario")), *map(Column, heads)),
        rows=tuple(rows), caption=caption.strip(), notes=tuple(footnotes), stamp=stamp_of(evidence.configurations),
    )  # fmt: skip


def _scenario(key: str | None, own: Sequence[Run]) -> str:
    """The paper's, of its own backbones; B of one that `affetto specialize` made."""
    if key:
        return BACKBONES[key].scenario
    return "B" if any((run.metrics or {}).get("specialised") for run in own) else DASH


def table_2(evidence: Evidence) -> Sheet:
    """Clips of each emotion as found in the corpora that were used, the paper's counts below."""
    used = _corpora(evidence)
    planned = [one.axes.corpus for one in evidence.planned]
    wanted = [
        corpus for name in numbers.CORPORA for corpus in dict.fromkeys((*planned, *used)) if _name(corpus) == name
    ]
    wanted += [corpus for corpus in used if corpus not in wanted]
    labels = list(dict.fromkeys([*numbers.TABLE_II["emovo"], *(label for _, s, _ in used.values() for label in s)]))
    rows, notes = [], []
    for corpus in wanted:
        labelled, counts, speakers = used.get(corpus, (None, {}, None))
        # Labels that were joined or left out make counts that the paper's are not to be held against.
        printed = numbers.TABLE_II.get(_name(corpus), {})
        alike = labelled is None or labelled == set(printed)
        total = sum(counts.values()) if counts else None
        rows.append((
            text_cell(corpus_title(corpus)),
            *(_clips(label, labelled, counts, printed if alike else {}) for label in labels),
            _count(total, numbers.TABLE_II_TOTALS.get(_name(corpus)) if alike else None),
            _count(speakers, numbers.TABLE_II_SPEAKERS.get(_name(corpus)) if alike else None),
        ))  # fmt: skip
        if alike and _name(corpus) in numbers.TABLE_II_FOOTNOTES:
            notes.append(f"{corpus_title(corpus)}: {numbers.TABLE_II_FOOTNOTES[_name(corpus)]}")
    heads = (Column("corpus", is_number=False), *map(Column, (*labels, "total", "speakers")))
    caption = (
        "Clips of each emotion in the corpora as they were read here; below: the paper's Table II, where it differs."
    )
    return Sheet(
        name="table-2",
        title="Table II: corpora",
        columns=heads,
        rows=tuple(rows),
        caption=caption,
        notes=tuple(notes),
        stamp=stamp_of(evidence.configurations),
    )


def table_3(protocol: Protocol) -> Sheet:
    """Backbone × method, the mean over the three corpora, by scenario, beside the paper's."""
    rows = []
    for key in SCENARIOS:
        cells = [_over_corpora(protocol, key, method) for method in (BASELINE, *numbers.METHODS)]
        rows.append((text_cell(BACKBONES[key].scenario), text_cell(BACKBONES[key].title), *cells))
    caption = (
        "Macro F1 ×100, mean over EMOVO, Emozionalmente and DEMoS. For each seed the mean of the three corpora, then "
        "mean ± sample standard deviation (ddof 1) of these numbers over seeds. Second line: "
        f"{interval_words(protocol.estimates)}. Third: the paper's Table III. Fourth: the difference, and {EXPECTED}. "
        f"{protocol.words}"
        "Probe: logistic regression on the frozen states, the baseline; the paper has none."
    )
    heads = columns(
        "scenario", "backbone", *map(method_title, (BASELINE, *numbers.METHODS)), texts=("scenario", "backbone")
    )
    return _sheet(protocol, "table-3", "Table III: methods by backbone", heads, rows, caption)


def figure_4(protocol: Protocol) -> Sheet:
    """Frozen backbones by corpus, beside the three values that the paper's text gives."""
    rows = []
    for key in SCENARIOS:
        cells = [_of_corpus(protocol, key, corpus) for corpus in numbers.CORPORA]
        rows.append((text_cell(BACKBONES[key].scenario), text_cell(BACKBONES[key].title), *cells,
                     _over_corpora(protocol, key, "frozen")))  # fmt: skip
    caption = (
        "Macro F1 ×100 of the downstream classifier on the frozen backbone, by corpus: mean ± standard deviation "
        f"(ddof 1) over seeds, {interval_words(protocol.estimates)}, the probe's macro F1, and the paper's value with "
        f"{EXPECTED}. Of its Figure 4 the paper's text gives three values; the others are bars in an image and are not "
        f"read off. {protocol.words}"
    )
    heads = columns("scenario", "backbone", *map(corpus_title, numbers.CORPORA), "mean", texts=("scenario", "backbone"))
    return _sheet(protocol, "figure-4", "Figure 4: frozen backbones by corpus", heads, rows, caption)


def _sheet(protocol: Protocol, name: str, title: str, heads: Any, rows: list[Any], caption: str) -> Sheet:
    title += "" if protocol.is_paper_s else f" (recipe {protocol.recipe}, split {protocol.split})"
    first_b = next(number for number, key in enumerate(SCENARIOS) if BACKBONES[key].scenario == "B")
    notes = list(footnotes(protocol.estimates))
    if any(run.stand_in for one in protocol.ones for run in one.runs):
        notes.append("A miniature: small random backbones and synthetic corpora. It shows that all of it works.")
    origins = [one.synthetic for one in protocol.ones if protocol.evidence.system(one)]
    said = stamp(synthetic=all(origins), partly=any(origins))
    return Sheet(
        name=name + protocol.suffix,
        title=title,
        columns=heads,
        rows=tuple(rows),
        caption=caption.strip(),
        notes=tuple(notes),
        stamp=said,
        breaks=frozenset({first_b}),
    )


def _over_corpora(protocol: Protocol, key: str, method: str) -> Cell:
    done = protocol.done(key, method)
    printed = numbers.published(key, method)
    if len(done) < len(numbers.CORPORA):
        told = f"{len(done)} of {len(numbers.CORPORA)} corpora done" if done else "not run"
        return _absent(told, printed)
    systems = [system for one in done if (system := protocol.evidence.system(one))]
    try:
        spread = estimation.over_corpora({s.corpus: estimation.score_by_seed(s, "macro_f1") for s in systems})
    except ValueError:
        return _absent("no seed that all corpora have", printed)
    return _beside(spread, estimation.estimate(systems), printed, _planned(done))


def _of_corpus(protocol: Protocol, key: str, corpus: str) -> Cell:
    one = protocol.find(key, "frozen", corpus)
    printed = numbers.published(key, "frozen", corpus)
    if one is None or not protocol.evidence.system(one):
        return _absent("not run", printed, said=numbers.NOT_PUBLISHED)
    baseline = protocol.evidence.baseline(one)
    probe = None if baseline is None else protocol.evidence.spread(baseline).mean
    spread, estimate = protocol.evidence.spread(one), protocol.evidence.estimate(one)
    return _beside(spread, estimate, printed, len(one.runs), said=numbers.NOT_PUBLISHED, probe=probe)


def _beside(
    spread: estimation.Spread, estimate: estimation.Estimate, printed: numbers.Published | None, planned: int, *,
    said: str = "", probe: float | None = None,
) -> Cell:  # fmt: skip
    """One result, its interval, the paper's value, and what lies between them."""
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
    if printed is not None:
        inside = estimate.expects(printed.mean / 100)
        verdict = {True: "inside", False: "outside", None: "undecided"}[inside]
        lines += [_printed(printed), f"{signed_text(mean - printed.mean)}, {verdict}"]
        values |= {"paper": printed.mean, "paper sd": printed.deviation, "difference": mean - printed.mean,
                   "paper inside": inside}  # fmt: skip
    elif said:
        lines.append(f"paper: {said}")
    shown = f"{mean:.1f}" + ("" if sd is None else f" ± {sd:.1f}")
    return Cell(shown, mean, under="\n".join(lines), values=tuple(values.items()))


def _absent(told: str, printed: numbers.Published | None, said: str = "") -> Cell:
    values: tuple[tuple[str, Value], ...] = (("mean", None), ("paper", None))
    if printed is None:
        return Cell(MISSING, None, under=told + (f"\npaper: {said}" if said else ""), values=values)
    values = (("mean", None), ("paper", printed.mean), ("paper sd", printed.deviation))
    return Cell(MISSING, None, under=f"{told}\n{_printed(printed)}", values=values)


def _printed(printed: numbers.Published) -> str:
    return f"paper {printed.mean:.2f}" + ("" if printed.deviation is None else f" ± {printed.deviation:.2f}")


def _planned(ones: Sequence[Configuration]) -> int:
    return max(len(one.runs) for one in ones)


def _trained(runs: Sequence[Run], method: str, recipe: str) -> Cell:
    alike = [run.metrics for run in runs if run.metrics and (run.axes.method, run.axes.recipe) == (method, recipe)]
    if not alike or alike[0].get("trainable_parameters") is None:
        return Cell(MISSING)
    count = alike[0]["trainable_parameters"]
    share = 100 * count / (count + alike[0]["backbone_parameters"])
    return Cell(f"{count:,}", count, under=f"{share:.2f} %", values=(("", count), ("share (%)", share)))


def _beside_count(loaded: int | None, row: numbers.Backbone | None) -> Cell:
    if row is None:
        return Cell(DASH)
    if loaded is None:
        return Cell(MISSING, None, under=f"{row.counted:,} expected")
    printed = float(row.parameters.removesuffix("M")) * 10**6
    difference = 100 * (loaded - printed) / printed
    return Cell(signed_text(difference, 2), difference)


def _count(found: int | None, printed: int | None) -> Cell:
    cell = count_cell(found)
    if printed is None:
        return cell
    below = "" if found == printed else f"paper {printed:,}"
    return Cell(cell.text, found, under=below, values=(("", found), ("paper", printed)))


def _clips(label: str, labelled: Set[str] | None, counts: Mapping[str, int], printed: Mapping[str, int]) -> Cell:
    """Clips of a label; a dash where the runs' models do not know it."""
    if labelled is not None and label not in labelled:
        return Cell(DASH)
    return _count(counts.get(label, 0) if counts else None, printed.get(label))


def _name(corpus: str) -> str:
    return corpus.partition(EDITION)[0]


def _corpora(evidence: Evidence) -> dict[str, tuple[Set[str], Mapping[str, int], int]]:
    """{corpus: (labels, clips of each emotion, speakers)} from the runs' splits, the largest where they differ."""
    largest: dict[str, tuple[Set[str], Split]] = {}
    for run in evidence.results.done:
        split = evidence.results.splits.get(run.metrics["split_checksum"] if run.metrics else "")
        if split is None:
            continue
        before = largest.get(run.axes.corpus)
        if before is None or split.audit["clips"] > before[1].audit["clips"]:
            largest[run.axes.corpus] = (set(run.labels), split)
    return {
        corpus: (labels, split.audit["classes"], split.audit["speakers"]) for corpus, (labels, split) in largest.items()
    }
