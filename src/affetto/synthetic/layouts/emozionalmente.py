"""A synthetic Emozionalmente, with its tables, its official split and invented raters."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from affetto.corpora.labels import EMOTIONS
from affetto.synthetic.layout import Layout, Planned, Take
from affetto.synthetic.maker import gender_of, write_rows
from affetto.synthetic.raters import draw_chances
from affetto.synthetic.sentences import EVERYDAY_SENTENCES

if TYPE_CHECKING:
    from affetto.synthetic.prosody import Speaker

RATERS, RATINGS_PER_CLIP, BAD_AUDIO_SHARE = 40, 5, 0.04
PARTS = ("train", "train", "dev", "test", "train", "train", "train")
"""Parts of the official split, which pairs of a woman and a man are dealt out to in turn."""
SAMPLES = ("file_name", "sentence", "sentence_language", "actor", "emotion_expressed")
EVALUATIONS = ("file_name", "evaluator", "audio_quality", "emotion_recognized")


def _username(index: int | str, seed: int) -> str:
    return hashlib.sha256(f"affetto {seed} {index}".encode()).hexdigest()


def _file(take: Take, speaker: Speaker) -> str:
    """Named by the moment of recording in milliseconds, as in the corpus; here no moment occurs twice."""
    from affetto.synthetic.prosody import generator

    moment_ms = generator(speaker.key, take.emotion, take.sentence, "moment").integers(60_000)
    number = EMOTIONS.index(take.emotion) * len(EVERYDAY_SENTENCES) + take.sentence
    return f"audio/{1_612_871_000_000 + take.speaker * 86_400_000 + number * 60_000 + moment_ms}.wav"


def _tables(root: Path, plan: list[Planned], seed: int) -> None:
    from affetto.synthetic.prosody import generator

    random = generator("emozionalmente", seed, "tables")
    raters = [_username(f"rater {number}", seed) for number in range(RATERS)]
    actors = {take.speaker: speaker for _, take, speaker in plan}
    genders = [(speaker.name, speaker.gender) for speaker in actors.values()]
    genders += [(name, gender_of(number)) for number, name in enumerate(raters)]
    users = [(name, gender, int(random.integers(18, 75)), "italian") for name, gender in genders]
    samples, evaluations = [], []
    for file, take, speaker in plan:
        name = Path(file).name
        sample = (name, EVERYDAY_SENTENCES[take.sentence], "italian", speaker.name, take.emotion)
        samples.append((take.speaker, sample))
        chances = draw_chances(random, take.emotion)
        for rater in random.choice(raters, RATINGS_PER_CLIP, replace=False):
            quality = "bad" if random.random() < BAD_AUDIO_SHARE else "good"
            evaluations.append((name, rater, quality, random.choice(EMOTIONS, p=chances)))
    metadata = root / "metadata"
    write_rows(metadata / "users.csv", ("username", "gender", "age", "mother_tongue"), users)
    write_rows(metadata / "evaluations.csv", EVALUATIONS, evaluations)
    write_rows(metadata / "samples.csv", SAMPLES, [sample for _, sample in samples])
    for part in sorted(set(PARTS)):
        rows = [sample for number, sample in samples if PARTS[number // 2 % len(PARTS)] == part]
        write_rows(metadata / "split" / f"{part}.csv", SAMPLES, rows)


LAYOUT = Layout(
    name="emozionalmente",
    speakers=24,
    clips=336,
    sentences=EVERYDAY_SENTENCES,
    rate_hz=16_000,
    channels=1,
    speaker_name=_username,
    file=_file,
    tables=_tables,
)
MAKER = LAYOUT.maker(miniature=(12, 84))
