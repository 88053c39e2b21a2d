"""Ray actor: loads the model once, labels batches of recordings given by name.

Audio never travels: an actor decodes the files whose paths it gets. Names and rows travel as JSON, since Arrow's text
cannot hold the file names that are no Unicode.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affetto.cluster import apply_task_environment, missing_path_message, task_environment
from affetto.errors import UserError
from affetto.inference.batch.inputs import Input
from affetto.inference.batch.labelling import facts, label
from affetto.inference.identity import identity_of
from affetto.inference.spec import PredictorSpec

if TYPE_CHECKING:
    from affetto.inference.predictor import Predictor

SHARED = "the model and the recordings"
MOST_TRIES = 3
"""Attempts per batch before giving up. Ray Data alone would go on for ever."""


def task(spec: PredictorSpec, threads: int) -> dict[str, Any]:
    """Describe how a node loads the model: the spec, the sender's environment, and the paths that the sender sees."""
    paths = [spec.model, *([spec.backbone] if spec.backbone else []), *spec.speaker]
    return {
        "spec": spec,
        "paths": [path for path in paths if os.path.exists(path)],
        "threads": threads,
        **task_environment(),
    }


def encode_batch(number: int, inputs: Sequence[Input]) -> str:
    """Encode a batch of inputs as JSON, for an actor."""
    paths = [None if item.file is None else str(item.file) for item in inputs]
    rows = [[item.name, item.start, item.end, path] for item, path in zip(inputs, paths, strict=True)]
    return json.dumps({"number": number, "inputs": rows})


def raise_refusal(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the answer. Raises UserError for {"refused": reason}."""
    if "refused" in answer:
        raise UserError(answer["refused"])
    return answer


def describe_model(task: dict[str, Any]) -> dict[str, Any]:
    """Load the model and return its `facts` (`labelling.Facts`), `identity`, and `memory` (bytes at most); or
    `refused`."""
    try:
        predictor = _predictor(task)
        identity = identity_of(predictor.files)
        return {"facts": vars(facts(predictor)), "identity": identity, "memory": _most_memory()}
    except UserError as problem:
        return _refused(problem)


def _most_memory() -> int:
    """Peak memory of this process in bytes; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


class Tries:
    """Actor that outlives the labelling ones and counts how often each batch was begun."""

    def __init__(self) -> None:
        self.begun: Counter[int] = Counter()

    def begin(self, number: int) -> int:
        self.begun[number] += 1
        return self.begun[number]


class Actor:
    """One model in a process of its own. Failures are returned, not raised: Ray would retry an exception."""

    def __init__(self, task: dict[str, Any], tries: Any) -> None:
        """`tries`: the handle of the cluster's `Tries`."""
        self.tries, self.refused = tries, {}
        try:
            self.predictor = _predictor(task)
        except UserError as problem:
            self.refused = _refused(problem)

    def __call__(self, batch: Any) -> dict[str, list[str]]:
        """Label an Arrow table of encoded batches; returns the answers to them."""
        return {"answer": [json.dumps(self.answer(text)) for text in batch.column("batch").to_pylist()]}

    def answer(self, batch: str) -> dict[str, Any]:
        """Label a batch: `rows`, files `unseen` on this `node`, its `process`; or `refused` with the reason."""
        if self.refused:
            return self.refused
        import ray

        content = json.loads(batch)
        inputs = [
            Input(name, start, end, None if path is None else Path(path))
            for name, start, end, path in content["inputs"]
        ]
        if ray.get(self.tries.begin.remote(content["number"])) > MOST_TRIES:
            between = " … ".join(dict.fromkeys((inputs[0].name, inputs[-1].name)))
            return {
                "refused": f"{between}: the worker that labelled them died {MOST_TRIES} times, perhaps for want of "
                "memory. Leave them out; --resume continues what --out has (jsonl or csv)"
            }
        try:
            rows = list(label(self.predictor, inputs))
        except UserError as problem:
            return _refused(problem)
        unread = (item.path for item, row in zip(inputs, rows, strict=True) if "error" in row)
        absent = [str(path) for path in unread if not os.path.lexists(path)]
        return {"rows": rows, "unseen": absent, "node": socket.gethostname(), "process": os.getpid()}


def _predictor(task: Mapping[str, Any]) -> Predictor:
    """Load the model in the environment of the process that sent the task."""
    try:
        apply_task_environment(task)
    except OSError:
        raise UserError(missing_path_message(task["cwd"], SHARED)) from None
    for path in task["paths"]:
        if not os.path.exists(path):
            raise UserError(missing_path_message(path, SHARED))
    import torch

    torch.set_num_threads(task["threads"])
    predictor: Predictor = task["spec"].load()
    return predictor


def _refused(problem: UserError) -> dict[str, Any]:
    node = socket.gethostname()
    return {"refused": str(problem) if node in str(problem) else f"{problem} (on node {node})"}
