"""The page's uploads on disk: reached by their tokens alone, bounded, and gone with their server however it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile

import pytest

from affetto.serving import shelf
from affetto.serving.limits import Limits
from affetto.serving.refusals import RefusalError

LIMITS = Limits(max_megabytes=0.001)


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def keep(uploads: shelf.Shelf, content: bytes = b"RIFF") -> str:
    return asyncio.run(uploads.keep(content))


def refusal(call, *arguments) -> tuple[int, str]:
    with pytest.raises(RefusalError) as refused:
        call(*arguments)
    return refused.value.status, refused.value.code


def test_a_token_is_all_that_reaches_a_file(root):
    (root / "secret.wav").write_bytes(b"secret")
    with shelf.Shelf.opened(LIMITS) as uploads:
        token = keep(uploads, b"fLaC...")
        assert shelf.TOKEN.fullmatch(token) and token.endswith(".flac") and uploads.read(token) == b"fLaC..."
        strangers = (str(root / "secret.wav"), "../secret.wav", str(uploads.path(token)), shelf.LOCK, "", f"./{token}")
        for other in strangers:
            assert refusal(uploads.read, other) == (404, "no_upload")
        assert uploads.folder.stat().st_mode & 0o077 == 0
        uploads.path(token).write_bytes(bytes(1001))
        assert refusal(uploads.read, token) == (413, "too_large")
    assert sorted(path.name for path in root.iterdir()) == ["secret.wav"]


def test_an_upload_goes_after_its_time_and_makes_room(monkeypatch):
    monkeypatch.setattr(shelf, "KEPT_SECONDS", 0.01)
    monkeypatch.setattr(shelf, "MOST_UPLOADS", 2)

    async def scene(uploads: shelf.Shelf) -> None:
        loop = asyncio.get_running_loop()
        later = []
        monkeypatch.setattr(loop, "call_later", lambda _seconds, drop, token: later.append((drop, token)))
        tokens = [await uploads.keep(bytes(1000)) for _ in range(2)]
        with pytest.raises(RefusalError) as refused:
            await uploads.keep(b"x")
        assert (refused.value.status, refused.value.code) == (507, "storage_full") and refused.value.headers
        drop, token = later[0]
        assert token == tokens[0]
        drop(token)
        assert not (uploads.folder / token).exists() and (uploads.folder / tokens[1]).exists()
        await uploads.keep(bytes(1000))

    with shelf.Shelf.opened(LIMITS) as uploads:
        asyncio.run(scene(uploads))
        assert len(list(uploads.folder.iterdir())) == 3, "two uploads and the lock"


def test_a_full_disk_refuses_and_leaves_no_half_file(monkeypatch):
    def full(path, content):
        with open(path, "wb") as file:
            file.write(content[:1])
        raise OSError(28, "No space left on device")

    with shelf.Shelf.opened(LIMITS) as uploads:
        monkeypatch.setattr("pathlib.Path.write_bytes", full)
        assert refusal(keep, uploads) == (507, "storage_full")
        assert [path.name for path in uploads.folder.iterdir()] == [shelf.LOCK]


@pytest.mark.skipif(shelf.fcntl is None, reason="no file locks")
def test_what_a_killed_server_left_is_swept_and_what_lives_is_not(root):
    code = (
        "import sys, time; from affetto.serving.shelf import Shelf; "
        "from affetto.serving.limits import Limits\n"
        "with Shelf.opened(Limits()) as s: (s.folder / 'recording').write_bytes(b'x'); print(s.folder, flush=True); "
        "time.sleep(600)"
    )
    environment = os.environ | {"TMPDIR": str(root)}
    servers = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(2)
    ]
    try:
        folders = [server.stdout.readline().strip() for server in servers]
        servers[0].send_signal(signal.SIGKILL)
        servers[0].wait(60)
        (root / f"{shelf.PREFIX}of-somebody").mkdir()
        (root / f"{shelf.PREFIX}link").symlink_to(folders[0])
        with shelf.Shelf.opened(LIMITS):
            assert [os.path.exists(folder) for folder in folders] == [False, True]
            assert (root / f"{shelf.PREFIX}of-somebody").is_dir(), "nothing tells that it is a server's"
    finally:
        for server in servers:
            server.kill()
            server.communicate()


def test_a_missing_folder_for_temporary_files_is_an_error_of_the_system(monkeypatch, root):
    monkeypatch.setattr(tempfile, "tempdir", str(root / "absent"))
    with pytest.raises(OSError), shelf.Shelf.opened(LIMITS):  # noqa: PT011 (that is all that callers look for)
        pass
