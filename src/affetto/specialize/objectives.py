"""Objectives by name and family, and the vocabulary that each needs."""

from __future__ import annotations

from affetto.backbones.families.registry import FAMILIES
from affetto.specialize.ctc import CTC, WhisperCTC
from affetto.specialize.masked import Masked
from affetto.specialize.objective import Objective
from affetto.specialize.parents import Parent
from affetto.specialize.spec import Settings, check_family
from affetto.specialize.text import Vocabulary
from affetto.specialize.whisper import Seq2Seq

CLASSES: dict[str, type[Objective]] = {"masked": Masked, "ctc": CTC, "seq2seq": Seq2Seq}


def writes(objective: str) -> bool:
    """True if the objective learns from sentences."""
    return objective != "masked"


def over_characters(objective: str, settings: Settings) -> bool:
    """True if the objective needs a vocabulary of characters; others have a tokenizer, or no text."""
    return objective == "ctc" or (objective == "seq2seq" and settings.decoder == "new")


def make(
    name: str, parent: Parent, settings: Settings, method: str, vocabulary: Vocabulary | None, language: str
) -> Objective:
    """The objective around the parent's encoder. Raises UserError where the family cannot take it."""
    check_family(name, parent.family)
    cls = CLASSES[name]
    if cls is CTC and FAMILIES[parent.family].stock_ctc is None:
        cls = WhisperCTC
    if cls is Seq2Seq:
        cls = type("Seq2Seq", (Seq2Seq,), {"language": language})
    return cls(parent, settings, method, vocabulary)
