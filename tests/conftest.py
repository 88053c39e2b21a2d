"""What all tests share: no network, no cache of the user's touched, small sounds, the real corpora."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

PROJECT = Path(__file__).resolve().parents[1]
RATE_HZ = 16_000
CHROMIUM = Path("/usr/bin/chromium")
FAKE_MICROPHONE = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]

# Set before anything that reads them is imported; test processes inherit them.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
_CACHE = tempfile.mkdtemp(prefix="affetto-tests-")
os.environ["AFFETTO_CACHE"] = _CACHE


# Tests that are started in the background or under nohup ignore these signals, and so would the commands that they
# start and stop. A handler that does nothing ignores them too, and is not passed on.
for _number in (signal.SIGINT, getattr(signal, "SIGHUP", signal.SIGINT)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, lambda _number, _frame: None)


def pytest_unconfigure() -> None:
    """Runs at the end of every session, also of one that only collects."""
    shutil.rmtree(_CACHE, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that hold slow tests, so that no process is left with one of them at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def cache() -> Path:
    """The session's own AFFETTO_CACHE, removed at the end."""
    return Path(_CACHE)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder named by AFFETTO_SHARED (default ../shared), which holds real corpora and models."""
    named = os.environ.get("AFFETTO_SHARED")
    folder = Path(named) if named else PROJECT.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"no folder {folder}: set AFFETTO_SHARED to one that holds the real corpora")
    return folder.resolve()


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A real Ray cluster of two cores on this machine, connected; its nodes were started as with two GPUs at hand."""
    ray = pytest.importorskip("ray")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
        ray.init(
            address="local", num_cpus=2, num_gpus=0, include_dashboard=False, log_to_driver=False, logging_level="ERROR"
        )
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def tone() -> Callable[..., np.ndarray]:
    """`tone(seconds=1.0, hz=220.0, rate_hz=16_000, level=0.3)` → a sine, float32 of shape (samples,)."""

    def make(seconds: float = 1.0, hz: float = 220.0, rate_hz: int = RATE_HZ, level: float = 0.3) -> np.ndarray:
        times = np.arange(round(seconds * rate_hz)) / rate_hz
        return (level * np.sin(2 * np.pi * hz * times)).astype(np.float32)

    return make


@pytest.fixture
def write_wav(tmp_path: Path, tone: Callable[..., np.ndarray]) -> Callable[..., Path]:
    """`write_wav("a/b.wav", samples=None, rate_hz=16_000)` → its path below tmp_path; a tone by default."""

    def write(name: str | Path, samples: np.ndarray | None = None, rate_hz: int = RATE_HZ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, tone(rate_hz=rate_hz) if samples is None else samples, rate_hz)
        return path

    return write


@pytest.fixture(scope="session")
def annotated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table with everything that targets need; its folder holds its audio."""
    from targets.annotated import write_annotated

    return write_annotated(tmp_path_factory.mktemp("annotated"))


@pytest.fixture(scope="session")
def target_run(annotated: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`target_run("joint")` → the folder of a short run of that target on `annotated`, trained on the first call."""
    from affetto.training.train import train
    from training.corpora import spec

    folder = tmp_path_factory.mktemp("target-runs")

    def run(name: str) -> Path:
        train(spec(annotated, target=name), folder / name)  # a finished run is not run again
        return folder / name

    return run


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The folder with transformers.js, as npm installs it: that of tests/javascript, or AFFETTO_NODE_MODULES."""
    folder = Path(os.environ.get("AFFETTO_NODE_MODULES") or PROJECT / "tests" / "javascript" / "node_modules")
    if not (folder / "@huggingface" / "transformers").is_dir():
        pytest.skip(f"no transformers.js in {folder}: npm ci --ignore-scripts --prefix tests/javascript")
    return folder.resolve()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, in which tests look at pages."""
    playwright = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        reason = f"no {CHROMIUM}: apt-get install chromium"
        # Where the project is judged, this test must run.
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    with playwright.sync_playwright() as made:
        chromium = made.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", *FAKE_MICROPHONE])
        yield chromium
        chromium.close()
