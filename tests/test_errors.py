"""A user's mistake, told on one line, with the nearest guess."""

from __future__ import annotations

import pytest

from affetto.errors import UserError, nearest, unknown


@pytest.mark.parametrize(
    ("name", "guess"),
    [("lorra", "LoRA"), ("FROZEN", "frozen"), ("frozn", "frozen"), ("xyzzy", None), ("", None)],
)
def test_nearest_ignores_case_and_answers_as_it_is_spelt(name: str, guess: str | None) -> None:
    assert nearest(name, ["frozen", "LoRA", "adapter"]) == guess


def test_nearest_of_nothing_is_none() -> None:
    assert nearest("lora", []) is None


def test_unknown_says_what_which_what_is_allowed_and_what_to_do() -> None:
    told = str(unknown("method", "lorra", ["frozen", "lora"], hint="See the README."))
    assert told == "unknown method 'lorra': did you mean 'lora'? Known: frozen, lora. See the README."


def test_unknown_without_a_guess_or_a_list() -> None:
    assert str(unknown("method", "xyzzy", iter(["frozen", "lora"]))) == "unknown method 'xyzzy': known: frozen, lora."
    assert str(unknown("option", "x", [], hint="Leave it out.")) == "unknown option 'x': there are none. Leave it out."


def test_an_error_is_one_line() -> None:
    assert str(UserError("  first\n    second\r\n\nthird\n")) == "first second third"


def test_names_are_told_as_they_are_but_for_what_a_terminal_would_obey() -> None:
    assert str(UserError("a  b.wav: perché ’ 音")) == "a  b.wav: perché ’ 音"
    assert str(UserError("\x1b[31mred\x07 \udcff \t")) == r"\x1b[31mred\x07 \udcff"
