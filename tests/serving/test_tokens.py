"""Tokens of a file: what is in it, what is wrong with it, and that it may change while the server runs."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from affetto.errors import UserError
from affetto.serving import tokens
from affetto.serving.limits import Limits, access_token
from affetto.serving.tokens import Tokens, read_tokens


def test_a_file_has_a_token_a_line_with_or_without_a_name(tmp_path):
    file = tmp_path / "tokens"
    file.write_text("# of the team\nci correct-horse\n\n  battery-staple=  \n")
    assert read_tokens(file) == {"correct-horse": "ci", "battery-staple=": ""}
    accepted = Tokens(file=file)
    assert accepted.name("correct-horse") == "ci" and accepted.name("battery-staple=") == ""
    for text in ("ci", "correct-hors", "correct-horse1", "", "ci correct-horse", "#"):
        assert accepted.name(text) is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it has no token"),
        (b"# nothing\n", "it has no token"),
        (b"correct-horse\nshort\n", "line 2: write TOKEN or NAME TOKEN; a token has 8 characters"),
        (b"a b correct-horse\n", "line 1: write TOKEN"),
        (b"ci correct-horse\nci battery-staple\n", "line 2: the token or its name stands there twice"),
        (b"correct-horse\nci correct-horse\n", "line 2: the token or its name"),
        (b"\xff\xfe", "no text in UTF-8"),
        (None, "No such file"),
    ],
)
def test_a_wrong_file_is_told_without_its_tokens(content, words, tmp_path):
    file = tmp_path / "tokens"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UserError, match=words) as problem:
        Limits(token_file=file)
    assert "correct-horse" not in str(problem.value) and "\n" not in str(problem.value)


def test_tokens_come_from_one_source(tmp_path: Path):
    file = tmp_path / "tokens"
    file.write_text("correct-horse\n")
    assert Limits(token_file=file).requires_token and not Limits().requires_token
    with pytest.raises(UserError, match="choose one of them"):
        Limits(token="battery-staple", token_file=file)
    with pytest.raises(UserError, match="--no-token"):
        access_token(None, without=True, environment={}, file=file)


def test_a_file_that_changes_is_read_again_and_a_broken_one_changes_nothing(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(tokens, "LOOK_SECONDS", 0.0)
    file = tmp_path / "tokens"
    file.write_text("a correct-horse\n")
    accepted = Tokens(file=file)
    file.write_text("a correct-horse\nb battery-staple\n")
    assert accepted.name("battery-staple") == "b"
    file.write_text("b battery-staple\n")
    assert accepted.name("correct-horse") is None and accepted.name("battery-staple") == "b"
    with caplog.at_level(logging.INFO, logger="affetto.server"):
        file.write_text("")
        assert accepted.name("battery-staple") == "b" and accepted.name("battery-staple") == "b"
        assert caplog.messages == ["tokens_unreadable"], "once for each change"
        file.unlink()
        assert accepted.name("battery-staple") == "b"
    assert "battery-staple" not in str([vars(record) for record in caplog.records])
