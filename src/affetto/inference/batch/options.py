"""Options by which the rows of a file were made, in a hidden record beside it: a later call must have the same.

Neither a line of JSON nor a CSV has room for them. The record stays when the file is whole, since --resume labels new
recordings too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from affetto.audio import content_digest
from affetto.errors import UserError
from affetto.files import write_text
from affetto.inference.spec import PredictorSpec

MODEL, CALIBRATE = "the model", "--calibrate"
FORMAT = 1


@dataclass(frozen=True)
class Option:
    """Value of an option that was given, as it is compared and as it is shown."""

    value: str
    shown: str


Options = Mapping[str, Option]
"""Options that change rows, by name; those that were not given are absent."""


def options_of(spec: PredictorSpec, identity: str | None) -> dict[str, Option]:
    """Options of a call by which `spec` labels. `identity`: that of its model; None: its name has to do.

    A backbone that has moved, a device and an engine change no more than a rounding. Raises UserError for clips of a
    speaker that cannot be read.
    """
    shown = spec.model if identity is None else f"{spec.model} ({identity})"
    given = {
        "--abstain-below": _number(spec.abstain_below or None),
        "--coverage": _number(spec.coverage),
        "--sets": None if spec.coverage is None else spec.sets,
        "--refuse-novel": _number(spec.refuse_novel),
        "--require-speech": _number(spec.require_speech),
        "--tta": ",".join(f"{speed:g}" for speed in spec.speeds) or None,
        "--map": ",".join(f"{label}={name}" for label, name in sorted(spec.label_map)) or None,
        "--precision": None if spec.precision == "auto" else spec.precision,
    }
    options = {MODEL: Option(identity or spec.model, shown)}
    options |= {name: Option(value, value) for name, value in given.items() if value is not None}
    if spec.speaker:
        contents = "".join(sorted(content_digest(clip) for clip in spec.speaker))
        digest = hashlib.sha256(contents.encode()).hexdigest()
        options[CALIBRATE] = Option(digest, f"of {len(spec.speaker)} clips ({digest[:12]})")
    return options


def check(file: Path, options: Options) -> bool:
    """Compare the options of this call with those of the rows of `file`: True if its record has the same, else False
    where it has none (an earlier version wrote the file, or it was moved).

    Raises UserError for other options, for a broken record, and without a record for clips of a speaker, of whom no
    row tells.
    """
    before = _read(record_of(file))
    if before is None:
        if CALIBRATE in options:
            raise UserError(
                f"{file} has no record of the clips that its rows were adapted by ({record_of(file).name}): "
                f"leave {CALIBRATE} or --resume out"
            )
        return False
    for name in (*before, *options):
        former, present = before.get(name), options.get(name)
        if _value(former) != _value(present):
            raise UserError(
                f"{file} was begun {_words(name, former)}, and this call goes on {_words(name, present)}; "
                "give the same, or another --out"
            )
    return True


def record(file: Path, options: Options) -> None:
    """Write the record of a file whose rows are made by these options. Raises OSError."""
    content = {"format": FORMAT, "options": {name: asdict(option) for name, option in options.items()}}
    write_text(record_of(file), json.dumps(content, indent=2) + "\n")


def record_of(file: Path) -> Path:
    """The record beside a file, hidden."""
    return file.with_name(f".{file.name}.options.json")


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.12g}"


def _value(option: Option | None) -> str | None:
    return None if option is None else option.value


def _words(name: str, option: Option | None) -> str:
    return f"without {name}" if option is None else f"with {name} {option.shown}"


def _read(file: Path) -> dict[str, Option] | None:
    """The options of a record; None where there is none. Raises UserError for a broken one."""
    try:
        content: Any = json.loads(file.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError
        return {str(name): Option(**option) for name, option in content["options"].items()}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise UserError(f"{file}: no record of options; remove it to go on without, or give another --out") from None
