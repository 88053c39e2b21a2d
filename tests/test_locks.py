"""Locks that end with their process, and what is said where the disk has none."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from affetto.errors import UserError
from affetto.experiments import worker
from affetto.experiments.states import GridFolder
from affetto.locks import take

fcntl = pytest.importorskip("fcntl")


@pytest.fixture
def without_flock(monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", flock)


def test_a_lock_is_taken_by_one(tmp_path: Path) -> None:
    first, second = (FileLock(tmp_path / "x.lock", thread_local=False) for _ in range(2))
    take(first)
    with pytest.raises(Timeout):
        take(second)
    first.release()
    take(second)
    second.release()


@pytest.mark.usefixtures("without_flock")
@pytest.mark.parametrize("left", [None, "12345\nanother-machine\n"])
def test_a_file_in_place_of_a_lock_is_refused(left: str | None, tmp_path: Path) -> None:
    """Also one that a machine which is gone has left: it would be waited for without an end."""
    folder = GridFolder(tmp_path)
    file = Path(folder.lock("a").lock_file)
    if left is not None:
        file.write_text(left)
    with pytest.raises(UserError, match=r"\.locks: no lock can be had there \(it has no flock\).*an --out on a disk"):
        take(FileLock(file))
    with pytest.raises(UserError, match="no lock can be had there"):
        folder.check_locks()
    assert folder.state("a") == ("waiting", "")
    answer = worker.do({"grid": str(tmp_path), "run": "a", "device": "cpu", "spec": {}})
    assert answer["state"] == "failed" and "no lock can be had there" in answer["error"]
    assert json.dumps(answer)
