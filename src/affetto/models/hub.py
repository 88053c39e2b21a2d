"""A checkpoint folder for a Hugging Face hub id: from the cache if it is there, else from the hub."""

from __future__ import annotations

import contextlib
import json
import threading
from pathlib import Path

from affetto.errors import UserError

REACH_SECONDS = 8.0
"""How long the hub may take to answer at all; downloads themselves take as long as they take."""
_WANTED = ["config.json", "preprocessor_config.json", "*.safetensors", "*.safetensors.index.json"]
_PICKLED = ["pytorch_model*.bin", "pytorch_model*.bin.index.json"]


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
    weights = _WANTED if any(name.endswith(".safetensors") for name in files) else _WANTED + _PICKLED
    try:
        return Path(snapshot_download(hub_id, allow_patterns=weights))
    except Exception as problem:  # whatever the client raises: connection, disk, permission
        raise UserError(
            f"downloading {hub_id} from the Hugging Face hub broke off ({problem}); run again, what arrived is kept"
        ) from problem


def _complete(folder: Path) -> bool:
    """Whether all that is needed has arrived: a download may have broken off, or been another program's."""
    if not all((folder / name).is_file() for name in ("config.json", "preprocessor_config.json")):
        return False
    for index in (*folder.glob("*.safetensors.index.json"), *folder.glob("pytorch_model*.bin.index.json")):
        try:
            shards = set(json.loads(index.read_text())["weight_map"].values())
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return False
        return all((folder / shard).is_file() for shard in shards)
    return any(folder.glob("*.safetensors")) or any(folder.glob("pytorch_model*.bin"))


def _listing(hub_id: str) -> list[str]:
    """The files of a hub repository. In a thread: a dead name server would block far beyond any time-out."""
    found: list[str] = []
    failed: list[Exception] = []

    def ask() -> None:
        from huggingface_hub import HfApi

        try:
            info = HfApi().model_info(hub_id, timeout=REACH_SECONDS - 2)
            found.extend(sibling.rfilename for sibling in info.siblings or [])
        except Exception as problem:  # handed over to the caller's thread
            failed.append(problem)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(REACH_SECONDS)
    name = type(failed[0]).__name__ if failed else ""
    if name in ("RepositoryNotFoundError", "HFValidationError", "GatedRepoError"):
        raise UserError(
            f"the Hugging Face hub has no open model {hub_id!r}: check the id (owner/name), or log in with "
            "`hf auth login`"
        )
    if failed or thread.is_alive():
        raise UserError(
            f"the Hugging Face hub cannot be reached for {hub_id!r} ({name or 'no answer'}): give a checkpoint folder "
            "(--backbone DIR), set HF_HOME to a cache that has it, or use a key's shapes with --random-weights"
        )
    return found
