"""A synthetic EMOVO."""

from __future__ import annotations

from typing import TYPE_CHECKING

from affetto.corpora.published.emovo import SENTENCES
from affetto.synthetic.layout import CODES, Layout, Take
from affetto.synthetic.maker import gender_of

if TYPE_CHECKING:
    from affetto.synthetic.prosody import Speaker


def _file(take: Take, speaker: Speaker) -> str:
    code = list(SENTENCES)[take.sentence]
    return f"{speaker.name}/{CODES[take.emotion]}-{speaker.name}-{code}.wav"


LAYOUT = Layout(
    name="emovo",
    speakers=6,
    clips=588,
    sentences=tuple(SENTENCES.values()),
    rate_hz=48_000,
    channels=2,
    speaker_name=lambda index, _: f"{gender_of(index)[0]}{index // 2 + 1}",
    file=_file,
)
MAKER = LAYOUT.maker(miniature=(6, 84))
