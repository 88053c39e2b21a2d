"""Implementation: every setting that acts beside the paper's, what was chosen in each fold, and the commands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from affetto.reporting.chapters.chapter import Chapter
from affetto.reporting.render.section import Section
from affetto.reporting.render.sheet import MISSING, Cell, Sheet, Slim, columns, text_cell
from affetto.reporting.render.stamps import stamp_of
from affetto.reporting.render.text import DASH
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.naming import Naming, changes, method_title
from affetto.reporting.results.records import Configuration, Run
from affetto.reporting.writing.commands import command
from affetto.reporting.writing.paragraph import methods_paragraph
from affetto.targets.registry import TARGETS
from affetto.training.sections import Settings
from affetto.training.spec import settings, stored_settings, text, without_effect

PAPER = "paper"
"""Recipe to which the settings are compared."""
OF_MACHINE = ("compute", "store")
"""Sections of settings that are about the machine."""
MOST_SETUPS = 5
"""Columns of set-ups in one table."""
MOST_FOLDS = 12
"""Folds that a cell lists one by one."""


@dataclass(frozen=True)
class Setup:
    """Runs with the same method and settings, whatever their backbone and corpus."""

    title: str
    method: str
    target: str
    has_auxiliary: bool
    settings: Settings

    def value(self, name: str) -> str | None:
        """Value of a setting as text; None where it has no effect."""
        section, _, field = name.partition(".")
        if section == "target" and field not in getattr(TARGETS.get(self.target), "uses", ()):
            return None
        if without_effect(self.settings, self.method, name, has_auxiliary=self.has_auxiliary):
            return None
        return text(getattr(getattr(self.settings, section), field))


def build(evidence: Evidence) -> Section | None:
    configs = finished(evidence)
    if not configs:
        return None
    return Section(
        words=methods_paragraph(evidence),
        folded=(*setting_tables(configs), choice_table(configs), command_table(configs)),
    )


def finished(evidence: Evidence) -> list[Configuration]:
    """Configurations with a finished run of their own: not those that were tested beside a method."""
    return [config for config in evidence.results.every_configuration if config.done]


def setting_tables(configs: Sequence[Configuration]) -> list[Sheet]:
    """A row a setting that acts in some set-up, a column a set-up, beside the recipe `paper`."""
    setups = list(_setups(configs))
    groups = [setups[start : start + MOST_SETUPS] for start in range(0, len(setups), MOST_SETUPS)]
    stamp = stamp_of(configs)
    return [
        _setting_table(group, f"implementation{f'-{number}' if number > 1 else ''}", stamp)
        for number, group in enumerate(groups, 1)
    ]


def choice_table(configs: Sequence[Configuration]) -> Sheet:
    """A row a configuration: its seeds, the tested epochs, and the states and the strength that each fold chose."""
    naming = Naming(configs)
    names = ["seeds", "tested epoch", "state", "states", "strength", "precision"]
    if not any(count > 1 for config in configs for run in config.done for count in _state_counts(run).values()):
        names.remove("states")
    return Sheet(
        name="choices",
        title="Choices of the folds",
        columns=(
            *naming.columns(),
            *columns(*names, texts=("seeds", "precision")),
        ),
        rows=tuple(
            (*naming.cells(config), *(cell for name, cell in _choice_cells(config).items() if name in names))
            for config in configs
        ),
        caption=(
            "Epoch after which the validation speakers were recognised best, state of the backbone (0: before the "
            "first block; of several the highest), and strength C of the logistic regression, as chosen on inner "
            "folds of the training speakers; below: each fold, seed by seed. No test speaker had a part in a choice."
        ),
        stamp=stamp_of(configs),
        slim=Slim(
            caption="Epochs chosen by validation speakers; state and strength C chosen on inner folds.",
            without=("precision",),
        ),
    )


def command_table(configs: Sequence[Configuration]) -> Sheet:
    """A row a configuration: the command that repeats its runs."""
    naming = Naming(configs)
    return Sheet(
        name="commands",
        title="Commands",
        columns=(*naming.columns(), *columns("seeds", "command", texts=("seeds", "command"))),
        rows=tuple((*naming.cells(config), _seeds_cell(config), text_cell(command(config))) for config in configs),
        caption=(
            "Commands that repeat the runs, once for each seed. A corpus in capitals stands for its folder, and a "
            "checkpoint of one's own for the folder of that name. A run of a grid has the same identity."
        ),
        stamp=stamp_of(configs),
    )


def _setups(configs: Sequence[Configuration]) -> Iterator[Setup]:
    """Distinct set-ups, each under the recipe and changed settings that tell it from the others of its method."""
    recipes = {config.axes.recipe for config in configs}
    kinds = {config.axes.target for config in configs}
    titles = set()
    for config in configs:
        axes, run = config.axes, config.done[0]
        resolved = _resolved(run)
        if resolved is None:
            continue
        parts = [method_title(axes.method)]
        parts += [axes.recipe] if len(recipes) > 1 else []
        parts += [axes.target] if len(kinds) > 1 else []
        parts += ["with other corpora"] if axes.auxiliary else []
        parts += [changes(axes.settings)] if axes.settings else []
        title = ", ".join(parts)
        if title not in titles:
            titles.add(title)
            yield Setup(title, axes.method, axes.target, bool(axes.auxiliary), resolved)


def _resolved(run: Run) -> Settings | None:
    """Settings of a run; None where its file lacks them, or has some that this version cannot read."""
    try:
        return stored_settings(run.spec["settings"]) if run.spec else None
    except (KeyError, ValueError):
        return None


def _setting_table(setups: Sequence[Setup], name: str, stamp: str) -> Sheet:
    usual = settings(PAPER)
    rows = []
    for section, record in usual.model_dump(mode="json").items():
        if section in OF_MACHINE:
            continue
        for field, value in record.items():
            setting = f"{section}.{field}"
            values = [setup.value(setting) for setup in setups]
            printed = text(value)
            is_off = not value or value == "none"
            if any(acting not in ((None, printed) if is_off else (None,)) for acting in values):
                cells = [_value_cell(setup, value_of, printed) for setup, value_of in zip(setups, values, strict=True)]
                rows.append((text_cell(setting), text_cell(printed), *cells))
    titles = [setup.title for setup in setups]
    return Sheet(
        name=name,
        title="Settings",
        columns=columns("setting", f"recipe {PAPER}", *titles, texts=("setting", f"recipe {PAPER}", *titles)),
        rows=tuple(rows),
        caption=(
            "Every setting that has an effect, without those that are off throughout, beside the recipe "
            f"{PAPER}, which follows the paper to the letter and its group's code where the paper is silent. Bold: "
            f"other than that recipe. {DASH}: without effect here. The reference of settings explains each."
        ),
        stamp=stamp,
        breaks=frozenset(_section_starts(rows)),
        slim=Slim(caption=f"Bold: other than the recipe {PAPER}. {DASH}: without effect."),
    )


def _value_cell(setup: Setup, value: str | None, printed: str) -> Cell:
    if value is None:
        return Cell(DASH)
    return text_cell(value or '""', is_bold=value != printed)


def _section_starts(rows: Sequence[Sequence[Cell]]) -> list[int]:
    """Numbers of the rows with which a section begins, but for the first."""
    sections = [row[0].text.partition(".")[0] for row in rows]
    return [number for number in range(1, len(rows)) if sections[number] != sections[number - 1]]


def _choice_cells(config: Configuration) -> dict[str, Cell]:
    runs = config.done
    choices = {
        "tested epoch": {run.axes.seed: _by_fold(run, "best_epoch") for run in runs},
        "state": {run.axes.seed: _by_fold(run, "choice", "layer") for run in runs},
        "states": {run.axes.seed: _state_counts(run) for run in runs},
        "strength": {run.axes.seed: _by_fold(run, "choice", "strength") for run in runs},
    }
    precisions = dict.fromkeys(str((run.metrics or {}).get("precision") or MISSING) for run in runs)
    cells = {name: _range_cell(values) for name, values in choices.items()}
    return {"seeds": _seeds_cell(config), **cells, "precision": text_cell(", ".join(precisions))}


def _state_counts(run: Run) -> dict[str, int]:
    """{fold: number of states side by side}; choices name it where it is over 1."""
    counts = _by_fold(run, "choice", "states")
    return {fold: counts.get(fold, 1) for fold in _by_fold(run, "choice", "layer")}


def _by_fold(run: Run, *path: str) -> dict[str, Any]:
    """{fold: value}, without folds that chose nothing; the one fold of a run without folds goes by no name."""
    metrics = run.metrics or {}
    folds = metrics.get("folds") or [{**metrics, "name": ""}]
    values = {}
    for fold in folds:
        value: Any = fold
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        if value is not None:
            values[str(fold["name"])] = value
    return values


def _range_cell(values: Mapping[int, Mapping[str, Any]]) -> Cell:
    """The value that all folds chose, or the least to the most; below, each fold where they are few."""
    choices = [value for by_fold in values.values() for value in by_fold.values()]
    if not choices:
        return Cell(DASH)
    least, most = min(choices), max(choices)
    words = f"{least:g}" if least == most else f"{least:g} to {most:g}"
    lines = [_fold_line(seed, by_fold, with_seed=len(values) > 1) for seed, by_fold in values.items() if by_fold]
    listed = "; ".join(lines)
    is_short = len(choices) > 1 and max(map(len, values.values())) <= MOST_FOLDS
    is_one = least == most
    return Cell(
        text=words,
        key=least,
        under="\n".join(lines) if is_short and not is_one else "",
        values=(("least", least), ("most", most), ("by fold", listed)),
    )


def _fold_line(seed: int, by_fold: Mapping[str, Any], *, with_seed: bool) -> str:
    """`seed 0: f1 3, f2 5`."""
    items = ", ".join(f"{name} {value:g}".strip() for name, value in by_fold.items())
    return f"seed {seed}: {items}" if with_seed else items


def _seeds_cell(config: Configuration) -> Cell:
    return text_cell(", ".join(str(run.axes.seed) for run in config.done))


IMPLEMENTATION = Chapter(
    name="implementation",
    title="For the paper: method, settings, commands",
    order=850,
    build=build,
    needs_results=False,
)
