"""Italian speech from espeak-ng, in this process, through ctypes.

espeak-ng is free software under the GPL v3. affetto does not ship it: the package
`espeakng-loader`, which brings the library and its data, is an extra that the user installs
(`pip install 'affetto[demo]'`) and that is loaded only when speech is made.

The library keeps state from one utterance to the next that no call of its own resets (the index into
its pitch-flutter table, the phase, the gain control; `wavegen.c`). It is therefore loaded afresh for each
utterance and unloaded after it, which takes about a millisecond, so that an utterance
does not depend on those before it. Where a platform does not unload libraries, speech is as good but not
reproducible to the byte.
"""

from __future__ import annotations

import _ctypes
import ctypes
import importlib
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from affetto.errors import UserError

if TYPE_CHECKING:
    import numpy as np

RATE_HZ = 22_050
LANGUAGE = "it"
NEUTRAL_PITCH = 50
HIGHEST_PITCH = 99
SLOWEST_WPM, FASTEST_WPM = 80, 450
SEMITONES_PER_PITCH_STEP = 12 / 50
"""espeak's pitch of 0 to 99 spans two octaves: F0 is multiplied by 2^(pitch / 50 - 1)."""
PAUSE_STEP_MS = 33
"""Length of one unit of the embedded command `B`, measured at 160 words a minute."""

# Of the hundred-odd variants in `voices/!v`, those that speak clearly: every formant is there, no band of
# their long-term spectrum is 10 dB off the others', F0 follows the sentence and no peak is clipped. Left out:
# whispers, robots, echoes, Klatt and other muffled voices, comic ones, and those that differ only by name.
FEMALE_VARIANTS = ("f1", "f2", "f3", "f4", "f5", "linda", "belinda", "aunty", "Annie", "Andrea")
MALE_VARIANTS = ("m1", "m3", "m4", "m5", "m6", "Mike", "Alex", "max", "boris", "robert", "rob", "victor")

_AUDIO_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_DONT_EXIT = 0x8000
_POS_CHARACTER = 1
_CHARS_UTF8 = 1
_RATE, _PITCH, _RANGE = 1, 3, 4
_COMMAND = "\x01"  # opens a command within the text: \x01 60P sets the pitch to 60
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
_ONE_AT_A_TIME = threading.Lock()  # the library is one global synthesiser


@dataclass(frozen=True)
class Word:
    """A word as it is to be spoken."""

    text: str
    pitch: float = NEUTRAL_PITCH
    loudness_percent: float = 100.0
    pause_ms: float = 0.0
    """Silence after the word."""


def synthesise(variant: str, words: Sequence[Word], *, rate_wpm: float, pitch_range: float, seed: int) -> np.ndarray:
    """Speak an Italian sentence in the voice `variant`: float32 (samples,) at 22,050 Hz, within ±1.

    `pitch_range` is 0 (monotone) to 99, 50 being usual; `seed` drives the noise in the voice.
    """
    import numpy as np

    text = " ".join(_with_commands(word) for word in words).encode()
    chunks: list[bytes] = []
    with _library() as library, _listening(library, chunks):
        if library.espeak_SetVoiceByName(f"{LANGUAGE}+{variant}".encode()) != 0:
            raise UserError(f"espeak-ng has no Italian voice {variant!r}; reinstall it: pip install 'affetto[demo]'")
        library.espeak_ng_SetRandSeed(ctypes.c_long(seed % 2**31))
        for parameter, value in (
            (_RATE, min(max(rate_wpm, SLOWEST_WPM), FASTEST_WPM)),
            (_PITCH, NEUTRAL_PITCH),
            (_RANGE, min(max(pitch_range, 0), 99)),
        ):
            library.espeak_SetParameter(parameter, round(value), 0)
        size = ctypes.c_size_t(len(text) + 1)
        from_the_begin_to_the_end = (0, _POS_CHARACTER, 0)
        library.espeak_Synth(text, size, *from_the_begin_to_the_end, _CHARS_UTF8, None, None)
        library.espeak_Synchronize()
    return np.frombuffer(b"".join(chunks), dtype="<i2").astype(np.float32) / 32768


def version() -> str:
    """espeak-ng's own version, such as `1.52.0`."""
    with _library() as library:
        library.espeak_Info.restype = ctypes.c_char_p
        return str(library.espeak_Info(None).decode())


def _with_commands(word: Word) -> str:
    pitch = round(min(max(word.pitch, 0), HIGHEST_PITCH))
    spoken = f"{_COMMAND}{pitch}P{_COMMAND}{round(word.loudness_percent)}A {word.text}"
    pause_steps = round(word.pause_ms / PAUSE_STEP_MS)
    return f"{spoken} {_COMMAND}{pause_steps}B" if pause_steps > 0 else spoken


def _loader() -> Any:
    try:
        return importlib.import_module("espeakng_loader")
    except ImportError:
        raise UserError(
            "synthetic speech needs espeak-ng, which is not installed: pip install 'affetto[demo]'"
        ) from None


@contextmanager
def _library() -> Iterator[ctypes.CDLL]:
    """The library, freshly loaded and initialised; unloaded afterwards."""
    loader = _loader()
    with _ONE_AT_A_TIME:
        try:
            library = ctypes.CDLL(loader.get_library_path())
        except OSError as problem:
            raise UserError(f"espeak-ng cannot be loaded ({problem}); reinstall: pip install 'affetto[demo]'") from None
        try:
            data = str(loader.get_data_path()).encode()
            rate_hz = library.espeak_Initialize(_AUDIO_OUTPUT_SYNCHRONOUS, 0, data, _INITIALIZE_DONT_EXIT)
            if rate_hz != RATE_HZ:
                raise UserError(f"espeak-ng does not start (code {rate_hz}); reinstall: pip install 'affetto[demo]'")
            yield library
            library.espeak_Terminate()
        finally:
            _unload(library)


@contextmanager
def _listening(library: ctypes.CDLL, chunks: list[bytes]) -> Iterator[None]:
    """Collect the samples; an exception in the callback (Ctrl-C above all) is raised when the call is over."""
    problems: list[BaseException] = []

    def take(samples: int | None, count: int, _events: int | None) -> int:
        try:
            if samples and count > 0:
                chunks.append(ctypes.string_at(samples, count * 2))
            return 0
        except BaseException as problem:
            problems.append(problem)
            return 1

    callback = _CALLBACK(take)
    library.espeak_SetSynthCallback(callback)
    yield
    if problems:
        raise problems[0]


def _unload(library: ctypes.CDLL) -> None:
    if sys.platform == "win32":
        _ctypes.FreeLibrary(library._handle)
    else:
        _ctypes.dlclose(library._handle)
