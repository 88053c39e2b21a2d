"""Character and word error rates over all clips together, by jiwer."""

from __future__ import annotations

from typing import Any

from affetto.errors import UserError
from affetto.specialize.text import plain

RATES = {"cer": "CER", "wer": "WER", "cer_unseen": "CER of unseen sentences", "wer_unseen": "WER of these"}
"""Error rates of characters and words: name in the record of a validation → title for the user."""


def all_rates(clips: list[tuple[str, str, bool]]) -> dict[str, float]:
    """Error rates of clips (sentence, text of the model, True if the sentence was trained on); {} for no clips.

    If part of the sentences was trained on, `cer_unseen` and `wer_unseen` are the rates of the rest.
    """
    if not clips:
        return {}
    rates = error_rates([(sentence, answer) for sentence, answer, _ in clips])
    unseen = [(sentence, answer) for sentence, answer, is_repeated in clips if not is_repeated]
    if 0 < len(unseen) < len(clips):
        rates |= {f"{name}_unseen": rate for name, rate in error_rates(unseen).items()}
    return rates


def error_rates(pairs: list[tuple[str, str]]) -> dict[str, float]:
    """`cer` and `wer` of pairs (sentence, text of the model), both plain: all edits by all characters or words."""
    jiwer = need_jiwer()
    sentences, answers = [sentence for sentence, _ in pairs], [plain(answer) for _, answer in pairs]
    return {"cer": float(jiwer.cer(sentences, answers)), "wer": float(jiwer.wer(sentences, answers))}


def need_jiwer() -> Any:
    """jiwer, or a UserError that says how to get it."""
    try:
        import jiwer
    except ImportError:
        raise UserError("character error rates need jiwer: pip install 'affetto[specialize]'") from None
    return jiwer
