"""Sections of an exported model's description on the licences of its training data and on the law."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from affetto.inference.notices import ARTICLES, DISCLAIMER, REGULATION
from affetto.models.licences import licence_note, read_licences

UNKNOWN_LICENCE = "not known to affetto; ask the source of the corpus"
COMMERCIAL_USE = {True: "allowed", False: "not allowed", None: "not known"}


def licence_section(card: Mapping[str, Any]) -> str:
    """Write a table of the licences, in Markdown, and in bold what restricts the use of the model."""
    lines = ["| Licence of the data | text | commercial use |", "| --- | --- | --- |"]
    for entry in read_licences(card):
        allowed = "–" if entry.synthetic else COMMERCIAL_USE[entry.commercial_use]
        role = "" if entry.role == "tested" else f" ({entry.role})"
        lines.append(f"| {entry.corpus}{role} | {entry.licence or UNKNOWN_LICENCE} | {allowed} |")
    note = licence_note(card)
    return "\n".join(lines) + (f"\n\n**This model was {note}.**" if note else "")


def law_section() -> str:
    """Write the section on European law, in Markdown, with its heading."""
    articles = "\n".join(f"- {article.name}, since {article.since}: {article.rule}" for article in ARTICLES)
    return (
        f"## European law\n\n{REGULATION} speaks of emotion recognition from biometric data, of which a voice is one. "
        f"{DISCLAIMER}\n\n{articles}"
    )
