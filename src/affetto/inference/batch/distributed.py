"""Labelling on a Ray cluster, through Ray Data; `actor.py` is the work of its nodes."""

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

from affetto.cluster import ABSENT, HANDED_OUT, connected, missing_path_message, nodes, options
from affetto.errors import UserError
from affetto.inference.batch.actor import SHARED, Actor, Tries, describe_model, encode_batch, raise_refusal, task
from affetto.inference.batch.inputs import Input
from affetto.inference.batch.labelling import Facts
from affetto.inference.batch.outputs import Row
from affetto.inference.spec import PredictorSpec
from affetto.quiet import quiet_console

ACTOR_CPUS = 4
"""Cores of an actor at most: clips go side by side on them, in the memory of one model."""
BATCH, GPU_BATCH, MOST_BATCHES = 16, 256, 10_000
"""Recordings that an actor is given at a time: few, so that rows come soon and a death costs little; more for one with
a GPU, which computes many at once; and more of a collection that would else be more tasks than Ray Data plans with
ease."""
ROUNDS = 4
"""Batches for each actor at least, so that all of them end at about the same time."""
AHEAD = 2
"""Batches that an actor holds at once, so that it never waits for one."""
WORKING_BYTES = 2**29
"""Memory that an actor takes beside its loaded model, for recordings and what is computed of them."""
PATIENCE_SECONDS = 30.0
"""Wait before the note that the cluster is busy."""


@dataclass(frozen=True)
class Room:
    """Needs of an actor, and the number of actors that the cluster has room for. `memory`: bytes, 0: not asked for."""

    cpus: int
    gpus: int
    actors: int
    memory: int = 0

    @property
    def needs(self) -> dict[str, Any]:
        """Needs by the names of Ray's options."""
        return options(self.cpus, self.gpus, memory=self.memory)


def room(nodes: Sequence[Mapping[str, float]], device: str, memory: int = 0) -> Room:
    """Plan one actor per GPU if nodes have some and `device` allows it, else one per four cores.

    `nodes`: as `cluster.nodes` lists them; `memory`: bytes that an actor needs. An actor takes fewer than four cores if
    the nodes that hold half of all cores have fewer. Smaller nodes stay idle, and so do those without the memory; if no
    node has it, no memory is asked for. Raises UserError if no node can take an actor.
    """
    able = [node for node in nodes if node.get("CPU", 0) >= 1]
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


def _usual_cores(nodes: Sequence[Mapping[str, float]]) -> int:
    """Cores of the smallest among the largest nodes that together hold half of all cores."""
    sizes = sorted((int(node["CPU"]) for node in nodes), reverse=True)
    return next(size for size, held in zip(sizes, accumulate(sizes), strict=True) if 2 * held >= sum(sizes))


def _places(node: Mapping[str, float], cpus: int, gpus: int, memory: int) -> int:
    """Number of actors that a node has room for."""
    places = [int(node["CPU"]) // cpus]
    if gpus:
        places.append(int(node.get("GPU", 0)) // gpus)
    if memory and "memory" in node:
        places.append(int(node["memory"]) // memory)
    return min(places)


def encode_batches(inputs: Sequence[Input], actors: int, most: int = BATCH) -> list[str]:
    """Split inputs, in their order, into batches that keep `actors` busy, of `most` recordings if that is possible."""
    few = min(most, math.ceil(len(inputs) / (ROUNDS * actors)))
    size = max(1, few, math.ceil(len(inputs) / MOST_BATCHES))
    return [encode_batch(at, inputs[at : at + size]) for at in range(0, len(inputs), size)]


@contextmanager
def on_cluster(
    spec: PredictorSpec, address: str | None, tell: Callable[[str], None] = lambda _: None
) -> Iterator[Cluster]:
    """Connect to a Ray cluster (see `cluster.connected`) and yield its labeller; `tell` gets notes.

    Model and recordings must lie under one path on all nodes. Raises UserError where no cluster answers, and for a
    model that its nodes cannot load.
    """
    with connected(address) as ray:
        try:
            import_module("ray.data")
        except ImportError:  # a bare ray, without pandas and pyarrow
            raise UserError(ABSENT) from None
        yield Cluster(ray, spec, tell)


class Cluster:
    """A model on the nodes of a cluster. `workers`: the number of recordings that each (node, process) has labelled."""

    def __init__(self, ray: Any, spec: PredictorSpec, tell: Callable[[str], None] = lambda _: None) -> None:
        self.ray, self.tell = ray, tell
        self.workers: Counter[tuple[str, int]] = Counter()
        resources = nodes(ray)
        self.room = room(resources, spec.device)
        self.task = task(spec, self.room.cpus)
        # A node loads the model, since this process needs no torch; a mistake ends it before anything is begun.
        with _as_errors(ray):
            reply = ray.remote(max_retries=1, max_calls=1)(describe_model).options(**self.room.needs).remote(self.task)
            if not ray.wait([reply], timeout=PATIENCE_SECONDS)[0]:
                tell(f"note: waiting for the cluster, which may be busy; an actor needs {self.room}")
            answer = raise_refusal(ray.get(reply))
        self.facts, self._identity = Facts(**answer["facts"]), answer["identity"]
        memory = answer["memory"] + WORKING_BYTES
        self.room = room(resources, spec.device, memory)
        if not self.room.memory:
            tell(f"note: an actor may need {memory / 2**30:.1f} GiB, and no node has as much free by Ray's books")

    def identity(self) -> str | None:
        """The model's identity, as a node found it."""
        return self._identity

    def label(self, inputs: Iterable[Input]) -> Iterator[Row]:
        """Label each input; yields rows in order. An actor that dies is replaced and its work done again."""
        most = GPU_BATCH if self.room.gpus else BATCH
        for answer in self._answers(encode_batches(list(inputs), self.room.actors, most)):
            rows = raise_refusal(answer)["rows"]
            for path in answer["unseen"]:
                if os.path.lexists(path):
                    raise UserError(missing_path_message(path, SHARED, answer["node"]))
            self.workers[answer["node"], answer["process"]] += len(rows)
            yield from rows

    def _answers(self, batches: Sequence[str]) -> Iterator[dict[str, Any]]:
        if not batches:
            return
        data = self.ray.data
        context = data.DataContext.get_current().copy()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = context.print_on_execution_start = False
        pool = data.ActorPoolStrategy(size=min(self.room.actors, len(batches)), max_tasks_in_flight_per_actor=AHEAD)
        tries = self.ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Tries).remote()
        with quiet_console("ray.data"), data.DataContext.current(context), _as_errors(self.ray):
            answers = data.from_items(
                [{"batch": batch} for batch in batches], override_num_blocks=len(batches)
            ).map_batches(
                Actor,
                fn_constructor_args=(self.task, tries),
                compute=pool,
                batch_size=1,
                batch_format="pyarrow",
                **self.room.needs,
            )
            # Nothing is fetched ahead: that would hold an answer back until the next is there.
            for batch in answers.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
                yield from map(json.loads, batch.column("answer").to_pylist())


@contextmanager
def _as_errors(ray: Any) -> Iterator[None]:
    """Turn what Ray raises into a UserError of one line."""
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
            f"workers of the cluster died ({type(problem).__name__}): perhaps for want of memory; "
            "--resume continues what --out has (jsonl or csv)"
        ) from None
    except errors.RayError as problem:  # affetto or its environment is not the same on that node
        last = str(problem).strip().splitlines()[-1]
        raise UserError(f"a node of the cluster failed ({last}); all nodes need the same installation") from None
