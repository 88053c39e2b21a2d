"""Character and word error rates over all clips together, by jiwer."""

from __future__ import annotations

from typing import Any

from affetto.errors import UserError
from affetto.specialize.text import plain


def error_rates(pairs: list[tuple[str, str]]) -> dict[str, float]:
    """`cer` and `wer` of (said, heard) pairs, both made plain: edits in all by characters or words in all."""
    jiwer = need_jiwer()
    said, heard = [one for one, _ in pairs], [plain(other) for _, other in pairs]
    return {"cer": float(jiwer.cer(said, heard)), "wer": float(jiwer.wer(said, heard))}


def need_jiwer() -> Any:
    """jiwer, or a UserError that says how to get it."""
    try:
        import jiwer
    except ImportError:
        raise UserError("character error rates need jiwer: pip install 'affetto[specialize]'") from None
    return jiwer
