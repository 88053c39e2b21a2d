"""The words of clips, and the sentences that two corpora share.

EMOVO's b1, b3 and l4 are sentences of Emozionalmente too (1,156 of its clips), so that a model trained on one has heard
the words of some clips of the other. The records of corpora say what a prompt means; clips hold the words.
"""

from __future__ import annotations

import unicodedata

from affetto.corpora.manifest import Clip, Manifest


def normalised(text: str) -> str:
    """The common form of all writings of a sentence: letters and digits, in lower case.

    >>> normalised("  Un attimo dopo s’è incamminato... ")
    'un attimo dopo s è incamminato'
    """
    plain = unicodedata.normalize("NFC", text).casefold()
    return " ".join("".join(letter if letter.isalnum() else " " for letter in plain).split())


def sentence(clip: Clip) -> str | None:
    """The sentence of a clip, normalised; None where its words are unknown (DEMoS has ids without words)."""
    return None if clip.sentence is None else normalised(clip.sentence) or None


def tells(manifest: Manifest) -> bool:
    """True if the words of any clip are known."""
    return any(clip.sentence is not None for clip in manifest.clips)


def shared(first: Manifest, second: Manifest) -> frozenset[str]:
    """The sentences, normalised, that are spoken in both."""
    sentences = [{sentence(clip) for clip in manifest.clips} for manifest in (first, second)]
    return frozenset(words for words in sentences[0] & sentences[1] if words)
