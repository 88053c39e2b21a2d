"""A Ray cluster for as long as it is needed: found or started, quietly, and left again; what its tasks work by."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from affetto.errors import UserError, unknown

ENGINES = ("local", "ray")
"""What does many things at once: this machine, or a cluster."""
REACH_SECONDS, HEALTH_SECONDS = 3.0, 10.0
"""How long an address may take to answer at all, and to prove itself a Ray cluster."""
PASSED_ON = ("AFFETTO_CACHE", "AFFETTO_CACHE_LIMIT", "HF_HOME", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
"""Environment variables of this process that tasks on other machines work by too."""
TOGETHER = (
    "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "PMI_RANK", "PMI_SIZE", "OMPI_COMM_WORLD_RANK",
    "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE",
)  # fmt: skip
"""Variables by which launchers (torchrun, srun, mpirun) tell processes to do one run together; a worker is alone."""
HANDED_OUT = frozenset({"cuda"})
"""Devices that a cluster hands out to tasks, by its `gpus`."""
UNSEEN_GPUS = {"CUDA_VISIBLE_DEVICES": ""}
NODE_ID = "ray.io/node-id"
"""The label that Ray gives each node by itself."""
ABSENT = "--engine ray needs ray: pip install 'affetto[ray]'"


def check_engine(engine: str, address: str | None) -> None:
    """Raises UserError for an engine that there is none of, and for an address that it has no use for."""
    if engine not in ENGINES:
        raise unknown("engine", engine, ENGINES)
    if engine != "ray" and address is not None:
        raise UserError("--address is a Ray cluster's: add --engine ray")


@contextlib.contextmanager
def connected(address: str | None = None) -> Iterator[Any]:
    """The module `ray`, connected: to `address` (HOST:PORT, `auto`, ray://HOST:PORT), else to $RAY_ADDRESS, else to a
    cluster of this machine's own that ends with the block. A connection that is there already is used and kept.

    Raises UserError where ray is not installed and where no cluster answers, within some 15 seconds.
    """
    # Read as ray is imported: what nodes say of a worker that died is for the log files alone. Whatever `log_to_driver`
    # is, it would come out on standard output, among the results.
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
    try:
        import ray
    except ImportError:
        raise UserError(ABSENT) from None
    if ray.is_initialized():
        yield ray
        return
    address = address or os.environ.get("RAY_ADDRESS")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    own: dict[str, Any] = {"address": "local", "include_dashboard": False}
    if address:
        _reach(address)
        own = {"address": address}
    try:
        ray.init(**own, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as problem:  # Ray raises many kinds
        what = f"no Ray cluster can be used at {address}" if address else "no Ray cluster can be started here"
        raise UserError(f"{what} ({str(problem).strip().splitlines()[0]})") from None
    try:
        yield ray
    finally:
        ray.shutdown()


def nodes(ray: Any) -> list[dict[str, float]]:
    """What each living node has in all, by Ray's names: {"CPU": 16.0, "GPU": 4.0, …}."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def options(cpus: float, gpus: float, *, memory: int = 0, without: Collection[str] = ()) -> dict[str, Any]:
    """Options of a Ray task or actor that takes so many cores and GPUs, and bytes of memory, on a node not `without`.

    One without a GPU sees none, from its process's first moment: Ray itself shows it all of the node's, those included
    that other tasks were given.
    """
    chosen: dict[str, Any] = {"num_cpus": cpus, "num_gpus": gpus}
    if not gpus:
        chosen["runtime_env"] = {"env_vars": dict(UNSEEN_GPUS)}
    if memory:
        chosen["memory"] = memory
    if without:
        chosen["label_selector"] = {NODE_ID: f"!in({','.join(sorted(without))})"}
    return chosen


def surroundings() -> dict[str, Any]:
    """Of this process what tasks on other machines work by too: its folder, and variables of its environment."""
    return {"cwd": os.getcwd(), "environment": {name: os.environ[name] for name in PASSED_ON if name in os.environ}}


def adopt(told: Mapping[str, Any]) -> None:
    """In a task, before anything heavy is imported: work by the `surroundings` of the process that sent it.

    Raises OSError where its folder is not there.
    """
    alone()
    os.environ.update(told["environment"])
    os.chdir(told["cwd"])


def alone() -> None:
    """A worker does its work by itself, whatever launcher has started its machine's processes."""
    for name in TOGETHER:
        os.environ.pop(name, None)


def unseen(path: str | Path, what: str, node: str | None = None) -> str:
    """How it is told that a node, this one by default, lacks what the process that sent its task sees at `path`."""
    return f"node {node or socket.gethostname()} has no {path}: all nodes must see {what} under one path"


def _reach(address: str) -> None:
    """Raise UserError, soon, where no Ray cluster answers: Ray itself would try for minutes."""
    if address in ("auto", "local"):
        return
    plain = address.removeprefix("ray://")
    host, colon, port = plain.rpartition(":")
    if not colon or not host or not port.isdigit():
        raise UserError(f"--address {address!r}: write HOST:PORT, as `ray start --head` tells it (port 6379)")
    try:
        socket.create_connection((host, int(port)), timeout=REACH_SECONDS).close()
    except (OSError, OverflowError) as problem:
        raise UserError(
            f"no Ray cluster answers at {address} ({getattr(problem, 'strerror', None) or problem}): "
            "see `ray status` there, or leave --address out for a cluster of this machine alone"
        ) from None
    if address != plain:  # a client's port has no health to ask for
        return
    check = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", plain]
    try:
        asked = subprocess.run(check, capture_output=True, timeout=HEALTH_SECONDS, check=False)
        healthy, said = asked.returncode == 0, asked.stderr
    except subprocess.TimeoutExpired:
        healthy, said = False, b""
    if b"AuthenticationError" in said:  # to an address that is given Ray sends no token of its own accord
        raise UserError(
            f"the Ray cluster at {address} wants its token: set RAY_AUTH_MODE=token, and have the token in "
            "~/.ray/auth_token or RAY_AUTH_TOKEN (`ray get-auth-token` on the head tells it)"
        )
    if not healthy:
        raise UserError(f"what answers at {address} is no healthy Ray cluster of this version: see `ray status` there")
