"""Sentences made plain; what a character model writes and reads."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from affetto.specialize.text import ITALIAN, Vocabulary, letters, list_counts, plain


def test_a_sentence_is_made_plain() -> None:
    assert plain('  «Perche\u0300»  l\u2019uomo — disse: "Si\'"?! ') == "perchè l'uomo disse si'"
    assert plain("porta-finestra") == "porta finestra"
    assert plain("il 50 %") == "il 50 %"  # read aloud: nothing to be dropped
    assert plain(" … ' ") == ""


def test_tokens_are_wav2vecs_own_and_the_blank_is_the_first() -> None:
    vocabulary = Vocabulary(" ab")
    assert vocabulary.tokens == ("<pad>", "<s>", "</s>", "<unk>", "|", "a", "b")
    assert vocabulary.encode("a b") == [5, 4, 6]
    assert vocabulary.outside("a c") == {"c"}


def test_ctc_collapses_repeats_and_drops_blanks() -> None:
    vocabulary = Vocabulary(" ab")
    # a a _ a b b | | a  →  "aab a"
    assert vocabulary.decode_ctc([5, 5, 0, 5, 6, 6, 4, 4, 5]) == "aab a"
    assert vocabulary.decode_ctc([0, 0, 0]) == ""


def test_transformers_reads_the_saved_vocabulary(tmp_path: Path) -> None:
    from transformers import AutoTokenizer, Wav2Vec2CTCTokenizer

    vocabulary = Vocabulary(ITALIAN)
    vocabulary.save_ctc(tmp_path / "ctc") if (tmp_path / "ctc").mkdir() is None else None
    tokenizer = Wav2Vec2CTCTokenizer.from_pretrained(tmp_path / "ctc")
    assert tokenizer("perchè l'oro").input_ids == vocabulary.encode("perchè l'oro")
    assert tokenizer.decode([*vocabulary.encode("oro"), 0, *vocabulary.encode("o")]) == "oroo"
    assert json.loads((tmp_path / "ctc" / "vocab.json").read_text(encoding="utf-8")) == vocabulary.numbers

    vocabulary.tokenizer().save_pretrained(tmp_path / "decoder")
    again = AutoTokenizer.from_pretrained(tmp_path / "decoder")
    numbers = again("perchè l'oro").input_ids
    assert numbers == [1, *vocabulary.encode("perchè l'oro"), 2]
    assert again.decode(numbers, skip_special_tokens=True) == "perchè l'oro"


def test_letters_of_another_language_and_a_list_of_what_is_foreign() -> None:
    assert letters(["mañana 3", "l'eau"]) == " 'aelmnuñ"
    assert set(plain("नमस्ते, दुनिया।")) == set(letters([plain("नमस्ते, दुनिया।")]))  # vowel signs and the virama too
    assert list_counts(Counter("ßßø"), most=1) == "'ß' 2 and 1 more"
