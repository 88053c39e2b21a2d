"""Folds, validation beside test, and the sources of a score's spread."""

from __future__ import annotations

from statistics import fmean, stdev

import numpy as np
import pytest

from affetto.reporting.chapters.reliability import reliability_table
from affetto.reporting.chapters.stability import fold_table, source_table
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.collect import collect
from affetto.reporting.stats.sources import sources
from affetto.reporting.stats.systems import Predictions, System
from affetto.training.runs import METRICS, RunFolder
from reporting.folders import write_run


def system(hits: np.ndarray) -> System:
    """A system whose clip of speaker r and sentence c is right where `hits` (seeds, speakers, sentences) is true."""
    runs = {}
    for seed, table in enumerate(hits):
        rows = [
            {
                "file": f"{speaker}-{sentence}-{label}",
                "speaker": f"s{speaker}",
                "prompt": f"p{sentence}",
                "truth": label,
                "probabilities": {
                    "joy": float((label == "joy") == bool(hit)),
                    "fear": float((label == "fear") == bool(hit)),
                },
            }
            for (speaker, sentence), hit in np.ndenumerate(table)
            for label in ("joy", "fear")
        ]
        runs[seed] = Predictions.from_rows(rows)
    return System("frozen", "emovo", runs)


def test_sources_are_the_standard_errors_of_speakers_sentences_and_seeds() -> None:
    """With equal cells accuracy is a mean of means: the jackknife is the usual standard error of each."""
    hits = np.random.default_rng(1).random((2, 4, 5)) < 0.7
    spread = sources(system(hits), "accuracy")
    assert spread.speakers == pytest.approx(hits.mean(axis=(0, 2)).std(ddof=1) / 4**0.5)
    assert spread.sentences == pytest.approx(hits.mean(axis=(0, 1)).std(ddof=1) / 5**0.5)
    assert spread.seeds == pytest.approx(hits.mean(axis=(1, 2)).std(ddof=1) / 2**0.5)
    assert sum(spread.shares().values()) == pytest.approx(1)


def test_a_source_of_which_there_is_too_little_is_unknown() -> None:
    spread = sources(system(np.array([[[True, False]] * 3])))
    assert spread.sentences is None and spread.seeds is None and spread.speakers == 0 and spread.shares() == {}


@pytest.fixture
def evidence(tmp_path) -> Evidence:
    for seed in (0, 1):
        folder = write_run(tmp_path / f"s{seed}", seed=seed, skill=0.6)
        run = RunFolder(folder)
        facts = {"temperature": 1.5 + seed, "test": {"ece": {"before": 0.2, "after": 0.1}}}
        run.write(METRICS, (run.read(METRICS) or {}) | {"confidence": facts})
    return Evidence(collect(tmp_path))


def test_folds_and_validation_stand_beside_the_test(evidence) -> None:
    table = fold_table(evidence)
    assert len(table.rows) == 1, "the probe beside a method has no validation of its own"
    records = [run.metrics for run in evidence.results.done]
    folds = [[fold["test"]["macro_f1"] for fold in record["folds"]] for record in records]
    test, mean, count, validation, gap = table.rows[0][-5:]
    assert dict(mean.values) == pytest.approx(
        {"": 100 * fmean(map(fmean, folds)), "sd": 100 * fmean(map(stdev, folds))}
    )
    assert count.text == "6" and mean.key != pytest.approx(test.key)
    assert validation.key == pytest.approx(100 * fmean(record["validation"]["macro_f1"] for record in records))
    assert gap.key == pytest.approx(validation.key - test.key)


def test_sources_are_of_the_sentences_that_the_predictions_name(evidence) -> None:
    table = source_table(evidence)
    speakers, sentences, seeds, largest = table.rows[0][-4:]
    assert sentences.text == "–", "two sentences are too few"
    assert largest.text == ("speakers" if speakers.key > seeds.key else "seeds")


def test_calibration_is_shown_before_and_after_the_temperature(evidence) -> None:
    rows = {row[0].text: row[-2:] for row in reliability_table(evidence).rows}
    assert [cell.text for cell in rows["frozen"]] == ["2.00", "10.0"]
    assert [cell.text for cell in rows["probe"]] == ["–", "–"], "the temperature is that of the method"
