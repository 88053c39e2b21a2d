"""A benchmark as a table for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

TITLES = {"same": "like with like", "defaults": "as each comes"}
"""Like with like: the same precision and window; as each comes: our defaults against the yardstick's."""


def table(result: dict[str, Any]) -> Table:
    """One line a comparison and method."""
    from rich.table import Table

    sheet = Table(caption=_caption(result), caption_justify="left")
    for column in ("compared", "method", "times as fast", "clips/s", "its", "memory"):
        sheet.add_column(column, justify="left" if column in ("compared", "method") else "right")
    for row in result["results"]:
        sheet.add_row(TITLES[row["comparison"]], row["method"], _ratio(row), *_rest(row))
        if "three_seeds" in row:
            three = row["three_seeds"]
            cells = _ratio(three), _rate(three, "our"), _rate(three, "yardstick")
            sheet.add_row("", "… three seeds", *cells, "")
    return sheet


def _ratio(row: dict[str, Any]) -> str:
    digits = 2 if row["ratio"] < 10 else 0
    ratio, lowest, highest = (f"{row[name]:.{digits}f}" for name in ("ratio", "ratio_lowest", "ratio_highest"))
    return ratio if row["rounds"] == 1 else f"{ratio} ({lowest}–{highest})"


def _rest(row: dict[str, Any]) -> tuple[str, str, str]:
    return _rate(row, "our"), _rate(row, "yardstick"), f"{row['memory_ratio']:.2f}×"


def _rate(row: dict[str, Any], side: str) -> str:
    return f"{row[f'{side}_clips_per_second']:.1f}"


def _caption(result: dict[str, Any]) -> str:
    first = result["results"][0]
    many = f"{first['rounds']} rounds in turns: median (lowest–highest)"
    rounds = "one round" if first["rounds"] == 1 else many
    lines = [
        f"{first['backbone']}, random weights, {first['clips']} clips, batch {first['batch_size']}; "
        f"{rounds}. {result['provenance']['device']}.",
        "its: the yardstick's clips a second. like with like: the same precision and window.",
    ]
    for row in result["results"]:
        if "phases" in row:
            total = sum(row["phases"].values())
            shares = ", ".join(f"{name} {100 * value / total:.0f} %" for name, value in row["phases"].items())
            share = f"; {100 * row['share_of_peak']:.0f} % of the matrix peak"
            lines.append(f"{TITLES[row['comparison']]}, {row['method']}: {shares}{share}.")
        if "prepare_phases" in row:
            phases = ", ".join(
                f"{name} {1000 * value:.1f} ms" for name, value in row["prepare_phases"].items() if value
            )
            lines.append(f"{TITLES[row['comparison']]}, {row['method']}, preparing a clip: {phases}.")
    return "\n".join(lines)
