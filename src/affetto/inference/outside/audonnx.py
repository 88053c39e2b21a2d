"""Folders of audonnx, audEERING's format: an ONNX file, and `model.yaml` with the labels of its outputs.

    $audonnx.core.model.Model==1.2.0:
      path: model.onnx
      labels:
        logits: [arousal, dominance, valence]
      transform: null

`transform` may hold the source of a function or a class of another package; affetto runs neither, and takes models that
hear the wave itself. The format has no sampling rate: 16 kHz is assumed, that of audEERING's public model.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from affetto.errors import UserError
from affetto.files import parse_yaml
from affetto.inference.outside.model import CLASSES, DIMENSIONS, TINY, UNIT, Format, OutsideModel, as_object

FILE, MARK = "model.yaml", "$audonnx."
NUMBERS = frozenset(("arousal", "activation", "dominance", "power", "valence", "pleasure"))
"""Names of dimensions; outputs with other names are classes."""
PREFERRED = "logits"
"""Output that is taken where several have labels."""


def is_audonnx(folder: Path) -> bool:
    """True for a folder whose `model.yaml` begins as audonnx writes it."""
    try:
        with (folder / FILE).open(encoding="utf-8") as file:
            return file.read(len(MARK)) == MARK
    except (OSError, ValueError):
        return False


def open_audonnx(folder: Path, device: str) -> OutsideModel:
    """Load a folder of audonnx. Raises UserError for one that needs code, or whose labels do not fit its outputs."""
    from affetto.inference.backends.onnx import HOST, open_session
    from affetto.models.parallel import decoding_threads

    facts = _facts(folder)
    session, runs_on = open_session(folder / Path(str(facts.get("path") or "model.onnx")).name, device)
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise UserError(f"{folder}: the model has {len(inputs)} inputs, and affetto gives it the wave alone")
    shape = _wave_shape(inputs[0].shape, folder)
    output, labels = _output(facts.get("labels"), [node.name for node in session.get_outputs()], folder)

    def score(wave: np.ndarray) -> np.ndarray:
        wave = np.ascontiguousarray(wave, np.float32).reshape(shape)
        values = np.asarray(session.run([output], {inputs[0].name: wave})[0], np.float64).reshape(-1)
        if len(values) != len(labels):
            raise UserError(f"{folder}: {output} has {len(values)} values, and {FILE} {len(labels)} labels")
        return np.log(np.maximum(values, TINY)) if "prob" in output else values

    is_dimensional = {label.casefold() for label in labels} <= NUMBERS
    return OutsideModel(
        title="audonnx",
        outputs=tuple(labels),
        kind=DIMENSIONS if is_dimensional else CLASSES,
        score=score,
        ranges=dict.fromkeys(labels, UNIT) if is_dimensional else {},
        range_is_assumed=is_dimensional,
        decoders=0 if runs_on == HOST else decoding_threads(),
    )


def _facts(folder: Path) -> dict[str, Any]:
    """The fields of `model.yaml`. Raises UserError for a broken file, and for a model that needs code."""
    try:
        content = as_object(parse_yaml((folder / FILE).read_text(encoding="utf-8")))
        facts = as_object(next(iter(content.values()), None))
    except (OSError, ValueError, yaml.YAMLError) as problem:
        raise UserError(f"{folder / FILE}: cannot be read ({problem}); copy the model again") from None
    transform = facts.get("transform")
    if transform and not (isinstance(transform, dict) and not any(transform.values())):
        name = str(next(iter(transform)))[:80] if isinstance(transform, dict) else type(transform).__name__
        raise UserError(
            f"{folder / FILE}: the model transforms the wave by code ({name}), and affetto runs no code of a model: "
            "call it through audonnx by an entry point (docs/guide/7-add.md, A model of others)"
        )
    return facts


def _wave_shape(sizes: Sequence[Any], folder: Path) -> tuple[int, ...]:
    """Shape of a clip for an input of these sizes, where a text is any size. Raises UserError for a fixed length."""
    free = len(sizes) and not isinstance(sizes[-1], int)
    if not free or any(isinstance(size, int) and size != 1 for size in sizes[:-1]):
        raise UserError(
            f"{folder}: the model's input has the shape {list(sizes)}, and clips have any length: export it again with "
            "the samples as its last axis, of free length"
        )
    return (*(1 for _ in sizes[:-1]), -1)


def _output(labels: Any, outputs: list[str], folder: Path) -> tuple[str, list[str]]:
    """The output that is taken, and its labels. Raises UserError where there is none, or several to choose from."""
    if isinstance(labels, list) and len(outputs) == 1:
        labels = {outputs[0]: labels}
    lists = {name: as_object(labels).get(name) or [] for name in outputs}
    for name, items in lists.items():
        if not isinstance(items, list) or any(isinstance(item, list | dict) for item in items):
            raise UserError(f"{folder / FILE}: the labels of {name} are no list of texts; copy the model again")
    texts_by_output = {name: [str(label) for label in items] for name, items in lists.items()}
    texts_by_output = {name: texts for name, texts in texts_by_output.items() if texts}
    if not texts_by_output or (len(texts_by_output) > 1 and PREFERRED not in texts_by_output):
        raise UserError(
            f"{folder / FILE}: labels of {', '.join(texts_by_output) or 'no output'}, and the model has "
            f"{', '.join(outputs)}: one output needs labels, or one of several the name {PREFERRED!r}"
        )
    name = next(iter(texts_by_output)) if len(texts_by_output) == 1 else PREFERRED
    return name, texts_by_output[name]


AUDONNX = Format(name="audonnx", title="audonnx", matches=is_audonnx, open=open_audonnx)
