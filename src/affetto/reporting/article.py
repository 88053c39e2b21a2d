r"""LaTeX of a report for an article: slim tables, and two documents that show them and compile as they are.

latex/NAME.tex          the slim form of a main table, for `\input`
latex/article.tex       an article of two columns with a paragraph on the method and the slim tables
latex/references.bib    affetto, the paper, the corpora and the backbones
latex/supplement.tex    the whole tables, one after the other
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from affetto.reporting.render.latex import latex, tex
from affetto.reporting.render.sheet import Sheet
from affetto.reporting.render.slim import slim_latex

LATEX = "latex"
"""Folder of the files."""
ARTICLE, SUPPLEMENT, REFERENCES = "article.tex", "supplement.tex", "references.bib"
MOST_WAITING = 4
"""Number of floats after which all that wait for a place are set, before LaTeX has too many of them."""
MOST_PARTS = 6
"""A table of more parts is no table for an article."""


def article_files(
    title: str, sheets: Sequence[Sheet], stamp: str = "", *, method: str = "", bibliography: str = ""
) -> dict[str, str]:
    """{path: content} of the slim tables, both documents, which say that the speech is synthetic if it is, and BibTeX.

    `method` is a paragraph for the article, `bibliography` the content of its BibTeX file.
    """
    mark = rf"\textbf{{{tex(stamp.upper())}.}} " if stamp else ""
    slim = [sheet for sheet in sheets if sheet.slim and sheet.rows]
    files = {f"{LATEX}/{sheet.name}.tex": slim_latex(sheet) for sheet in slim}
    floats = {sheet.name: files[f"{LATEX}/{sheet.name}.tex"].count(r"\begin{table") for sheet in slim}
    files[f"{LATEX}/{ARTICLE}"] = _article(title, floats, f"{mark}{tex(method)}".strip())
    files[f"{LATEX}/{REFERENCES}"] = bibliography
    files[f"{LATEX}/{SUPPLEMENT}"] = _supplement(title, [sheet for sheet in sheets if sheet.rows], mark)
    return files


def _article(title: str, floats: Mapping[str, int], method: str) -> str:
    """Document with a paragraph on the method and the slim tables; `floats` has the number of parts of each."""
    inputs, waiting = [], 0
    for name, parts in floats.items():
        if parts > MOST_PARTS:
            inputs.append(f"% {name}: {parts} parts, which fill pages; see {SUPPLEMENT}")
            continue
        inputs += [r"\clearpage"] if waiting + parts > MOST_WAITING and waiting else []
        waiting = parts if waiting + parts > MOST_WAITING else waiting + parts
        inputs.append(rf"\input{{{name}}}")
    end = [r"\clearpage", r"\nocite{*}", r"\bibliographystyle{plain}", rf"\bibliography{{{Path(REFERENCES).stem}}}"]
    packages = ("booktabs", "array", "url")
    return _document("10pt,a4paper,twocolumn", packages, title, [r"\section{Method}", method, *inputs, *end])


def _supplement(title: str, sheets: Sequence[Sheet], mark: str) -> str:
    packages = ("booktabs", "longtable", "array", "pdflscape")
    return _document(
        "10pt,a4paper", packages, f"{title}: all tables", [f"{mark}All tables of the report.", *map(latex, sheets)]
    )


def _document(options: str, packages: Sequence[str], title: str, body: Sequence[str]) -> str:
    lines = [
        rf"\documentclass[{options}]{{article}}",
        r"\usepackage[T1]{fontenc}",
        r"\usepackage[utf8]{inputenc}",
        r"\usepackage{textcomp}",
        rf"\usepackage{{{','.join(packages)}}}",
        rf"\title{{{tex(title)}}}",
        r"\author{}",
        r"\date{}",
        r"\begin{document}",
        r"\maketitle",
        *body,
        r"\end{document}",
    ]
    return "\n".join(lines) + "\n"
