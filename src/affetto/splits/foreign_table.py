"""The audit of anybody's split on the terminal: one row for each fold, then the remarks."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from affetto.corpora.manifest import PARTS
from affetto.splits.foreign_audit import SHARED, ForeignAudit, ForeignFold

TEST_IN_TRAIN = "test in train"


def render(audit: ForeignAudit) -> RenderableType:
    """A table of the folds, and lines of remarks and notes."""
    synthetic = " (synthetic audio)" if audit["synthetic"] else ""
    title = f"the split of {audit['corpus']}{synthetic}: speakers {audit['verdict']}"
    if audit["crosses"] and audit["verdict"] != SHARED:
        title += ", but clips or recordings are in two parts"
    table = Table(title=escape(title), title_justify="left")
    for number, column in enumerate(
        ("fold", *PARTS, "test speakers", "also in train", "their clips", "known prompts %")
    ):
        table.add_column(column, justify="right" if number else "left")
    for fold in audit["folds"]:
        table.add_row(*_row(fold))
    remarks = (Text(f"· {line}") for line in audit["remarks"])
    notes = (Text(f"· note: {line}") for line in audit["notes"])
    return Group(table, *remarks, *notes)


def _row(fold: ForeignFold) -> list[str]:
    sizes = [f"{fold['parts'][part]['clips']:,}" if part in fold["parts"] else "–" for part in PARTS]
    speakers = str(fold["parts"]["test"]["speakers"] or "?") if "test" in fold["parts"] else "–"
    crossing = fold["speakers"].get(TEST_IN_TRAIN)
    shared = [str(crossing["shared"]), f"{crossing['clips']:,}"] if crossing and crossing["speakers"] else ["?", "?"]
    overlap = fold["prompt_overlap_percent"]
    return [escape(fold["name"]), *sizes, speakers, *shared, "" if overlap is None else f"{overlap:.0f}"]
