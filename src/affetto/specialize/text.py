"""Text as characters: a sentence made plain, and the vocabulary that models of characters are trained on."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ITALIAN = " 'abcdefghijklmnopqrstuvwxyzàáèéìíîòóùú"
"""The letters of Italian, with j k w x y of names and loan words; not digits: nobody knows how one is read."""
LANGUAGES = {"it": ITALIAN}
PAD, START, END, UNKNOWN, SPACE = "<pad>", "<s>", "</s>", "<unk>", "|"
SPECIAL = (PAD, START, END, UNKNOWN, SPACE)
"""The first tokens, in the order of wav2vec 2.0's own vocabularies; the padding is CTC's blank."""
APOSTROPHES = "’‘ʼ`´′"
_SPOKEN = "%&@#*+"
"""Punctuation, by Unicode, that is read aloud."""


def plain(sentence: str) -> str:
    """Lower case, composed letters, one kind of apostrophe, no punctuation, single spaces.

    >>> plain("«L’ora è tarda», disse — piano.")
    "l'ora è tarda disse piano"
    """
    text = unicodedata.normalize("NFC", sentence).lower()
    out = []
    for character in text:
        if character in APOSTROPHES or character == "'":
            out.append("'")
        elif character.isspace() or (unicodedata.category(character)[0] == "P" and character not in _SPOKEN):
            out.append(" ")
        else:
            out.append(character)
    words = "".join(out).split()
    return " ".join(word for word in words if word != "'")


@dataclass(frozen=True)
class Vocabulary:
    """Characters and their numbers; the space, which must be among them, is the token `|`."""

    characters: str

    @property
    def tokens(self) -> tuple[str, ...]:
        return (*SPECIAL, *(c for c in self.characters if c != " "))

    @property
    def numbers(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self.tokens)}

    def outside(self, text: str) -> set[str]:
        return set(text) - set(self.characters)

    def encode(self, text: str) -> list[int]:
        numbers = self.numbers
        return [numbers[SPACE if c == " " else c] for c in text]

    def decode(self, numbers: Iterable[int]) -> str:
        """Text of tokens; special tokens add nothing to it."""
        tokens = self.tokens
        decoded = (tokens[n] for n in numbers)
        return "".join(" " if t == SPACE else t for t in decoded if t not in SPECIAL[:4]).strip()

    def decode_ctc(self, best: Sequence[int]) -> str:
        """Text of the best token of each frame: repeats count once, blanks are dropped (Graves et al. 2006)."""
        return self.decode(n for index, n in enumerate(best) if index == 0 or n != best[index - 1])

    def save_ctc(self, folder: Path) -> None:
        """Write the vocabulary as a CTC tokenizer of transformers."""
        from transformers import Wav2Vec2CTCTokenizer

        file = folder / "vocab.json"
        file.write_text(json.dumps(self.numbers, ensure_ascii=False), encoding="utf-8")
        Wav2Vec2CTCTokenizer(str(file), pad_token=PAD, word_delimiter_token=SPACE).save_pretrained(folder)

    def tokenizer(self) -> Any:
        """Tokenizer of transformers for a decoder: one token per character, START before and END after."""
        from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
        from transformers import PreTrainedTokenizerFast

        tokenizer = Tokenizer(models.WordLevel(self.numbers, unk_token=UNKNOWN))
        tokenizer.normalizer = normalizers.Replace(" ", SPACE)
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
        tokenizer.decoder = decoders.Sequence([decoders.Replace(SPACE, " "), decoders.Fuse()])
        numbers = self.numbers
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{START} $A {END}", special_tokens=[(START, numbers[START]), (END, numbers[END])]
        )
        return PreTrainedTokenizerFast(
            tokenizer_object=tokenizer,
            pad_token=PAD,
            bos_token=START,
            eos_token=END,
            unk_token=UNKNOWN,
            clean_up_tokenization_spaces=False,
        )


def letters(texts: Iterable[str]) -> str:
    """Vocabulary of the letters in the texts, for languages without one in `LANGUAGES`.

    Marks count as letters: without their vowel signs words of Hindi or Thai cannot be written.
    """
    return "".join(sorted({" ", *(c for text in texts for c in text if _is_letter(c))}))


def _is_letter(character: str) -> bool:
    return character.isalpha() or character == "'" or unicodedata.category(character)[0] == "M"


def list_counts(counts: Counter[str], most: int = 20) -> str:
    """The most frequent characters and their counts, for a message."""
    text = ", ".join(f"{c!r} {n}" for c, n in counts.most_common(most))
    return text + (f" and {len(counts) - most} more" if len(counts) > most else "")
