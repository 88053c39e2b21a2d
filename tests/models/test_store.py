"""The store: never stale, never half, shared without harm, bounded."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile
import torch

from affetto.errors import UserError
from affetto.files import temporary_beside
from affetto.models import storage
from affetto.models.prefix import PrefixData, PrefixStore, Source
from models.systems import classifier, clips

KEY = "ab" + "0" * 62


def test_what_is_stored_is_read_back_and_named_by_all_that_it_depends_on(tmp_path: Path) -> None:
    identity = {"weights": "a", "cut": ("state", 0), "seconds": 4.0}
    store = PrefixStore(identity, "float32", tmp_path)
    put = store.put(KEY, {"state": torch.arange(6.0).reshape(3, 2)})
    found = store.get(KEY)
    assert found is not None and torch.equal(found["state"], put["state"])
    assert store.get("cd" + KEY[2:]) is None
    others = [
        PrefixStore(identity | change, "float32", tmp_path)
        for change in (
            {"weights": "b"},
            {"cut": ("state", 1)},
            {"seconds": None},
            {"device": "cuda"},
        )
    ]
    others.append(PrefixStore(identity, "float16", tmp_path))
    assert len({one.folder for one in [store, *others]}) == 6
    assert all(one.get(KEY) is None for one in others)


def test_a_value_that_overflows_float16_is_kept_in_float32(tmp_path: Path) -> None:
    store = PrefixStore({}, "float16", tmp_path)
    stored = store.put(KEY, {"state": torch.tensor([[1e5, 1.0]]), "below": torch.tensor([[1.0, 2.0]])})
    assert stored["state"].dtype == torch.float32 and stored["state"][0, 0] == 1e5
    assert stored["below"].dtype == torch.float16


@pytest.mark.parametrize(
    ("value", "dtype"),
    [(65519.0, torch.float16), (-65519.0, torch.float16), (65520.0, torch.float32), (float("nan"), torch.float32)],
)
def test_float16_keeps_what_it_does_not_round_to_infinity(tmp_path: Path, value: float, dtype: torch.dtype) -> None:
    stored = PrefixStore({}, "float16", tmp_path).put(KEY, {"state": torch.tensor([value, 1.0])})
    assert stored["state"].dtype == dtype
    assert torch.isfinite(torch.tensor(value).half()) == (dtype == torch.float16)


def flipped(content: bytes) -> bytes:
    """The same file with one bit of its last value changed, which is a good file too."""
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize("spoil", [lambda _: b"", lambda _: b"garbage", lambda content: content[:-20], flipped])
def test_a_broken_or_altered_file_counts_as_absent(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    store = PrefixStore({}, "float32", tmp_path)
    store.put(KEY, {"state": torch.ones(50, 2)})
    file = store.file(KEY)
    file.write_bytes(spoil(file.read_bytes()))
    assert store.get(KEY) is None
    store.put(KEY, {"state": torch.ones(50, 2)})
    assert store.get(KEY) is not None


def test_a_full_disk_is_told_and_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = PrefixStore({}, "float32", tmp_path)

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match=r"No space left on device.*AFFETTO_CACHE"):
        store.put(KEY, {"state": torch.ones(3, 2)})
    monkeypatch.undo()
    assert store.get(KEY) is None
    assert [file for file in store.folder.rglob("*") if file.is_file() and file.name != "namespace.json"] == []


def data(tmp_path: Path, precision: str = "float32") -> PrefixData:
    made = classifier("wav2vec2-mini", "frozen")
    sources = {}
    for number, wave in enumerate(clips(*([0.4] * 12))):
        file = tmp_path / f"{number}.wav"
        if not file.exists():
            soundfile.write(file, wave, 16_000)
        sources[str(number)] = Source(file)
    keys = {clip: source.digest() for clip, source in sources.items()}
    return PrefixData(made, PrefixStore({"cut": made.cut}, precision, tmp_path / "store"), sources, keys, None)


RACER = """
import sys
from collections.abc import Callable
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import torch
from models.test_store import data
torch.set_num_threads(1)
d = data(Path(sys.argv[1]))
assert d.prepare() == {}
print(float(d.batch(list(d.sources), torch.device("cpu"))[0]["pooled"].double().sum()))
"""


def test_processes_that_store_at_once_agree(tmp_path: Path) -> None:
    expected = data(tmp_path)
    tests = str(Path(__file__).parents[1])
    racers = [
        subprocess.Popen([sys.executable, "-c", RACER, str(tmp_path), tests], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = [float(racer.communicate()[0]) for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0]
    assert told[0] == told[1]
    assert expected.prepare() == {}
    sums = expected.batch(list(expected.sources), torch.device("cpu"))[0]["pooled"].double().sum()
    assert float(sums) == pytest.approx(told[0], rel=1e-6)
    assert not list((tmp_path / "store").rglob("*.tmp"))


def test_a_clip_that_changes_is_computed_anew_and_a_pruned_one_comes_back(tmp_path: Path) -> None:
    before = data(tmp_path)
    before.prepare()
    soundfile.write(tmp_path / "3.wav", clips(0.9)[0], 16_000)
    after = data(tmp_path)
    after.prepare()
    assert after.frames["3"] > before.frames["3"]
    assert torch.equal(after["2"]["pooled"], before["2"]["pooled"])
    kept = after["5"]["pooled"].clone()
    after._memory.clear()
    storage.prune(0, tmp_path / "store")
    assert torch.equal(after["5"]["pooled"], kept)


def test_an_unusable_clip_is_named_and_the_others_are_stored(tmp_path: Path) -> None:
    prepared = data(tmp_path)
    (tmp_path / "4.wav").write_bytes((tmp_path / "4.wav").read_bytes()[:60])
    bad = data(tmp_path).prepare()
    assert list(bad) == ["4"] and str(tmp_path / "4.wav") in bad["4"]
    assert len(list(prepared.store.folder.rglob("*.safetensors"))) == 11


# The store as a whole ----------------------------------------------------------------------------


def filled(root: Path) -> tuple[PrefixStore, PrefixStore]:
    old, new = PrefixStore({"cut": "old"}, "float32", root), PrefixStore({"cut": "new"}, "float32", root)
    for store, age in ((old, 1_000), (new, 10)):
        for number in range(3):
            store.put(f"{number:02d}" + KEY[2:], {"state": torch.zeros(1000)})
        for file in store.folder.rglob("*"):
            if file.is_file():
                os.utime(file, (1e9 - age, 1e9 - age))
    return old, new


def test_pruning_takes_the_longest_unused_first_and_stops_at_the_limit(tmp_path: Path) -> None:
    old, new = filled(tmp_path)
    total = sum(one.size_bytes for one in storage.namespaces(tmp_path))
    each = total // 6
    assert storage.prune(total, tmp_path) == (0, 0)
    assert storage.prune(total - 1, tmp_path) == (1, each)
    assert [one.identity["cut"] for one in storage.namespaces(tmp_path)] == ["old", "new"]
    storage.prune(3 * each, tmp_path)
    assert not old.folder.exists() and len(list(new.folder.rglob("*.safetensors"))) == 3
    storage.prune(0, tmp_path, keep=new.folder)
    assert len(list(new.folder.rglob("*.safetensors"))) == 3
    storage.prune(0, tmp_path)
    assert storage.namespaces(tmp_path) == []


def test_what_killed_writers_left_is_counted_and_pruned_once_it_is_old(tmp_path: Path) -> None:
    store = PrefixStore({"cut": "new"}, "float32", tmp_path)
    store.put(KEY, {"state": torch.zeros(1000)})
    (before,) = storage.namespaces(tmp_path)
    old, new = temporary_beside(store.file(KEY), ".a"), temporary_beside(store.folder / "namespace.json", ".b")
    for file in (old, new):
        file.write_bytes(bytes(500))
    os.utime(old, (1e9, 1e9))
    (namespace,) = storage.namespaces(tmp_path)
    assert (before.unfinished, namespace.unfinished) == (0, 2)
    assert (namespace.clips, namespace.size_bytes) == (1, before.size_bytes + 1000)
    assert storage.prune(10**9, tmp_path, keep=store.folder) == (1, 500)
    assert new.exists() and not old.exists() and store.get(KEY) is not None


def test_without_a_home_the_place_of_the_store_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AFFETTO_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 1_234_567)
    with pytest.raises(UserError, match="set AFFETTO_CACHE to a folder"):
        storage.default_root()


def test_a_namespace_in_use_is_not_the_longest_unused(tmp_path: Path) -> None:
    old, _ = filled(tmp_path)
    storage.touch(old.folder)
    assert [one.identity["cut"] for one in storage.namespaces(tmp_path)] == ["new", "old"]


@pytest.mark.parametrize(("text", "size"), [("0", 0), ("20GB", 20 * 10**9), ("1.5 mb", 1_500_000), ("3T", 3 * 10**12)])
def test_sizes(text: str, size: int) -> None:
    assert storage.parse_size(text, "--max-size") == size


@pytest.mark.parametrize("text", ["", "many", "-3GB", "3 gibibytes"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"--max-size .* no size"):
        storage.parse_size(text, "--max-size")


def test_a_section_has_an_address_of_its_own(write_wav: Callable[..., Path]) -> None:
    file = write_wav("long.wav")
    sections = [(None, None), (None, 0.5), (0.5, None), (0.25, 0.5), (0.25, 0.75)]
    digests = [Source(file, start, end).digest() for start, end in sections]
    assert len(set(digests)) == len(sections)
    assert digests == [Source(write_wav("same.wav"), start, end).digest() for start, end in sections]
