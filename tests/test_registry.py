"""Registries: built-in records without a second list, plug-ins by entry points, and their mistakes on one line."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from affetto.errors import UserError
from affetto.registry import Registry
from plugins import install

GROUP = "affetto.tests"


@dataclass(frozen=True)
class Fruit:
    name: str
    weight: int = 0


LEMON = Fruit("lemon", 2)
PAIR = (Fruit("plum", 3), Fruit("fig", 1))


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a package of two modules, with a record each."""
    folder = tmp_path / "fruit_basket"
    folder.mkdir()
    (folder / "__init__.py").touch()
    for module in ("apple", "pear"):
        text = f"from test_registry import Fruit\nRECORD = Fruit('{module}', {len(module)})\nWORD = '{module}'\n"
        (folder / f"{module}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "test_registry", sys.modules[__name__])
    for module in ("", ".apple", ".pear"):
        monkeypatch.delitem(sys.modules, f"fruit_basket{module}", raising=False)
    return "fruit_basket"


def registry(package: str) -> Registry[Fruit]:
    return Registry("fruit", Fruit, [package], GROUP, order=lambda fruit: (fruit.weight, fruit.name))


def test_modules_and_plugins_are_collected_in_order(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fruits = registry(package)
    assert list(fruits) == ["pear", "apple"]
    install(tmp_path, monkeypatch, GROUP, one="test_registry:LEMON", two="test_registry:PAIR")
    assert list(fruits) == ["pear", "apple"], "entry points are read once"
    fruits.reload()
    assert list(fruits) == ["fig", "lemon", "plum", "pear", "apple"]
    assert fruits.find("lemon") is fruits["lemon"] is LEMON
    with pytest.raises(UserError, match="unknown fruit 'lemmon': did you mean 'lemon'"):
        fruits.find("lemmon")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            "test_registry:APPLE",
            r"two records of the fruit 'apple': the module fruit_basket.apple and the plug-in 'bad' of",
        ),
        ("test_registry:GROUP", r"the plug-in 'bad' .* refers to test_registry:GROUP, which is no fruit but a str"),
        ("test_registry:NOTHING", r"the plug-in 'bad' of the package toy .* cannot be loaded \(AttributeError"),
        ("no_such_module:RECORD", r"cannot be loaded \(ModuleNotFoundError: .*\); update or uninstall it"),
    ],
)
def test_a_duplicate_or_broken_plugin_is_one_clear_line(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, message: str
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "APPLE", Fruit("apple"), raising=False)
    install(tmp_path, monkeypatch, GROUP, bad=value)
    with pytest.raises(UserError, match=message):
        registry(package).find("apple")
