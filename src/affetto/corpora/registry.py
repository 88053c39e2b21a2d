"""All corpora and formats by name, and the one call that turns a name and a path into a manifest."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from affetto.corpora import folders
from affetto.corpora.corpus import Corpus
from affetto.corpora.formats import nkululeko, tables
from affetto.corpora.labels import DROP, OTHER_LABELS, LabelMap, parse_label_map, slips
from affetto.corpora.manifest import Manifest, NoClipsError
from affetto.corpora.provenance import recorded_licence
from affetto.corpora.transcribed import commonvoice
from affetto.errors import UserError, nearest
from affetto.registry import Registry

CORPORA = Registry(
    kind="corpus",
    record=Corpus,
    packages=("affetto.corpora.published", "affetto.corpora.formats"),
    group="affetto.corpora",
    order=lambda corpus: (corpus.rank, corpus.name),
)
"""Corpora and formats by name, in the order in which a path is tried; plug-ins register by `affetto.corpora`."""


def title_of(name: str) -> str:
    """The title of a published corpus; any other name as it is.

    >>> title_of("demos"), title_of("clips")
    ('DEMoS', 'clips')
    """
    corpus = CORPORA.get(name)
    return name if corpus is None or corpus.is_format else corpus.title


def languages_of(names: str) -> str:
    """The languages of published corpora with + between their names; empty where none is known.

    >>> languages_of("emovo+demos"), languages_of("emovo+ravdess"), languages_of("clips")
    ('Italian', 'Italian, English', '')
    """
    records = (CORPORA.get(name) for name in names.split("+"))
    return ", ".join(dict.fromkeys(corpus.language for corpus in records if corpus is not None and corpus.language))


def open_corpus(
    name: str | None,
    path: Path,
    *,
    label_map: dict[str, str] | None = None,
    strict: bool = False,
    options: dict[str, str] | None = None,
    keep_other: bool = False,
) -> Manifest:
    """The manifest of the corpus at `path`.

    A `name` of `CORPORA` is read by that record; for any other name, or none, the record is found by the path. A
    collection of the user's own has that other name, else the name of its file or folder. `keep_other` makes each label
    beside the seven emotions a class of its own, where `label_map` has no entry for it. Raises UserError.
    """
    path = Path(path).expanduser()
    corpus = _record(name, path)
    settings = corpus.settings(options or {})
    if corpus.is_format:
        name = settings["name"] = _name(name, corpus, path)
    entries = parse_label_map(label_map) if label_map else {}
    mapped = LabelMap((_own_classes(corpus) if keep_other else {}) | entries)
    try:
        manifest = corpus.read(path, label_map=mapped or None, strict=strict, **settings)
    except NoClipsError:
        dropped = [label for label, target in mapped.items() if target == DROP]
        if not dropped:
            raise
        raise NoClipsError(
            f"{path}: the label map drops every clip ({', '.join(dropped)}); keep some of them"
        ) from None
    except UserError as problem:
        raise _with_likeness(problem, corpus, path) from None
    licence = manifest.licence or (recorded_licence(path) if corpus.is_format else "")
    notes = (*manifest.notes, *_map_notes(entries, mapped.lookups, corpus, manifest))
    manifest = replace(manifest, key=corpus.name, licence=licence, notes=notes)
    if name and manifest.corpus != name:
        clips = tuple(replace(clip, corpus=name) for clip in manifest.clips)
        notes = (*manifest.notes, *_name_note(name, corpus, path))
        manifest = replace(manifest, corpus=name, clips=clips, notes=notes)
    return manifest


def name_at(name: str | None, path: Path) -> str:
    """The name that the clips of the corpus at `path` have once it is read as `name`; UserError where none is there."""
    path = Path(path).expanduser()
    return _name(name, _record(name, path), path)


def is_there(name: str | None, place: str) -> bool:
    """True for a path that exists, and for an address from which the named corpus can be fetched."""
    corpus = CORPORA.get((name or "").casefold())
    return Path(place).expanduser().exists() or (corpus is not None and corpus.is_address(place))


def check_layout(name: str, path: Path) -> tuple[str, ...]:
    """Notes on a corpus before it is read: on a published one under another name.

    By names and headers alone. Raises UserError for a path that is no corpus, or not that of the name.
    """
    corpus = CORPORA.get(name.casefold())
    if corpus is None:
        return _name_note(name, detect(path, name), path)
    if not corpus.is_format and not corpus.matches(path):
        open_corpus(name, path)  # its error names what was looked for
    return ()


def _with_likeness(problem: UserError, corpus: Corpus, path: Path) -> UserError:
    """The error, with the corpus that the path looks like where it does not look like the one that was named."""
    if corpus.matches(path):
        return problem
    similar = [record for record in CORPORA.values() if not record.is_format and record.matches(path)]
    names = " or ".join(f"{record.title} (--corpus {record.name}={path})" for record in similar)
    return UserError(f"{problem}. It looks like {names}") if similar else problem


def _name_note(name: str, corpus: Corpus, path: Path) -> tuple[str, ...]:
    """A note that a published corpus runs under another name, which may be a slip of the pen."""
    if corpus.is_format:
        return ()
    return (f"{path} is {corpus.title}, and runs under the name {name!r}; its own is --corpus {corpus.name}={path}",)


def _map_notes(entries: dict[str, str], lookups: set[str], corpus: Corpus, manifest: Manifest) -> tuple[str, ...]:
    """Notes on entries of the user's label map that were probably mistyped, or that no clip of the corpus has."""
    notes = slips({label: target for label, target in entries.items() if label in lookups})
    idle = sorted(entries.keys() - lookups)
    if not idle:
        return notes
    known = {*manifest.every_label, *corpus.other_labels, *(change.label for change in manifest.relabelled or ())}
    guesses = {label: nearest(label, known - {label}) for label in idle}
    names = (f"{label!r}" + (f" (did you mean {guess!r}?)" if guess else "") for label, guess in guesses.items())
    return (*notes, f"--label has no effect on {', '.join(names)}: no clip of {manifest.corpus} has such a label")


def _own_classes(corpus: Corpus) -> dict[str, str]:
    """The label map that keeps labels beside the seven: those of the record, in a layout the usual ones."""
    if not corpus.is_format:
        return {label: label for label in corpus.other_labels}
    return {alias: name for name, aliases in OTHER_LABELS.items() for alias in (name, *aliases)}


def _record(name: str | None, path: Path) -> Corpus:
    """The record that reads a path: of the name, else the one that fits. Raises UserError as `detect`."""
    return CORPORA.get((name or "").casefold()) or detect(path, name)


def _name(name: str | None, corpus: Corpus, path: Path) -> str:
    """The user's name for a corpus; a collection of the user's own has that of its file or folder by default."""
    if corpus.is_format and name in (None, corpus.name):
        return _default_name(path, corpus)
    return name or corpus.name


def _default_name(path: Path, corpus: Corpus) -> str:
    """Name of a user's own collection: its file or folder. A name that is no plain word, or that a published corpus
    has, would mislead; the format's name stands for it."""
    path = tables.only_listing(path) if corpus is tables.CORPUS else Path(path).expanduser().resolve()
    name = path.name if path.is_dir() else path.stem
    return name if re.fullmatch(r"\w[\w.-]*", name) and name.casefold() not in CORPORA else corpus.name


def detect(path: Path, name: str | None = None) -> Corpus:
    """The record that fits the path; `name`, if given, is only for the error.

    Raises UserError where none fits, and where two published corpora lie in one folder.
    """
    path = Path(path).expanduser()
    published = [corpus for corpus in CORPORA.values() if not corpus.is_format and corpus.matches(path)]
    if len(published) > 1:
        names = ", ".join(corpus.name for corpus in published)
        raise UserError(
            f"{path} holds several corpora: {names}. Give the folder of one, or name one (--as NAME to inspect, "
            "--corpus NAME=PATH to train)"
        )
    formats = (corpus for corpus in CORPORA.values() if corpus.is_format and corpus.matches(path))
    corpus = next(iter(published or formats), None)
    if corpus is None:
        raise _unrecognised(path, name)
    return corpus


def _unrecognised(path: Path, name: str | None) -> UserError:
    """The error for a path that no record fits."""
    prefix = f"corpus {name!r}: " if name else ""
    advice = (
        f"Known: {', '.join(CORPORA)}. Name one to see what it looks for (--as NAME to inspect, "
        "--corpus NAME=PATH to train)"
    )
    if path.is_file():
        folders.existing(path, "the corpus")
        nkululeko.refuse_other(path)
        return UserError(f"{prefix}{path} is neither a table (.csv, .tsv, .txt, .jsonl) nor a folder. {advice}")
    folder = folders.existing_folder(path, "the corpus")
    if commonvoice.is_listed(folder):
        return UserError(
            f"{prefix}{folder} is Common Voice, which has sentences and no emotions. To train a backbone further on "
            f"its language: affetto specialize --corpus {commonvoice.NAME}={folder}"
        )
    tables.refuse_several(folder)
    return UserError(f"{prefix}{folder} looks like no known corpus; found {folders.found_in(folder)}. {advice}")
