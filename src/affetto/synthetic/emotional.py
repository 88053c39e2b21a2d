"""Synthetic corpora: Italian speech by espeak-ng in the official corpora's own layouts.

They stand in for corpora that one must ask for or download, so that everything can be tried at once. They
are no substitute for them: what a model learns here is the table of `prosody.py`. Each carries a marker,
`folders.MARKER`, that readers pass on to whatever is shown.

A clip depends on the kind, the seed, its speaker, emotion and sentence alone: a smaller corpus holds the
same clips as a larger one, and the same command writes the same bytes again.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from affetto._version import __version__
from affetto.corpora.folders import MARKER
from affetto.corpora.labels import EMOTIONS
from affetto.corpora.published.emovo import SENTENCES as EMOVO_SENTENCES
from affetto.errors import UserError, unknown
from affetto.synthetic.sentences import EVERYDAY_SENTENCES

if TYPE_CHECKING:
    import numpy as np

    from affetto.synthetic.prosody import Speaker

CODES = dict(zip(EMOTIONS, ("rab", "dis", "pau", "gio", "neu", "tri", "sor"), strict=True)) | {"guilt": "col"}

# Per cent of ratings, rows as intended, columns as heard, both in the order of EMOTIONS: what the human raters
# of Emozionalmente answered (Catania, Wilke & Garzotto, IEEE TASLP 2025), rounded.
HEARD_PERCENT = (
    (68, 4, 2, 4, 13, 2, 7),
    (8, 53, 4, 3, 11, 15, 6),
    (2, 4, 54, 3, 7, 22, 8),
    (5, 1, 2, 65, 9, 2, 16),
    (3, 2, 1, 2, 83, 6, 3),
    (1, 6, 7, 1, 11, 72, 2),
    (5, 2, 4, 10, 7, 2, 70),
)
RATERS, RATINGS_PER_CLIP, BAD_AUDIO_SHARE = 40, 5, 0.04
PARTS = ("train", "train", "dev", "test", "train", "train", "train")
"""The parts of Emozionalmente's own split, which pairs of a woman and a man are dealt out to in turn."""
PROTOTYPICAL_SHARE, PROTOTYPICAL_BOLDNESS = 0.15, 1.35
MISSING_DEMOS_SPEAKER = 35
FLAC_EVERY = 10


@dataclass(frozen=True)
class Take:
    """One clip to be made: who (counted from 0) says what (counted from 0) how."""

    speaker: int
    emotion: str
    sentence: int


Planned: TypeAlias = "tuple[str, Take, Speaker]"
"""A clip's file, what is said in it, and by whom."""


@dataclass(frozen=True)
class Kind:
    """A corpus that can be made; `Take` and `Speaker` make the name of a clip's file."""

    speakers: int
    clips: int
    sentences: Sequence[str]
    rate_hz: int
    channels: int
    name: Callable[[int, int], str]
    """A speaker's name, from the speaker's number and the seed."""
    file: Callable[[Take, Speaker], str]
    tables: Callable[[Path, list[Planned], int], None] = lambda *_: None
    most_speakers: int = 9999
    miniature: tuple[int, int] | None = None
    """Speakers and clips of the corpus in a grid's miniature; None for a corpus that no grid names."""
    guilt: bool = False
    """One clip of guilt for each speaker, on top of the seven emotions; readers leave it out."""


def make(
    kind: str,
    folder: Path,
    *,
    speakers: int | None = None,
    clips: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write a synthetic corpus of `kind` (a key of KINDS) into `folder`, which must be new or empty.

    `clips` counts the seven emotions' clips in all; left out, each speaker has as many as by default.
    `progress` is called with the clips done and to do. On any error, or Ctrl-C, nothing is left behind.
    """
    if kind not in KINDS:
        raise unknown("kind of synthetic corpus", kind, KINDS)
    layout = KINDS[kind]
    speakers = layout.speakers if speakers is None else speakers
    clips = speakers * (layout.clips // layout.speakers) if clips is None else clips
    _check(kind, speakers, clips)
    with written_at_once(Path(folder)) as root:
        from affetto.synthetic import prosody, voice

        marker = {"made_by": f"affetto {__version__} corpora make {kind}", "synthetic": True, "kind": kind}
        marker |= {"speakers": speakers, "clips": clips, "seed": seed, "espeak": voice.version()}
        (root / MARKER).write_text(json.dumps(marker, indent=2) + "\n", encoding="utf-8")
        plan = _plan(kind, speakers, clips, seed)
        for done, (file, take, speaker) in enumerate(plan, start=1):
            boldness = PROTOTYPICAL_BOLDNESS if Path(file).name.startswith("PR_") else 1.0
            wave = prosody.speak(speaker, take.emotion, layout.sentences[take.sentence], boldness=boldness)
            _write(root / file, wave, voice.RATE_HZ, layout)
            if progress is not None:
                progress(done, len(plan))
        layout.tables(root, plan, seed)


def _check(kind: str, speakers: int, clips: int) -> None:
    layout = KINDS[kind]
    if not 1 <= speakers <= layout.most_speakers:
        raise UserError(f"{kind}: {speakers} speakers cannot be made; give 1 to {layout.most_speakers}")
    if clips < speakers:
        raise UserError(f"{kind}: {clips} clips are too few for {speakers} speakers; give at least one clip a speaker")
    most = speakers * len(EMOTIONS) * len(layout.sentences)
    if clips > most:
        raise UserError(
            f"{kind}: {clips} clips are too many: {speakers} speakers by {len(EMOTIONS)} emotions by "
            f"{len(layout.sentences)} sentences make {most}; give fewer clips or more speakers"
        )


def _plan(kind: str, speakers: int, clips: int, seed: int) -> list[Planned]:
    from affetto.synthetic.prosody import draw_speaker

    layout = KINDS[kind]
    people = [draw_speaker(kind, seed, gender_of(i), i // 2, layout.name(i, seed)) for i in range(speakers)]
    takes = list(_takes(layout, speakers, clips))
    return [(layout.file(take, people[take.speaker]), take, people[take.speaker]) for take in takes]


def _takes(layout: Kind, speakers: int, clips: int) -> Iterator[Take]:
    """The clips, spread as evenly as they can be over speakers, then emotions, then sentences."""
    emotion = 0  # goes on from speaker to speaker, so that what does not divide by seven is spread as well
    for speaker in range(speakers):
        for number in range(clips // speakers + (speaker < clips % speakers)):
            # The steps have no factor in common with 14 or 18 sentences; each speaker starts elsewhere.
            sentence = 5 * (speaker + number // len(EMOTIONS)) % len(layout.sentences)
            yield Take(speaker, EMOTIONS[emotion], sentence)
            emotion = (emotion + 1) % len(EMOTIONS)
        if layout.guilt:
            yield Take(speaker, "guilt", 0)


@contextmanager
def written_at_once(folder: Path) -> Iterator[Path]:
    """A folder beside the one wanted, which takes its name when all is written, and vanishes if not."""
    folder = folder.resolve()
    partial = folder.parent / f".{folder.name}.making-{os.getpid()}"
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UserError(f"{folder} exists and is not an empty folder; name a new one, or empty it first")
        if folder == Path.cwd() or os.path.ismount(folder):
            raise UserError(f"{folder} cannot be replaced (it is in use); name a new folder inside it")
        partial.mkdir(parents=True)
        try:
            yield partial
            if folder.exists():
                folder.rmdir()
            partial.replace(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as problem:
        raise UserError(f"{folder} cannot be written ({problem.strerror or problem})") from None


def _write(path: Path, wave: np.ndarray, rate_hz: int, layout: Kind) -> None:
    import soundfile
    import soxr

    wave = soxr.resample(wave, rate_hz, layout.rate_hz, quality="HQ").clip(-1, 1)
    if layout.channels == 2:
        wave = wave[:, None].repeat(2, axis=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        soundfile.write(path, wave, layout.rate_hz, subtype="PCM_16")
    except soundfile.LibsndfileError as problem:
        raise OSError(None, problem.error_string) from None


def gender_of(index: int) -> str:
    return "male" if index % 2 else "female"


def _write_rows(path: Path, header: str, rows: Iterable[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header.split(","))
        writer.writerows(rows)


def _emovo_file(take: Take, speaker: Speaker) -> str:
    code = list(EMOVO_SENTENCES)[take.sentence]
    return f"{speaker.name}/{CODES[take.emotion]}-{speaker.name}-{code}.wav"


def _demos_name(index: int, _seed: int) -> str:
    number = index + 1 + (index + 1 >= MISSING_DEMOS_SPEAKER)
    return f"{gender_of(index)[0]}_{number:02d}"


def _demos_file(take: Take, speaker: Speaker) -> str:
    from affetto.synthetic.prosody import generator

    random = generator(speaker.key, "file", take.emotion, take.sentence)
    name = f"{speaker.name}_{CODES[take.emotion]}{take.sentence:02d}{random.choice(list('bbbbbbbbca'))}.wav"
    if take.emotion == "neutrality":
        return f"NEU/{name}"
    return f"DEMOS/{'PR' if random.random() < PROTOTYPICAL_SHARE else 'NP'}_{name}"


def _table_file(take: Take, speaker: Speaker) -> str:
    suffix = "flac" if (take.speaker + take.sentence + EMOTIONS.index(take.emotion)) % FLAC_EVERY == 0 else "wav"
    return f"audio/{speaker.name}_{take.emotion}_{take.sentence:02d}.{suffix}"


def _table_tables(root: Path, plan: list[Planned], _seed: int) -> None:
    rows = [(file, take.emotion, speaker.name, speaker.gender) for file, take, speaker in plan]
    _write_rows(root / "clips.csv", "file,emotion,speaker,gender", sorted(rows))


def _username(index: int | str, seed: int) -> str:
    return hashlib.sha256(f"affetto {seed} {index}".encode()).hexdigest()


def _emozionalmente_file(take: Take, speaker: Speaker) -> str:
    """The moment of recording in milliseconds, as there; unlike there, it cannot happen twice."""
    from affetto.synthetic.prosody import generator

    moment_ms = generator(speaker.key, take.emotion, take.sentence, "moment").integers(60_000)
    number = EMOTIONS.index(take.emotion) * len(EVERYDAY_SENTENCES) + take.sentence
    return f"audio/{1_612_871_000_000 + take.speaker * 86_400_000 + number * 60_000 + moment_ms}.wav"


def _emozionalmente_tables(root: Path, plan: list[Planned], seed: int) -> None:
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
        # Raters of one clip agree more than the table says: a clip is good, or misleads them all alike.
        heard = random.dirichlet([6 * percent / 100 for percent in HEARD_PERCENT[EMOTIONS.index(take.emotion)]])
        for rater in random.choice(raters, RATINGS_PER_CLIP, replace=False):
            quality = "bad" if random.random() < BAD_AUDIO_SHARE else "good"
            evaluations.append((name, rater, quality, random.choice(EMOTIONS, p=heard)))
    metadata, header = root / "metadata", "file_name,sentence,sentence_language,actor,emotion_expressed"
    _write_rows(metadata / "users.csv", "username,gender,age,mother_tongue", users)
    _write_rows(metadata / "evaluations.csv", "file_name,evaluator,audio_quality,emotion_recognized", evaluations)
    _write_rows(metadata / "samples.csv", header, [sample for _, sample in samples])
    for part in sorted(set(PARTS)):
        rows = [sample for number, sample in samples if PARTS[number // 2 % len(PARTS)] == part]
        _write_rows(metadata / "split" / f"{part}.csv", header, rows)


KINDS = {
    "emovo": Kind(
        speakers=6,
        clips=588,
        sentences=tuple(EMOVO_SENTENCES.values()),
        rate_hz=48_000,
        channels=2,
        name=lambda index, _: f"{gender_of(index)[0]}{index // 2 + 1}",
        file=_emovo_file,
        miniature=(6, 84),
    ),
    "emozionalmente": Kind(
        speakers=24,
        clips=336,
        sentences=EVERYDAY_SENTENCES,
        rate_hz=16_000,
        channels=1,
        name=_username,
        file=_emozionalmente_file,
        tables=_emozionalmente_tables,
        miniature=(12, 84),
    ),
    "demos": Kind(
        speakers=12,
        clips=252,
        sentences=EVERYDAY_SENTENCES,
        rate_hz=48_000,
        channels=1,
        name=_demos_name,
        file=_demos_file,
        most_speakers=98,
        miniature=(12, 84),
        guilt=True,
    ),
    "table": Kind(
        speakers=8,
        clips=168,
        sentences=EVERYDAY_SENTENCES,
        rate_hz=16_000,
        channels=1,
        name=lambda index, _: f"s{index + 1:02d}",
        file=_table_file,
        tables=_table_tables,
    ),
}


def miniatures() -> dict[str, tuple[int, int]]:
    """Speakers and clips of each corpus that a grid's miniature can hold."""
    return {name: kind.miniature for name, kind in KINDS.items() if kind.miniature}
