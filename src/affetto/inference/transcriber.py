"""Transcripts of speech by a Whisper checkpoint with its decoder, beside the answers of a model of emotions."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from affetto.audio import RATE_HZ, SHORTEST_SECONDS
from affetto.backbones.catalogue import BACKBONES
from affetto.backbones.hub import model_snapshot
from affetto.errors import UserError
from affetto.quiet import quiet_transformers
from affetto.training import device as devices

NEEDED_FILES = ("config.json", "preprocessor_config.json", "tokenizer.json")
TOKENS_PER_SECOND, LEAST_TOKENS = 16, 16
"""Most tokens of a piece: above what anybody says, so that a decoder that repeats itself ends."""
SEARCHED_SECONDS = 5.0
"""End of a piece in which the quietest place is looked for, where a longer recording is cut."""
QUIET_SECONDS = 0.2
"""Length of that place."""
TURN_SECONDS = 0.05
"""Time between two looks at whether a waiting caller still waits."""
_LANGUAGE = re.compile(r"<\|(\w+)\|>")


class Transcriber:
    """`transcriber.transcribe(wave)` → text. Pieces of all callers take turns at the model, one at a time.

    The decoding is greedy: the same sound gives the same text.
    """

    def __init__(self, name: str, *, device: str = "auto") -> None:
        """Load a folder, a key as `whisper-base` or a hub id.

        Raises UserError for a checkpoint without decoder or tokenizer, and for one that is no Whisper.
        """
        folder = _folder(name)
        lacking = [file for file in NEEDED_FILES if not (folder / file).is_file()]
        if lacking:
            raise UserError(f"{name}: no {lacking[0]} in it; a transcript needs a whole Whisper checkpoint")
        self.name = Path(name).name
        self._device = devices.choose(device)
        self._model, self._extractor, self._tokenizer = _load(name, folder)
        self._model.to(self._device)
        self._turn = threading.Lock()
        numbers = getattr(self._model.generation_config, "lang_to_id", None) or {}
        self._languages = {match[1]: number for token, number in numbers.items() if (match := _LANGUAGE.match(token))}

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages that a request may name, as `it`; none for a model of one language."""
        return tuple(sorted(self._languages))

    @property
    def piece_seconds(self) -> float:
        """Length of sound that the model takes at once."""
        return float(self._extractor.n_samples / RATE_HZ)

    def detect_language(self, wave: np.ndarray, check: Callable[[], None] = lambda: None) -> str:
        """Detect the language of a recording (samples,), 16 kHz, by its beginning; "" for a model of one language."""
        if not self._languages:
            return ""
        with _Turn(self._turn, check), torch.no_grad():
            features = self._features(wave[: self._extractor.n_samples])["input_features"]
            number = int(self._model.detect_language(features)[0])
        return {token: code for code, token in self._languages.items()}.get(number, "")

    def transcribe(self, wave: np.ndarray, language: str = "", check: Callable[[], None] = lambda: None) -> str:
        """Transcribe a recording (samples,), 16 kHz, of any length.

        `language`: one of `languages`; "": it is detected in each piece. `check` is called between tokens, and ends the
        work by what it raises.
        """
        texts = []
        for piece in cut(wave, self._extractor.n_samples):
            with _Turn(self._turn, check):
                texts.append(self._decode(piece, language, check))
        return " ".join(filter(None, texts))

    @torch.no_grad()
    def _decode(self, piece: np.ndarray, language: str, check: Callable[[], None]) -> str:
        if len(piece) < SHORTEST_SECONDS * RATE_HZ:
            return ""
        options: dict[str, Any] = {}
        if self._languages:
            options = {"task": "transcribe", "language": language or None}
        most = LEAST_TOKENS + round(TOKENS_PER_SECOND * len(piece) / RATE_HZ)
        room = int(self._model.config.max_target_positions) - 8  # the prompt's tokens
        stop = _Checked(check)
        with quiet_transformers():
            numbers = self._model.generate(
                **self._features(piece),
                **options,
                do_sample=False,
                num_beams=1,
                max_new_tokens=min(most, room),
                stopping_criteria=[stop],
            )
        if stop.problem is not None:
            raise stop.problem
        text: str = self._tokenizer.decode(numbers[0], skip_special_tokens=True)
        return text.strip()

    def _features(self, wave: np.ndarray) -> dict[str, Any]:
        """Inputs of the model, (1, bands, frames) and a mask, on its device."""
        inputs = self._extractor(wave, sampling_rate=RATE_HZ, return_tensors="pt", return_attention_mask=True)
        return {name: inputs[name].to(self._device) for name in ("input_features", "attention_mask")}


class _Turn:
    """Lock that is waited for only as long as a check raises nothing."""

    def __init__(self, lock: threading.Lock, check: Callable[[], None]) -> None:
        self._lock, self._check = lock, check

    def __enter__(self) -> None:
        self._check()
        while not self._lock.acquire(timeout=TURN_SECONDS):
            self._check()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class _Checked:
    """Criterion of transformers that stops the decoding where a check raises, and holds what it raised."""

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check
        self.problem: Exception | None = None

    def __call__(self, numbers: torch.Tensor, _scores: Any, **_: Any) -> torch.Tensor:
        try:
            self._check()
        except Exception as problem:
            self.problem = problem
        return torch.full((len(numbers),), self.problem is not None, device=numbers.device)


def cut(wave: np.ndarray, longest: int) -> Iterator[np.ndarray]:
    """Cut a wave (samples,) into pieces of at most `longest` samples, each but the last at its quietest late place.

    >>> [len(piece) for piece in cut(np.zeros(100, np.float32), 40)]
    [40, 40, 20]
    """
    quiet, searched = round(QUIET_SECONDS * RATE_HZ), min(round(SEARCHED_SECONDS * RATE_HZ), longest // 2)
    while len(wave) > longest:
        end = longest
        if searched > quiet:
            stretch = wave[longest - searched : longest].astype(np.float64) ** 2
            sums = np.concatenate([[0.0], np.cumsum(stretch)])
            end += int((sums[quiet:] - sums[:-quiet]).argmin()) + quiet // 2 - searched
        yield wave[:end]
        wave = wave[end:]
    yield wave


def _folder(name: str) -> Path:
    if Path(name).is_dir():
        return Path(name)
    hub_id = BACKBONES[name].hub_id if name in BACKBONES else name
    if hub_id is None or "/" not in hub_id or Path(name).is_absolute():
        raise UserError(f"no folder {name}: give a Whisper checkpoint with its decoder (a folder or a hub id)")
    return model_snapshot(hub_id)


def _load(name: str, folder: Path) -> tuple[Any, Any, Any]:
    """The model, its feature extractor and its tokenizer. Raises UserError."""
    from transformers import AutoConfig, AutoTokenizer, WhisperConfig, WhisperFeatureExtractor
    from transformers import WhisperForConditionalGeneration as Model

    advice = "give a Whisper checkpoint with its decoder"
    with quiet_transformers():
        try:
            config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
            if not isinstance(config, WhisperConfig):
                raise UserError(f"{name}: a {config.model_type} model transcribes nothing; {advice}")
            cls: Any = Model
            model, report = cls.from_pretrained(
                folder, config=config, dtype=torch.float32, use_safetensors=True, output_loading_info=True
            )
            extractor = WhisperFeatureExtractor.from_pretrained(folder)
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        except UserError:
            raise
        except Exception as problem:  # transformers, safetensors and tokenizers raise many kinds
            raise UserError(f"{name}: cannot be loaded as a Whisper ({problem}); {advice}") from problem
    missing = sorted(key for key in report["missing_keys"] if "proj_out" not in key)
    if missing or len(tokenizer) > config.vocab_size:
        fault = f"{len(missing)} weights are missing" if missing else "it has fewer outputs than the tokenizer tokens"
        raise UserError(f"{name}: its decoder is a placeholder ({fault}); {advice}")
    model.generation_config.max_length = None  # else transformers warns of it in every call
    return model.eval(), extractor, tokenizer
