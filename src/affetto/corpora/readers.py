"""The readers by name, and the one call that turns a name and a path into a manifest."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from affetto.corpora import demos, emovo, emozionalmente
from affetto.corpora.formats import audiofolder, emobox, folders, tables
from affetto.corpora.labels import DROP, parse_label_map
from affetto.corpora.manifest import Manifest, NoClipsError
from affetto.corpora.transcribed import commonvoice
from affetto.errors import UserError, unknown


def _text(value: str, option: str) -> str:
    return value


def _yes_or_no(value: str, option: str) -> bool:
    answers = dict.fromkeys(("true", "yes", "1", "on"), True) | dict.fromkeys(("false", "no", "0", "off"), False)
    if value.strip().casefold() not in answers:
        raise UserError(f"option {option}={value!r} must be true or false")
    return answers[value.strip().casefold()]


@dataclass(frozen=True)
class Reader:
    """How one corpus or format is read, told from a path, and what options it takes."""

    read: Callable[..., Manifest]
    matches: Callable[[Path], bool]
    options: dict[str, Callable[[str, str], object]]
    takes_name: bool = False
    """Whether the corpus is the user's own, so that it takes the name that the user gives it."""


_LISTED: dict[str, Callable[[str, str], object]] = {"speaker_pattern": _text, "audio_root": _text}
READERS: dict[str, Reader] = {
    "emovo": Reader(emovo.read, emovo.matches, {}),
    "emozionalmente": Reader(emozionalmente.read, emozionalmente.matches, {}),
    "demos": Reader(demos.read, demos.matches, {"keep_guilt": _yes_or_no}),
    "table": Reader(tables.read, tables.matches, _LISTED, takes_name=True),
    "audiofolder": Reader(audiofolder.read, audiofolder.matches, {"speaker_pattern": _text}, takes_name=True),
    "emobox": Reader(emobox.read, emobox.matches, _LISTED, takes_name=True),
    "nkululeko": Reader(tables.read, tables.matches, _LISTED, takes_name=True),
}
"""In the order in which a path is tried; nkululeko's CSV is a table, and has a name for those who look for it."""


def open_corpus(
    name: str | None,
    path: Path,
    *,
    label_map: dict[str, str] | None = None,
    strict: bool = False,
    options: dict[str, str] | None = None,
) -> Manifest:
    """The manifest of the corpus at `path`.

    A `name` of `READERS` is read by that reader; with any other name, or none, the format is told from the path. A
    collection of the user's own is called by that other name, else by its file or folder. Raises UserError.
    """
    path = Path(path)
    key = name if name in READERS else detect(path, name)
    reader = READERS[key]
    settings: dict[str, object] = {}
    for option, value in (options or {}).items():
        if option not in reader.options:
            raise unknown(f"option for {key}", option, reader.options, hint="" if reader.options else "Leave it out.")
        settings[option] = reader.options[option](value, option)
    if reader.takes_name:
        name = settings["name"] = _own_name(path, key) if name in (None, key) else name
    mapped = parse_label_map(label_map) if label_map else None
    try:
        manifest = reader.read(path, label_map=mapped, strict=strict, **settings)
    except NoClipsError:
        dropped = [label for label, target in (mapped or {}).items() if target == DROP]
        if not dropped:
            raise
        raise NoClipsError(
            f"{path}: the label map drops every clip ({', '.join(dropped)}); keep some of them"
        ) from None
    if name and manifest.corpus != name:
        clips = tuple(replace(clip, corpus=name) for clip in manifest.clips)
        manifest = replace(manifest, corpus=name, clips=clips)
    return manifest


def _own_name(path: Path, key: str) -> str:
    """What a collection of the user's own is called by: its file or folder; its format where that is no plain name,
    or is a known corpus's, which it would be taken for."""
    path = tables.found(path)
    name = path.name if path.is_dir() else path.stem
    return name if re.fullmatch(r"\w[\w.-]*", name) and name.casefold() not in READERS else key


def detect(path: Path, name: str | None = None) -> str:
    """The key of the reader that fits the path; `name`, if given, is only for the error."""
    path = Path(path).expanduser()
    fitting = [key for key, reader in READERS.items() if reader.matches(path)]
    if fitting:
        return fitting[0]
    called = f"corpus {name!r}: " if name else ""
    known = (
        f"Known: {', '.join(READERS)}. Name one to be told what it looks for (--as NAME to inspect, "
        "--corpus NAME=PATH to train)"
    )
    if path.is_file():
        folders.existing(path, "the corpus")
        raise UserError(f"{called}{path} is neither a table (.csv, .tsv, .txt, .jsonl) nor a folder. {known}")
    folder = folders.existing_folder(path, "the corpus")
    if commonvoice.tells_no_emotion(folder):
        raise UserError(
            f"{called}{folder} is Common Voice, which tells sentences and no emotions. To train a backbone further on "
            f"its language: affetto specialize --corpus {commonvoice.NAME}={folder}"
        )
    tables.refuse_several(folder)
    raise UserError(f"{called}{folder} looks like no known corpus; found {folders.found_in(folder)}. {known}")
