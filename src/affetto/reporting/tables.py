"""One line a method: macro F1 with its interval, UAR, chance, what is trained, how long it took.

A row is a mapping with `name`, `macro_f1`, `interval`, `uar`, `chance`, `trainable_parameters`,
`seconds` and, where the speech is synthetic, `synthetic: True`. `summary_row` makes one from what
`affetto.measures.scores.scores` returns; `interval` may also be a plain pair and `chance` a plain
number. What a row lacks, or has as None, is shown as a dash.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from affetto.reporting.render.stamps import SYNTHETIC
from affetto.reporting.render.text import DASH, count_text, duration_text, percent_text

if TYPE_CHECKING:
    from rich.table import Table

COLUMNS = ("method", "macro F1 (95 %)", "UAR", "chance", "trainable", "time")
OPTIONAL = COLUMNS[-2:]
"""Left out where no row has them."""

Row = Mapping[str, Any]


def summary_row(
    name: str,
    scores: Mapping[str, Any],
    *,
    trainable_parameters: int | None = None,
    seconds: float | None = None,
    synthetic: bool = False,
) -> dict[str, Any]:
    """The row of one scored run, for the tables here and for `figures.method_bars`."""
    return {
        "name": name,
        **{key: scores[key] for key in ("macro_f1", "interval", "uar", "n", "per_speaker")},
        "chance": scores["chance"]["macro_f1"],
        "trainable_parameters": trainable_parameters,
        "seconds": seconds,
        "synthetic": synthetic,
    }


def summary_table(rows: Iterable[Row]) -> Table:
    """The rows as a table for the terminal; four columns of numbers leave a name its room at a width of 80."""
    from rich.table import Table
    from rich.text import Text

    rows = list(rows)
    columns, lines = _grid(rows)
    title = Text(SYNTHETIC.upper(), style="bold reverse") if all_synthetic(rows) else None
    table = Table(title=title, title_justify="left", caption=caption(rows) or None, caption_justify="left")
    for column in columns:
        left = column == COLUMNS[0]
        table.add_column(column, justify="left" if left else "right", no_wrap=not left)
    for cells in lines:
        # Text, not str: a name such as "lora[r=8]" is no markup.
        table.add_row(*map(Text, cells))
    return table


def summary_markdown(rows: Iterable[Row]) -> str:
    """The rows as a Markdown table, with the caption below it."""
    rows = list(rows)
    columns, body = _grid(rows)
    lines = [columns, ("---", *["---:"] * (len(columns) - 1)), *body]
    text = "".join("| " + " | ".join(_escaped(cell) for cell in cells) + " |\n" for cells in lines)
    stamp = f"{SYNTHETIC.capitalize()}." if all_synthetic(rows) else ""
    below = f"{stamp} {caption(rows)}".strip()
    return f"{text}\n{below}\n" if below else text


def all_synthetic(rows: Sequence[Row]) -> bool:
    """Whether every row's speech is synthetic: then it is said once, over all of them."""
    return bool(rows) and all(row.get("synthetic") for row in rows)


def caption(rows: Sequence[Row]) -> str:
    """What the numbers rest on, as far as the rows say: clips where they agree, and how intervals were made."""
    words = []
    clips = {row["n"] for row in rows if row.get("n")}
    if len(clips) == 1:
        words.append(f"{clips.pop():,} clips.")
    intervals = [interval for row in rows if isinstance(interval := row.get("interval"), Mapping)]
    if intervals:
        from affetto.reporting.stats.estimation import interval_words

        words.append(f"{interval_words(intervals)}.")
    return " ".join(words)


def macro_interval(row: Row) -> tuple[float, float] | None:
    """Lower and upper end of the row's interval of macro F1, if it has one."""
    interval = row.get("interval")
    if interval is None:
        return None
    low, high = interval["macro_f1"] if isinstance(interval, Mapping) else interval
    return float(low), float(high)


def macro_chance(row: Row) -> float | None:
    """The macro F1 of a guesser, from a number or from all of chance's measures."""
    value = row.get("chance")
    return value["macro_f1"] if isinstance(value, Mapping) else value


def shown_name(row: Row) -> str:
    """A row's name among others; with the word where its speech is synthetic."""
    name = str(row["name"])
    return f"{name} ({SYNTHETIC})" if row.get("synthetic") else name


def estimate(row: Row) -> str:
    """Macro F1 with its interval, where there is one: `58.9 (40.7–76.8)`."""
    between = macro_interval(row)
    spread = f" ({percent_text(between[0])}–{percent_text(between[1])})" if between else ""
    return percent_text(row.get("macro_f1")) + spread


def _grid(rows: Sequence[Row]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The columns that are shown, and each row's cells under them."""
    plain = all_synthetic(rows)
    cells = [
        (
            str(row["name"]) if plain else shown_name(row),
            estimate(row),
            percent_text(row.get("uar")),
            percent_text(macro_chance(row)),
            count_text(row.get("trainable_parameters")),
            duration_text(row.get("seconds")),
        )
        for row in rows
    ]
    kept = [
        index
        for index, column in enumerate(COLUMNS)
        if column not in OPTIONAL or any(line[index] != DASH for line in cells)
    ]
    return tuple(COLUMNS[i] for i in kept), [tuple(line[i] for i in kept) for line in cells]


def _escaped(cell: str) -> str:
    return cell.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")


def prediction_table(rows: Iterable[Mapping[str, Any]]) -> Table:
    """Predictions `{file, emotion, probabilities}` for the terminal: emotion (–: abstained), how sure, what next."""
    from rich.table import Table
    from rich.text import Text

    table = Table()
    table.add_column("file", overflow="fold")
    for column in ("emotion", "probability", "next"):
        table.add_column(column, no_wrap=True, justify="right" if column == "probability" else "left")
    for row in rows:
        ranked = sorted(row["probabilities"].items(), key=lambda item: -item[1])
        if row["emotion"] is None:  # the model abstains: what it would have said comes next
            ranked = [(DASH, 0.0), *ranked]
        first = DASH if row["emotion"] is None else f"{percent_text(ranked[0][1])} %"
        second = f"{ranked[1][0]} {percent_text(ranked[1][1])} %" if len(ranked) > 1 else DASH
        table.add_row(Text(row["file"]), ranked[0][0], first, second)
    return table
