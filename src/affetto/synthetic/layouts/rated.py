"""A synthetic table with invented raters: one row for each rater of a clip, with a label and three dimensions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from affetto.corpora.annotations import DIMENSIONS
from affetto.corpora.labels import EMOTIONS
from affetto.synthetic.layout import Layout, Planned, Take
from affetto.synthetic.maker import write_rows
from affetto.synthetic.raters import RATER_SD, draw_chances, draw_dimensions
from affetto.synthetic.sentences import EVERYDAY_SENTENCES

if TYPE_CHECKING:
    from affetto.synthetic.prosody import Speaker

RATERS, RATINGS_PER_CLIP = 12, 5


def _file(take: Take, speaker: Speaker) -> str:
    return f"audio/{speaker.name}_{take.emotion}_{take.sentence:02d}.wav"


def _tables(root: Path, plan: list[Planned], seed: int) -> None:
    import numpy as np

    from affetto.synthetic.prosody import generator

    habits = generator("rated", seed, "raters").normal(0, RATER_SD, (RATERS, len(DIMENSIONS)))
    rows = []
    for file, take, speaker in sorted(plan, key=lambda planned: planned[0]):
        random = generator(speaker.key, take.emotion, take.sentence, "ratings")
        raters = np.sort(random.choice(RATERS, RATINGS_PER_CLIP, replace=False))
        labels = random.choice(EMOTIONS, RATINGS_PER_CLIP, p=draw_chances(random, take.emotion))
        values = draw_dimensions(random, take.emotion, habits[raters])
        for rater, label, numbers in zip(raters, labels, values, strict=True):
            rows.append((file, speaker.name, speaker.gender, f"r{rater + 1:02d}", label, *map(float, numbers)))
    write_rows(root / "clips.csv", ("file", "speaker", "gender", "rater", "emotion", *DIMENSIONS), rows)


LAYOUT = Layout(
    name="rated",
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
