"""A page beside an export for transformers.js: static files that run the model in the browser and send nothing.

The policy in the page's head allows connections to its own address alone. transformers.js is copied from where npm has
installed it: the page loads nothing from elsewhere, and no code of others is part of affetto.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from affetto.errors import UserError
from affetto.inference.notices import ARTICLES, DISCLAIMER, NOTICES, REGULATION
from affetto.inference.predictor import Predictor
from affetto.models.licences import describe, read_licences

FILES = ("index.html", "page.css", "page.js", "worker.js")
LIBRARY = "library"
_TRANSFORMERS, _RUNTIME = "@huggingface/transformers", "onnxruntime-web"
_COPIED = {
    f"{_TRANSFORMERS}/dist/transformers.min.js": "transformers.min.js",
    f"{_TRANSFORMERS}/LICENSE": "LICENSE.transformers.txt",
    f"{_RUNTIME}/dist/ort-wasm-simd-threaded.asyncify.mjs": "ort-wasm-simd-threaded.asyncify.mjs",
    f"{_RUNTIME}/dist/ort-wasm-simd-threaded.asyncify.wasm": "ort-wasm-simd-threaded.asyncify.wasm",
}
"""Files below node_modules, and their names in the page's folder of the library."""


@dataclass(frozen=True)
class BrowserLibrary:
    """transformers.js and its runtime, as npm has installed them below `node_modules`."""

    folder: Path

    @classmethod
    def locate(cls, folder: Path) -> BrowserLibrary:
        """Find the library in `folder`, or in its node_modules. Raises UserError where it is not there."""
        candidates = (folder, folder / "node_modules")
        complete = [candidate for candidate in candidates if all((candidate / file).is_file() for file in _COPIED)]
        if not complete:
            lacking = next(file for file in _COPIED if not (folder / file).is_file())
            raise UserError(
                f"--page {folder}: no {lacking} in it; npm install --ignore-scripts {_TRANSFORMERS}, then give the "
                "folder node_modules"
            )
        return cls(complete[0])

    def copy_to(self, folder: Path) -> None:
        """Copy the files that the page needs."""
        folder.mkdir()
        for file, name in _COPIED.items():
            shutil.copyfile(self.folder / file, folder / name)


def add_page(folder: Path, predictor: Predictor, name: str, library: BrowserLibrary) -> None:
    """Write the page into the folder of an export, whose name it shows."""
    texts = {
        "title": escape(name),
        "notice": escape(NOTICES["en"]),
        "notices": "\n".join(
            f'<p lang="{code}" id="notice-{code}">{escape(text)}</p>' for code, text in NOTICES.items() if code != "en"
        ),
        "regulation": escape(REGULATION),
        "disclaimer": escape(DISCLAIMER),
        "articles": "".join(
            f"<li>{escape(article.name)}, since {article.since}: {escape(article.rule)}</li>" for article in ARTICLES
        ),
        "licence": escape(describe(read_licences(predictor.card))),
    }
    for file in FILES:
        content = (files("affetto.export") / "page" / file).read_text(encoding="utf-8")
        if file.endswith(".html"):
            content = Template(content).substitute(texts)
        (folder / file).write_text(content, encoding="utf-8")
    library.copy_to(folder / LIBRARY)
