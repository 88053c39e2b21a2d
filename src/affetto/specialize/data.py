"""Sample of a corpus: usable clips of the hours asked for, with held-out speakers; the rest is reported."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from affetto import audio
from affetto.corpora.amounts import amount
from affetto.corpora.prompts import normalised
from affetto.corpora.transcribed.listing import Listing, Utterance
from affetto.corpora.transcribed.sampling import fill, hold_out
from affetto.errors import UserError
from affetto.specialize.examine import Examiner
from affetto.specialize.spec import Settings, Spec
from affetto.specialize.text import APOSTROPHES, Vocabulary, list_counts, plain

GUESSED_SECONDS = 5.0
"""Assumed length of a clip that is not decoded yet: about the mean of Common Voice."""
HOUR = 3600.0


@dataclass(frozen=True)
class Clip:
    """A clip of the sample. `text` is the target of the objective, `sentence` the plain sentence for scoring."""

    id: str
    path: Path
    speaker: str
    text: str
    sentence: str
    samples: int
    audio: str


@dataclass
class Sample:
    train: tuple[Clip, ...]
    validation: tuple[Clip, ...]
    left_out: dict[str, int]
    """Number of clips by reason."""
    unreadable: list[str] = field(default_factory=list)

    @property
    def clips(self) -> dict[str, Clip]:
        return {clip.id: clip for clip in (*self.train, *self.validation)}

    @property
    def repeated(self) -> frozenset[str]:
        """Ids of validation clips whose sentence is in the training part too: the model may have memorised it."""
        trained_on = {normalised(clip.sentence) for clip in self.train} - {""}
        return frozenset(clip.id for clip in self.validation if normalised(clip.sentence) in trained_on)

    def describe(self) -> dict[str, Any]:
        """Summary for `specialized.json`: clips, hours and speakers of both parts, and what was left out."""
        parts = {"train": self.train, "validation": self.validation}
        facts: dict[str, Any] = {
            name: {
                "clips": len(clips),
                "hours": round(hours(clips), 4),
                "speakers": len({clip.speaker for clip in clips}),
            }
            for name, clips in parts.items()
        }
        if any(clip.sentence for clip in self.validation):
            facts["validation"]["clips_with_a_trained_sentence"] = len(self.repeated)
        return facts | {"left_out": self.left_out, "unreadable": self.unreadable[:20]}

    def facts(self) -> dict[str, Any]:
        """Facts that the result depends on: each clip's audio and text, in order."""
        return {
            part: [(clip.id, clip.audio, clip.text) for clip in clips]
            for part, clips in (("train", self.train), ("validation", self.validation))
        }


def hours(clips: Sequence[Clip]) -> float:
    return sum(clip.samples for clip in clips) / audio.RATE_HZ / HOUR


class Chooser:
    """Draws the sample. `fits(samples, text)` is the objective's; `examiner` decodes clips and stores the results."""

    def __init__(
        self,
        corpus: Listing,
        spec: Spec,
        vocabulary: Vocabulary | None,
        with_text: bool,
        fits: Callable[[int, str], bool],
        examiner: Examiner,
        say: Callable[[str], None],
        progress: Callable[[int, int], None],
    ) -> None:
        self.corpus, self.spec, self.settings = corpus, spec, spec.settings
        self.vocabulary, self.with_text, self.fits = vocabulary, with_text, fits
        self.examiner, self.say, self.progress = examiner, say, progress
        self.left_out: Counter[str] = Counter()
        self.refused: set[str] = set()
        self.unreadable: list[str] = []
        self.looked_at: set[str] = set()

    def choose(self) -> Sample:
        usable = self._with_usable_text()
        speakers = sorted({utterance.speaker for utterance in usable})
        if len(speakers) < 2:
            raise UserError(
                f"{self.corpus.root} has {len(speakers)} speaker with usable clips; one trains and another validates, "
                "so two are needed at least"
            )
        held_out = hold_out(speakers, self.settings.held_out, self.spec.seed)
        limit_seconds = None if self.spec.hours is None else self.spec.hours * HOUR
        train = self._draw(
            [utterance for utterance in usable if utterance.speaker not in held_out],
            limit_seconds,
            needed=True,
        )
        drawn_seconds = sum(self._length(utterance) for utterance in train)
        most = min(self.settings.validation_hours * HOUR, max(drawn_seconds / 10, 60.0))
        validation = self._draw([utterance for utterance in usable if utterance.speaker in held_out], most)
        if self.unreadable:
            self.say(f"left out: {amount(len(self.unreadable), 'clip')} cannot be read: {self.unreadable[0]}")
        for reason, count in self.left_out.items():
            if reason != "unreadable":
                self.say(f"left out: {amount(count, 'clip')}, {reason}")
        if not train or not validation:
            raise UserError(
                f"{self.corpus.root}: no usable clip is left to {'train' if not train else 'validate'} with"
            )
        if limit_seconds is not None and drawn_seconds < limit_seconds:
            raise self._too_few(drawn_seconds)
        left_out = dict(self.left_out)
        return Sample(tuple(map(self._clip, train)), tuple(map(self._clip, validation)), left_out, self.unreadable)

    def _too_few(self, drawn_seconds: float) -> UserError:
        return UserError(
            f"--hours {self.spec.hours:g}: {self.corpus.root} has {drawn_seconds / HOUR:.2f} usable hours to train "
            "with, beside the speakers who validate; ask for fewer, or leave --hours out to take all"
        )

    def _with_usable_text(self) -> list[Utterance]:
        """Utterances whose sentence the vocabulary can write; all, for an objective without text."""
        if not self.with_text:
            return list(self.corpus.utterances)
        usable, outside = [], Counter[str]()
        for utterance in self.corpus.utterances:
            sentence = plain(utterance.sentence)
            foreign = self.vocabulary.outside(sentence) if self.vocabulary is not None else set()
            outside.update(foreign)
            if not sentence:
                self.left_out["without a sentence"] += 1
            elif foreign:
                self.left_out["with characters outside the vocabulary"] += 1
            else:
                usable.append(utterance)
        if outside:
            self.say(
                f"characters outside the vocabulary: {list_counts(outside)}; give --characters to have them written"
            )
        if not usable:
            raise UserError(
                f"{self.corpus.root}: no clip has a sentence that can be learned from "
                f"({', '.join(f'{n} {reason}' for reason, n in self.left_out.items())})"
                + (f"; outside the vocabulary: {list_counts(outside)}; give --characters" if outside else "")
            )
        return usable

    def _draw(self, pool: list[Utterance], seconds: float | None, *, needed: bool = False) -> list[Utterance]:
        """Utterances of `seconds` in all (None: the whole pool), each decoded and usable.

        A draw may hold utterances that prove unusable: it is repeated without them until all of it is decoded.
        """
        lengths = [utterance.seconds for utterance in pool if utterance.seconds is not None]
        if needed and seconds is not None and len(lengths) == len(pool) and sum(lengths) < seconds:
            raise self._too_few(sum(lengths))  # before hours are spent on looking at all of them
        while True:
            drawn = fill([o for o in pool if o.file not in self.refused], seconds, self.spec.seed, self._length)
            new = [utterance for utterance in drawn if utterance.file not in self.looked_at]
            if not new:
                return drawn
            self._look_at(new)

    def _length(self, utterance: Utterance) -> float:
        if utterance.seconds is not None:
            return utterance.seconds
        entry = self.examiner.checked.get(utterance.file, {}) if utterance.file in self.looked_at else {}
        return float(entry["samples"]) / audio.RATE_HZ if "samples" in entry else GUESSED_SECONDS

    def _look_at(self, new: list[Utterance]) -> None:
        clips = [(utterance.file, self.corpus.path(utterance)) for utterance in new]
        for done, (utterance, (file, entry)) in enumerate(zip(new, self.examiner.look(clips), strict=True), start=1):
            self.looked_at.add(file)
            self._judge(utterance, entry)
            self.progress(done, len(new))
        if len(self.unreadable) > max(1.0, self.settings.max_bad * len(self.looked_at)):
            raise UserError(
                f"{len(self.unreadable)} of {len(self.looked_at)} clips cannot be read, more than max_bad "
                f"({self.settings.max_bad:.0%}): {self.unreadable[0]}. Copy the corpus again, or give a higher "
                "--set max_bad=SHARE"
            )

    def _judge(self, utterance: Utterance, entry: dict[str, Any]) -> None:
        if "problem" in entry:
            self.refused.add(utterance.file)
            self.unreadable.append(entry["problem"])
            self.left_out["unreadable"] += 1
            return
        seconds = entry["samples"] / audio.RATE_HZ
        reason = None
        if not self.settings.shortest_seconds <= seconds <= self.settings.longest:
            reason = f"shorter than {self.settings.shortest_seconds:g} s or longer than {self.settings.longest:g} s"
        elif not self.fits(entry["samples"], self._text(utterance)):
            reason = "whose sentence is too long for them"
        if reason:
            self.refused.add(utterance.file)
            self.left_out[reason] += 1

    def _text(self, utterance: Utterance) -> str:
        return plain(utterance.sentence) if self.vocabulary is not None else utterance.sentence

    def _clip(self, utterance: Utterance) -> Clip:
        entry = self.examiner.checked[utterance.file]
        return Clip(
            id=utterance.file,
            path=self.corpus.path(utterance),
            speaker=utterance.speaker,
            text=self._text(utterance),
            sentence=plain(utterance.sentence),
            samples=entry["samples"],
            audio=entry["audio"],
        )


def vocabulary_for(spec: Spec, corpus: Listing) -> tuple[Vocabulary, str | None]:
    """Characters to write, and a note if they come from the corpus.

    They are those of `--characters`, else those of the language, else the letters of the corpus.
    """
    from affetto.specialize.text import LANGUAGES, letters

    if spec.characters is not None:
        characters = "".join(sorted({" ", *plain_characters(spec.characters)}))
        return Vocabulary(characters), None
    if spec.language in LANGUAGES:
        return Vocabulary(LANGUAGES[spec.language]), None
    alphabet = letters(plain(utterance.sentence) for utterance in corpus.utterances)
    return Vocabulary(alphabet), f"the vocabulary is the corpus's own {len(alphabet) - 1} letters: {alphabet.strip()}"


def plain_characters(text: str) -> set[str]:
    """The characters that `--characters` names, composed and lowered as those of plain sentences.

    >>> sorted(plain_characters("E\u0300 ’"))
    ["'", 'è']
    """
    composed = unicodedata.normalize("NFC", text).lower()
    return {"'" if c in APOSTROPHES else c for c in composed if not c.isspace()}


def steps_of(settings: Settings, clips: int) -> tuple[int, int]:
    """Number of steps of an epoch, and of the whole training."""
    per_epoch = -(-clips // settings.batch_size)
    return per_epoch, settings.steps or max(1, round(settings.epochs * per_epoch))
