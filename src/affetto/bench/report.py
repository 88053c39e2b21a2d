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

    backbones = dict.fromkeys(row["backbone"] for row in result["results"])
    sheet = Table(caption=_caption(result), caption_justify="left")
    for column in ("compared", "method", "times as fast", "clips/s", "its", "memory"):
        sheet.add_column(column, justify="left" if column in ("compared", "method") else "right")
    for backbone in backbones:
        if len(backbones) > 1:
            sheet.add_section()
            sheet.add_row(backbone)
        for row in result["results"]:
            if row["backbone"] == backbone:
                _add_row(sheet, row)
    return sheet


def _add_row(sheet: Table, row: dict[str, Any]) -> None:
    memory = f"{row['memory_ratio']:.2f}×"
    rates = _rate(row, "our"), _rate(row, "yardstick")
    sheet.add_row(TITLES[row["comparison"]], row["method"], _ratio(row), *rates, memory)
    several = {"… three seeds": row["three_seeds"]} if "three_seeds" in row else {}
    several |= {f"… {fits} stacked": result for fits, result in row.get("stacked", {}).items()}
    for title, result in several.items():
        sheet.add_row("", title, _ratio(result), _rate(result, "our"), _rate(result, "yardstick"))


def _ratio(row: dict[str, Any]) -> str:
    digits = 2 if row["ratio"] < 10 else 0
    ratio, lowest, highest = (f"{row[name]:.{digits}f}" for name in ("ratio", "ratio_lowest", "ratio_highest"))
    return ratio if row["rounds"] == 1 else f"{ratio} ({lowest}–{highest})"


def _rate(row: dict[str, Any], side: str) -> str:
    return f"{row[f'{side}_clips_per_second']:.1f}"


def _caption(result: dict[str, Any]) -> str:
    first = result["results"][0]
    many = f"{first['rounds']} rounds in turns: median (lowest–highest)"
    rounds = "one round" if first["rounds"] == 1 else many
    shapes = ", ".join(dict.fromkeys(row["backbone"] for row in result["results"]))
    lines = [
        f"{shapes}, random weights, {first['clips']} clips, batch {first['batch_size']}; "
        f"{rounds}. {result['provenance']['device']}.",
        "its: the yardstick's clips a second. like with like: the same precision and window.",
    ]
    if any(row.get("stacked") for row in result["results"]):
        lines.append("stacked: so many fits as one training, the time of each.")
    return "\n".join([*lines, *(line for row in result["results"] for line in _parts(row))])


def _parts(row: dict[str, Any]) -> list[str]:
    """Lines on where the time of a comparison goes."""
    name, lines = f"{row['backbone']}, {TITLES[row['comparison']]}, {row['method']}", []
    if "phases" in row:
        total = sum(row["phases"].values())
        shares = ", ".join(f"{phase} {100 * value / total:.0f} %" for phase, value in row["phases"].items())
        lines.append(f"{name}: {shares}; {100 * row['share_of_peak']:.0f} % of the matrix peak.")
    if "epoch_parts" in row:
        epoch, counts = row["epoch_parts"], row["counts"]
        outside = 100 * epoch["outside"] / (epoch["steps"] + epoch["outside"])
        launches = f"{counts['launches']} launches" if "launches" in counts else f"{counts['dispatched']} operations"
        busy = f", the device works {100 * counts['device_share']:.0f} % of the time" if "launches" in counts else ""
        lines.append(
            f"{name}: a step takes {1000 * epoch['step']:.1f} ms and {launches}{busy}; {outside:.0f} % of an epoch lie "
            "outside its steps."
        )
    if "prepare_phases" in row:
        phases = ", ".join(f"{phase} {1000 * value:.1f} ms" for phase, value in row["prepare_phases"].items() if value)
        lines.append(f"{name}, preparing a clip: {phases}.")
    return lines
