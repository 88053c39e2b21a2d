"""Licences of the corpora behind a model, as its card has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Licence:
    """Licence of a corpus that a model learned from."""

    corpus: str
    licence: str
    """Text of the licence; "" where it is unknown."""
    commercial_use: bool | None
    """True if the licence allows commercial use; None where that is unknown."""
    synthetic: bool = False
    """True if this project synthesised the corpus: there is no licence to heed."""
    role: str = "tested"
    """`tested`, `auxiliary` (in training alone), or `backbone` (the backbone was trained further on it)."""

    def fields(self) -> dict[str, Any]:
        """Return the fields as a card has them."""
        return asdict(self)


def read_licences(card: Mapping[str, Any]) -> list[Licence]:
    """Read the licences of a model's card; those of a card without a list are one of unknown terms."""
    if listed := card.get("licences"):
        return [
            Licence(
                corpus=str(entry.get("corpus") or UNKNOWN),
                licence=str(entry.get("licence") or ""),
                commercial_use=entry.get("commercial_use"),
                synthetic=bool(entry.get("synthetic")),
                role=str(entry.get("role") or "tested"),
            )
            for entry in listed
        ]
    return [
        Licence(
            corpus=card.get("corpus") or UNKNOWN,
            licence=card.get("licence") or "",
            commercial_use=None,
            synthetic=bool(card.get("synthetic")),
        )
    ]


def united(cards: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Collect the licences of several models' cards, each once."""
    return [licence.fields() for licence in dict.fromkeys(entry for card in cards for entry in read_licences(card))]


def forbidding(licences: Iterable[Licence]) -> list[Licence]:
    """Select the licences that forbid commercial use."""
    return [entry for entry in licences if entry.commercial_use is False and not entry.synthetic]


def unclear(licences: Iterable[Licence]) -> list[Licence]:
    """Select the licences of which it is unknown what they allow."""
    return [entry for entry in licences if entry.commercial_use is None and not entry.synthetic]


def describe(licences: Iterable[Licence]) -> str:
    """List corpora with the text of their licence: `emovo (CC BY-NC-SA 4.0), mine (licence unknown)`."""
    return ", ".join(
        "an unknown corpus"
        if entry.corpus == UNKNOWN and not entry.licence
        else f"{entry.corpus} ({entry.licence or 'licence unknown'})"
        for entry in licences
    )


def licence_note(card: Mapping[str, Any]) -> str:
    """Compose the note on the training data that stands wherever a model is used; "" where all of it may be used."""
    licences, parts = read_licences(card), []
    if entries := forbidding(licences):
        parts.append(f"trained on data that is not for commercial use: {describe(entries)}")
    if entries := unclear(licences):
        parts.append(f"trained on data of which it is not known whether commercial use is allowed: {describe(entries)}")
    return "; ".join(parts)
