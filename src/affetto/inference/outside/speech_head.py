"""Checkpoints named `…ForSpeechClassification`: the head is a dense layer, tanh and a projection of pooled states.

transformers has no such class. audEERING's dimensional wav2vec 2.0 (Wagner et al. 2023, arXiv 2203.07378) has this head
with the mean over time, and so have many models of emotions on the hub; elsewhere each comes with code of its own. Here
the head is written once, and no code of a folder is run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from affetto.errors import UserError
from affetto.inference.outside.model import Format, OutsideModel
from affetto.inference.outside.stock import CONFIG, architecture, configuration, open_classifier

SUFFIX = "ForSpeechClassification"
POOLINGS = ("mean", "sum", "max")
"""Values of `pooling_mode`; a configuration without it means the mean."""


def has_speech_head(folder: Path) -> bool:
    """True for a checkpoint that names such a class."""
    return architecture(folder).endswith(SUFFIX)


def open_speech_head(folder: Path, device: str) -> OutsideModel:
    """Load a checkpoint with such a head. Raises UserError for an encoder or a pooling that is not known."""
    from affetto.inference.outside.speech_classifier import CLASSIFIERS

    fields = configuration(folder)
    pooling, kind = fields.get("pooling_mode", POOLINGS[0]), str(fields.get("model_type"))
    if pooling not in POOLINGS:
        raise UserError(f"{folder / CONFIG}: pooling_mode {pooling!r} is none of {', '.join(POOLINGS)}")
    classifier: Any = CLASSIFIERS.get(kind)
    if classifier is None:
        raise UserError(
            f"{folder / CONFIG}: {architecture(folder)} on an encoder {kind!r}, and affetto has this head for "
            f"{', '.join(CLASSIFIERS)}"
        )
    return open_classifier(folder, device, classifier)


SPEECH_HEAD = Format(
    name="speech-head",
    title="a dense head on pooled states, as audEERING's",
    matches=has_speech_head,
    open=open_speech_head,
)
