"""A synthetic collection of a user's own: a table, WAV and some FLAC."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from affetto.corpora.labels import EMOTIONS
from affetto.synthetic.layout import Layout, Planned, Take
from affetto.synthetic.maker import write_rows
from affetto.synthetic.sentences import EVERYDAY_SENTENCES

if TYPE_CHECKING:
    from affetto.synthetic.prosody import Speaker

FLAC_EVERY = 10


def _file(take: Take, speaker: Speaker) -> str:
    suffix = "flac" if (take.speaker + take.sentence + EMOTIONS.index(take.emotion)) % FLAC_EVERY == 0 else "wav"
    return f"audio/{speaker.name}_{take.emotion}_{take.sentence:02d}.{suffix}"


def _tables(root: Path, plan: list[Planned], _seed: int) -> None:
    rows = [(file, take.emotion, speaker.name, speaker.gender) for file, take, speaker in plan]
    write_rows(root / "clips.csv", ("file", "emotion", "speaker", "gender"), sorted(rows))


LAYOUT = Layout(
    name="table",
    speakers=8,
    clips=168,
    sentences=EVERYDAY_SENTENCES,
    rate_hz=16_000,
    channels=1,
    speaker_name=lambda index, _: f"s{index + 1:02d}",
    file=_file,
    tables=_tables,
)
MAKER = LAYOUT.maker()
