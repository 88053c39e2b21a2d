"""Notices for people whose voices are analysed, and an operator's own."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest

from affetto.cli.predicting import _notes
from affetto.errors import UserError
from affetto.inference.batch.labelling import facts
from affetto.inference.notices import ARTICLES, LONGEST_NOTICE, NOTICES, SHORT_NOTICE, read_notice
from serving.served import Stub


def test_each_language_has_its_notice_and_each_article_its_day() -> None:
    assert list(NOTICES) == ["en", "it", "de", "fr", "es"]
    for text in NOTICES.values():
        assert re.search(r"\b(AI|IA|KI)\b", text) and re.search("emo[tcz]i[oó]n|émotion", text, re.IGNORECASE)
    assert len(set(NOTICES.values())) == len(NOTICES)
    days = {article.name: date.fromisoformat(article.since) for article in ARTICLES}
    assert days["Article 50(3)"] == date(2026, 8, 2) and days["Article 5(1)(f)"] == date(2025, 2, 2)
    assert SHORT_NOTICE.isascii() and "/notice" in SHORT_NOTICE


def test_an_operator_gives_a_text_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "notice.txt"
    file.write_text(" Rufen Sie an: Müller.\n", encoding="utf-8")
    assert read_notice(str(file)) == "Rufen Sie an: Müller." and read_notice("Call us. ") == "Call us."
    latin = tmp_path / "latin.txt"
    latin.write_bytes("Müller".encode("latin-1"))
    for value, message in (
        (str(tmp_path / "absent.txt"), "several words"),
        (str(latin), "UTF-8"),
        ("", "0 characters"),
        ("word " * LONGEST_NOTICE, "1 to 4000"),
    ):
        with pytest.raises(UserError, match=message):
            read_notice(value)


def test_predict_says_once_what_binds_the_model(capsys: pytest.CaptureFixture[str]) -> None:
    predictor = Stub()
    predictor.card |= {"synthetic": False, "corpus": "mine", "licence": ""}
    _notes(facts(predictor), SimpleNamespace(speaker=()), None)
    shown = capsys.readouterr()
    assert shown.out == "" and len(shown.err.splitlines()) == 1
    assert "note: trained on data of which" in shown.err and "mine (licence unknown)" in shown.err
