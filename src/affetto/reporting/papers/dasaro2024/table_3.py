"""Table III of the paper: methods by backbone, the mean over the three corpora."""

from __future__ import annotations

from affetto.backbones.catalogue import BACKBONES
from affetto.reporting.papers.dasaro2024 import numbers
from affetto.reporting.papers.dasaro2024.cells import EXPECTED, mean_cell, protocol_sheet
from affetto.reporting.papers.dasaro2024.protocols import SCENARIOS, Protocol
from affetto.reporting.render.sheet import Sheet, columns, text_cell
from affetto.reporting.results.marks import interval_words
from affetto.reporting.results.naming import method_title
from affetto.reporting.results.records import baseline_name


def table_3(protocol: Protocol) -> Sheet:
    """Score of each backbone and method, by scenario, beside the paper's."""
    methods = (baseline_name(), *numbers.METHODS)
    rows = [
        (
            text_cell(BACKBONES[key].scenario),
            text_cell(BACKBONES[key].title),
            *(mean_cell(protocol, key, method) for method in methods),
        )
        for key in SCENARIOS
    ]
    caption = (
        "Macro F1 ×100, mean over EMOVO, Emozionalmente and DEMoS. For each seed the mean of the three corpora, then "
        "mean ± sample standard deviation (ddof 1) of these numbers over seeds. Second line: "
        f"{interval_words(protocol.estimates)}. Third: the paper's Table III. Fourth: the difference, and {EXPECTED}. "
        f"{protocol.words}Probe: logistic regression on the frozen states, the baseline; the paper has none."
    )
    names = ("scenario", "backbone", *map(method_title, methods))
    return protocol_sheet(
        protocol,
        name="table-3",
        title="Table III: methods by backbone",
        columns=columns(*names, texts=names[:2]),
        rows=rows,
        caption=caption,
        slim=(
            "Macro F1 ×100, mean of EMOVO, Emozionalmente and DEMoS ± standard deviation (ddof 1) over seeds; below: "
            "the paper's Table III."
        ),
    )
