"""Whole reports: the page's form, what is missing, the stamp, equal bytes, and folders that cannot take one."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
from html.parser import HTMLParser

import pytest
from typer.testing import CliRunner

from affetto.cli import app
from affetto.errors import UserError
from affetto.reporting import report
from affetto.reporting.report import write
from affetto.reporting.results import prediction_exports
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.collect import collect
from affetto.training.runs import METRICS
from reporting.folders import write_grid, write_run

VOID = {"meta", "link", "br", "img", "hr", "input", "col", "wbr"}


class Page(HTMLParser):
    """Checks that every element is closed in order, and keeps ids, links, sources and words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.captions: list[str] = []
        self.words: list[str] = []
        self.images: list[dict] = []
        self.scrolling: list[dict] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        told = dict(attrs)
        self.ids += [told["id"]] if "id" in told else []
        self.links += [told[name] for name in ("href", "src", "xlink:href", "action", "data") if told.get(name)]
        if told.get("role") == "img" or tag == "img":
            self.images.append(told)
        if told.get("class") == "scroll":
            self.scrolling.append(told)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data):
        if "style" not in self.open and "script" not in self.open:
            self.words.append(data)
        if "caption" in self.open and data.strip() and not data.strip().startswith("In all rows: "):
            self.captions.append(data.strip())

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """Two methods on EMOVO, two seeds each, of LoRA one failed."""
    runs = [({"seed": n}, {}) for n in range(2)]
    runs += [({"method": "lora"}, {"skill": 0.8})]
    runs += [({"method": "lora", "seed": 1}, {"state": "failed", "error": "out of <memory>"})]
    return write_grid(tmp_path_factory.mktemp("grid") / "out", runs, name="small & <fine>")


@pytest.fixture(scope="module")
def made(grid, tmp_path_factory):
    return write(grid, tmp_path_factory.mktemp("report") / "out")


@pytest.fixture(scope="module")
def page(made):
    return Page((made.out / "index.html").read_text(encoding="utf-8"))


def test_the_page_is_whole_and_needs_nothing_beside_it(made, page):
    text = (made.out / "index.html").read_text(encoding="utf-8")
    assert not [link for link in page.links if re.match(r"(?i)\s*(https?:|//|data:|javascript:)", link)]
    assert not re.search(r"@import|url\(\s*['\"]?(?!#)", text)
    inner = {link[1:] for link in page.links if link.startswith("#")}
    assert len(page.ids) == len(set(page.ids)) and inner <= set(page.ids)
    for link in page.links:
        assert link.startswith("#") or (made.out / link).is_file(), link
    assert all(image.get("aria-label") or image.get("alt") for image in page.images) and len(page.images) >= 6


def test_what_scrolls_is_a_group_with_a_name_and_keeps_its_first_column(made, page):
    """Looked at in a browser as well (`test_page_in_a_browser.py`), where there is one."""
    assert {(group["role"], group["tabindex"]) for group in page.scrolling} == {("group", "0")}
    names = [group.get("aria-label") or group["aria-labelledby"] for group in page.scrolling]
    assert len(names) == len(set(names)) and {name for name in names if name.startswith("caption-")} <= set(page.ids)
    text = (made.out / "index.html").read_text(encoding="utf-8")
    first = re.search(r"^tr > :first-child \{(.*)\}$", text, re.MULTILINE)
    assert first is not None and {"position: sticky", "left: 0", "z-index: 1"} <= set(
        map(str.strip, first[1].split(";"))
    )


def test_every_table_is_on_the_page_and_in_three_formats(made, page):
    tables = {file for file in made.files if file.startswith("tables/")}
    names = {file.partition("/")[2].rpartition(".")[0] for file in tables}
    wanted = (
        "methods runs classes speakers-emovo genders calibration cost splits comparisons differences-emovo table-1 "
    )
    wanted += "table-2 table-3-paper-loso figure-4-paper-loso provenance inputs"
    assert set(wanted.split()) <= names
    assert tables == {f"tables/{name}{suffix}" for name in names for suffix in (".md", ".tex", ".csv")}
    assert {f"table-{name}" for name in names} <= set(page.ids)
    figures = {file for file in made.files if file.startswith("figures/")}
    assert {f.rpartition(".")[2] for f in figures} == {"svg", "png"} and len(figures) % 2 == 0
    assert len(page.captions) == len(names)
    slim = {file for file in made.files if file.startswith("latex/")}
    assert {f"latex/{name}.tex" for name in ("methods", "comparisons", "table-3-paper-loso", "article")} <= slim


def test_what_users_name_is_text_on_the_page(page, made):
    assert "small & <fine>: speech emotion recognition" in page.text
    assert "out of <memory>" in page.text
    source = (made.out / "index.html").read_text(encoding="utf-8")
    assert "<memory>" not in source and "<fine>" not in source


def test_what_is_missing_is_said_and_shown(made, page):
    assert "3 of 4 runs are done." in page.text and "Missing: 1 failed." in page.text
    assert made.headline is not None
    lora = next(row for row in made.headline.rows if row[0].text == "LoRA")
    assert lora[1].text == "1 of 2"
    table = (made.out / "tables" / "table-3-paper-loso.md").read_text()
    assert "1 of 3 corpora done" in table and "paper 69.57 ± 0.49" in table and "not run" in table


def test_cells_of_figure_4_stand_beside_the_paper_and_none_is_guessed(made):
    text = (made.out / "tables" / "figure-4-paper-loso.md").read_text()
    assert text.count("not published as text") == 21 and text.count("paper 48.84") == 1
    assert "paper 66.26" in text and "paper 93.09" in text


def test_the_same_results_give_the_same_bytes_and_leave_nothing_behind(made, grid, tmp_path):
    # PNG files beside: that a figure's bytes are the same is shown where figures are tested.
    again = write(grid, tmp_path / "again", only=[name for name in report.FORMATS if name != "png"])
    assert again.files == tuple(file for file in made.files if not file.endswith(".png"))
    for file in again.files:
        if file in ("index.html", "report.json"):
            continue  # they name the PNG files
        assert (made.out / file).read_bytes() == (again.out / file).read_bytes(), file
    there = {str(path.relative_to(again.out)) for path in again.out.rglob("*") if path.is_file()}
    assert there == set(again.files)


def test_synthetic_speech_is_stamped_on_everything(tmp_path):
    write_run(tmp_path / "runs" / "a", synthetic=True)
    done = write(tmp_path / "runs", tmp_path / "out", only=("html", "svg", "markdown", "csv", "latex"))
    page = Page((done.out / "index.html").read_text(encoding="utf-8"))
    assert page.captions.count("synthetic speech") == sum(f.endswith(".md") for f in done.files)
    for file in done.files:
        content = (done.out / file).read_text(encoding="utf-8")
        if file.endswith((".md", ".tex")):
            assert "SYNTHETIC SPEECH" in content, file
        elif file.endswith(".csv"):
            assert content.splitlines()[0].endswith(",speech"), file
    assert "says nothing about how well real models do" in page.text


def test_real_speech_has_no_stamp(made, page):
    assert "synthetic" not in page.text.lower()


def test_a_corrupt_run_is_named_and_the_rest_reported(grid, tmp_path):
    source = shutil.copytree(grid, tmp_path / "runs")
    broken = next(source.glob("runs/*lora*/metrics.json"))
    broken.write_text("{")
    rows = next(source.glob("runs/*frozen*_1/predictions.jsonl"))
    rows.write_text("{")
    made = write(source, tmp_path / "out", only=("html",))
    assert len(made.notes) == 2 and str(broken) in made.notes[0] and str(rows) in made.notes[1]
    assert made.files == ("index.html", "report.json")
    assert "Left out of this report (2)" in Page((made.out / "index.html").read_text()).text


def test_an_earlier_report_is_replaced_and_what_is_gone_is_taken_away(grid, tmp_path):
    out = tmp_path / "out"
    write(grid, out, only=("csv",))
    (out / "mine.txt").write_text("kept")
    assert (out / "tables" / "methods.csv").is_file() and (out / "results.csv").is_file()
    made = write(grid, out, only=("predictions",))
    assert sorted(os.listdir(out)) == ["mine.txt", "predictions", "report.json"]
    assert (out / "mine.txt").read_text() == "kept"
    assert [*json.loads((out / "report.json").read_text())["files"], "report.json"] == list(made.files)


def test_a_full_disk_leaves_the_earlier_report_as_it_was(grid, tmp_path, monkeypatch):
    out = tmp_path / "out"
    write(grid, out, only=("markdown",))
    before = (out / "report.json").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(report._Writer, "_put", full)
    with pytest.raises(UserError, match=r"cannot be written \(No space left on device\); make room"):
        write(grid, out, only=("markdown",), title="another")
    assert (out / "report.json").read_bytes() == before
    assert sorted(os.listdir(out)) == ["report.json", "tables"]
    with pytest.raises(UserError, match="No space left"):
        write(grid, tmp_path / "new", only=("markdown",))
    assert not (tmp_path / "new").exists()


def test_folders_that_cannot_take_a_report(grid, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="is no folder"):
        write(grid, tmp_path / "file")
    with pytest.raises(UserError, match="cannot be written"):
        write(grid, tmp_path / "file" / "below")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("mine")
    with pytest.raises(UserError, match=r"holds 'index.html', and no report"):
        write(grid, tmp_path / "site")
    with pytest.raises(UserError, match="unknown format of a report 'pdf'"):
        write(grid, tmp_path / "out", only=("pdf",))
    assert (tmp_path / "site" / "index.html").read_text() == "mine"


def test_the_command_prints_the_table_and_what_it_wrote(grid, tmp_path):
    ran = CliRunner().invoke(app, ["report", str(grid), "--out", str(tmp_path / "out"), "--format", "csv", "--quiet"])
    assert ran.exit_code == 0, ran.output
    assert "LoRA" in ran.output and "3 of 4 runs are done" in ran.output and "tables, 0 figures" in ran.output
    ran = CliRunner().invoke(app, ["report", str(grid), "--out", str(tmp_path / "out"), "--format", "csv", "--json"])
    told = json.loads(ran.output)
    assert told["done"] == 3 and told["states"] == {"done": 3, "failed": 1} and told["best"][0]["corpus"] == "EMOVO"
    metrics = json.loads(next(grid.glob(f"runs/*lora*/{METRICS}")).read_text())
    assert told["best"][0]["macro_f1"] == pytest.approx(100 * metrics["test"]["macro_f1"])


def test_scores_and_predictions_lie_beside_for_programs_and_give_each_other(made, grid):
    with (made.out / "results.csv").open(newline="") as file:
        scores = list(csv.DictReader(file))
    rows = [row for row in scores if row["method"] == "lora"]
    (beside, file) = (name for name in made.files if name.startswith("predictions/") and "lora" in name)
    assert beside.endswith("-beside.csv")
    with (made.out / file).open(newline="") as opened:
        clips = list(csv.DictReader(opened))
    spoken = dict.fromkeys(clip["truth"] for clip in clips)
    right = [max(spoken, key=lambda label: float(clip[label])) == clip["truth"] for clip in clips]
    test = {row["measure"]: row for row in rows if row["part"] == "test"}
    assert float(test["accuracy"]["score"]) == pytest.approx(sum(right) / len(right))
    metrics = json.loads(next(grid.glob(f"runs/*lora*/{METRICS}")).read_text())
    facts = json.loads(next(grid.glob("runs/*lora*_0/spec.json")).read_text())["facts"]
    row = test["macro_f1"]
    assert float(row["score"]) == pytest.approx(metrics["test"]["macro_f1"]) and row["run"].endswith("_lora_paper_0")
    assert row["manifest"] == facts["manifest"] and row["split checksum"] == metrics["split_checksum"]
    assert row["labels"].split() == metrics["test"]["labels"] and (row["clips"], row["speakers"]) == ("84", "6")
    assert float(row["low"]) < float(row["score"]) < float(row["high"]) and row["drawn"] == "speakers"
    assert {"macro_f1", "uar"} <= {row["measure"] for row in rows if row["part"] == "validation"}
    (probe,) = (
        row
        for row in scores
        if row["run"] == test["uar"]["run"]
        if (row["part"], row["measure"]) == ("probe beside", "macro_f1")
    )
    assert float(probe["score"]) == pytest.approx(metrics["probe"]["test"]["macro_f1"]) and probe["method"] == "probe"


def test_many_predictions_are_copied_only_when_asked_for(grid, tmp_path, monkeypatch):
    monkeypatch.setattr(prediction_exports, "MOST_ROWS", 100)
    made = write(grid, tmp_path / "out", only=("csv",))
    assert not any(file.startswith("predictions/") for file in made.files)
    evidence = Evidence(collect(grid))
    assert (
        prediction_exports.prediction_files(evidence, is_requested=False) == []
        and "--format predictions writes them" in evidence.notes[0]
    )
    made = write(grid, tmp_path / "out", only=("predictions",))
    assert any(file.startswith("predictions/") for file in made.files)
