"""Table of a stress test in a model card: each perturbation at its last level."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from affetto.reporting.stress_sheets import (
    ALTERS,
    MEANING,
    basis_words,
    level_text,
    main_scores,
    measure_of,
    score_cell,
)


def stress_table(content: Mapping[str, Any]) -> str:
    """Markdown of the table, from the content of `stress.json`."""
    scores = main_scores(content)
    heads = ["sound", "level", "changed %", *(head for title in scores.values() for head in (f"Δ {title}", "verdict"))]
    lines = [f"| {' | '.join(heads)} |", f"| --- | --- | {' | '.join(['---:'] * (len(heads) - 2))} |"]
    for record in content["perturbations"]:
        last = record["levels"][-1]
        cells = [f"{record['title']}{ALTERS if record['may_alter'] else ''}", level_text(last["level"], record["unit"])]
        cells.append(f"{100 * last['changed']:.1f}")
        for name in scores:
            score = last["scores"][name]
            cells += [score_cell(measure_of(name), score).text, score["verdict"]]
        lines.append(f"| {' | '.join(cells)} |")
    head = f"Stress test on {content['corpus']}: how answers and scores change with the sound, each at its last level."
    mark = MEANING.replace(ALTERS, f"\\{ALTERS}")
    return f"{head}\n\n" + "\n".join(lines).replace(ALTERS, f"\\{ALTERS}") + f"\n\n{basis_words(content)} {mark}"
