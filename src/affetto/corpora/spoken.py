"""Which words a clip is spoken with, and which sentences two corpora share.

EMOVO's b1, b3 and l4 are sentences of Emozionalmente too (1,156 of its clips), so that a model trained on the one has
heard the words of some clips of the other.
"""

from __future__ import annotations

import unicodedata

from affetto.corpora import demos, emovo
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
    if clip.prompt is None or clip.corpus == demos.NAME:
        return None
    return normalised(emovo.SENTENCES[clip.prompt] if clip.corpus == emovo.NAME else clip.prompt)


def shared(one: Manifest, other: Manifest) -> frozenset[str]:
    """The sentences, normalised, that are spoken in both."""
    said, too = ({sentence(clip) for clip in manifest.clips} for manifest in (one, other))
    return frozenset(words for words in said & too if words)
