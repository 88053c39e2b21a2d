"""Recordings labelled on a Ray cluster, through Ray Data; `actor.py` is what its nodes do."""

from __future__ import annotations

import json
import logging
import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from affetto.cluster import ABSENT, connected, nodes, unseen
from affetto.errors import UserError
from affetto.inference.actor import SHARED, Actor, Tries, ask, granted, handful, task
from affetto.inference.inputs import Input
from affetto.inference.labelling import Facts
from affetto.inference.order import Order
from affetto.inference.outputs import Row

ACTOR_CPUS = 4
"""Cores of an actor at most: clips go side by side on them, in the memory of one model."""
HANDFUL, MOST_HANDFULS = 16, 10_000
"""Recordings that an actor is given at a time: few, so that rows come soon and a death costs little; more of a
collection that would else be more tasks than Ray Data plans with ease."""
ROUNDS = 4
"""Handfuls for each actor at least, so that all of them end at about the same time."""
AHEAD = 2
"""Handfuls that an actor has at once, so that it never waits for one."""
PATIENCE_SECONDS = 30.0
"""After which it is told that the cluster is busy."""


@dataclass(frozen=True)
class Room:
    """What an actor takes of a node, and how many actors the cluster has room for."""

    cpus: int
    gpus: int
    actors: int

    @property
    def needs(self) -> dict[str, int]:
        """By the names of Ray's options."""
        return {"num_cpus": self.cpus, "num_gpus": self.gpus}


def room(there: Sequence[Mapping[str, float]], device: str) -> Room:
    """One actor a GPU where the nodes have some and `device` may be one, else one for each four cores.

    `there`: `cluster.nodes`. Raises UserError where no node can take an actor.
    """
    able = [node for node in there if node.get("CPU", 0) >= 1]
    if not able:
        raise UserError("no node of the cluster has a core to label on: start one with --num-cpus above 0")
    gpus = sum(int(min(node.get("GPU", 0), node["CPU"])) for node in able)
    if gpus and device in ("auto", "cuda"):
        return Room(1, 1, gpus)
    if device == "cuda":
        raise UserError("--device cuda: no node of the cluster has a GPU (see `ray status`); use auto or cpu")
    cpus = min(ACTOR_CPUS, *(int(node["CPU"]) for node in able))
    return Room(cpus, 0, sum(int(node["CPU"]) // cpus for node in able))


def handfuls(inputs: Sequence[Input], actors: int) -> list[str]:
    """Inputs in their order, so many together that `actors` have enough to do."""
    few = min(HANDFUL, math.ceil(len(inputs) / (ROUNDS * actors)))
    size = max(1, few, math.ceil(len(inputs) / MOST_HANDFULS))
    return [handful(at, inputs[at : at + size]) for at in range(0, len(inputs), size)]


@contextmanager
def on_cluster(order: Order, address: str | None, tell: Callable[[str], None] = lambda _: None) -> Iterator[Cluster]:
    """The labeller of a Ray cluster (`cluster.connected` says which), within the block; `tell` is given notes.

    Model and recordings must lie under one path on all nodes. Raises UserError where no cluster answers, and for a
    model that its nodes cannot load.
    """
    with connected(address) as ray:
        try:
            import_module("ray.data")
        except ImportError:  # a bare ray, without pandas and pyarrow
            raise UserError(ABSENT) from None
        yield Cluster(ray, order, tell)


class Cluster:
    """A model on the nodes of a cluster. `workers`: how many recordings each (node, process) has labelled."""

    def __init__(self, ray: Any, order: Order, tell: Callable[[str], None] = lambda _: None) -> None:
        self.ray, self.room = ray, room(nodes(ray), order.device)
        self.workers: Counter[tuple[str, int]] = Counter()
        self.task = task(order, self.room.cpus)
        # Asked of a node and not found out here, which needs no torch; what cannot be is told before anything is begun.
        with _as_errors(ray):
            asked = ray.remote(max_retries=1, **self.room.needs)(ask).remote(self.task)
            if not ray.wait([asked], timeout=PATIENCE_SECONDS)[0]:
                tell(f"note: waiting for the cluster, which may be busy; an actor needs {self.room.needs}")
            self.facts = Facts(**granted(ray.get(asked)))

    def label(self, inputs: Iterable[Input]) -> Iterator[Row]:
        """A row for each input, in order, as results come. An actor that dies is replaced and its work done again."""
        for answer in self._answers(handfuls(list(inputs), self.room.actors)):
            rows = granted(answer)["rows"]
            for path in answer["unseen"]:
                if os.path.lexists(path):
                    raise UserError(unseen(path, SHARED, answer["node"]))
            self.workers[answer["node"], answer["process"]] += len(rows)
            yield from rows

    def _answers(self, handed: Sequence[str]) -> Iterator[dict[str, Any]]:
        if not handed:
            return
        data = self.ray.data
        context = data.DataContext.get_current().copy()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = context.print_on_execution_start = False
        pool = data.ActorPoolStrategy(size=min(self.room.actors, len(handed)), max_tasks_in_flight_per_actor=AHEAD)
        tries = self.ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Tries).remote()
        with _quiet(), data.DataContext.current(context), _as_errors(self.ray):
            answers = data.from_items(
                [{"handful": one} for one in handed], override_num_blocks=len(handed)
            ).map_batches(
                Actor, fn_constructor_args=(self.task, tries), compute=pool, batch_size=1, batch_format="pyarrow",
                **self.room.needs,
            )  # fmt: skip
            # Nothing is fetched ahead: that would hold an answer back until the next is there.
            for batch in answers.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
                yield from map(json.loads, batch.column("answer").to_pylist())


@contextmanager
def _as_errors(ray: Any) -> Iterator[None]:
    """What Ray raises as one line."""
    errors = ray.exceptions
    try:
        yield
    except (
        errors.RayActorError,
        errors.WorkerCrashedError,
        errors.NodeDiedError,
        errors.OutOfMemoryError,
        errors.ObjectLostError,
    ) as problem:
        raise UserError(
            f"workers of the cluster died ({type(problem).__name__}): was there memory enough? "
            "--resume goes on with what --out has (jsonl or csv)"
        ) from None
    except errors.RayError as problem:  # affetto or its environment is not the same on that node
        last = str(problem).strip().splitlines()[-1]
        raise UserError(f"a node of the cluster could not do it ({last}): are all of one installation?") from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Ray Data's notes go to its own log file, and not to the terminal."""
    shown = [handler for handler in logging.getLogger("ray.data").handlers if handler.name == "console"]
    levels = [handler.level for handler in shown]
    for handler in shown:
        handler.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for handler, level in zip(shown, levels, strict=True):
            handler.setLevel(level)
