"""Settings beside the paper's, choices by fold, commands that give the same settings, the paragraph, BibTeX."""

from __future__ import annotations

import shlex
from itertools import pairwise

import pytest

from affetto.backbones.catalogue import BACKBONES
from affetto.corpora.registry import CORPORA
from affetto.reporting.chapters import implementation
from affetto.reporting.render.reference import Reference
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.collect import collect
from affetto.reporting.writing.commands import command
from affetto.reporting.writing.paragraph import methods_paragraph
from affetto.reporting.writing.references import bibliography
from affetto.training.spec import CorpusSpec, settings, stored_settings
from reporting.folders import write_run
from reporting.tables import cell, values


@pytest.fixture(scope="module")
def evidence(tmp_path_factory):
    """LoRA with two seeds and a changed rank under the paper's recipe, frozen under the recommended one."""
    folder = tmp_path_factory.mktemp("runs")
    for seed in range(2):
        write_run(folder / f"lora-{seed}", method="lora", seed=seed, overrides={"lora.rank": "4"})
    write_run(folder / "frozen", recipe="recommended")
    return Evidence(collect(folder))


def test_settings_stand_beside_the_paper_s_and_differences_are_bold(evidence):
    (sheet,) = implementation.setting_tables(implementation.finished(evidence))
    names = [column.name for column in sheet.columns]
    assert names == ["setting", "recipe paper", "frozen, recommended", "LoRA, paper, lora.rank 4"]
    rank = [cell(sheet, name, setting="lora.rank") for name in names[1:]]
    assert [item.text for item in rank] == ["8", "–", "4"] and [item.is_bold for item in rank] == [False, False, True]
    rates = [cell(sheet, name, setting="training.lr") for name in names[1:]]
    assert [item.text for item in rates] == ["0.0005", "0.0001", "0.0005"] and [item.is_bold for item in rates] == [
        False,
        True,
        False,
    ]
    listed = {row[0].text for row in sheet.rows}
    assert {"model.head", "training.epochs", "training.batch_size", "model.layer"} <= listed
    assert not listed & {"augment.mixup", "compute.precision", "auxiliary.weight", "adapter.scale"}


def test_choices_are_those_of_each_fold_and_seed(evidence):
    sheet = implementation.choice_table(implementation.finished(evidence))
    epochs = cell(sheet, "tested epoch", method="LoRA")
    assert epochs.text == "2" and values(epochs)["by fold"].startswith("seed 0: s00 2, s01 2")
    assert cell(sheet, "seeds", method="LoRA").text == "0, 1" and cell(sheet, "state", method="LoRA").text == "–"
    run = evidence.results.every_configuration[0].done[0]
    run.metrics["folds"][1]["best_epoch"] = 7
    spread = cell(implementation.choice_table(implementation.finished(evidence)), "tested epoch", method="frozen")
    run.metrics["folds"][1]["best_epoch"] = 2
    assert spread.text == "2 to 7" and "s01 7" in spread.under


def test_numbers_of_states_have_a_column_where_a_fold_took_several(evidence):
    folds = evidence.results.every_configuration[0].done[0].metrics["folds"]
    before = [fold.get("choice") for fold in folds]
    for number, fold in enumerate(folds):
        fold["choice"] = {"layer": 3, "strength": 0.1} | ({"states": 4} if number == 1 else {})
    several = implementation.choice_table(implementation.finished(evidence))
    folds[1]["choice"].pop("states")
    single = implementation.choice_table(implementation.finished(evidence))
    for fold, choice in zip(folds, before, strict=True):
        fold["choice"] = choice
    spread = cell(several, "states", method="frozen")
    assert spread.text == "1 to 4" and "s00 1, s01 4, s02 1" in values(spread)["by fold"]
    assert cell(several, "states", method="LoRA").text == "–" and cell(several, "state", method="frozen").text == "3"
    assert "states" not in [column.name for column in single.columns]
    assert cell(single, "strength", method="frozen").text == cell(several, "strength", method="frozen").text == "0.1"


def test_a_command_gives_the_settings_of_its_runs_and_no_path_of_this_machine(evidence):
    for config in implementation.finished(evidence):
        run = config.done[0]
        words = shlex.split(command(config) or "")
        assert words[:2] == ["affetto", "train"] and not any("/data" in word for word in words)
        options = [(name, value) for name, value in pairwise(words) if name.startswith("--")]
        changed = dict(value.split("=", 1) for name, value in options if name == "--set")
        named = dict(options)
        recipe = named.get("--recipe", "recommended")
        assert settings(recipe, changed, method=named["--method"]) == stored_settings(run.spec["settings"])
        assert named["--corpus"] == "emovo=EMOVO" and named["--split"] == "loso" and "--no-final" in words
        assert named["--seed"] == ("$SEED" if len(config.done) > 1 else "0")


def test_options_of_an_auxiliary_corpus_are_not_given_to_the_tested_one(tmp_path):
    """Without a corpus's name they would be."""
    joined = CorpusSpec(name="demos", path="/data/demos", options={"keep_guilt": "true"})
    nameless = CorpusSpec(path="/data/more", options={"sheet": "b"})
    write_run(tmp_path / "run", auxiliary=(joined, nameless), joined={"demos": ("d", 8), "more": ("m", 8)})
    (config,) = implementation.finished(Evidence(collect(tmp_path)))
    words = shlex.split(command(config) or "")
    given = {value for name, value in pairwise(words) if name == "--option"}
    assert given == {"demos:keep_guilt=true", "more:sheet=b"}


def test_the_paragraph_has_the_facts_of_the_runs(evidence):
    text = methods_paragraph(evidence)
    for fact in (
        "EMOVO has 84 clips of 6 speakers, labelled as anger, disgust,",
        "(leave one speaker out)",
        "The backbone was Wav2Vec 2.0 Base (A); the methods: ",
        "Under the recipe paper, models were trained by adam at a rate of 0.0005 in batches of 32 for at most",
        "Some runs changed lora.rank",
        "with up to 2 seeds",
        "affetto 0.1.0 and torch 2.13.0; precision: float32.",
    ):
        assert fact in text, fact


def test_bibtex_names_what_was_used_and_nothing_else(evidence):
    cited = Reference(key="x2020", title="A & B", authors="Haq and Jackson")
    text = bibliography(evidence.results, [cited])
    keys = [line[6:-1] for line in text.splitlines() if line.startswith("@misc{")]
    assert keys == ["affetto", "x2020", "emovo", "wav2vec2", "facebook-wav2vec2-base"]
    assert "author = {Costantini and others}" in text and "year = {2014}" in text and "A \\& B" in text
    assert text.count("{") == text.count("}")


@pytest.mark.parametrize(
    ("citation", "authors", "published", "year", "doi"),
    [
        ('Zhou, Sisman and Li, "A, B: C", ICASSP 2021', "Zhou, Sisman and Li", "ICASSP", "2021", ""),
        (
            "Livingstone and Russo, PLoS ONE 13(5), 2018, doi 10.1/p.2",
            "Livingstone and Russo",
            "PLoS ONE 13(5)",
            "2018",
            "10.1/p.2",
        ),
        ("Latif, github.com/x", "", "", "", ""),
    ],
)
def test_citations_are_parsed_or_kept_whole(citation, authors, published, year, doi):
    reference = Reference.from_citation("k", citation, title="T")
    assert (reference.authors, reference.published, reference.year, reference.doi) == (authors, published, year, doi)
    assert reference.note == ("" if authors else citation)


def test_every_citation_of_a_record_has_a_year_or_stands_whole():
    citations = [corpus.citation for corpus in CORPORA.values()] + [entry.citation for entry in BACKBONES.values()]
    for citation in filter(None, citations):
        reference = Reference.from_citation("k", citation, title="T")
        assert reference.year or reference.note == citation or not any(part.isdigit() for part in citation.split()[-1:])
