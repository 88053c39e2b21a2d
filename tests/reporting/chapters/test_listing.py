"""Chapters are found by their records, in their order; an empty one is left out."""

from __future__ import annotations

import pytest

from affetto.errors import UserError
from affetto.reporting.chapters.listing import CHAPTERS, build_sections
from affetto.reporting.report import write
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.collect import collect
from plugins import install
from reporting.folders import write_run


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Installs a chapter of `toys` as the plug-in of another package."""

    def add(attribute):
        install(tmp_path / "site", monkeypatch, "affetto.chapters", toy=attribute)
        CHAPTERS.reload()

    yield add
    monkeypatch.undo()
    CHAPTERS.reload()


def test_built_in_chapters_and_those_of_the_paper_are_found_in_order():
    names = list(CHAPTERS)
    assert names[:3] == ["results", "paper", "claims"] and names[-3:] == ["runs", "implementation", "provenance"]
    assert len({chapter.order for chapter in CHAPTERS.values()}) == len(names) >= 20


def test_a_chapter_of_another_package_is_written_at_its_place(tmp_path, plugin):
    plugin("toys.chapter:CHAPTER")
    run = write_run(tmp_path / "run")
    names = [section.name for section in build_sections(Evidence(collect(run)))]
    assert names.index("results") < names.index("clips") < names.index("comparisons")
    write(run, tmp_path / "report", only=("markdown", "html"))
    assert "| frozen | " in (tmp_path / "report" / "tables" / "clips.md").read_text()
    assert '<section id="clips"' in (tmp_path / "report" / "index.html").read_text()


def test_two_tables_of_one_name_are_a_mistake_and_leave_nothing(tmp_path, plugin, monkeypatch):
    plugin("toys.chapter:CHAPTER")
    monkeypatch.setattr("toys.chapter.NAME", "methods")
    run = write_run(tmp_path / "run")
    with pytest.raises(UserError, match=r"two chapters have a table named 'methods': rename that of the plug-in"):
        write(run, tmp_path / "report", only=("csv",))
    assert not (tmp_path / "report").exists()


def test_empty_sections_are_left_out(tmp_path):
    sections = build_sections(Evidence(collect(write_run(tmp_path / "run"))))
    assert all(section.items or section.folded for section in sections)
    assert not {"specialised", "ablations", "across"} & {section.name for section in sections}


def test_what_is_no_chapter_is_a_mistake_in_one_line(plugin):
    plugin("toys.chapter:build")
    with pytest.raises(UserError, match=r"toys.chapter:build, which is no chapter but a function"):
        list(CHAPTERS)
