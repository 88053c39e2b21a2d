"""Corpora that an outside model was trained on, by its card, and the mark on tests of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from affetto.cli import app
from affetto.errors import UserError
from affetto.evaluation.contamination import Origin, corpus_of
from affetto.inference.outside.model_card import card_facts
from bombs import bomb
from inference.outside.checkpoints import write_checkpoint
from training.corpora import write_table


@pytest.mark.parametrize(
    ("dataset", "corpus"),
    [
        ("emovo", "emovo"),
        ("somebody/EMOVO-Corpus", "emovo"),
        ("msp-podcast", "msppodcast"),
        ("Emo-DB", "emodb"),
        ("amu-cai/nEMO", "nemo"),
        ("superb", "iemocap"),
        ("common_voice_urdu", None),
        ("librispeech_asr", None),
    ],
)
def test_names_of_data_sets_are_those_of_corpora(dataset: str, corpus: str | None) -> None:
    assert corpus_of(dataset) == corpus


def test_an_origin_names_corpora_and_those_that_are_tested() -> None:
    origin = Origin(("owner/ravdess", "librispeech_asr", "RAVDESS"))
    assert origin.text == "ravdess+librispeech_asr"
    assert origin.contaminated(["emovo", "ravdess"]) == ("ravdess",) and origin.contaminated(["emovo"]) == ()
    assert Origin(("my-corpus",)).contaminated(["My corpus"]) == ("My corpus",)
    assert (Origin().text, Origin().contaminated(["emovo"])) == ("unknown", ())
    assert "unknown" in Origin().notes(["emovo"])[0]


def test_a_card_is_read_and_a_broken_one_says_nothing(tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    card.write_text("---\nlicense: mit\ndatasets:\n- emovo\n- other\n---\n# A model\n---\n")
    assert card_facts(tmp_path) == {"datasets": ["emovo", "other"], "licence": "mit"}
    card.write_text("---\ndatasets: emovo\n---\n")
    assert card_facts(tmp_path)["datasets"] == ["emovo"]
    for text in ("# No front matter\n---\ndatasets: emovo\n---\n", "---\n[broken\n---\n", "---\ndatasets:\n---\n", ""):
        card.write_text(text)
        assert card_facts(tmp_path)["datasets"] is None
    card.unlink()
    assert card_facts(tmp_path) == {"datasets": None, "licence": ""}


def test_a_card_made_to_fill_the_memory_is_refused_in_a_line(tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    card.write_text("---\ndatasets: [emovo, 7, [a], {b: c}]\nlicense: [mit]\n---\n")
    assert card_facts(tmp_path) == {"datasets": ["emovo"], "licence": ""}
    card.write_text(f"---\n{bomb()}---\n")
    assert card.stat().st_size < 1024
    with pytest.raises(UserError, match=r"README\.md: its front matter has more than .* aliases") as caught:
        card_facts(tmp_path)
    assert "\n" not in str(caught.value)


def test_evaluate_marks_a_test_on_a_corpus_of_the_training(tmp_path: Path) -> None:
    folder, table = write_checkpoint(tmp_path / "model"), write_table(tmp_path / "corpus", speakers=1, parts=False)
    words = ["evaluate", str(folder), "--corpus", f"table={table}", "--out"]
    first = CliRunner().invoke(app, [*words, str(tmp_path / "first")])
    assert first.exit_code == 0, first.output
    assert "trained on: unknown; its card names no data" in first.stderr
    assert "trained on unknown, tested on clips" in first.stdout and "contaminated" not in first.stdout
    (folder / "README.md").write_text("---\ndatasets:\n- clips\n- superb\n---\n")
    second = CliRunner().invoke(app, [*words, str(tmp_path / "second")])
    assert "CONTAMINATED: the model was trained on clips" in second.stderr
    assert "trained on clips+iemocap, tested on clips (contaminated: clips)" in second.stdout
    facts = [json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("first", "second")]
    assert [fact["outside"]["contaminated"] for fact in facts] == [[], ["clips"]]
    assert facts[0]["identity"] == facts[1]["identity"] and len(facts[0]["identity"]) == 64
