"""Corpora whose file names say all: a pattern with named groups, and the tables that read its codes.

Such a corpus is its story, a `Naming` and a record (`named_corpus`). The audio may lie in any folders, flat or nested;
the root is the folder that holds all of it. What archives and mirrors add is passed over with a note: a second copy
below the first, files of other names, files that are known to be faulty.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from affetto.corpora.amounts import amount, verb
from affetto.corpora.corpus import Corpus
from affetto.corpora.folders import (
    AUDIO_SUFFIXES,
    archives_beside,
    audio_below,
    examples,
    existing_folder,
    only_root,
    strays,
    strays_note,
)
from affetto.corpora.formats.cells import PART_ALIASES
from affetto.corpora.labelling import Labelling
from affetto.corpora.manifest import Clip, Manifest
from affetto.errors import UserError

DEEPEST = 6
"""Levels of folders below a path in which a corpus is recognised."""
MOST_ENTRIES = 20_000
"""Entries of folders that are listed before a path counts as one that holds no corpus."""
MOST_FILES = 50
"""Files of a folder that are looked at: those of one folder are named alike."""


@dataclass(frozen=True, kw_only=True)
class Naming:
    """The names of a corpus's files, and the meaning of the codes in them."""

    pattern: str
    """Regular expression of a file's name, or of its last folders and its name; case does not matter.

    The groups `emotion` and `speaker` are needed; `prompt`, `gender` and `part` are optional; groups of `values` become
    extras of the clip.
    """
    shape: str
    """The pattern as people read it: `<speaker>-<emotion>.wav`."""
    example: str
    emotions: Mapping[str, str]
    """Label of each code of the group `emotion`; codes in lower case."""
    speakers: Mapping[str, str | None] = field(default_factory=dict)
    """Gender of each speaker, by the group `speaker` in its official spelling; None where it is unknown.

    Without an entry any code is a speaker, in lower case."""
    genders: Mapping[str, str] = field(default_factory=dict)
    """Gender of each code, in lower case, of the group `gender`, where `speakers` does not tell it."""
    excluded: Mapping[str, str] = field(default_factory=dict)
    """Reason for which a code of the group `speaker`, in lower case, is no speaker."""
    misspelt: Mapping[str, str] = field(default_factory=dict)
    """The speaker meant by a code (in lower case) that some copies misspell."""
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Values of further groups, by the group's name and its code in lower case."""
    words: Callable[[Path, Mapping[str, str]], str | None] | None = None
    """The spoken words of a file, from its path and its name's parts; by default those of the record's sentences."""
    faulty: Mapping[str, str] = field(default_factory=dict)
    """Reason for which a file, by its official name, cannot be used."""

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        return re.compile(rf"(?:^|/)({self.pattern})\Z", re.IGNORECASE)

    def matches(self, path: Path) -> bool:
        """True if the first files in or below `path` hold one with such a name."""
        return any(self._fit(file) for file in _first_files(Path(path).expanduser().resolve()))

    def _fit(self, file: str) -> re.Match[str] | None:
        """The parts of a file's name; None where it is none of this corpus, or names an unknown speaker."""
        fit = self._regex.search(_posix(file))
        return fit if fit and self._speaker(fit) is not None else None

    def stranger(self, file: str) -> str | None:
        """The code of the speaker of a file that has such a name, where it is none of the speakers; else None."""
        fit = self._regex.search(_posix(file))
        return fit["speaker"].casefold() if fit and self._speaker(fit) is None else None

    def _speaker(self, fit: re.Match[str]) -> str | None:
        code = fit["speaker"].casefold()
        code = self.misspelt.get(code, code).casefold()
        return self._spellings.get(code) if self.speakers else code

    @cached_property
    def _spellings(self) -> dict[str, str]:
        return {speaker.casefold(): speaker for speaker in self.speakers}

    def fitting(self, folder: Path) -> dict[str, re.Match[str]]:
        """The files in and below a folder that have such a name, with its parts; those near the folder first."""
        files = sorted(audio_below(folder), key=lambda file: (file.count(os.sep), file))
        return {file: fit for file in files if (fit := self._fit(file))}

    def clip(self, root: Path, file: str, fit: re.Match[str], emotion: str) -> Clip:
        """The clip of a file below `root`, whose name has the parts `fit`."""
        parts = {name: text.casefold() for name, text in fit.groupdict().items() if text is not None}
        speaker = self._speaker(fit) or ""
        extra = {name: codes[parts[name]] for name, codes in self.values.items() if parts.get(name) in codes}
        return Clip(
            file=file,
            emotion=emotion,
            speaker=speaker,
            gender=self.speakers.get(speaker) or self.genders.get(parts.get("gender", "")),
            prompt=parts.get("prompt"),
            part=PART_ALIASES.get(parts.get("part", "")),
            sentence=self.words(root / file, parts) if self.words else None,
            extra=tuple(sorted(extra.items())),
        )


Annotate = Callable[[Path, tuple[Clip, ...], Labelling], tuple[tuple[Clip, ...], tuple[str, ...]]]
"""Function from a corpus's root, its clips and their labelling to the clips with annotations, and notes."""


def named_corpus(naming: Naming, *, annotate: Annotate | None = None, **facts: Any) -> Corpus:
    """The record of a corpus whose files are named by `naming`; `facts` are the other fields of `Corpus`.

    `annotate` adds what tables beside the files say of the clips: raters' answers, dimensions, extras. A corpus with
    options has a `read` of its own, which calls `read_named`.
    """

    def read(path: Path, *, label_map: dict[str, str] | None = None, strict: bool = False) -> Manifest:
        return read_named(corpus, naming, path, annotate=annotate, label_map=label_map, strict=strict)

    genders = dict(Counter(gender or "unknown" for gender in naming.speakers.values()))
    defaults: dict[str, Any] = {"matches": naming.matches, "read": read, "genders": genders}
    corpus = Corpus(**defaults | facts)
    return corpus


def read_named(
    corpus: Corpus,
    naming: Naming,
    path: Path,
    *,
    annotate: Annotate | None = None,
    label_map: dict[str, str] | None = None,
    strict: bool = False,
) -> Manifest:
    """The clips of all files that fit; names, folders and speakers only, nothing is decoded."""
    path = existing_folder(path, corpus.title)
    root, files, notes = _gather(corpus, naming, path)
    clips: list[Clip] = []
    labelling = corpus.labelling(label_map)
    for file, fit in files.items():
        name = Path(file).relative_to(root).as_posix()
        code = fit["emotion"].casefold()
        emotion = labelling.emotion(naming.emotions[code], name, code=code)
        if emotion is not None:
            clips.append(naming.clip(root, name, fit, emotion))
    if path != root and labelling.counts.total() < sum(corpus.official.values()):
        notes += archives_beside(path)  # those in the root are named by the record
    annotated, remarks = annotate(root, tuple(clips), labelling) if annotate else (tuple(clips), ())
    return corpus.manifest(root, annotated, labelling=labelling, notes=notes + remarks, strict=strict)


def _gather(corpus: Corpus, naming: Naming, path: Path) -> tuple[Path, dict[str, re.Match[str]], tuple[str, ...]]:
    """The root of the corpus at `path`, its files with the parts of their names, and notes on all others."""
    looked_for = f"files named {naming.shape}, such as {naming.example}"
    fits = naming.fitting(path)
    if fits and (outer := _root(fits)) in path.parents:
        fits = naming.fitting(outer)
    firsts: dict[str, str] = {}
    repeats: list[str] = []
    faulty: dict[str, str] = {}
    for file, fit in fits.items():
        if reason := naming.faulty.get(Path(file).name):
            faulty[file] = reason
        elif firsts.setdefault(fit[1].casefold(), file) != file:
            repeats.append(file)
    files = {file: fits[file] for file in firsts.values()}
    root, notes = only_root(path, corpus.title, looked_for, [_root(files)] if files else [])
    notes += _repeated(corpus.title, root, repeats)
    notes += tuple(f"{Path(file).name} is left out: {reason}" for file, reason in faulty.items())
    names = {Path(file).relative_to(root).as_posix() for file in fits if Path(file).is_relative_to(root)}
    unread = strays(root, names)
    strangers = {file: code for file in unread if (code := naming.stranger(file)) is not None}
    notes += _strangers_note(corpus.title, strangers, naming.excluded)
    return root, files, notes + strays_note([file for file in unread if file not in strangers], naming.shape)


def _strangers_note(title: str, strangers: Mapping[str, str], reasons: Mapping[str, str]) -> tuple[str, ...]:
    """A note on files of speakers whom the corpus does not have, by their codes; () where there are none."""
    if not strangers:
        return ()
    codes = sorted(set(strangers.values()))
    files = f"{amount(len(strangers), 'audio file')} of {'a speaker' if len(codes) == 1 else 'speakers'}"
    why = "".join(f"; {code}: {reasons[code]}" for code in codes if code in reasons)
    return (
        f"{files} whom {title} does not have ({', '.join(codes)}) {verb(len(strangers), 'were')} passed over: "
        f"{examples(list(strangers))}{why}",
    )


def _root(fits: Mapping[str, re.Match[str]]) -> Path:
    """The folder that holds all files, above the folders that belong to their names."""
    return Path(os.path.commonpath({_posix(file)[: fit.start(1)] for file, fit in fits.items()}))


def _posix(file: str) -> str:
    """The path with slashes, as the patterns have them."""
    return file.replace(os.sep, "/")


def _repeated(title: str, root: Path, repeats: list[str]) -> tuple[str, ...]:
    """A note on files that repeat the name of another in or below the root; UserError for a whole copy beside it."""
    if not repeats:
        return ()
    folder = Path(os.path.commonpath([os.path.dirname(file) for file in repeats]))
    if not folder.is_relative_to(root):
        raise UserError(f"{title} lies in two folders, {root} and {folder}: give one of them")
    names = [Path(file).relative_to(root).as_posix() for file in repeats]
    files = f"{amount(len(names), 'file')} {verb(len(names), 'have')} the name of another"
    return (f"{files} and {verb(len(names), 'were')} passed over as copies: {examples(names)}",)


def _first_files(path: Path) -> Iterator[str]:
    """The first audio files in and below a folder, a level at a time; none where a folder cannot be read."""
    level, remaining = [os.fspath(path)], MOST_ENTRIES
    for _ in range(DEEPEST + 1):
        below: list[str] = []
        for folder in level:
            try:
                with os.scandir(folder) as entries:
                    listed = sorted(islice(entries, remaining), key=lambda entry: entry.name)
                    remaining -= len(listed)
            except OSError:
                continue
            listed = [entry for entry in listed if not entry.name.startswith(".") and entry.name != "__MACOSX"]
            audio = (entry.path for entry in listed if os.path.splitext(entry.name)[1].casefold() in AUDIO_SUFFIXES)
            yield from islice(audio, MOST_FILES)
            below += [entry.path for entry in listed if entry.is_dir()]
        level = below
