"""Help, and errors in the arguments, come at once: nothing heavy is imported for them."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "sklearn", "scipy", "peft", "accelerate", "matplotlib", "soundfile", "numpy")
DRIVER = """
import sys
sys.argv = ["affetto", *sys.argv[1:]]
try:
    from affetto.cli import main
    main()
except SystemExit:
    pass
print("imported:", *sorted({name.partition(".")[0] for name in sys.modules}))
"""


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["--version"],
        ["train", "--help"],
        ["settings"],
        ["train", "--method", "lorra", "--backbone", "wav2vec2-base", "--out", "x"],
        ["train", "--method", "lora", "--backbone", "wav2vec2-bas", "--random-weights", "--out", "x"],
        ["train", "--method", "lora", "--backbone", "wav2vec2-base", "--out", "x", "--set", "lora.rnk=4"],
        ["train", "--method", "lora", "--backbone", "wav2vec2-base", "--random-weights", "--out", "x"],
        ["predict", "run", "clip.wav", "--format", "jsn"],
        ["predict", "run", "clip.wav", "--engine", "rya"],
        ["predict", "run", "clip.wav", "--address", "host:6379"],
        ["predict"],
        ["store", "status"],
    ],
    ids=" ".join,
)
def test_nothing_heavy_is_imported(words: list[str]) -> None:
    shown = subprocess.run([sys.executable, "-c", DRIVER, *words], capture_output=True, text=True, check=False)
    imported = shown.stdout.rpartition("imported:")[2].split()
    assert "typer" in imported and "Traceback" not in shown.stderr
    assert not set(imported) & set(HEAVY)


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, affetto; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(shown.stdout.split()) & set(HEAVY)
