"""`affetto corpora list`: all facts of all records, and nothing cut off on a narrow terminal."""

from __future__ import annotations

import json
import re
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from typer.main import get_command
from typer.testing import CliRunner

from affetto.cli.corpora import app
from affetto.corpora.overview import fact_cells, render
from affetto.corpora.registry import CORPORA
from affetto.corpora.transcribed.registry import TRANSCRIBED
from affetto.splits import PROTOCOLS

DOCS = Path(__file__).parents[2] / "docs"


def test_json_lists_every_record_with_its_facts() -> None:
    result = CliRunner().invoke(app, ["list", "--json"])
    facts = {entry["name"]: entry for entry in json.loads(result.stdout)}
    assert list(facts) == list(CORPORA)
    emovo, demos, table = facts["emovo"], facts["demos"], facts["table"]
    assert (emovo["clips"], emovo["speakers"], emovo["protocol"], emovo["prompts"]) == (
        588,
        6,
        "paper",
        "ids with words",
    )
    assert (demos["clips"], demos["genders"], demos["prompts"]) == (8568, {"female": 23, "male": 45}, "ids")
    assert list(demos["options"]) == ["keep_guilt"] and "agreement" in demos["licence"]
    assert table["format"] and table["clips"] is table["licence"] is table["protocol"] is None


@pytest.mark.parametrize(
    ("options", "dropped"), [([], {"guilt": {"clips": 1, "by": "corpus"}}), (["--keep-other"], {})]
)
def test_inspect_counts_what_was_left_out(tmp_path: Path, options: list[str], dropped: dict[str, object]) -> None:
    for name in ("DEMOS/PR_f_01_rab18b.wav", "DEMOS/NP_m_02_col01a.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    result = CliRunner().invoke(app, ["inspect", str(tmp_path), "--json", *options])
    facts = json.loads(result.stdout)
    assert (facts["key"], facts["mapped"], facts["dropped"]) == ("demos", {}, dropped)
    assert facts["clips"] == 2 - len(dropped)


def test_as_names_a_corpus_a_layout_or_a_collection_of_one_s_own(tmp_path: Path) -> None:
    table = tmp_path / "clips.csv"
    table.write_text("file,emotion,speaker\na.wav,joy,s\n", encoding="utf-8")
    for name, corpus in (("table", "clips"), ("clips-2026", "clips-2026")):
        facts = json.loads(CliRunner().invoke(app, ["inspect", str(table), "--as", name, "--json"]).stdout)
        assert (facts["corpus"], facts["key"]) == (corpus, "table")
    for command in ("inspect", "convert", "audit"):
        (text,) = (option.help for option in get_command(app).commands[command].params if "--as" in option.opts)
        assert "any other name is that of your own collection" in text


def test_names_and_counts_are_whole_on_eighty_columns() -> None:
    console = Console(width=80, record=True, file=StringIO())
    console.print(render(CORPORA.values(), TRANSCRIBED.values()))
    text = console.export_text()
    assert "…" not in text
    assert re.search(r"cafe .* published", text)
    for word in (*CORPORA, *TRANSCRIBED, "8,568", "431", "keep_guilt", "CC BY 4.0", "validated, train"):
        assert word in text


@pytest.mark.parametrize("name", CORPORA)
def test_the_page_on_corpora_states_the_facts_of_the_records(name: str) -> None:
    corpus = CORPORA[name]
    facts: list[str] = [f"`{name}`", corpus.title]
    if corpus.is_format:
        facts.append(", ".join(f"`{option}`" for option in corpus.options))
    else:
        *cells, protocol = fact_cells(corpus)
        facts = [f"`{name}`", *cells[1:], f"`{protocol}`", corpus.licence]
    assert f"| {' | '.join(facts)} |" in (DOCS / "corpora.md").read_text(encoding="utf-8")


def test_the_page_on_protocols_explains_each() -> None:
    text = (DOCS / "protocols.md").read_text(encoding="utf-8")
    for protocol in PROTOCOLS:
        assert f"| `{protocol}" in text


def test_the_guide_shows_a_whole_corpus() -> None:
    toy = DOCS.parent / "tests" / "toys" / "corpus.py"
    assert toy.read_text(encoding="utf-8").strip() in (DOCS / "guide" / "7-add.md").read_text(encoding="utf-8")
