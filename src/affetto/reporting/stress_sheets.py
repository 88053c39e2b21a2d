"""Tables of stress tests, from the content of their `stress.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from affetto.measures.measure import Measure
from affetto.measures.registry import MEASURES
from affetto.measures.regression import CCC
from affetto.reporting.render.sheet import Cell, Sheet, Slim, columns, count_cell, percent_cell, text_cell
from affetto.reporting.render.slim import slim_latex
from affetto.reporting.render.stamps import stamp
from affetto.reporting.render.text import signed_text
from affetto.reporting.stats.estimation import interval_words
from affetto.targets.scored import MEAN_CCC

CHANGED = "Changed: predictions that are others than untouched (%)."
CHANGED_HEADS = f"{CHANGED[:-1]}; random: the same of random heads."
ALTERS = "*"
"""Mark of perturbations under which people may hear another emotion."""
MEANING = f"{ALTERS} People may hear another emotion under it: there a changed prediction need not be an error."
Content = Mapping[str, Any]


def effect_sheet(content: Content) -> Sheet:
    """A row for each perturbation and level: changed predictions, and the main measures with their differences."""
    scores = main_scores(content)
    rows = []
    for record in content["perturbations"]:
        title = f"{record['name']}{ALTERS if record['may_alter'] else ''}"
        for of_level in record["levels"]:
            cells = []
            for name in scores:
                score = of_level["scores"][name]
                cells += [score_cell(measure_of(name), score), text_cell(score["verdict"])]
            level = Cell(level_text(of_level["level"], record["unit"]), of_level["level"])
            rows.append((text_cell(title), level, *changed_cells(of_level, content), *cells))
    alters = any(record["may_alter"] for record in content["perturbations"])
    return Sheet(
        name="stress",
        title="Stress test",
        columns=columns(
            "perturbation",
            "level",
            "changed %",
            *(["random heads %"] if has_heads(content) else []),
            *(name for title in scores.values() for name in (f"Δ {title} (95 %)", _verdict_head(title, scores))),
            texts=("perturbation", "level", *(_verdict_head(title, scores) for title in scores.values())),
        ),
        rows=tuple(rows),
        caption=" ".join([basis_words(content), threshold_words(content), *([MEANING] if alters else [])]),
        stamp=stamp_of_test(content),
        slim=Slim(
            caption=" ".join([CHANGED, basis_words(content), threshold_words(content), *([MEANING] if alters else [])]),
            without=("random heads %",),
        ),
    )


def latex_text(content: Content) -> str:
    """Slim LaTeX of the tables of a test, for an article."""
    sheets = (effect_sheet(content), gap_sheet(content))
    return "\n".join(slim_latex(sheet) for sheet in sheets if sheet is not None)


def terminal_sheet(content: Content) -> Sheet:
    """`effect_sheet` for a terminal: the level stands behind the name, and heads of columns are short."""
    sheet = effect_sheet(content)
    heads = {"changed %": "changed", "random heads %": "random"}
    names = (heads.get(column.name, column.name) for column in sheet.columns[2:])
    return replace(
        sheet,
        columns=(sheet.columns[0], *(replace(c, name=name) for c, name in zip(sheet.columns[2:], names, strict=True))),
        rows=tuple((Cell(f"{row[0].text} {row[1].text}"), *row[2:]) for row in sheet.rows),
        caption=f"{CHANGED_HEADS if has_heads(content) else CHANGED} {sheet.caption}",
    )


def gap_sheet(content: Content) -> Sheet | None:
    """A row for each group of each column: its scores, and their gaps to the other groups; None without columns."""
    if not content.get("gaps"):
        return None
    rows, titles = [], dict.fromkeys(content["thresholds"], "")
    for of_column in content["gaps"]:
        for group in of_column["groups"]:
            cells = []
            for name, score in group["scores"].items():
                measure, titles[name] = measure_of(name), score["title"]
                gap = score_cell(measure, {"difference": score["gap"], "interval": score["gap_interval"]})
                limit = Cell(f"±{measure.text(score['threshold'])}", measure.scale * score["threshold"])
                cells += [_value_cell(measure, score), gap, limit, text_cell(score["verdict"])]
            rows.append((text_cell(f"{of_column['column']} {group['value']}"), *_counts(group), *cells))
    heads = [
        (f"{title} (95 %)", f"gap in {title} (95 %)", f"random ({title})", f"verdict ({title})")
        for title in titles.values()
    ]
    return Sheet(
        name="stress-groups",
        title="Groups",
        columns=columns(
            "group",
            "clips",
            "speakers",
            *(name for names in heads for name in names),
            texts=("group", *(names[-1] for names in heads)),
        ),
        rows=tuple(rows),
        caption=(
            "Untouched clips. The gap is the score of a group less that of all other groups of the column, with an "
            "interval over speakers; 95 % of random models have a gap within the value of “random”."
        ),
        stamp=stamp_of_test(content),
        slim=Slim(
            caption="Untouched clips; the gap is to all other groups of the column, with an interval over speakers; "
            "random: 95 % of random models have a smaller gap.",
        ),
    )


def _counts(group: Content) -> tuple[Cell, Cell]:
    return count_cell(group["clips"]), count_cell(group["speakers"])


def _value_cell(measure: Measure, score: Content) -> Cell:
    text = measure.text(score["value"])
    if score["interval"] is not None:
        text += f" ({'–'.join(measure.text(end) for end in score['interval'])})"
    return Cell(text, measure.scale * score["value"])


def stamp_of_test(content: Content) -> str:
    """Stamp of a test whose speech, or that of whose training, is synthetic."""
    return stamp(synthetic=content["synthetic"], partly=content["trained_on_synthetic"])


def main_scores(content: Content) -> dict[str, str]:
    """{name: title} of the measures whose differences a test has."""
    for record in content["perturbations"]:
        for of_level in record["levels"]:
            return {name: score["title"] for name, score in of_level["scores"].items()}
    return {}


def measure_of(name: str) -> Measure:
    """The measure of a score's name."""
    return CCC if name == MEAN_CCC else MEASURES.find(name)


def level_text(level: float, unit: str = "") -> str:
    """A level with its unit, and a true minus: `−20 dB`."""
    return f"{level:g} {unit}".strip().replace("-", "−", int(level < 0))


def has_heads(content: Content) -> bool:
    """True if random heads stand beside the shares of changed predictions: of targets with classes."""
    return any("random_heads" in of_level for record in content["perturbations"] for of_level in record["levels"])


def changed_cells(of_level: Content, content: Content) -> tuple[Cell, ...]:
    """Shares of changed predictions ×100: of the model, and the median of random heads where there are some."""
    cells = (percent_cell(of_level["changed"]),)
    return (*cells, percent_cell(of_level["random_heads"]["median"])) if has_heads(content) else cells


def _verdict_head(title: str, scores: Mapping[str, str]) -> str:
    return "verdict" if len(scores) == 1 else f"verdict ({title})"


def score_cell(measure: Measure, score: Content) -> Cell:
    """The difference of a score, with its interval where there is one."""
    digits = 1 if measure.in_per_cent else 3
    text = signed_text(measure.scale * score["difference"], digits)
    if score["interval"] is not None:
        low, high = (signed_text(measure.scale * end, digits) for end in score["interval"])
        text += f" ({low} to {high})"
    return Cell(text, measure.scale * score["difference"])


def basis_words(content: Content) -> str:
    """Sentences on the untouched scores, the clips and the intervals, for a caption."""
    level = content["perturbations"][0]["levels"][0]["scores"]
    scores = ", ".join(f"{score['title']} {measure_of(name).text(score['untouched'])}" for name, score in level.items())
    interval = content["untouched"].get("interval", {})
    words = f"Untouched: {scores}. {content['clips']:,} clips of {content['speakers']} speakers."
    return f"{words} {interval_words([interval])}." if interval else words


def threshold_words(content: Content) -> str:
    """Sentence on the thresholds of the verdicts, for a caption."""
    scores = main_scores(content)
    limits = ", ".join(
        f"{title} {measure_of(name).text(content['thresholds'][name])}" for name, title in scores.items()
    )
    return f"Random models differ by up to {limits}; a score falls if it falls by more, and holds if surely by less."
