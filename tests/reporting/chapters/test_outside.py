"""Models of others in a report: rows beside trained systems, marked where a card names the tested corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from affetto.corpora.labels import EMOTIONS
from affetto.measures.scores import scores
from affetto.reporting.chapters.cross_corpus import single_table
from affetto.reporting.chapters.outside import build
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.collect import collect
from affetto.reporting.results.exports import results_csv
from affetto.reporting.stats.aligned import align
from affetto.reporting.stats.systems import Predictions, System
from affetto.training.runs import METRICS, PREDICTIONS, RunFolder
from reporting.folders import manifest, rows, write_run
from reporting.tables import cell

KNOWN = tuple(emotion for emotion in EMOTIONS if emotion != "surprise")
LABELS = (*KNOWN, "zeal")


def write_outside(folder: Path, skill: float, **outside: Any) -> Path:
    """An evaluation of a model of others on EMOVO that knows no surprise, and has a label of its own."""
    data = manifest("emovo")
    lines = []
    for row in rows(data, [clip.id for clip in data.clips if clip.emotion in KNOWN], skill, 5):
        shares = {label: row["probabilities"][label] for label in KNOWN}
        shares = {label: round(share / sum(shares.values()) * 0.99, 6) for label, share in shares.items()}
        lines.append(row | {"probabilities": shares | {"zeal": round(1 - sum(shares.values()), 6)}})
    test = scores(
        [row["truth"] for row in lines],
        np.array([list(row["probabilities"].values()) for row in lines]),
        LABELS,
        [row["speaker"] for row in lines],
    )
    facts = {"trained_on": "unknown", "corpus": "emovo", "synthetic": False, "identity": "0" * 64}
    about = {"source": "models/theirs", "revision": None, "contaminated": []} | outside
    left_out = {"unknown_emotions": {"surprise": 12}}
    RunFolder(folder).write(METRICS, facts | {"test": test, "outside": about, "left_out": left_out})
    RunFolder(folder).write_lines(PREDICTIONS["test"], lines)
    return folder


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    for seed in (0, 1):
        write_run(tmp_path / f"lora-{seed}", method="lora", seed=seed, skill=0.9, probe_skill=None)
    write_outside(tmp_path / "theirs", 0.1)
    write_outside(
        tmp_path / "hub", 0.8, source="owner/name@v1", revision="3c1f", contaminated=["emovo"], datasets=["emovo"]
    )
    return Evidence(collect(tmp_path))


def test_models_of_others_are_rows_beside_trained_systems(evidence: Evidence) -> None:
    scored, compared = build(evidence).items
    models = [row[0].text for row in scored.rows]
    assert sorted(models[:2]) == ["owner/name@v1", "theirs"] and len(models) == 3
    assert cell(scored, "trained on", model="owner/name@v1").text == "unknown (contaminated)"
    assert cell(scored, "trained on", model="theirs").text == "unknown"
    clips = cell(scored, "clips", model="theirs")
    assert (clips.text, clips.under) == ("72", "without surprise")
    assert scored.rows[2][1].text == "its other speakers" and scored.rows[2][5].text == "84"
    # Both are tested on the 72 clips that the other model knows.
    assert {row[2].text for row in compared.rows} == {"72"}
    assert [row[1].text for row in compared.rows] == ["owner/name@v1 (contaminated)", "theirs"]
    low, high = (cell(compared, "difference", second=row[1].text).key for row in compared.rows)
    assert high > low
    assert single_table(evidence) is None
    assert "test on emovo (contaminated)" in results_csv(evidence)


def test_a_difference_is_that_of_the_common_clips_and_of_all_labels() -> None:
    def system(name: str, labels: tuple[str, ...], *clips: tuple[str, str, str]) -> System:
        """Clips as (name, truth, called label); the called label has nine tenths of the probability."""
        lines = [
            {
                "file": clip,
                "speaker": clip[0],
                "truth": truth,
                "probabilities": {x: 0.9 if x == called else 0.1 / (len(labels) - 1) for x in labels},
            }
            for clip, truth, called in clips
        ]
        run = Predictions.from_rows(lines)
        return System(name, "c", {0: run} if name == "theirs" else {3: run, 4: run})

    ours = system(
        "ours",
        ("anger", "joy", "sadness"),
        *[("a1", "joy", "joy"), ("b1", "anger", "sadness"), ("c", "sadness", "joy")],
    )
    theirs = system(
        "theirs", ("anger", "joy", "zeal"), *[("a1", "joy", "zeal"), ("b1", "anger", "anger"), ("d", "joy", "joy")]
    )
    first, second = align(ours, theirs)
    assert first.labels == second.labels == ("anger", "joy", "sadness", "zeal")
    assert first.seeds == second.seeds == (3, 4) and first.clips == 2
    assert first.runs[3].predicted.tolist() == [1, 2] and second.runs[4].predicted.tolist() == [3, 0]
    assert first.runs[3].truth.tolist() == second.runs[3].truth.tolist() == [1, 0]
    relabelled = system("theirs", ("anger", "joy"), ("a1", "anger", "joy"))
    assert align(ours, relabelled) is None
