"""Recordings labelled on a Ray cluster, through Ray Data; `actor.py` is what its nodes do."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from itertools import accumulate
from typing import Any

from affetto.cluster import ABSENT, HANDED_OUT, connected, nodes, options, unseen
from affetto.errors import UserError
from affetto.inference.batch.actor import SHARED, Actor, Tries, ask, granted, handful, task
from affetto.inference.batch.inputs import Input
from affetto.inference.batch.labelling import Facts
from affetto.inference.batch.outputs import Row
from affetto.inference.order import Order
from affetto.quiet import quiet_console

ACTOR_CPUS = 4
"""Cores of an actor at most: clips go side by side on them, in the memory of one model."""
HANDFUL, MOST_HANDFULS = 16, 10_000
"""Recordings that an actor is given at a time: few, so that rows come soon and a death costs little; more of a
collection that would else be more tasks than Ray Data plans with ease."""
ROUNDS = 4
"""Handfuls for each actor at least, so that all of them end at about the same time."""
AHEAD = 2
"""Handfuls that an actor has at once, so that it never waits for one."""
HEARING_BYTES = 2**29
"""Memory that an actor takes beside its loaded model, for recordings and what is computed of them."""
PATIENCE_SECONDS = 30.0
"""After which it is told that the cluster is busy."""


@dataclass(frozen=True)
class Room:
    """What an actor takes of a node, and how many actors the cluster has room for. `memory`: bytes, 0 where none are
    asked for."""

    cpus: int
    gpus: int
    actors: int
    memory: int = 0

    @property
    def needs(self) -> dict[str, Any]:
        """By the names of Ray's options."""
        return options(self.cpus, self.gpus, memory=self.memory)


def room(there: Sequence[Mapping[str, float]], device: str, memory: int = 0) -> Room:
    """One actor a GPU where the nodes have some and `device` may be one, else one for each four cores.

    `there`: `cluster.nodes`; `memory`: bytes that an actor needs. Fewer than four cores where the nodes that hold half
    of all cores have fewer; nodes that are smaller still stay idle, and so do those without the memory. Where no node
    has it, none is asked for. Raises UserError where no node can take an actor.
    """
    able = [node for node in there if node.get("CPU", 0) >= 1]
    if not able:
        raise UserError("no node of the cluster has a core to label on: start one with --num-cpus above 0")
    if any(node.get("GPU", 0) >= 1 for node in able) and (device == "auto" or device in HANDED_OUT):
        cpus, gpus = 1, 1
    elif device in HANDED_OUT:
        raise UserError(f"--device {device}: no node of the cluster has a GPU (see `ray status`); use auto or cpu")
    else:
        cpus, gpus = min(ACTOR_CPUS, _usual_cores(able)), 0
    actors = sum(_places(node, cpus, gpus, memory) for node in able)
    if not actors:
        memory, actors = 0, sum(_places(node, cpus, gpus, 0) for node in able)
    return Room(cpus, gpus, actors, memory)


def _usual_cores(there: Sequence[Mapping[str, float]]) -> int:
    """Cores of the smallest node among the largest ones that hold half of all cores."""
    sizes = sorted((int(node["CPU"]) for node in there), reverse=True)
    return next(size for size, held in zip(sizes, accumulate(sizes), strict=True) if 2 * held >= sum(sizes))


def _places(node: Mapping[str, float], cpus: int, gpus: int, memory: int) -> int:
    """How many actors a node has room for."""
    places = [int(node["CPU"]) // cpus]
    if gpus:
        places.append(int(node.get("GPU", 0)) // gpus)
    if memory and "memory" in node:
        places.append(int(node["memory"]) // memory)
    return min(places)


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
        self.ray, self.tell = ray, tell
        self.workers: Counter[tuple[str, int]] = Counter()
        there = nodes(ray)
        self.room = room(there, order.device)
        self.task = task(order, self.room.cpus)
        # Asked of a node and not found out here, which needs no torch; what cannot be is told before anything is begun.
        with _as_errors(ray):
            asked = ray.remote(max_retries=1, max_calls=1)(ask).options(**self.room.needs).remote(self.task)
            if not ray.wait([asked], timeout=PATIENCE_SECONDS)[0]:
                tell(f"note: waiting for the cluster, which may be busy; an actor needs {self.room}")
            answer = granted(ray.get(asked))
        self.facts = Facts(**answer["facts"])
        memory = answer["memory"] + HEARING_BYTES
        self.room = room(there, order.device, memory)
        if not self.room.memory:
            tell(f"note: an actor may need {memory / 2**30:.1f} GiB, and no node has as much free by Ray's books")

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
        with quiet_console("ray.data"), data.DataContext.current(context), _as_errors(self.ray):
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
