"""Checkpoint folders for ids of the Hugging Face hub: from the cache, else from the hub."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from affetto.errors import UserError

T = TypeVar("T")
REACH_SECONDS = 8.0
"""Longest wait for the hub's first answer; downloads themselves have no limit."""
_WANTED = ["config.json", "preprocessor_config.json", "*.safetensors", "*.safetensors.index.json"]
_MODEL = [
    *("*.json", "method/*.json", "*.safetensors", "method/*.safetensors", "model.onnx", "model.onnx.data"),
    *("README.md", "*.yaml"),
]
"""Files of a model, affetto's or others', and its card: none that could be code."""
_PICKLED = ["pytorch_model*.bin", "pytorch_model*.bin.index.json"]


def model_snapshot(hub_id: str) -> Path:
    """The local folder of a model on the hub, downloaded if need be. Raises UserError.

    `hub_id` is `owner/name`, or `owner/name@revision` for a branch, a tag or a commit. The hub is asked each time, if
    it can be reached, since a branch may have moved on; else what an earlier call has downloaded is taken.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    name, _, revision = hub_id.partition("@")
    try:
        _listing(name, revision)
    except UserError:
        with contextlib.suppress(LocalEntryNotFoundError, HFValidationError):
            return Path(snapshot_download(name, revision=revision or None, local_files_only=True))
        raise
    return _download(name, _MODEL, revision)


def snapshot(hub_id: str) -> Path:
    """The local folder of a hub checkpoint, downloaded if need be.

    `.bin` weights only where it has no safetensors; transformers reads them without running what is pickled.
    Raises UserError if the hub cannot be reached within some seconds, or does not have the id.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    with contextlib.suppress(LocalEntryNotFoundError, HFValidationError):
        folder = Path(snapshot_download(hub_id, local_files_only=True))
        if _complete(folder):
            return folder
    files = _listing(hub_id)
    return _download(hub_id, _WANTED if any(name.endswith(".safetensors") for name in files) else _WANTED + _PICKLED)


def _download(hub_id: str, patterns: list[str], revision: str = "") -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(hub_id, revision=revision or None, allow_patterns=patterns))
    except Exception as problem:  # whatever the client raises: connection, disk, permission
        raise UserError(
            f"downloading {hub_id} from the Hugging Face hub broke off ({problem}); run again, what arrived is kept"
        ) from problem


def _complete(folder: Path) -> bool:
    """True if every file that is needed has arrived: a download may have broken off, or been another program's."""
    if not all((folder / name).is_file() for name in ("config.json", "preprocessor_config.json")):
        return False
    for index in (*folder.glob("*.safetensors.index.json"), *folder.glob("pytorch_model*.bin.index.json")):
        try:
            shards = set(json.loads(index.read_text())["weight_map"].values())
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return False
        return all((folder / shard).is_file() for shard in shards)
    return any(folder.glob("*.safetensors")) or any(folder.glob("pytorch_model*.bin"))


def upload(folder: Path, hub_id: str) -> str:
    """Upload a folder to a hub repository, with the token in HF_TOKEN; returns its address. A new one is created.

    Raises UserError if the hub cannot be reached within some seconds, or refuses.
    """
    from huggingface_hub import HfApi

    api = HfApi(token=os.environ.get("HF_TOKEN"))
    answer = _in_time(lambda: api.create_repo(hub_id, exist_ok=True))
    if not isinstance(answer, Exception):
        try:
            return str(
                api.upload_folder(repo_id=hub_id, folder_path=folder, commit_message="Model by affetto").repo_url
            )
        except Exception as problem:  # whatever the client raises: connection, permission, size
            answer = problem
    raise UserError(
        f"the Hugging Face hub has not taken {hub_id!r} ({_reason(answer)}): check the id, the token in HF_TOKEN and "
        f"the connection; the folder {folder} is whole"
    )


def _reason(problem: Exception) -> str:
    response = getattr(problem, "response", None)
    status = getattr(response, "status_code", None)
    return f"{type(problem).__name__}{f', status {status}' if status else ''}"


def _in_time(ask: Callable[[], T]) -> T | Exception:
    """Value that `ask` returns or error that it raises. In a thread: a dead name server would block for long."""
    answers: list[T | Exception] = []

    def run() -> None:
        try:
            answers.append(ask())
        except Exception as problem:  # handed over to the caller's thread
            answers.append(problem)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(REACH_SECONDS)
    return answers[0] if answers else TimeoutError("no answer")


def _listing(hub_id: str, revision: str = "") -> list[str]:
    """Names of the files of a hub repository, in its newest state or at a revision. Raises UserError."""
    from huggingface_hub import HfApi

    info = _in_time(lambda: HfApi().model_info(hub_id, revision=revision or None, timeout=REACH_SECONDS - 2))
    if not isinstance(info, Exception):
        return [sibling.rfilename for sibling in info.siblings or []]
    name = type(info).__name__
    if name in ("RepositoryNotFoundError", "HFValidationError", "GatedRepoError"):
        raise UserError(
            f"the Hugging Face hub has no open model {hub_id!r}: check the id (owner/name), or log in with "
            "`hf auth login`"
        )
    if name == "RevisionNotFoundError":
        raise UserError(
            f"the Hugging Face hub has no revision {revision!r} of {hub_id!r}: give a branch, a tag or a commit of it, "
            "or the id without @"
        )
    reason = "no answer" if name == "TimeoutError" else name
    raise UserError(
        f"the Hugging Face hub cannot be reached for {hub_id!r} ({reason}): give a checkpoint folder "
        "(--backbone DIR), set HF_HOME to a cache that has it, or use a key's shapes with --random-weights"
    )
