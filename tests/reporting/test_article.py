"""The article of a report compiles, and no line of it is too wide."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from affetto.reporting.article import article_files
from affetto.reporting.chapters.listing import build_sections
from affetto.reporting.render.sheet import Sheet, Slim, columns, count_cell, text_cell

MOST = 5.0
"""Points by which a line may be too wide."""


def test_a_table_of_many_pages_is_left_to_the_supplement():
    rows = tuple((text_cell(f"r{n}"), count_cell(n)) for n in range(400))
    long = Sheet(name="long", title="x", columns=columns("m", "n", texts=("m",)), rows=rows, slim=Slim(caption=""))
    short = Sheet(name="short", title="x", columns=long.columns, rows=rows[:3], slim=Slim(caption=""))
    plain = Sheet(name="plain", title="x", columns=long.columns, rows=rows[:3])
    files = article_files("a & b", [long, short, plain], "synthetic speech")
    assert set(files) == {
        f"latex/{name}" for name in ("article.tex", "supplement.tex", "references.bib", "long.tex", "short.tex")
    }
    article, supplement = files["latex/article.tex"], files["latex/supplement.tex"]
    assert "\\input{short}" in article and "\\input{long}" not in article and "% long: 10 parts" in article
    assert "\\title{a \\& b}" in article and all("SYNTHETIC SPEECH" in text for text in (article, supplement))
    assert supplement.count("\\begin{longtable}") == 3


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed (texlive-latex-extra)")
def test_both_documents_compile_without_an_overfull_line(paper_grid, tmp_path):
    sheets = [sheet for section in build_sections(paper_grid) for sheet in section.sheets]
    for path, text in article_files("a & b_1", sheets).items():
        file = tmp_path / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    for name in ("article", "supplement"):
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", f"{name}.tex"]
        ran = subprocess.run(command, cwd=tmp_path / "latex", capture_output=True, check=False, timeout=300)
        log = (tmp_path / "latex" / f"{name}.log").read_text(encoding="utf-8", errors="replace")
        assert ran.returncode == 0, log[-2000:]
        overfull = [float(points) for points in re.findall(r"Overfull \\hbox \(([\d.]+)pt too wide\)", log)]
        assert max(overfull, default=0.0) <= MOST and "Float too large" not in log, (name, overfull)
