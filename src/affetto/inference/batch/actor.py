"""What labels on a node of a cluster: a model loaded once, which is handed names and answers with rows.

Audio never travels: an actor decodes what it is told the place of. Names and rows travel as JSON, since Arrow's text
cannot hold the file names that are no Unicode.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affetto.cluster import adopt, surroundings, unseen
from affetto.errors import UserError
from affetto.inference.batch.inputs import Input
from affetto.inference.batch.labelling import facts, label
from affetto.inference.order import Order

if TYPE_CHECKING:
    from affetto.inference.predictor import Predictor

SHARED = "the model and the recordings"
MOST_TRIES = 3
"""A handful is heard so often, where its actor dies at it. Ray Data alone would go on for ever."""


def task(order: Order, threads: int) -> dict[str, Any]:
    """What a model is made by on a node: the order, the process that gives it, what that one sees of what it names."""
    given = [order.model, *([order.backbone] if order.backbone else []), *order.speaker]
    return {
        "order": order, "paths": [path for path in given if os.path.exists(path)], "threads": threads, **surroundings(),
    }  # fmt: skip


def handful(number: int, inputs: Sequence[Input]) -> str:
    """Inputs as an actor is handed them."""
    places = [None if one.place is None else str(one.place) for one in inputs]
    listed = [[one.name, one.start, one.end, place] for one, place in zip(inputs, places, strict=True)]
    return json.dumps({"number": number, "inputs": listed})


def granted(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer that is none of {"refused": why}, for which UserError is raised."""
    if "refused" in answer:
        raise UserError(answer["refused"])
    return answer


def ask(task: dict[str, Any]) -> dict[str, Any]:
    """`facts`: the `labelling.Facts` of the model, and `memory`: bytes that it took to load it; or why it cannot be."""
    try:
        return {"facts": asdict(facts(_predictor(task))), "memory": _most_memory()}
    except UserError as problem:
        return _refused(problem)


def _most_memory() -> int:
    """The most bytes that this process has had in memory; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


class Tries:
    """An actor beside the others, which outlives them: how often each handful was begun."""

    def __init__(self) -> None:
        self.begun: Counter[int] = Counter()

    def begin(self, number: int) -> int:
        self.begun[number] += 1
        return self.begun[number]


class Actor:
    """One model in a process of its own. What it cannot do it answers: what it raised, Ray would try again."""

    def __init__(self, task: dict[str, Any], tries: Any) -> None:
        """`tries`: the handle of the cluster's `Tries`."""
        self.tries, self.refused = tries, {}
        try:
            self.predictor = _predictor(task)
        except UserError as problem:
            self.refused = _refused(problem)

    def __call__(self, batch: Any) -> dict[str, list[str]]:
        """An Arrow table of handfuls → of answers to them."""
        return {"answer": [json.dumps(self.answer(text)) for text in batch.column("handful").to_pylist()]}

    def answer(self, handful: str) -> dict[str, Any]:
        """`rows`, which of their files are `unseen` here, and by which `node` and `process`; or why not: `refused`."""
        if self.refused:
            return self.refused
        import ray

        told = json.loads(handful)
        inputs = [
            Input(name, start, end, None if place is None else Path(place))
            for name, start, end, place in told["inputs"]
        ]
        if ray.get(self.tries.begin.remote(told["number"])) > MOST_TRIES:
            between = " … ".join(dict.fromkeys((inputs[0].name, inputs[-1].name)))
            return {
                "refused": f"{between}: the worker that heard them has died, {MOST_TRIES} times; was there memory "
                "enough? Leave them out; --resume goes on with what --out has (jsonl or csv)"
            }
        try:
            rows = list(label(self.predictor, inputs))
        except UserError as problem:
            return _refused(problem)
        unread = (one.path for one, row in zip(inputs, rows, strict=True) if "error" in row)
        absent = [str(path) for path in unread if not os.path.lexists(path)]
        return {"rows": rows, "unseen": absent, "node": socket.gethostname(), "process": os.getpid()}


def _predictor(task: Mapping[str, Any]) -> Predictor:
    """The model, in the surroundings of the process that ordered it."""
    try:
        adopt(task)
    except OSError:
        raise UserError(unseen(task["cwd"], SHARED)) from None
    for path in task["paths"]:
        if not os.path.exists(path):
            raise UserError(unseen(path, SHARED))
    import torch

    torch.set_num_threads(task["threads"])
    predictor: Predictor = task["order"].predictor()
    return predictor


def _refused(problem: UserError) -> dict[str, Any]:
    node = socket.gethostname()
    return {"refused": str(problem) if node in str(problem) else f"{problem} (on node {node})"}
