"""A synthetic DEMoS: some clips are prototypical, and each speaker has one of guilt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from affetto.synthetic.layout import CODES, Layout, Take
from affetto.synthetic.maker import gender_of
from affetto.synthetic.sentences import EVERYDAY_SENTENCES

if TYPE_CHECKING:
    from affetto.synthetic.prosody import Speaker

PROTOTYPICAL_SHARE = 0.15
MISSING_SPEAKER = 35


def _speaker_name(index: int, _seed: int) -> str:
    number = index + 1 + (index + 1 >= MISSING_SPEAKER)
    return f"{gender_of(index)[0]}_{number:02d}"


def _file(take: Take, speaker: Speaker) -> str:
    from affetto.synthetic.prosody import generator

    random = generator(speaker.key, "file", take.emotion, take.sentence)
    name = f"{speaker.name}_{CODES[take.emotion]}{take.sentence:02d}{random.choice(list('bbbbbbbbca'))}.wav"
    if take.emotion == "neutrality":
        return f"NEU/{name}"
    return f"DEMOS/{'PR' if random.random() < PROTOTYPICAL_SHARE else 'NP'}_{name}"


LAYOUT = Layout(
    name="demos",
    speakers=12,
    clips=252,
    sentences=EVERYDAY_SENTENCES,
    rate_hz=48_000,
    channels=1,
    speaker_name=_speaker_name,
    file=_file,
    most_speakers=98,
    has_guilt=True,
    bold_prefix="PR_",
)
MAKER = LAYOUT.maker(miniature=(12, 84))
