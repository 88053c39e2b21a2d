"""The page of a report: one HTML file that needs nothing beside it, works from a disk, and can be printed."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from urllib.parse import quote

from affetto._version import __version__
from affetto.errors import UserError
from affetto.reporting.render.page_table import page_table
from affetto.reporting.render.picture import Picture
from affetto.reporting.render.section import Section
from affetto.reporting.results.summary import Summary

COLOURS = {"#222222": "var(--ink)", "#666666": "var(--muted)", "#e5e5e5": "var(--grid)", "#cccccc": "var(--line)"}
"""Names of a figure's colours on the page, so that they follow light and dark."""

Files = Mapping[str, Sequence[str]]
"""{name of a table or figure: paths of its files beside the page}."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """Contents of the page."""

    title: str
    source: str
    """Name of the folder of results."""
    summary: Summary
    sections: Sequence[Section]
    folder: Path
    """Folder that the page is written into."""
    drawings: Mapping[str, str]
    """SVG of each picture, by name."""
    stamp: str = ""
    notes: Sequence[str] = ()
    """Sentences on results that were left out."""
    table_files: Files = field(default_factory=dict)
    picture_files: Files = field(default_factory=dict)
    data_files: Sequence[tuple[str, str]] = ()
    """Files for programs: (path, title)."""

    def render(self) -> str:
        """The page as text. Raises UserError where jinja2 is not installed."""
        try:
            from jinja2 import Environment, StrictUndefined
        except ImportError:
            raise UserError("the report's page needs jinja2: pip install 'affetto[report]'") from None
        environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        environment.filters["address"] = self.address
        sheets = [sheet for section in self.sections for sheet in section.sheets]
        pictures = [picture for section in self.sections for picture in section.pictures]
        return environment.from_string(_template("page.html.j2")).render(
            page=self,
            version=__version__,
            css=_template("page.css"),
            script=_template("page.js"),
            tables={sheet.name: page_table(sheet) for sheet in sheets},
            table_files={sheet.name: self.table_files.get(sheet.name, ()) for sheet in sheets},
            picture_files={picture.name: self.picture_files.get(picture.name, ()) for picture in pictures},
            downloads=[
                (item.title, paths)
                for items, files in ((sheets, self.table_files), (pictures, self.picture_files))
                for item in items
                if (paths := files.get(item.name))
            ],
            drawings={picture.name: inline_svg(self.drawings[picture.name], picture) for picture in pictures},
        )

    def address(self, recording: str) -> str:
        """Address of a recording, relative to the page."""
        path, mark, section = recording.partition("#t=")
        return quote(os.path.relpath(path, self.folder.resolve())) + mark + section


def inline_svg(svg: str, picture: Picture) -> str:
    """The text of an SVG file as an element of the page.

    The element has the picture's words for those who cannot see it, unique ids, and colours that follow the page's.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    prefix = re.sub(r"\W", "-", picture.name)
    # Two figures may have the same ids, and a page may have each only once.
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'(xlink:href="#|href="#|url\(#)', rf"\g<1>{prefix}-", svg)
    for colour, name in COLOURS.items():
        svg = re.sub(rf"(fill|stroke): {colour}", rf"\g<1>: {name}", svg, flags=re.I)
    # The white background of the figure becomes that of the page.
    background = r'(<g id="[\w-]*patch_1">\s*<path[^>]*?style="fill: )#ffffff'
    svg = re.sub(background, r"\g<1>var(--card)", svg, count=1)
    label = f'role="img" aria-label="{html.escape(picture.alt, quote=True)}"'
    return svg.replace("<svg", f"<svg {label}", 1)


def _template(name: str) -> str:
    return resources.files("affetto.reporting").joinpath("templates", name).read_text(encoding="utf-8")
