"""Which words a clip is spoken with, and which sentences two corpora share.

EMOVO's b1, b3 and l4 are sentences of Emozionalmente too (1,156 of its clips), so that a model trained on the one has
heard the words of some clips of the other. Readers put the sentence into the clip, whatever the corpus is called.
"""

from __future__ import annotations

import unicodedata

from affetto.corpora.manifest import Clip, Manifest


def normalised(text: str) -> str:
    """What two writings of one sentence have in common: letters and digits, in lower case.

    >>> normalised("  Un attimo dopo s’è incamminato... ")
    'un attimo dopo s è incamminato'
    """
    plain = unicodedata.normalize("NFC", text).casefold()
    return " ".join("".join(letter if letter.isalnum() else " " for letter in plain).split())


def sentence(clip: Clip) -> str | None:
    """The sentence of a clip, normalised; None where its corpus does not tell (DEMoS has ids without words)."""
    return None if clip.sentence is None else normalised(clip.sentence) or None


def tells(manifest: Manifest) -> bool:
    """Whether a corpus tells the words of any clip."""
    return any(clip.sentence is not None for clip in manifest.clips)


def shared(one: Manifest, other: Manifest) -> frozenset[str]:
    """The sentences, normalised, that are spoken in both."""
    here, there = ({sentence(clip) for clip in manifest.clips} for manifest in (one, other))
    return frozenset(words for words in here & there if words)
