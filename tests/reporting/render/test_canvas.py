"""The canvas of figures: files written whole, nothing global touched, mistakes in one line."""

from __future__ import annotations

import subprocess
import sys

import pytest

from affetto.errors import UserError
from affetto.reporting.render.canvas import framed, save, style


def draw(path):
    with style():
        figure = framed(4, 2, "title", "caption", "synthetic speech")
        figure.add_subplot().plot([0, 1])
        return save(figure, path)


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_same_data_same_bytes_and_no_leftovers(suffix, tmp_path):
    first, again = draw(tmp_path / "sub" / f"a{suffix}"), draw(tmp_path / "sub" / f"b{suffix}")
    assert first.read_bytes() == again.read_bytes()
    assert first.read_bytes().startswith(b"\x89PNG" if suffix == ".png" else b"<?xml")
    assert sorted(path.name for path in first.parent.iterdir()) == [f"a{suffix}", f"b{suffix}"]


def test_an_unknown_format_is_a_mistake(tmp_path):
    with pytest.raises(UserError, match=r"unknown figure format '\.pgn': did you mean '\.png'"):
        draw(tmp_path / "a.pgn")


def test_an_old_figure_survives_a_failed_write(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    path = draw(tmp_path / "a.png")
    before = path.read_bytes()

    def half(self, part, **_):
        part.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", half)
    with pytest.raises(OSError, match="disk full"):
        draw(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_without_matplotlib_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UserError, match=r"pip install 'affetto\[report\]'"):
        draw(tmp_path / "a.png")


def test_neither_import_nor_drawing_touches_pyplot_or_the_user_s_settings(tmp_path):
    program = f"""
import sys
from affetto.reporting.chapters import methods
assert "matplotlib" not in sys.modules
import matplotlib
matplotlib.use("svg")
matplotlib.rcParams["font.size"] = 31
before = dict(matplotlib.rcParams)
methods.draw_methods([methods.Score(name="a", value=0.4)], {str(tmp_path / "a.png")!r}, "t")
assert "matplotlib.pyplot" not in sys.modules
assert dict(matplotlib.rcParams) == before
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)
