"""The folder of an ensemble: several model folders beside one card that says what they have in common.

ensemble.json      labels and target, members with their digests, corpora, licences
members/1, 2, …    a model folder each (`saved.py`), in the order of the card
trained_on.jsonl   clips that any of them was trained on
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from affetto.errors import UserError
from affetto.models.card import checked_ensemble, read_json
from affetto.models.novelty import NOVELTY
from affetto.models.saved import CARD, HEAD, METHOD

ENSEMBLE, MEMBERS = "ensemble.json", "members"
FORMAT = 1


def read_ensemble(folder: Path) -> dict[str, Any]:
    """The card of an ensemble. Raises UserError where it is invalid."""
    file = folder / ENSEMBLE
    card = read_json(file)
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise UserError(
            f"{file}: no card of an ensemble in format {FORMAT}; copy the folder again, or make the ensemble again"
        )
    return checked_ensemble(card, str(file))


def member_folder(folder: Path, number: int) -> Path:
    """The model folder of a member; numbers begin with 1."""
    return folder / MEMBERS / str(number)


def model_files(folder: Path) -> list[Path]:
    """The files that a model folder consists of, sorted."""
    files = [folder / CARD, folder / HEAD, folder / NOVELTY, *(folder / METHOD).rglob("*")]
    return sorted(file for file in files if file.is_file())


def model_digest(folder: Path) -> str:
    """SHA-256 over the names and contents of a model folder's files."""
    digest = hashlib.sha256()
    for file in model_files(folder):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        digest.update(f"{file.relative_to(folder).as_posix()} {content}\n".encode())
    return digest.hexdigest()
