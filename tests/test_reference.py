"""The reference pages: they name every command, setting, field, axis and public name, and their examples work."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

import affetto
from affetto.experiments import grid
from affetto.experiments.planned import AXES
from affetto.models.card import _Card
from affetto.training.spec import RECIPES, setting_names, settings
from conftest import PROJECT

DOCS = PROJECT / "docs"
FIRST = PROJECT / "tests" / "data" / "first"


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    """The hook that mkdocs runs."""
    spec = importlib.util.spec_from_file_location("reference", DOCS / "hooks" / "reference.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def page(name: str) -> str:
    return (DOCS / "reference" / name).read_text(encoding="utf-8")


def test_every_part_stands_on_a_page(reference: ModuleType) -> None:
    markers = {name for path in DOCS.rglob("*.md") for name in reference.MARKER.findall(path.read_text())}
    assert markers == set(reference.PARTS)
    assert "## affetto train" in reference.on_page_markdown(page("commands.md"), page=None)


def test_the_commands_have_all_their_options(reference: ModuleType) -> None:
    sections = dict(re.findall(r"^## (affetto[^\n]*)\n(.*?)(?=^## |\Z)", reference.commands(), re.M | re.S))
    assert {"affetto train", "affetto grid run", "affetto corpora inspect", "affetto store prune"} <= set(sections)
    for command, context in reference.walk():
        options = [option for parameter in command.params for option in parameter.opts]
        missing = [option for option in options if option not in sections[context.command_path]]
        assert not missing, f"{context.command_path} lacks {missing}"
    assert "| default" in sections["affetto train"] and "required" in sections["affetto train"]


def test_the_settings_have_the_values_of_each_recipe(reference: ModuleType) -> None:
    cells = [line.strip("| ").split(" | ") for line in reference.settings().splitlines() if line.startswith("| `")]
    rows = {row[0].strip("`"): row for row in cells}
    assert set(rows) == set(setting_names())
    for column, recipe in enumerate(sorted(RECIPES), start=2):
        values = settings(recipe).model_dump(mode="json")
        for name in setting_names():
            section, _, field = name.partition(".")
            assert rows[name][column] == reference.code(values[section][field]), (name, recipe)


def test_allowed_values_are_read_from_the_schema(reference: ModuleType) -> None:
    assert reference.allowed({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}]}) == (
        "whole number ≥ 0 or `null`"
    )
    assert reference.allowed({"enum": ["a", "b"]}) == "`a`, `b`"
    pair = {"type": "array", "minItems": 2, "maxItems": 2, "prefixItems": [{"type": "number"}, {"type": "number"}]}
    assert reference.allowed(pair) == "list of 2 numbers"


def test_the_python_page_has_every_public_name(reference: ModuleType) -> None:
    made = reference.interface()
    assert {f"### affetto.{name}" for name in affetto.__all__ if name != "__version__"} == set(
        re.findall(r"^### .*$", made, re.M)
    )
    for field in affetto.RunSpec.model_fields:
        assert f"    {field}: " in made
    assert "include_seen: bool = False" in made and "0x" not in made


def test_the_files_page_has_every_field() -> None:
    text = page("files.md")
    names = set(re.findall(r"`(\w+)`", text))
    metrics = [json.loads(path.read_text()) for path in FIRST.glob("runs/*/metrics.json")]
    cards = [json.loads(path.read_text()) for path in FIRST.glob("models/*/affetto.json")]
    assert metrics and cards
    for content in metrics:
        assert documented(content, names, {"test", "confidence", "folds"})
    for content in cards:
        assert documented(content, names, {"blueprint", "backbone", "confidence"})
    assert set(_Card.model_fields) <= names
    for path in FIRST.glob("runs/*/*predictions.jsonl"):
        assert set(json.loads(path.read_text().splitlines()[0])) <= names
        assert path.name in text


def documented(content: dict[str, Any], names: set[str], inner: set[str]) -> bool:
    """Assert that all fields are named, and those of the `inner` ones too."""
    assert set(content) <= names, set(content) - names
    for name in inner & set(content):
        for part in content[name] if isinstance(content[name], list) else [content[name]]:
            assert set(part) <= names, set(part) - names
    return True


def test_the_example_of_a_grid_is_one_and_has_every_part(tmp_path: Path) -> None:
    text = page("grids.md")
    example = re.search(r"```yaml\n(.*?)```", text, re.S)
    assert example is not None
    (tmp_path / "grid.yaml").write_text(example[1], encoding="utf-8")
    runs = grid.read(tmp_path / "grid.yaml").runs
    # 2 backbones × 2 corpora × (frozen + 2 alphas of LoRA) × 3 seeds, less the excluded, beside each LoRA a variant.
    assert len(runs) == 2 * 2 * 3 + (2 + 1) * 2 * 3 * 2
    assert set(re.findall(r"^(\w+):", example[1], re.M)) == set(grid.PARTS)
    assert set(AXES) <= set(re.findall(r"`(\w+)`", text))


def test_rooms_stand_in_the_order_of_the_contract(reference: ModuleType) -> None:
    """The picture and the table, from the top layer to the bottom one or the other way round."""
    layers = reference.contract()
    assert layers[0] == ["__main__"] and "errors" in layers[-1] and ["corpora"] in layers
    drawn = re.findall(r"<text[^>]*monospace[^>]*>(\w+)</text>", reference.rooms())
    assert drawn == [room for layer in layers for room in layer]
    listed = re.findall(r"^\| `(\w+)`", reference.room_table(), re.M)
    assert listed == [room for layer in reversed(layers) for room in layer]


def test_a_spec_without_settings_has_those_of_its_recipe() -> None:
    spec = affetto.RunSpec(corpora=["EMOVO"], backbone="wav2vec2-base", method="lora")
    assert spec.settings == affetto.settings("recommended", method="lora") != affetto.settings("paper", method="lora")
    assert spec.corpora == (affetto.CorpusSpec(path="EMOVO"),) and spec.corpora[0].name is None


def test_importing_public_names_is_what_the_module_says() -> None:
    assert set(affetto._HOME) | {"__version__"} == set(affetto.__all__) == set(dir(affetto))
    for name, home in affetto._HOME.items():
        assert getattr(affetto, name) is getattr(sys.modules[home], name)


def test_contributing_lists_all_rooms_from_bottom_to_top(reference: ModuleType) -> None:
    """A room may import from the rooms above it in the table, which is the contract the other way round."""
    text = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    level = {room: number for number, layer in enumerate(reversed(reference.contract())) for room in layer}
    listed = re.findall(r"^\| `(\w+)` \|", text, re.M)
    assert sorted(listed) == sorted(level)
    assert [level[room] for room in listed] == sorted(level[room] for room in listed)


def test_python_files_that_pages_name_exist() -> None:
    """Lab notes speak of their own time, and are left out."""
    existing = [str(path.relative_to(PROJECT)) for path in PROJECT.rglob("*.py") if ".venv" not in path.parts]
    written = {"predict.py", "exported/onnx/predict.py"}  # by an export
    pages = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *DOCS.rglob("*.md")]
    for path in pages:
        if path.name == "lab-notes.md":
            continue
        for name in re.findall(r"[\w./-]*\b\w+\.py\b", path.read_text(encoding="utf-8")):
            exists = name in written or any(f"/{file}".endswith(f"/{name}") for file in existing)
            assert exists, f"{path.name} names {name}"


def test_the_workflow_runs_what_a_developer_runs() -> None:
    workflow = yaml.safe_load((PROJECT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    assert workflow["jobs"]["test"]["steps"][-1]["run"] == ".ci/run"
    assert (PROJECT / ".ci" / "run").stat().st_mode & 0o111
