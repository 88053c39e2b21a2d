"""Stress tests of models that affetto did not train."""

from __future__ import annotations

from pathlib import Path

import pytest

from affetto.errors import UserError
from affetto.evaluation.stress.stress import stress
from affetto.training.spec import CorpusSpec
from inference.outside.checkpoints import write_checkpoint
from training.corpora import write_table


def test_a_model_of_others_is_tested_and_its_map_belongs_to_the_test(tmp_path: Path) -> None:
    folder, table = write_checkpoint(tmp_path / "model"), write_table(tmp_path / "corpus", speakers=2, parts=False)
    (folder / "README.md").write_text("---\ndatasets:\n- clips\n---\n")
    corpus, lines = CorpusSpec(name="table", path=str(table)), list[str]()

    def test(label: str) -> dict:
        return stress(
            folder,
            corpus,
            out=tmp_path / "out",
            only=("gain",),
            label_map={"zeal": label},
            device="cpu",
            say=lines.append,
        )

    content = test("")
    assert content["clips"] == 6 and content["outside"]["left_out"] == ["zeal"]
    assert content["is_known_what_trained"] and content["trained_on"] == "clips"
    assert content["outside"]["contaminated"] == ["clips"]
    assert any("CONTAMINATED" in line for line in lines) and any("left out: zeal" in line for line in lines)
    with pytest.raises(UserError, match="another"):
        test("sadness")
