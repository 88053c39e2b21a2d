"""Effects of each emotion on speech, and the signal processing that makes them.

The targets follow the literature on vocal affect. Directions and order are what the sources agree on; the
sizes are chosen so that telling the emotions of an unknown speaker is neither trivial nor hopeless.

- Scherer 2003, "Vocal communication of emotion", Speech Communication 40: high arousal (anger, fear, joy)
  raises mean F0, intensity and rate; sadness lowers them; the F0 range widens in anger and joy and narrows
  in sadness; energy at high frequencies rises in anger, fear and joy and falls in sadness.
- Banse & Scherer 1996, "Acoustic profiles in vocal emotion expression", JPSP 70: the profiles apart from
  arousal; disgust is the one that the voice carries worst.
- Juslin & Laukka 2003, "Communication of emotions in vocal expression and music performance",
  Psychological Bulletin 129: contours rise in joy and fear and fall in sadness; sadness pauses; micro-regular
  voices are happy, irregular ones angry, afraid or sad.
- Burkhardt & Sendlmeier 2000, "Verification of acoustical correlates of emotional speech using
  formant-synthesis", ISCA Workshop on Speech and Emotion: what makes synthetic speech sound sad, angry,
  afraid or joyful: rate, range, and breathy, tense or irregular phonation.
- Tartter 1980, "Happy talk", Perception & Psychophysics 27: a smile shortens the vocal tract and so raises
  the formants; it is heard.
- Gobl & Ní Chasaide 2003, "The role of voice quality in communicating emotion, mood and attitude", Speech
  Communication 40: tense voice for anger, breathy and lax-creaky voice for sadness.

espeak-ng takes pitch, contour, range, rate and pauses; loudness, spectral tilt, breath, tremor and
roughness are added to its waveform here, and so are the speaker's vocal tract, microphone and room.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import astuple, dataclass

import numpy as np
import soxr

from affetto.synthetic import voice
from affetto.synthetic.voice import RATE_HZ, Word


@dataclass(frozen=True)
class Style:
    """A way of speaking, as differences from the speaker's neutral voice."""

    pitch_semitones: float = 0.0
    range_octaves: float = 0.0
    """Log2 of the factor on the F0 range."""
    rate_octaves: float = 0.0
    """Log2 of the factor on the speech rate."""
    loudness_db: float = 0.0
    tilt_db_per_octave: float = 0.0
    """Above and below 500 Hz; positive is bright, as tense voices are."""
    final_semitones: float = 0.0
    """Drift of F0 by the last word."""
    pause_ms: float = 0.0
    breath: float = 0.0
    """0 none to 1: noise 18 dB below the voice."""
    tremor: float = 0.0
    """0 to 1: F0 and amplitude wavering at 5 to 8 Hz."""
    roughness: float = 0.0
    """0 to 1: irregular cycles, from tense to creaky."""
    formant_octaves: float = 0.0
    """Log2 of the factor on the formants: a smile raises them."""


_ROWS = {
    # pitch range  rate   loud  tilt  final  pause breath tremor rough formants
    "anger": (+4.5, +0.50, +0.15, +6.0, +3.4, -1.5, 0.0, 0.00, 0.05, 0.90, 0.00),
    "disgust": (-1.0, +0.05, -0.30, 0.0, +0.8, -3.0, 60.0, 0.20, 0.05, 0.80, -0.04),
    "fear": (+4.0, -0.25, +0.20, -1.0, +0.8, +1.0, 150.0, 0.70, 1.00, 0.15, 0.00),
    "joy": (+4.5, +0.60, +0.12, +4.0, +1.8, +1.0, 0.0, 0.10, 0.05, 0.05, +0.07),
    "neutrality": (0.0, 0.00, 0.00, 0.0, 0.0, -1.0, 0.0, 0.10, 0.00, 0.10, 0.00),
    "sadness": (-2.5, -0.70, -0.30, -5.0, -2.4, -2.0, 180.0, 0.80, 0.40, 0.15, -0.02),
    "surprise": (+5.5, +0.80, -0.08, +2.5, +0.4, +5.0, 30.0, 0.45, 0.05, 0.00, -0.02),
    "guilt": (-1.5, -0.40, -0.20, -3.5, -1.2, -1.5, 180.0, 0.50, 0.20, 0.10, -0.01),
}
"""Values of the fields of `Style`, in their order, by emotion."""
TARGETS = {emotion: Style(*row) for emotion, row in _ROWS.items()}
VARIATION = Style(
    pitch_semitones=1.0,
    range_octaves=0.18,
    rate_octaves=0.07,
    loudness_db=1.5,
    tilt_db_per_octave=0.5,
    final_semitones=1.0,
    pause_ms=45.0,
    breath=0.12,
    tremor=0.10,
    roughness=0.12,
    formant_octaves=0.015,
)
"""One standard deviation from clip to clip; a speaker's habits for an emotion differ by HABIT of this."""
HABIT = 0.45
INTENSITY_SPREAD = 0.2
EXCLAIMED = {"anger": 0.6, "joy": 0.6, "surprise": 0.6, "fear": 0.2}
"""Share of sentences that are spoken with espeak's intonation for an exclamation mark."""

SPEECH_LEVEL_DBFS = -27.0
QUIETEST_BREATH_DB, LOUDEST_BREATH_DB = -42.0, -18.0
EQ_BANDS_HZ = (120.0, 400.0, 1200.0, 3500.0, 9000.0)


@dataclass(frozen=True)
class Speaker:
    """A voice with its habits, its microphone and its room; all drawn from the seed."""

    name: str
    gender: str
    variant: str
    key: str
    """Seed of the speaker's random numbers: corpus, seed and name."""
    pitch_semitones: float
    pitch_range: float
    rate_wpm: float
    formant_scale: float
    """Factor on the formants: above 1 for a short vocal tract."""
    expressivity: float
    level_db: float
    eq_db: tuple[float, ...]
    noise_dbfs: float
    room_seconds: float
    room_db: float


def generator(*key: object) -> np.random.Generator:
    """A generator that depends on the key alone, not on what was drawn before."""
    digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def draw_speaker(corpus: str, seed: int, gender: str, number: int, name: str) -> Speaker:
    """The `number`-th speaker (from 0) of a gender; variants repeat only after all have had their turn."""
    variants = voice.FEMALE_VARIANTS if gender == "female" else voice.MALE_VARIANTS
    turn, index = divmod(number, len(variants))
    variant = generator(corpus, seed, gender, turn).permutation(variants)[index]
    random = generator(corpus, seed, gender, number)
    return Speaker(
        name=name,
        gender=gender,
        variant=str(variant),
        key=f"{corpus}/{seed}/{name}",
        pitch_semitones=random.normal(0, 1.2),
        pitch_range=random.uniform(38, 56),
        rate_wpm=random.normal(160, 10),
        formant_scale=2 ** random.uniform(-0.05, 0.05),
        expressivity=random.uniform(0.75, 1.2),
        level_db=random.normal(0, 1.2),
        eq_db=tuple(random.normal(0, 1.0, len(EQ_BANDS_HZ)).tolist()),
        noise_dbfs=random.uniform(-72, -56),
        room_seconds=random.uniform(0.1, 0.4),
        room_db=random.uniform(-32, -18),
    )


def speak(speaker: Speaker, emotion: str, sentence: str, *, boldness: float = 1.0) -> np.ndarray:
    """The sentence as this speaker says it in this emotion: float32 (samples,) at 22,050 Hz, |x| < 1.

    Depends on its arguments alone. `boldness` scales the emotion (DEMoS's prototypical clips are bold).
    """
    random = generator(speaker.key, emotion, sentence)
    style = draw_style(speaker, emotion, random, boldness)
    formant_scale = speaker.formant_scale * 2**style.formant_octaves
    words = _words(
        speaker=speaker,
        formant_scale=formant_scale,
        emotion=emotion,
        sentence=sentence,
        style=style,
        random=random,
    )
    wave = voice.synthesise(
        speaker.variant,
        words,
        rate_wpm=speaker.rate_wpm * 2**style.rate_octaves / formant_scale,
        pitch_range=speaker.pitch_range * 2**style.range_octaves,
        seed=int(random.integers(1, 2**31)),
    )
    wave = _waver(_trimmed(wave), style, formant_scale, random)
    wave = _rough(wave, style, random)
    wave = _breathy(wave, style, random)
    wave = _coloured(wave, speaker, style)
    level_db = SPEECH_LEVEL_DBFS + speaker.level_db + style.loudness_db
    return _recorded(_levelled(wave, level_db), speaker, random)


def draw_style(speaker: Speaker, emotion: str, random: np.random.Generator, boldness: float = 1.0) -> Style:
    """The emotion's targets, by the speaker's expressivity and habits, and as this clip happens to be."""
    target, spread = np.array(astuple(TARGETS[emotion])), np.array(astuple(VARIATION))
    habit = generator(speaker.key, emotion).normal(size=len(spread)) * spread * HABIT
    intensity = boldness * speaker.expressivity * np.exp(random.normal(0, INTENSITY_SPREAD))
    return Style(*(intensity * target + habit + random.normal(size=len(spread)) * spread).tolist())


def _words(
    speaker: Speaker, formant_scale: float, emotion: str, sentence: str, style: Style, random: np.random.Generator
) -> list[Word]:
    """The sentence's words with their F0 contour, stress and one pause."""
    texts = sentence.split()
    if sentence[-1].isalpha():
        texts[-1] += "!" if random.random() < EXCLAIMED.get(emotion, 0.0) else "."
    last = len(texts) - 1
    pause_after = int(random.integers(last)) if last else -1
    # Scaling the formants, by resampling, scales F0 as well: ask for as much less of it.
    base = speaker.pitch_semitones + style.pitch_semitones - 12 * np.log2(formant_scale)
    words = []
    for index, text in enumerate(texts):
        drift = style.final_semitones * (index / max(last, 1)) ** 2
        semitones = base + drift + random.normal(0, 0.7)
        words.append(
            Word(
                text,
                pitch=voice.NEUTRAL_PITCH + semitones / voice.SEMITONES_PER_PITCH_STEP,
                loudness_percent=100 * 10 ** (random.normal(0, 1.2) / 20),
                pause_ms=max(style.pause_ms, 0.0) if index == pause_after else 0.0,
            )
        )
    return words


def _trimmed(wave: np.ndarray) -> np.ndarray:
    """The wave without the silence that espeak puts at the end."""
    loud = np.flatnonzero(np.abs(wave) > 0.005)
    return wave[: loud[-1] + RATE_HZ // 50] if loud.size else wave


def _waver(wave: np.ndarray, style: Style, formant_scale: float, random: np.random.Generator) -> np.ndarray:
    """Scale the formants, and let F0 and amplitude tremble and F0 jitter, by uneven resampling."""
    oversampling = 2  # so that linear interpolation costs nothing that can be heard
    count = int(len(wave) / formant_scale)
    tremor = min(max(style.tremor, 0.0), 1.2) * _noise(random, count, 5, 8)
    jitter = (0.003 + 0.012 * min(max(style.roughness, 0.0), 1.2)) * _noise(random, count, 10, 90)
    speed = formant_scale * (1 + 0.015 * tremor + jitter)
    fine = soxr.resample(wave, RATE_HZ, RATE_HZ * oversampling, quality="HQ")
    moments = np.cumsum(np.clip(speed, 0.5, 2.0)) * oversampling
    out: np.ndarray = np.interp(moments, np.arange(len(fine)), fine, right=0.0)
    out *= np.clip(1 + 0.2 * tremor, 0.1, None)
    return out


def _rough(wave: np.ndarray, style: Style, random: np.random.Generator) -> np.ndarray:
    """Amplitude that changes from cycle to cycle."""
    depth = 0.4 * min(max(style.roughness, 0.0), 1.2)
    return wave * np.clip(1 + depth * _noise(random, len(wave), 25, 80), 0.0, 3.0)


def _breathy(wave: np.ndarray, style: Style, random: np.random.Generator) -> np.ndarray:
    """Noise of the breath, above 1.5 kHz, as loud as the voice lets it be at each moment."""
    share = min(max(style.breath, 0.0), 1.2)
    level = 10 ** ((QUIETEST_BREATH_DB + share * (LOUDEST_BREATH_DB - QUIETEST_BREATH_DB)) / 20)
    window = np.hanning(RATE_HZ // 40)
    envelope = np.sqrt(np.convolve(wave**2, window / window.sum(), mode="same").clip(0))
    wave += level * envelope * _noise(random, len(wave), 1500, 9000)
    return wave


def _coloured(wave: np.ndarray, speaker: Speaker, style: Style) -> np.ndarray:
    """The emotion's spectral tilt and the microphone's frequency response."""

    def gain(hz: np.ndarray) -> np.ndarray:
        octaves = np.log2(np.clip(hz, 150, 8000) / 500)
        bands_db = np.interp(octaves, np.log2(np.array(EQ_BANDS_HZ) / 500), speaker.eq_db)
        return np.asarray(10 ** ((style.tilt_db_per_octave * octaves + bands_db) / 20))

    return _filtered(wave, gain)


def _levelled(wave: np.ndarray, level_dbfs: float) -> np.ndarray:
    """Speech (not pauses) at this level; peaks bend instead of clipping, as in a good recorder."""
    loud = np.abs(wave) > 0.05 * np.abs(wave).max()
    wave = wave * 10 ** (level_dbfs / 20) / np.sqrt(np.mean(wave[loud] ** 2))
    knee, ceiling = 0.6, 0.95
    over = np.clip(np.abs(wave) - knee, 0, None) / (ceiling - knee)
    return np.where(over > 0, np.sign(wave) * (knee + (ceiling - knee) * np.tanh(over)), wave)


def _recorded(wave: np.ndarray, speaker: Speaker, random: np.random.Generator) -> np.ndarray:
    """The wave in the speaker's room, with a moment before and after, over background noise."""
    before, after = (round(random.uniform(0.08, 0.25) * RATE_HZ) for _ in range(2))
    tail = round(speaker.room_seconds * RATE_HZ)
    wave = np.concatenate([np.zeros(before), wave, np.zeros(after + tail)])
    echo = generator(speaker.key, "room").normal(size=tail) * 10 ** (-3 * np.arange(tail) / tail)
    echo *= 10 ** (speaker.room_db / 20) / np.sqrt((echo**2).sum())
    echo[0] = 1.0
    size = _fast_size(len(wave) + tail)
    wave = np.fft.irfft(np.fft.rfft(wave, size) * np.fft.rfft(echo, size), size)[: len(wave)]
    wave += 10 ** (speaker.noise_dbfs / 20) * _noise(random, len(wave), 60, 6000)
    return np.clip(wave, -0.99, 0.99).astype(np.float32)


def _noise(random: np.random.Generator, count: int, low_hz: float, high_hz: float) -> np.ndarray:
    """Gaussian noise (count,) of unit variance in a band of frequencies."""
    size = _fast_size(count)
    spectrum = np.zeros(size // 2 + 1, dtype=complex)
    first, end = (round(hz * size / RATE_HZ) for hz in (low_hz, high_hz))
    spectrum[first:end] = random.normal(size=end - first) + 1j * random.normal(size=end - first)
    noise: np.ndarray = np.fft.irfft(spectrum, size)[:count]
    noise /= noise.std() + 1e-12
    return noise


def _filtered(wave: np.ndarray, gain: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Zero-phase filter by its gain at each frequency in Hz."""
    size = _fast_size(len(wave))
    return np.fft.irfft(np.fft.rfft(wave, size) * gain(np.fft.rfftfreq(size, 1 / RATE_HZ)), size)[: len(wave)]


def _fast_size(count: int) -> int:
    """The next length that the FFT is fast at; at others it takes up to ten times as long."""
    power = 1 << (count - 1).bit_length()
    return power * 3 // 4 if power * 3 // 4 >= count else power
