"""The page of a report: one HTML file that needs nothing beside it, works from a disk, and can be printed."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from importlib import resources

from affetto._version import __version__
from affetto.errors import UserError
from affetto.reporting.render.picture import Picture
from affetto.reporting.render.section import Section
from affetto.reporting.render.sheet import Sheet
from affetto.reporting.summary import Summary

# What a figure's colours are called on the page, so that they follow light and dark.
COLOURS = {"#222222": "var(--ink)", "#666666": "var(--muted)", "#e5e5e5": "var(--grid)", "#cccccc": "var(--line)"}


def render(
    title: str,
    source: str,
    summary: Summary,
    chapters: Sequence[Section],
    provenance: Sequence[Sheet],
    *,
    drawings: Mapping[str, str],
    files: Mapping[str, Mapping[str, Sequence[str]]],
    stamp: str,
    notes: Sequence[str],
    data: Sequence[tuple[str, str]] = (),
) -> str:
    """The page as text. `drawings` has each picture's SVG, `files` what lies beside: {kind: {name: paths}}, `data` the
    files for programs: (path, title).

    Raises UserError where jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError:
        raise UserError("the report's page needs jinja2: pip install 'affetto[report]'") from None
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(_text("page.html.j2"))
    sheets = [sheet for chapter in chapters for sheet in chapter.sheets] + list(provenance)
    pictures = [picture for chapter in chapters for picture in chapter.pictures]
    tables, figures = files.get("tables", {}), files.get("figures", {})
    downloads = [(sheet.title, tables[sheet.name]) for sheet in sheets if tables.get(sheet.name)]
    downloads += [(picture.title, figures[picture.name]) for picture in pictures if figures.get(picture.name)]
    return template.render(
        title=title,
        source=source,
        summary=summary,
        chapters=chapters,
        provenance=provenance,
        version=__version__,
        stamp=stamp,
        notes=notes,
        data=data,
        css=_text("page.css"),
        script=_text("page.js"),
        downloads=downloads,
        table_files={sheet.name: tables.get(sheet.name, ()) for sheet in sheets},
        picture_files={picture.name: figures.get(picture.name, ()) for picture in pictures},
        drawings={picture.name: inline(drawings[picture.name], picture) for picture in pictures},
    )


def inline(svg: str, picture: Picture) -> str:
    """An SVG file's text as an element of the page: with a name for those who cannot see it, ids of its own, and
    colours that follow the page's."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    prefix = re.sub(r"\W", "-", picture.name)
    # Ids of two figures may be alike, and a page has each once.
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'(xlink:href="#|href="#|url\(#)', rf"\g<1>{prefix}-", svg)
    for colour, name in COLOURS.items():
        svg = re.sub(rf"(fill|stroke): {colour}", rf"\g<1>: {name}", svg, flags=re.I)
    svg = _background(svg)
    told = f'role="img" aria-label="{html.escape(picture.alt, quote=True)}"'
    return svg.replace("<svg", f"<svg {told}", 1)


def _background(svg: str) -> str:
    """The figure's own white sheet becomes the page's."""
    return re.sub(r'(<g id="[\w-]*patch_1">\s*<path[^>]*?style="fill: )#ffffff', r"\g<1>var(--card)", svg, count=1)


def _text(name: str) -> str:
    return resources.files("affetto.reporting").joinpath("templates", name).read_text(encoding="utf-8")
