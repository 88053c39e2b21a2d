"""Names of configurations beside one another: those of their axes that differ."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from affetto.corpora.registry import languages_of, title_of
from affetto.models.methods.registry import METHODS
from affetto.reporting.render.sheet import Cell, Column, text_cell
from affetto.reporting.results.records import BESIDE, EDITION, Axes, Configuration
from affetto.targets.registry import PLAIN

AUXILIARY = " (auxiliary)"
"""Mark of a corpus that joined the training, in the cards of models."""
SPLITS = {
    "loso": "leave one speaker out",
    "paper": "80/10/10 by speakers",
    "official": "the corpus's own split",
    "published": "the corpus's published folds",
    "prompt-disjoint": "no sentence in two parts",
    "column": "the table's own parts",
}


def split_title(split: str) -> str:
    """Title of a split.

    >>> split_title("kfold:4")
    '4 folds of speakers'
    """
    name, _, folds = split.partition(":")
    return f"{folds} folds of speakers" if name == "kfold" else SPLITS.get(name, split)


def method_title(method: str) -> str:
    """Title of a method in tables; the name itself of a method that is not installed."""
    return METHODS[method].title if method in METHODS else method


def method_order(titles: Iterable[str]) -> list[str]:
    """Titles of methods in the tables' order; those of methods that are not installed come last."""
    order = [method.title for method in METHODS.values()]
    return sorted(titles, key=lambda title: order.index(title) if title in order else len(order))


def method_rank(method: str) -> int:
    """Place of a method in the tables' order; a method that is not installed comes last."""
    order = list(METHODS)
    return order.index(method) if method in order else len(order)


def corpus_title(corpus: str) -> str:
    """Title of a corpus, of several joined by `+`, of those that a model's card names, and of an edition.

    >>> corpus_title("emovo+demos"), corpus_title("emovo@4-labels"), corpus_title("emovo + demos (auxiliary)")
    ('EMOVO + DEMoS', 'EMOVO (4 labels)', 'EMOVO + DEMoS (auxiliary)')
    """
    names, _, edition = corpus.partition(EDITION)
    title = " + ".join(_title(name.strip()) for name in names.split("+"))
    return title + (f" ({edition.replace('-', ' ').replace(',', ', ')})" if edition else "")


def corpus_and_language(corpus: str, separator: str = " ") -> str:
    """Title of a corpus, with its language where that is known; `separator` stands between the two.

    >>> corpus_and_language("ravdess"), corpus_and_language("emovo@4-labels"), corpus_and_language("clips")
    ('RAVDESS (English)', 'EMOVO (4 labels) (Italian)', 'clips')
    """
    languages = languages_of(corpus.partition(EDITION)[0])
    return corpus_title(corpus) + (f"{separator}({languages})" if languages else "")


def _title(name: str) -> str:
    plain = name.removesuffix(AUXILIARY)
    return title_of(plain) + name[len(plain) :]


def auxiliary_title(names: str) -> str:
    """Title of the corpora that joined the training; empty for none.

    >>> auxiliary_title("emovo@72-clips+demos"), auxiliary_title("")
    ('with EMOVO (72 clips) + DEMoS', '')
    """
    return f"with {' + '.join(map(corpus_title, names.split('+')))}" if names else ""


def backbone_title(axes: Axes) -> str:
    """Title of a backbone, with its scenario where the paper has it: there three titles are of two backbones each."""
    return f"{axes.title} ({axes.scenario})" if axes.scenario else axes.title


def changes(settings: Iterable[tuple[str, str]]) -> str:
    """Settings in one line: `lora.alpha 8, training.epochs 5`."""
    return ", ".join(f"{name} {value}" for name, value in settings)


class Naming:
    """Columns that distinguish these configurations, with the cells and the label of each.

    The method is always among them; backbone, corpus, recipe, split and settings where they differ. `hide` names
    columns that are omitted.
    """

    def __init__(self, configurations: Sequence[Configuration], *, hide: Sequence[str] = ()) -> None:
        parts: dict[str, Callable[[Configuration], str]] = {
            "corpus": lambda config: corpus_title(config.axes.corpus),
            "auxiliary": lambda config: auxiliary_title(config.axes.auxiliary),
            "backbone": lambda config: backbone_title(config.axes),
            "method": lambda config: method_title(config.axes.method),
            "target": lambda config: config.axes.target,
            "recipe": lambda config: config.axes.recipe,
            "split": lambda config: config.split or "default",
            "split seed": lambda config: str(config.axes.split_seed),
            "weights": lambda config: f"random, seed {config.axes.weights_seed}" if config.axes.random_weights else "",
            "changed": lambda config: changes(config.axes.settings),
        }
        values = {name: {part(config) for config in configurations} - {BESIDE} for name, part in parts.items()}
        # A baseline that was tested beside methods has no settings of its own, so it distinguishes none of theirs.
        trained = [config for config in configurations if config.axes.recipe != BESIDE] or configurations
        values["changed"] = {parts["changed"](config) for config in trained}
        varying = {name for name, texts in values.items() if len(texts) > 1}
        weights = {(parts["backbone"](config), parts["weights"](config)) for config in configurations}
        if len(weights) == len(values["backbone"]):
            varying.discard("weights")  # each backbone has its own weights: its name is enough
        self.fixed = {name: next(iter(texts)) for name, texts in values.items() if len(texts) == 1}
        """{name: value} of the parts that all configurations share."""
        self.names = [name for name in parts if name in ("method", *varying) and name not in hide]
        self.parts = parts

    def columns(self) -> tuple[Column, ...]:
        return tuple(Column(name, is_number=False) for name in self.names)

    def cells(self, config: Configuration) -> tuple[Cell, ...]:
        """Cells of one configuration under `columns`."""
        texts = [self.parts[name](config) for name in self.names]
        return tuple(Cell(text, text) for text in texts) or (text_cell(config.axes.method),)

    def label(self, config: Configuration) -> str:
        """Name in one line, for figures and sentences: `LoRA, paper` or `EMOVO, Wav2Vec 2.0 Base (A), frozen`."""
        texts = [self.parts[name](config) for name in self.names]
        return ", ".join(text for text in texts if text and text != BESIDE)

    def shared(self) -> str:
        """Parts that all configurations share, for a caption: `EMOVO, whisper-tiny-en, split loso`."""
        forms = {
            "corpus": "{}",
            "auxiliary": "{}",
            "backbone": "{}",
            "target": "target {}",
            "recipe": "recipe {}",
            "split": "split {}",
            "changed": "{}",
            "weights": "weights {}",
        }
        values = {name: "" if value == PLAIN else value for name, value in self.fixed.items()}
        return ", ".join(form.format(value) for name, form in forms.items() if (value := values.get(name)))
