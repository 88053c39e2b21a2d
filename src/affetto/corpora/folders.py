"""Folders of audio: a corpus's root in them, and the files that belong to no corpus.

A reader says what its root looks like; the folder around it or one inside it is accepted where only one can be meant.
Leftovers of archives (`__MACOSX`, `._*`, hidden files, documents) are ignored everywhere.
"""

from __future__ import annotations

import json
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path

from affetto.corpora.amounts import amount, verb
from affetto.errors import UserError

AUDIO_SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".au", ".m4a", ".aac", ".wma", ".mp4", ".webm"}
)
ARCHIVE_SUFFIXES = frozenset({".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"})

MARKER = "SYNTHETIC.json"
"""The file that marks a folder as synthetic: this project made its audio (`synthetic.maker.write_marker`)."""
_LOOKED_INTO = 5
_EXAMPLES = 3


def existing(path: Path, meaning: str) -> Path:
    """The absolute path of a file or folder; a UserError where there is nothing, or an archive to be unpacked."""
    path = Path(path).expanduser().resolve()
    if path.is_file() and path.suffix.casefold() in ARCHIVE_SUFFIXES:
        raise UserError(f"{path} is an archive: unpack it, and give what it unpacks to")
    if not path.exists():
        raise UserError(f"{path}: no such file or folder; give the path of {meaning}")
    return path


def existing_folder(path: Path, corpus: str) -> Path:
    """The absolute folder that `path` names; a UserError where it is none, an archive's file above all."""
    path = existing(path, f"the folder that holds {corpus}")
    if not path.is_dir():
        raise UserError(f"{path} is a file; give the folder that holds {corpus}")
    return path


def is_synthetic(folder: Path) -> bool:
    """True if the folder's own marker says that this project made its audio."""
    try:
        marker = json.loads((Path(folder) / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(marker, dict) and marker.get("synthetic") is True


def visible(folder: Path) -> list[Path]:
    """The entries of a folder, sorted, without hidden ones (`._*` too) and what macOS adds to archives."""
    try:
        return sorted(p for p in folder.iterdir() if not p.name.startswith(".") and p.name != "__MACOSX")
    except OSError as problem:
        raise UserError(f"{folder}: cannot be read ({problem.strerror}); check its permissions") from None


def subfolders(folder: Path) -> list[Path]:
    return [path for path in visible(folder) if path.is_dir()]


def candidates(path: Path, is_root: Callable[[Path], bool], is_inner: Callable[[Path], bool]) -> list[Path]:
    """The corpus roots that `path` may mean: itself, the folder around it, or those directly inside it."""
    path = Path(path).expanduser().resolve()
    if not path.is_dir():
        return []
    if is_root(path):
        return [path]
    if is_inner(path) and is_root(path.parent):
        return [path.parent]
    return [folder for folder in subfolders(path) if is_root(folder)]


def only_root(path: Path, corpus: str, looked_for: str, roots: list[Path]) -> tuple[Path, tuple[str, ...]]:
    """The one root among `roots`, and a note where it is not the folder that was given."""
    folder = existing_folder(path, corpus)
    if not roots:
        raise UserError(
            f"{folder}: no {corpus} here. Looked for {looked_for}; found {found_in(folder)}. "
            f"Give the folder that holds them"
        )
    if len(roots) > 1:
        raise UserError(
            f"{folder} holds {corpus} {len(roots)} times: {', '.join(root.name for root in roots)}. Give one of them"
        )
    note = () if roots[0] == folder else (f"{corpus} was found in {roots[0]}: all of that folder is read",)
    return roots[0], note


def found_in(folder: Path) -> str:
    """The contents of a folder in a few words, for an error."""
    entries = visible(folder)
    if not entries:
        return "nothing: the folder is empty"
    folders = [path for path in entries if path.is_dir()]
    parts = []
    if folders:
        inside = (f"{folder.name} ({_files_in(visible(folder)) or 'no files'})" for folder in folders[:_LOOKED_INTO])
        more = f" and {len(folders) - _LOOKED_INTO} more" if len(folders) > _LOOKED_INTO else ""
        parts.append(f"the folder{'s' * (len(folders) > 1)} {', '.join(inside)}{more}")
    return ", ".join([*parts, *filter(None, [_files_in(entries)])])


def _files_in(entries: list[Path]) -> str:
    """The files among a folder's entries by their suffixes, with an example of each."""
    files = [path for path in entries if not path.is_dir()]
    kinds = Counter(path.suffix.casefold() for path in files)
    example = {path.suffix.casefold(): path.name for path in reversed(files)}
    return ", ".join(
        f"{n} {kind or 'suffixless'} {'file named' if n == 1 else 'files such as'} {example[kind]}"
        + " (an archive: unpack it)" * (kind in ARCHIVE_SUFFIXES)
        for kind, n in kinds.most_common(_LOOKED_INTO)
    )


def files_of(folder: Path, suffixes: Iterable[str] = (".wav",)) -> list[Path]:
    """The files with these suffixes directly in a folder, sorted; hidden ones (`._*` too) are passed over."""
    allowed = {suffix.casefold() for suffix in suffixes}
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and not path.name.startswith(".") and path.suffix.casefold() in allowed
    )


def passed_over(root: Path, names: Collection[str], pattern: str) -> tuple[str, ...]:
    """A note on the audio files under `root` that are none of the names that a reader has read."""
    return strays_note(strays(root, names), pattern)


def strays(root: Path, names: Collection[str]) -> list[str]:
    """The audio files under `root` that are none of these names."""
    return [file for file in walk_audio(root) if file not in names]


def strays_note(files: Sequence[str], pattern: str) -> tuple[str, ...]:
    """A note on files that do not fit a pattern; () where there are none."""
    if not files:
        return ()
    number = len(files)
    subject = f"{amount(number, 'audio file')} {verb(number, 'do')} not fit {pattern}"
    return (f"{subject} and {verb(number, 'were')} passed over: {examples(files)}",)


def examples(names: Sequence[str]) -> str:
    """The first names of a list, for a note.

    >>> examples(["a.wav", "b.wav", "c.wav", "d.wav"])
    'a.wav, b.wav, c.wav, …'
    """
    return ", ".join(names[:_EXAMPLES]) + (", …" if len(names) > _EXAMPLES else "")


def audio_below(root: Path | str) -> Iterator[str]:
    """Every visible audio file in and below a folder, by its path from `root` on, in a fixed order.

    Links to folders are followed; a folder that several names lead to is walked once, so that no link leads in circles.
    """
    visited: set[tuple[int, int]] = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in visited:
            folders.clear()
            continue
        visited.add((status.st_dev, status.st_ino))
        inner = (name for name in folders if not name.startswith(".") and name != "__MACOSX")
        # Real folders first: recordings are named by their real paths.
        folders[:] = sorted(inner, key=lambda name: (os.path.islink(os.path.join(folder, name)), name))
        for name in sorted(files):
            if not name.startswith(".") and os.path.splitext(name)[1].casefold() in AUDIO_SUFFIXES:
                yield os.path.join(folder, name)


def walk_audio(root: Path) -> Iterator[str]:
    """As `audio_below`, by the files' relative POSIX paths."""
    return (Path(file).relative_to(root).as_posix() for file in audio_below(root))


def listed_file(root: Path, file: str) -> str:
    """A listed file's name as the disk has it: an accented letter may be one character in a table and two on the disk.

    `file` is relative to `root` or absolute, and is returned unchanged where no file has either name.
    """
    if file.isascii() or os.path.exists(root / file):
        return file
    forms = (unicodedata.normalize(form, file) for form in ("NFC", "NFD"))
    return next((form for form in forms if os.path.exists(root / form)), file)


def missing_files(root: Path, files: Sequence[str], table: str, *, strict: bool) -> tuple[str, ...]:
    """A note on files of a table that are not below `root`; a UserError under `strict`."""
    folders = {os.path.dirname(file) for file in files}
    present = {
        os.path.join(folder, name)
        for folder in folders
        if (root / folder).is_dir()
        for name in os.listdir(root / folder)
    }
    missing = [file for file in files if file not in present]
    if not missing:
        return ()
    clips = f"{len(missing):,} of the {len(files):,} clips of {table}"
    note = f"{clips} {verb(len(missing), 'have')} no file, such as {missing[0]}"
    if strict:
        raise UserError(f"{note}; unpack the whole corpus, or leave out strict to read what is there")
    return (note,)


def archives_beside(folder: Path) -> tuple[str, ...]:
    """A note on archives that lie in the folder of an incomplete copy."""
    names = [file.name for file in visible(folder) if file.suffix.casefold() in ARCHIVE_SUFFIXES]
    return (f"clips are missing, and an archive lies beside the others: unpack {', '.join(names)}",) if names else ()


def compare_counts(corpus: str, count: Counter[str], official: dict[str, int], *, strict: bool) -> tuple[str, ...]:
    """A note where the clips per emotion are not the official ones; a UserError under `strict`."""
    different = [
        f"{label} {count[label]} of {official.get(label, 0)}"
        for label in {**official, **count}
        if count[label] != official.get(label, 0)
    ]
    if not different:
        return ()
    note = (
        f"{corpus}: {amount(sum(count.values()), 'clip')}, officially {sum(official.values())} ({', '.join(different)})"
    )
    if strict:
        raise UserError(f"{note}; complete the copy, or leave out strict to work with what is there")
    return (note,)
