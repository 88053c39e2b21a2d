"""The opening of a report in words."""

from __future__ import annotations

from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.collect import collect
from affetto.reporting.results.summary import summarise
from reporting.folders import write_grid


def test_the_summary_says_what_is_best_missing_and_to_be_read_with_care(tmp_path):
    write_grid(tmp_path / "out", [({}, {"skill": 0.9}), ({"method": "lora"}, {"state": "waiting"})])
    found = summarise(Evidence(collect(tmp_path / "out")))
    assert found.overview[0].startswith(
        "Frozen and LoRA on EMOVO, with Wav2Vec 2.0 Base; recipe paper; leave one speaker"
    )
    assert "Missing: 1 not begun." in found.overview[1]
    (best,) = found.highlights
    assert best.name == "frozen" and best.probe is not None and f"{best.mean:.1f}" in best.words
    assert any("6 speakers were tested" in line for line in found.caveats)
    assert any("One seed was run of all configurations" in line for line in found.caveats)
    assert any("models of the folds share" in line for line in found.caveats)
    assert any("also spoken in training" in line for line in found.caveats)


def test_the_summary_names_the_corpora_that_the_recipe_was_chosen_on(tmp_path):
    def cautions(name: str, *runs: dict[str, str]) -> list[str]:
        write_grid(tmp_path / name, [(run, {"skill": 0.9}) for run in runs])
        lines = summarise(Evidence(collect(tmp_path / name))).caveats
        return [line for line in lines if "was chosen on whole corpora" in line]

    chosen_on = [{"corpus": corpus, "recipe": "recommended"} for corpus in ("emovo", "ravdess", "nemo", "demos")]
    (line,) = cautions("recommended", *chosen_on)
    assert "its shape on EMOVO and its numbers of states and its tested epoch on RAVDESS and nEMO." in line
    assert cautions("paper", {"corpus": "emovo", "recipe": "paper"}) == []
    assert cautions("other", {"corpus": "demos", "recipe": "recommended"}) == []
