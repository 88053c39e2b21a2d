"""Corpora that an outside model was trained on, by its card, and whether a test is on one of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from affetto.corpora.registry import CORPORA, title_of
from affetto.inference.outside.predictor import OutsidePredictor
from affetto.inference.predictor import Predictor

UNKNOWN = "unknown"
SHORT = 5
"""Letters from which a corpus's name is found within a longer one: `urdu` may be a language."""
KNOWN_AS = {"superb": "iemocap"}
"""Names of data sets that are no corpus's: the emotions of SUPERB are IEMOCAP's."""


@dataclass(frozen=True)
class Origin:
    """Data that a model was trained on, as its card states it."""

    datasets: tuple[str, ...] | None = None
    """Names of data sets; None where the card names none."""

    @property
    def corpora(self) -> tuple[str, ...]:
        """Names of the corpora; a data set that is none of affetto's has its own."""
        return tuple(dict.fromkeys(corpus_of(name) or name for name in self.datasets or ()))

    @property
    def text(self) -> str:
        """The corpora with + between them; `unknown` where the card names none."""
        return "+".join(self.corpora) or UNKNOWN

    def contaminated(self, tested: Iterable[str]) -> tuple[str, ...]:
        """Tested corpora that are among those of the training, sorted."""
        trained = {_letters(name) for name in self.corpora}
        return tuple(sorted({name for name in tested if {_letters(name), _letters(corpus_of(name) or "")} & trained}))

    def notes(self, tested: Sequence[str]) -> list[str]:
        """Sentences for whoever reads scores on these corpora."""
        if self.datasets is None:
            return ["trained on: unknown; its card names no data, so the tested clips may be among them"]
        lines = [f"trained on: {', '.join(self.corpora)}, by its card"]
        common = self.contaminated(tested)
        if common:
            titles = ", ".join(title_of(name) for name in common)
            lines.append(f"CONTAMINATED: the model was trained on {titles}; the scores say how well it remembers")
        return lines


def origin_of(card: Mapping[str, Any]) -> Origin | None:
    """The origin of the outside model with this card; None of affetto's own models, which list their clips."""
    outside = card.get("outside")
    if outside is None:
        return None
    datasets = outside.get("datasets")
    return Origin(None if datasets is None else tuple(datasets))


def origin_notes(card: Mapping[str, Any], tested: Sequence[str]) -> list[str]:
    """Sentences on what the outside model with this card was trained on; none of affetto's own models."""
    origin = origin_of(card)
    return [] if origin is None else origin.notes(tested)


def outside_fields(predictor: Predictor, tested: Sequence[str]) -> dict[str, Any]:
    """Fields of `metrics.json` of an outside model, which replace those of affetto's own models; else {}."""
    origin = origin_of(predictor.card)
    if not isinstance(predictor, OutsidePredictor) or origin is None:
        return {}
    contaminated = list(origin.contaminated(tested))
    return {
        "identity": predictor.digest(),
        "trained_on": origin.text,
        "outside": predictor.card["outside"] | {"contaminated": contaminated},
    }


def corpus_of(dataset: str) -> str | None:
    """Name of the published corpus that a data set's name means; None where it means none.

    >>> corpus_of("msp-podcast"), corpus_of("somebody/ravdess_speech"), corpus_of("common_voice_urdu")
    ('msppodcast', 'ravdess', None)
    """
    name = dataset.rpartition("/")[2]
    words = [_letters(word) for word in re.split(r"[^A-Za-z0-9]+", name) if word]
    runs = {"".join(words[start:end]) for start in range(len(words)) for end in range(start + 1, len(words) + 1)}
    if _letters(name) in KNOWN_AS:
        return KNOWN_AS[_letters(name)]
    for corpus in CORPORA.values():
        names = {_letters(corpus.name), _letters(corpus.title)} - {""}
        if not corpus.is_format and (_letters(name) in names or {text for text in names if len(text) >= SHORT} & runs):
            return corpus.name
    return None


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())
