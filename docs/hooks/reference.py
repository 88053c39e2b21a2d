"""Reference pages of the site: mkdocs replaces each `<!-- reference: NAME -->` line of a page by a part made here.

Commands, settings and the Python interface are listed from the code itself, so that the site cannot miss one.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
MARKER = re.compile(r"^<!-- reference: ([\w-]+) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill in the parts of a page. Called by mkdocs; raises KeyError for a part that does not exist."""
    return MARKER.sub(lambda marker: PARTS[marker[1]](), markdown)


def commands() -> str:
    """Section of every command, with its arguments and options as `--help` shows them."""
    return "\n\n".join(_command(command, context) for command, context in walk())


def walk() -> Iterator[tuple[Any, Any]]:
    """All commands of the command line, each with its context."""
    import typer

    from affetto.cli import app

    def descend(command: Any, name: str, parent: Any) -> Iterator[tuple[Any, Any]]:
        context = command.context_class(command, info_name=name, parent=parent)
        if not hasattr(command, "commands"):
            yield command, context
        for child, inner in getattr(command, "commands", {}).items():
            yield from descend(inner, child, context)

    yield from descend(typer.main.get_command(app), "affetto", None)


def _command(command: Any, context: Any) -> str:
    rows = []
    for parameter in command.get_params(context):
        names, text = parameter.get_help_record(context)
        if "--help" in parameter.opts:
            continue
        text, _, remarks = text.partition("  [")
        rows.append((f"`{names}`", text, remarks.rstrip("]")))
    usage = " ".join(command.get_usage(context).removeprefix("Usage: ").split())
    parts = [f"## {context.command_path}", command.help or "", f"```text\n{usage}\n```"]
    if rows:
        parts.append(table(("argument or option", "meaning", "default, limits"), rows))
    return "\n\n".join(parts)


def settings() -> str:
    """Table of every section of the settings: allowed values, the recipes' values, meaning."""
    from affetto.training import spec

    schema = spec.Settings.model_json_schema()
    recipes = {name: spec.settings(name).model_dump(mode="json") for name in sorted(spec.RECIPES)}
    parts = []
    for section, info in spec.Settings.model_fields.items():
        record: Any = info.annotation
        fields = schema["$defs"][record.__name__]["properties"]
        rows = []
        for name, field in record.model_fields.items():
            conditions = [mark.condition.text for mark in field.metadata if hasattr(mark, "condition")]
            needs = f". *Acts with {conditions[0]}.*" if conditions else ""
            chosen = [code(values[section][name]) for values in recipes.values()]
            rows.append((f"`{section}.{name}`", allowed(fields[name]), *chosen, f"{field.description or ''}{needs}"))
        parts += [f"## {section}", table(("setting", "values", *recipes, "meaning"), rows)]
    return "\n\n".join(parts)


def allowed(schema: dict[str, Any]) -> str:
    """The values that a JSON schema allows, in words."""
    if "anyOf" in schema:
        return " or ".join(allowed(option) for option in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        items = schema.get("prefixItems") or [schema.get("items", {})]
        count = f"{schema['maxItems']} " if schema.get("maxItems") == schema.get("minItems", 0) else ""
        return f"list of {count}{allowed(items[0]).replace('number', 'numbers')}"
    name = {"number": "number", "integer": "whole number", "boolean": "`true`, `false`", "null": "`null`"}
    bounds = (("exclusiveMinimum", ">"), ("minimum", "≥"), ("exclusiveMaximum", "<"), ("maximum", "≤"))
    limits = [f"{sign} {schema[bound]:g}" for bound, sign in bounds if bound in schema]
    return " ".join([name.get(schema.get("type", ""), "text"), ", ".join(limits)]).strip()


def interface() -> str:
    """Section of every public name, with its signature and docstring."""
    import affetto

    parts = []
    for name in affetto._HOME:
        thing = getattr(affetto, name)
        parts += [f"### affetto.{name}", f"```python\n{signature(name, thing)}\n```", docstring(thing)]
        if inspect.isclass(thing) and not hasattr(thing, "model_fields"):
            for member, function in public_members(thing):
                parts += [f"**`{name}.{member}{_call(function)}`** {docstring(function)}"]
    return "\n\n".join(parts)


def public_members(thing: type) -> list[tuple[str, Any]]:
    """Methods and properties that a class defines or inherits from the package's own classes, with a docstring."""
    members: dict[str, Any] = {}
    for base in reversed([base for base in thing.__mro__ if base.__module__.startswith("affetto")]):
        members |= {name: value for name, value in vars(base).items() if not name.startswith("_")}
    functions = (property, classmethod, staticmethod)
    return [
        (name, value)
        for name, value in members.items()
        if (inspect.isfunction(value) or isinstance(value, functions)) and inspect.getdoc(value)
    ]


def signature(name: str, thing: Any) -> str:
    """`name(a, b=1)`, a parameter a line where it is long; a record's fields where they make its signature."""
    if inspect.isclass(thing) and issubclass(thing, Exception):
        return f"{name}(message)"
    end = ""
    if hasattr(thing, "model_fields"):
        parameters = [_field(field, info) for field, info in thing.model_fields.items()]
    else:
        parameters = _parameters(thing)
        returned = inspect.signature(thing).return_annotation
        end = f" -> {returned}" if isinstance(returned, str) and not inspect.isclass(thing) else ""
    short = f"{name}({', '.join(parameters)}){end}"
    return short if len(short) <= 100 else f"{name}(\n" + "".join(f"    {p},\n" for p in parameters) + f"){end}"


def _field(name: str, info: Any) -> str:
    kind = info.annotation.__name__ if inspect.isclass(info.annotation) else str(info.annotation)
    kind = re.sub(r"\b[a-z_]+(?:\.[a-z_]+)*\.(?=[A-Z])", "", kind)
    if info.is_required():
        return f"{name}: {kind}"
    default = "…" if hasattr(info.default, "model_fields") or info.default_factory else repr(info.default)
    return f"{name}: {kind} = {default}"


def _parameters(function: Any) -> list[str]:
    shown = []
    starred = False
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name in ("self", "cls"):
            continue
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and not starred:
            starred = True
            shown.append("*")
        text = f"{parameter.name}: {parameter.annotation}"
        if parameter.default is not inspect.Parameter.empty:
            text += f" = {'…' if callable(parameter.default) else repr(parameter.default)}"
        shown.append(text)
    return shown


def _call(function: Any) -> str:
    if isinstance(function, property):
        return ""
    function = function.__func__ if isinstance(function, classmethod | staticmethod) else function
    return f"({', '.join(_parameters(function))})"


def docstring(thing: Any) -> str:
    """Docstring of a class or function itself, not of a base class of another package."""
    documented = not inspect.isclass(thing) or thing.__doc__ is not None
    return (inspect.getdoc(thing) or "") if documented else ""


def rooms() -> str:
    """Picture of the rooms, from the import contract."""
    return str(_neighbour("rooms").picture(contract()))


def room_table() -> str:
    """Table of the rooms from bottom to top, with the first sentence of each docstring."""
    purpose = _neighbour("rooms").purpose
    rows = [(f"`{room}`", purpose(room)) for layer in reversed(contract()) for room in layer]
    return table(("room", "purpose"), rows)


def contract() -> list[list[str]]:
    """The layers of the import contract from top to bottom, each a list of rooms."""
    content = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = content["tool"]["importlinter"]["contracts"]
    layers = next(entry for entry in contracts if entry["type"] == "layers")["layers"]
    return [[room.strip(" ()") for room in re.split(r"[|:]", layer)] for layer in layers]


def _neighbour(name: str) -> Any:
    folder = str(Path(__file__).parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return importlib.import_module(name)


def code(value: Any) -> str:
    """A value as it is written after `--set NAME=`."""
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(text) for text in line)} |" for line in lines)


def _cell(text: str) -> str:
    return re.sub(r"<(?=[a-z]+( [a-z]+)?>)", "&lt;", text.replace("|", r"\|").replace("\n", " "))


PARTS: dict[str, Callable[[], str]] = {
    "commands": commands,
    "settings": settings,
    "interface": interface,
    "rooms": rooms,
    "room-table": room_table,
}
