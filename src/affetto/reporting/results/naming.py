"""What configurations are called beside one another: their axes, and of those only what tells them apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from affetto.corpora.registry import title_of
from affetto.models.methods.registry import METHODS
from affetto.reporting.render.sheet import Cell, Column, text_cell
from affetto.reporting.results.records import BESIDE, EDITION, Axes, Configuration

SPLITS = {
    "loso": "leave one speaker out", "paper": "80/10/10 by speakers", "official": "the corpus's own split",
    "prompt-disjoint": "no sentence in two parts", "column": "the table's own parts",
}  # fmt: skip


def split_title(split: str) -> str:
    """In words: `kfold:4` → `4 folds of speakers`."""
    name, _, folds = split.partition(":")
    return f"{folds} folds of speakers" if name == "kfold" else SPLITS.get(name, split)


def method_title(method: str) -> str:
    """As tables name it; a method that is not in their list goes by its own name."""
    return METHODS[method].title if method in METHODS else method


def method_order(titles: Iterable[str]) -> list[str]:
    """Titles of methods in the tables' order, those that are not in it last."""
    order = [method.title for method in METHODS.values()]
    return sorted(titles, key=lambda title: order.index(title) if title in order else len(order))


def corpus_title(corpus: str) -> str:
    """`emovo+demos` → `EMOVO + DEMoS`, `emovo@4-labels` → `EMOVO (4 labels)`."""
    names, _, edition = corpus.partition(EDITION)
    title = " + ".join(title_of(name) for name in names.split("+"))
    return title + (f" ({edition.replace('-', ' ').replace(',', ', ')})" if edition else "")


def backbone_title(axes: Axes) -> str:
    """With the scenario, where the paper has it: two of its backbones go by each of three names."""
    return f"{axes.title} ({axes.scenario})" if axes.scenario else axes.title


def changes(settings: Iterable[tuple[str, str]]) -> str:
    """Settings in one line: `lora.alpha 8, training.epochs 5`."""
    return ", ".join(f"{name} {value}" for name, value in settings)


class Naming:
    """The columns that tell these configurations apart, and each one's cells and label.

    Method and recipe are always told; backbone, corpus, split and settings where they differ.
    """

    def __init__(self, configurations: Sequence[Configuration], *, hide: Sequence[str] = ()) -> None:
        parts: dict[str, Callable[[Configuration], str]] = {
            "corpus": lambda one: corpus_title(one.axes.corpus),
            "backbone": lambda one: backbone_title(one.axes),
            "method": lambda one: method_title(one.axes.method),
            "recipe": lambda one: one.axes.recipe,
            "split": lambda one: one.split or "default",
            "split seed": lambda one: str(one.axes.split_seed),
            "weights": lambda one: f"random, seed {one.axes.weights_seed}" if one.axes.random_weights else "",
            "changed": lambda one: changes(one.axes.settings),
        }
        told = {name: {part(one) for one in configurations} - {BESIDE} for name, part in parts.items()}
        # A probe that was run beside others has no settings of its own: it tells none of theirs apart.
        trained = [one for one in configurations if one.axes.recipe != BESIDE] or configurations
        told["changed"] = {parts["changed"](one) for one in trained}
        varying = {name for name, values in told.items() if len(values) > 1}
        if len({(parts["backbone"](one), parts["weights"](one)) for one in configurations}) == len(told["backbone"]):
            varying.discard("weights")  # each backbone has its own: its name says enough
        self.fixed = {name: next(iter(told[name])) for name in parts if len(told[name]) == 1}
        """What all of them share, by name."""
        self.names = [name for name in parts if name in ("method", *varying) and name not in hide]
        self.parts = parts

    def columns(self) -> tuple[Column, ...]:
        return tuple(Column(name, number=False) for name in self.names)

    def cells(self, one: Configuration) -> tuple[Cell, ...]:
        found = tuple(Cell(told, told) if (told := self.parts[name](one)) else Cell("", "") for name in self.names)
        return found or (text_cell(one.axes.method),)

    def label(self, one: Configuration) -> str:
        """In one line, for figures and sentences: `LoRA, paper` or `EMOVO, Wav2Vec 2.0 Base (A), frozen`."""
        return ", ".join(told for name in self.names if (told := self.parts[name](one)) and told != BESIDE)

    def shared(self) -> str:
        """What all share, for a caption: `EMOVO, whisper-tiny-en, split loso`."""
        named = {"recipe": "recipe {}", "split": "split {}", "weights": "weights {}"}
        kept = ("corpus", "backbone", "recipe", "split", "changed", "weights")
        told = [named.get(name, "{}").format(value) for name in kept if (value := self.fixed.get(name))]
        return ", ".join(told)
