"""Connection to a Ray cluster, found or started, and the environment of its tasks."""

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
"""Execution engines."""
REACH_SECONDS, HEALTH_SECONDS = 3.0, 10.0
"""Time limits for an address to answer, and to prove itself a Ray cluster."""
PASSED_VARIABLES = (
    "AFFETTO_CACHE",
    "AFFETTO_CACHE_LIMIT",
    "AFFETTO_GRAPHS",
    "HF_HOME",
    "HF_HUB_OFFLINE",
    "TRANSFORMERS_OFFLINE",
)
"""Environment variables of this process that tasks on other machines get too."""
LAUNCHER_VARIABLES = (
    "RANK",
    "WORLD_SIZE",
    "LOCAL_RANK",
    "LOCAL_WORLD_SIZE",
    "PMI_RANK",
    "PMI_SIZE",
    "OMPI_COMM_WORLD_RANK",
    "OMPI_COMM_WORLD_SIZE",
    "MV2_COMM_WORLD_RANK",
    "MV2_COMM_WORLD_SIZE",
)
"""Variables of launchers (torchrun, srun, mpirun) that make processes share one run; a worker works alone."""
HANDED_OUT = frozenset({"cuda"})
"""Devices that a cluster hands out to tasks, by its `gpus`."""
UNSEEN_GPUS = {"CUDA_VISIBLE_DEVICES": ""}
NODE_ID = "ray.io/node-id"
"""Label that Ray gives each node."""
ABSENT = "--engine ray needs ray: pip install 'affetto[ray]'"


def check_engine(engine: str, address: str | None) -> None:
    """Raise UserError for an unknown engine, or for --address without --engine ray."""
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
    arguments: dict[str, Any] = {"address": "local", "include_dashboard": False}
    if address:
        _reach(address)
        arguments = {"address": address}
    try:
        ray.init(**arguments, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as problem:  # Ray raises many kinds
        failure = f"no Ray cluster can be used at {address}" if address else "no Ray cluster can be started here"
        raise UserError(f"{failure} ({str(problem).strip().splitlines()[0]})") from None
    try:
        yield ray
    finally:
        ray.shutdown()


def nodes(ray: Any) -> list[dict[str, float]]:
    """List the resources of each living node, by Ray's names: {"CPU": 16.0, "GPU": 4.0, …}."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def options(cpus: float, gpus: float, *, memory: int = 0, without: Collection[str] = ()) -> dict[str, Any]:
    """Make the options of a Ray task or actor: cores, GPUs, bytes of memory, and nodes that it must avoid (`without`).

    A task without a GPU sees none from its process's first moment: Ray itself would show it all GPUs of the node.
    """
    settings: dict[str, Any] = {"num_cpus": cpus, "num_gpus": gpus}
    if not gpus:
        settings["runtime_env"] = {"env_vars": dict(UNSEEN_GPUS)}
    if memory:
        settings["memory"] = memory
    if without:
        settings["label_selector"] = {NODE_ID: f"!in({','.join(sorted(without))})"}
    return settings


def task_environment() -> dict[str, Any]:
    """Record the folder and environment variables of this process that tasks on other machines need."""
    return {
        "cwd": os.getcwd(),
        "environment": {name: os.environ[name] for name in PASSED_VARIABLES if name in os.environ},
    }


def apply_task_environment(task: Mapping[str, Any]) -> None:
    """Apply, in a task and before any heavy import, the `task_environment` of the process that sent it.

    Raises OSError where its folder is not there.
    """
    clear_launcher_variables()
    os.environ.update(task["environment"])
    os.chdir(task["cwd"])


def clear_launcher_variables() -> None:
    """Remove the variables of a launcher, so that a worker works by itself."""
    for name in LAUNCHER_VARIABLES:
        os.environ.pop(name, None)


def missing_path_message(path: str | Path, content: str, node: str | None = None) -> str:
    """Write the message that a node (default: this one) lacks the path that the task's sender sees."""
    return f"node {node or socket.gethostname()} has no {path}: all nodes must see {content} under one path"


def _reach(address: str) -> None:
    """Raise UserError, soon, where no Ray cluster answers: Ray itself would try for minutes."""
    if address in ("auto", "local"):
        return
    plain = address.removeprefix("ray://")
    host, colon, port = plain.rpartition(":")
    if not colon or not host or not port.isdigit():
        raise UserError(f"--address {address!r}: write HOST:PORT as `ray start --head` shows it (port 6379)")
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
        answer = subprocess.run(check, capture_output=True, timeout=HEALTH_SECONDS, check=False)
        healthy, output = answer.returncode == 0, answer.stderr
    except subprocess.TimeoutExpired:
        healthy, output = False, b""
    if b"AuthenticationError" in output:  # to an address that is given Ray sends no token of its own accord
        raise UserError(
            f"the Ray cluster at {address} needs its token: set RAY_AUTH_MODE=token, and put the token into "
            "~/.ray/auth_token or RAY_AUTH_TOKEN (`ray get-auth-token` on the head shows it)"
        )
    if not healthy:
        raise UserError(f"what answers at {address} is no healthy Ray cluster of this version: see `ray status` there")
