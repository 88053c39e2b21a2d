"""Cautions of the page: a set of emotions in place of one, and no answer to what a model should not judge."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from importlib.util import find_spec

from affetto.inference.predictor import Predictor

COVERAGE = 0.9
"""Share of recordings whose emotion is in the set."""
REFUSE_NOVEL = 0.99
"""Novelty from which on a recording gets no answer."""
LEAST_SPEECH_SECONDS = 0.5


@dataclass(frozen=True)
class Caution:
    """Caution by its name, which the page's texts have words for."""

    name: str
    is_possible: Callable[[Predictor], bool]
    """Function that returns True for a model that can take this caution."""
    take: Callable[[Predictor], None]
    """Function that lets a model take it."""


def _has_sets(predictor: Predictor) -> bool:
    facts = predictor.card.get("confidence", {}).get("sets")
    return facts is not None and COVERAGE in facts["levels"]


def _watch(predictor: Predictor) -> None:
    """Refuse what is novel; of few held-out clips, what is further than all of them."""
    assert predictor.novelty is not None
    predictor.watch(min(REFUSE_NOVEL, predictor.novelty.highest))


CAUTIONS = {
    caution.name: caution
    for caution in (
        Caution("set", _has_sets, lambda predictor: predictor.cover(COVERAGE)),
        Caution("novelty", lambda predictor: predictor.novelty is not None, _watch),
        Caution(
            "speech",
            lambda predictor: find_spec("silero_vad") is not None,
            lambda predictor: predictor.require_speech(LEAST_SPEECH_SECONDS),
        ),
    )
}


def possible(predictors: Iterable[Predictor]) -> list[str]:
    """Names of the cautions that some of these models can take."""
    predictors = list(predictors)
    return [name for name, caution in CAUTIONS.items() if any(map(caution.is_possible, predictors))]


def take(names: Collection[str], predictor: Predictor) -> list[str]:
    """Let a predictor take cautions. Returns the names of those that it cannot take."""
    missing = []
    for name, caution in CAUTIONS.items():
        if name not in names:
            continue
        if caution.is_possible(predictor):
            caution.take(predictor)
        else:
            missing.append(name)
    return missing
