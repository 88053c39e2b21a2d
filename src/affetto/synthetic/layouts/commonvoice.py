"""A synthetic Common Voice: Italian sentences read aloud by espeak-ng, MP3s and TSVs as in the official archive.

It stands in for a corpus that takes an account and 10 GB, so that specialisation can be tried at once. A clip depends
on the seed, its speaker and its number alone. The folder carries the marker that readers pass on to all results.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from affetto.corpora.transcribed.commonvoice import CLIPS, DURATIONS, NAME
from affetto.synthetic.maker import Maker, Progress, check_size, gender_of, write_marker, written_at_once
from affetto.synthetic.sentences import read_aloud

if TYPE_CHECKING:
    import numpy as np

LANGUAGE = "it"
RATE_HZ = 32_000
SPEAKERS, CLIPS_EACH, MOST_SPEAKERS = 24, 20, 9999
COLUMNS = (
    "client_id",
    "path",
    "sentence_id",
    "sentence",
    "sentence_domain",
    "up_votes",
    "down_votes",
    "age",
    "gender",
    "accents",
    "variant",
    "locale",
    "segment",
)
"""As in the versions since 17.0."""
GENDERS = {"female": "female_feminine", "male": "male_masculine"}
PARTS = ("train", "train", "train", "train", "dev", "test")
"""Parts that pairs of a woman and a man are dealt out to in turn; `validated.tsv` holds all of them."""
DIGITS = 8


def make(
    folder: Path,
    *,
    speakers: int | None = None,
    clips: int | None = None,
    seed: int = 0,
    sentences: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> None:
    """Write the tree into `folder`, which must be new or empty; `clips` counts all of them.

    `sentences`, if given, are read in turn; else each clip has its own. On any error nothing is left behind.
    """
    speakers = SPEAKERS if speakers is None else speakers
    clips = speakers * CLIPS_EACH if clips is None else clips
    check_size(NAME, speakers, clips, MOST_SPEAKERS)
    with written_at_once(Path(folder)) as partial:
        root = partial / LANGUAGE
        (root / CLIPS).mkdir(parents=True)
        write_marker(root, NAME, speakers=speakers, clips=clips, seed=seed)
        rows: list[list[object]] = []
        lengths: list[tuple[str, int]] = []
        for number in range(clips):
            row, wave = _read_aloud(seed, number % speakers, number // speakers, sentences)
            _write_mp3(root / CLIPS / str(row[1]), wave)
            rows.append(row)
            lengths.append((str(row[1]), round(1000 * len(wave) / RATE_HZ)))
            if progress is not None:
                progress(number + 1, clips)
        _tables(root, rows, speakers, lengths)


def _read_aloud(seed: int, number: int, turn: int, sentences: Sequence[str] | None) -> tuple[list[object], np.ndarray]:
    """The row and the wave (samples,) at RATE_HZ of a speaker's clip, by the numbers of both."""
    import soxr

    from affetto.synthetic import prosody, voice

    name = hashlib.sha512(f"affetto common voice {seed} {number}".encode()).hexdigest()
    speaker = prosody.draw_speaker(NAME, seed, gender_of(number), number // 2, name)
    if sentences:
        sentence = sentences[(turn * 5 + number) % len(sentences)]
    else:
        sentence = read_aloud(prosody.generator(speaker.key, "sentence", turn))
    wave = prosody.speak(speaker, "neutrality", sentence.rstrip("."))
    wave = soxr.resample(wave, voice.RATE_HZ, RATE_HZ, quality="HQ").clip(-1, 1)
    file = f"common_voice_{LANGUAGE}_{(number + 1) * 10_000 + turn:0{DIGITS}d}.mp3"
    sentence_id = hashlib.sha256(sentence.encode()).hexdigest()
    votes, age, accents, variant, segment = (2, 0), "", "", "", ""
    row: list[object] = [name, file, sentence_id, sentence, "", *votes, age, GENDERS[speaker.gender]]
    return [*row, accents, variant, LANGUAGE, segment], wave


def _tables(root: Path, rows: list[list[object]], speakers: int, lengths: list[tuple[str, int]]) -> None:
    part_of = [PARTS[number // 2 % len(PARTS)] for number in range(speakers)]
    _write(root / "validated.tsv", COLUMNS, rows)
    for part in sorted(set(PARTS)):
        _write(root / f"{part}.tsv", COLUMNS, [row for i, row in enumerate(rows) if part_of[i % speakers] == part])
    for part in ("invalidated", "other"):
        _write(root / f"{part}.tsv", COLUMNS, [])
    _write(root / DURATIONS, ("clip", "duration[ms]"), lengths)


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _write_mp3(path: Path, wave: np.ndarray) -> None:
    import soundfile

    try:
        soundfile.write(path, wave, RATE_HZ, format="MP3")
    except soundfile.LibsndfileError as problem:
        raise OSError(None, problem.error_string) from None


MAKER = Maker(
    name=NAME,
    make=make,
    advice="synthetic speech in the layout of Common Voice, for affetto specialize",
)
