"""Locks on files that end with the process that holds them, on whatever machine it was."""

from __future__ import annotations

import warnings
from pathlib import Path

from filelock import FileLock, SoftFileLock, Timeout

from affetto.errors import UserError

NO_FLOCK = "it has no flock"


def take(lock: FileLock) -> None:
    """Acquire a lock without waiting.

    Raises filelock's Timeout where another process holds it, PermissionError for another user's file, and UserError
    where the disk has no `flock`. filelock would put a file there in its stead, which outlives a machine that crashes:
    whatever it guards would be waited for without an end.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # the errors below say it
            lock.acquire(timeout=0)
    except Timeout:
        if isinstance(lock, SoftFileLock):  # such a file, of today or of last year
            raise _refused(lock, NO_FLOCK) from None
        raise
    except PermissionError:
        raise
    except (OSError, NotImplementedError) as problem:
        raise _refused(lock, str(problem)) from None
    if isinstance(lock, SoftFileLock):
        lock.release()
        raise _refused(lock, NO_FLOCK)


def _refused(lock: FileLock, reason: str) -> UserError:
    return UserError(
        f"{Path(lock.lock_file).parent}: no lock can be had there ({reason}), and without one two processes would do "
        "the same work; give an --out on a disk with flock(2): a local one, NFS, or Lustre mounted with -o flock"
    )
