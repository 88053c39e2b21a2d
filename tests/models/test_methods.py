"""Records of methods: complete, in line with their code, and as the page of methods lists them."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from affetto.errors import UserError
from affetto.models.methods.base import PARTS, Method, MethodSettings
from affetto.models.methods.registry import METHODS
from affetto.training import sections
from affetto.training.spec import settings

PAGE = Path(__file__).parents[2] / "docs" / "methods.md"


@pytest.mark.parametrize("name", METHODS)
def test_a_record_is_complete(name: str) -> None:
    method = METHODS[name]
    assert method.title and method.trains and method.__doc__
    assert method.part is None or (method.part in PARTS and method.changes_blocks and not method.trains_backbone)
    fields = {} if method.settings is None else method.settings.model_fields
    assert all(field.description and not field.is_required() for field in fields.values())
    assert set(method.recommended) <= set(fields)
    assert set(method.recommended_training) <= set(sections.TrainingSettings.model_fields)
    parameters = inspect.signature(method.__init__).parameters
    accepts_all = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    assert accepts_all or set(fields) <= set(parameters)


def test_methods_stand_in_the_order_of_how_much_they_train() -> None:
    names = list(METHODS)
    assert names[:2] == ["probe", "frozen"] and names[-1] == "full"


def test_a_class_without_a_title_goes_by_its_name() -> None:
    class Child(METHODS["lora"]):
        name = "child"

    class Base(Method):
        pass

    assert Child.title == "child" and METHODS["lora"].title == "LoRA" and not hasattr(Base, "title")


def test_a_section_that_exists_already_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Rival(Method):
        name = "training"
        settings = MethodSettings

    monkeypatch.setitem(METHODS._load(), "training", Rival)
    with pytest.raises(UserError, match="method 'training' cannot have settings: there is a section 'training'"):
        sections.with_methods()


def test_vectors_learn_faster_by_the_recommended_recipe_alone() -> None:
    rates = {name: settings("recommended", method=name).training.method_lr for name in ("lora", "ia3", "lora+prefix")}
    assert rates == {"lora": 3e-4, "ia3": 3e-3, "lora+prefix": 3e-4}
    assert settings("paper", method="ia3").training.method_lr is None
    assert settings("recommended", {"training.method_lr": "1e-5"}, method="ia3").training.method_lr == 1e-5


def test_the_page_lists_all_methods() -> None:
    table = PAGE.read_text(encoding="utf-8").split("\n## ", 1)[0]
    rows = re.findall(r"^\| `\w+` .*$", table, re.MULTILINE)
    assert rows == [row(method) for method in METHODS.values()]


def row(method: type[Method]) -> str:
    cells = [f"`{method.name}`", method.title, method.trains, method.source]
    cells += [method.part or "–", "yes" if method.mergeable and method.changes_blocks else "–"]
    cells.append(f"{method.recommended_training['method_lr']:g}" if method.recommended_training else "–")
    return f"| {' | '.join([*cells, 'yes' if method.is_peft else '–'])} |"
