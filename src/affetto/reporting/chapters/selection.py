"""Selection of the configurations that a table or figure shows, and the texts that name them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from affetto.reporting.render.picture import slug
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.naming import Naming, corpus_title, split_title
from affetto.reporting.results.records import Configuration

MOST_DRAWN = 8
"""Configurations of a corpus that are all drawn; of more, only those of the best backbone."""
MOST_SPEAKERS = 12
"""Speakers that fit side by side in a table."""
MOST_ROWS = 24
"""A longer table is folded where a figure shows the same."""


@dataclass(frozen=True)
class Group:
    """Configurations on one corpus and split."""

    corpus: str
    split: str
    configurations: tuple[Configuration, ...]

    @cached_property
    def naming(self) -> Naming:
        return Naming(self.configurations, hide=("corpus", "split"))

    @property
    def heading(self) -> str:
        """Corpus, split and, where all share it, the backbone: `EMOVO, leave one speaker out, XLSR-53 (A)`."""
        backbone = self.naming.fixed.get("backbone")
        return ", ".join([corpus_title(self.corpus), split_title(self.split), *([backbone] if backbone else [])])

    @property
    def is_synthetic(self) -> bool:
        return all(config.synthetic for config in self.configurations)

    def label(self, config: Configuration) -> str:
        """Name of a configuration among the others of the group."""
        return self.naming.label(config)


def group_by_corpus(evidence: Evidence) -> list[Group]:
    """All configurations with a result, grouped by corpus and split."""
    groups: dict[tuple[str, str], list[Configuration]] = {}
    for config in evidence.configurations:
        groups.setdefault((config.axes.corpus, config.split), []).append(config)
    return [Group(corpus, split, tuple(configs)) for (corpus, split), configs in groups.items()]


def has_several_splits(groups: Sequence[Group]) -> bool:
    """True if a corpus was tested under more than one split."""
    return len({group.corpus for group in groups}) < len(groups)


def stem(evidence: Evidence, group: Group) -> str:
    """Part of a file's name: the corpus, with the split where the corpus has several."""
    splits = {config.split for config in evidence.configurations if config.axes.corpus == group.corpus}
    return slug(f"{group.corpus} {group.split}" if len(splits) > 1 else group.corpus)


def highest(evidence: Evidence, configurations: Sequence[Configuration]) -> Configuration:
    """The configuration with the highest macro F1, mean over seeds."""
    return max(configurations, key=lambda config: evidence.spread(config).mean)


def drawn_part(evidence: Evidence, group: Group) -> Group:
    """The group itself if it is small; else up to MOST_DRAWN configurations of its best backbone, best first."""
    if len(group.configurations) <= MOST_DRAWN:
        return group
    best = highest(evidence, group.configurations)
    same_backbone = [config for config in group.configurations if config.axes.backbone == best.axes.backbone]
    ranked = sorted(same_backbone, key=lambda config: (config is not best, -evidence.spread(config).mean))
    return Group(group.corpus, group.split, tuple(ranked[:MOST_DRAWN]))


def opening(naming: Naming) -> str:
    """First sentence of a table's caption: the values that all rows share."""
    text = naming.shared()
    return f"{text[:1].upper()}{text[1:]}. " if text else ""
