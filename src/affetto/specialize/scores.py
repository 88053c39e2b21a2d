"""Character and word error rates over all clips together, by jiwer."""

from __future__ import annotations

from typing import Any

from affetto.errors import UserError
from affetto.specialize.text import plain

RATES = {"cer": "CER", "wer": "WER", "cer_unseen": "CER of unseen sentences", "wer_unseen": "WER of these"}
"""Error rates of characters and words, as a record of a validation names them and as they are shown."""


def all_rates(clips: list[tuple[str, str, bool]]) -> dict[str, float]:
    """Error rates of (said, heard, whether the sentence was trained on), and beside them, where some were and some were
    not, those of the others alone: `cer_unseen` and `wer_unseen`. Of no clips: none."""
    if not clips:
        return {}
    rates = error_rates([(sentence, answer) for sentence, answer, _ in clips])
    unseen = [(sentence, answer) for sentence, answer, is_repeated in clips if not is_repeated]
    if 0 < len(unseen) < len(clips):
        rates |= {f"{name}_unseen": rate for name, rate in error_rates(unseen).items()}
    return rates


def error_rates(pairs: list[tuple[str, str]]) -> dict[str, float]:
    """`cer` and `wer` of (said, heard) pairs, both made plain: edits in all by characters or words in all."""
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
