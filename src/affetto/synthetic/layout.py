"""Emotional corpora of synthetic speech: Italian by espeak-ng, in the layouts of official corpora.

They stand in for corpora that one must ask for or download, so that everything can be tried at once. They are no
substitute for them: a model learns the table of `prosody.py` here. Each carries a marker, `folders.MARKER`, that
readers pass on to all results.

A clip depends on the kind, the seed, its speaker, emotion and sentence alone: a smaller corpus holds the same clips as
a larger one, and the same command writes the same bytes again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from affetto.corpora.labels import EMOTIONS
from affetto.errors import UserError
from affetto.synthetic.maker import Maker, Progress, check_size, gender_of, write_marker, written_at_once

if TYPE_CHECKING:
    import numpy as np

    from affetto.synthetic.prosody import Speaker

CODES = dict(zip(EMOTIONS, ("rab", "dis", "pau", "gio", "neu", "tri", "sor"), strict=True)) | {"guilt": "col"}
"""Abbreviations of the emotions in the file names of Italian corpora."""
PROTOTYPICAL_BOLDNESS = 1.35


@dataclass(frozen=True)
class Take:
    """One clip to be made: the numbers of its speaker and sentence (from 0), and its emotion."""

    speaker: int
    emotion: str
    sentence: int


Planned: TypeAlias = "tuple[str, Take, Speaker]"
"""A clip's file, its take and its speaker."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """An emotional corpus that can be made: its size, its sound and its files."""

    name: str
    speakers: int
    clips: int
    sentences: Sequence[str]
    rate_hz: int
    channels: int
    speaker_name: Callable[[int, int], str]
    """Name of a speaker by number and seed."""
    file: Callable[[Take, Speaker], str]
    """Relative path of a clip."""
    tables: Callable[[Path, list[Planned], int], None] = lambda *_: None
    """`tables(root, plan, seed)` writes the corpus's tables."""
    most_speakers: int = 9999
    has_guilt: bool = False
    """True if each speaker has one clip of guilt beside the seven emotions; readers leave it out."""
    bold_prefix: str | None = None
    """Beginning of the names of files whose emotion is spoken boldly; None for none."""

    def maker(self, miniature: tuple[int, int] | None = None) -> Maker:
        """The record by which the corpus is found."""
        advice = f"synthetic speech in the layout of {self.name}; look at it with: affetto corpora inspect {{folder}}"
        return Maker(
            name=self.name,
            make=self.make,
            advice=advice,
            miniature=miniature,
        )

    def make(
        self,
        folder: Path,
        *,
        speakers: int | None = None,
        clips: int | None = None,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> None:
        """Write the corpus into `folder`, which must be new or empty.

        `clips` counts the seven emotions' clips in all; by default each speaker has as many as in the whole corpus. On
        any error, and on Ctrl-C, nothing is left behind.
        """
        speakers = self.speakers if speakers is None else speakers
        clips = speakers * (self.clips // self.speakers) if clips is None else clips
        self._check(speakers, clips)
        with written_at_once(Path(folder)) as root:
            from affetto.synthetic import prosody, voice

            write_marker(root, self.name, speakers=speakers, clips=clips, seed=seed)
            plan = self._plan(speakers, clips, seed)
            for done, (file, take, speaker) in enumerate(plan, start=1):
                is_bold = self.bold_prefix is not None and Path(file).name.startswith(self.bold_prefix)
                boldness = PROTOTYPICAL_BOLDNESS if is_bold else 1.0
                wave = prosody.speak(speaker, take.emotion, self.sentences[take.sentence], boldness=boldness)
                self._write(root / file, wave, voice.RATE_HZ)
                if progress is not None:
                    progress(done, len(plan))
            self.tables(root, plan, seed)

    def takes(self, speakers: int, clips: int) -> Iterator[Take]:
        """The clips, spread as evenly as they can be over speakers, then emotions, then sentences."""
        emotion = 0  # goes on from speaker to speaker, so that what does not divide by seven is spread as well
        for speaker in range(speakers):
            for number in range(clips // speakers + (speaker < clips % speakers)):
                # The steps have no factor in common with 14 or 18 sentences; each speaker starts elsewhere.
                sentence = 5 * (speaker + number // len(EMOTIONS)) % len(self.sentences)
                yield Take(speaker, EMOTIONS[emotion], sentence)
                emotion = (emotion + 1) % len(EMOTIONS)
            if self.has_guilt:
                yield Take(speaker, "guilt", 0)

    def _check(self, speakers: int, clips: int) -> None:
        check_size(self.name, speakers, clips, self.most_speakers)
        most = speakers * len(EMOTIONS) * len(self.sentences)
        if clips > most:
            raise UserError(
                f"{self.name}: {clips} clips are too many: {speakers} speakers by {len(EMOTIONS)} emotions by "
                f"{len(self.sentences)} sentences make {most}; give fewer clips or more speakers"
            )

    def _plan(self, speakers: int, clips: int, seed: int) -> list[Planned]:
        from affetto.synthetic.prosody import draw_speaker

        people = [
            draw_speaker(self.name, seed, gender_of(index), index // 2, self.speaker_name(index, seed))
            for index in range(speakers)
        ]
        takes = list(self.takes(speakers, clips))
        return [(self.file(take, people[take.speaker]), take, people[take.speaker]) for take in takes]

    def _write(self, path: Path, wave: np.ndarray, rate_hz: int) -> None:
        import soundfile
        import soxr

        wave = soxr.resample(wave, rate_hz, self.rate_hz, quality="HQ").clip(-1, 1)
        if self.channels == 2:
            wave = wave[:, None].repeat(2, axis=1)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            soundfile.write(path, wave, self.rate_hz, subtype="PCM_16")
        except soundfile.LibsndfileError as problem:
            raise OSError(None, problem.error_string) from None
