"""What no recording should look like, as files' contents: cut off, overwritten, lying, or something else altogether."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
import zlib

import numpy as np
import soundfile

from inference.test_predictor import wave

RATE_HZ = 16_000
SOUND = wave((0.5, 0.4), (-0.4, 0.4))
"""A good clip, (samples,): half joy and half anger to a model that hears signs."""
GOOD = ("wav", "flac", "mp3", "ogg", "aiff")
"""Formats of the recordings that are broken."""


def encoded(samples: np.ndarray, kind: str = "wav", rate_hz: int = RATE_HZ, subtype: str | None = None) -> bytes:
    """Samples (samples,) or (samples, channels) as a file's bytes."""
    made = io.BytesIO()
    soundfile.write(made, samples, rate_hz, format=kind.upper(), subtype=subtype)
    return made.getvalue()


def contents() -> dict[str, bytes]:
    """Some 350 of them by the names of files, the same on every call."""
    return broken() | lying() | odd() | strangers()


def broken(ways: int = 24) -> dict[str, bytes]:
    """Recordings that end early, or of which bytes were overwritten; noise and text that call themselves WAV."""
    random = np.random.default_rng(0)
    made: dict[str, bytes] = {}
    for kind in GOOD:
        whole = encoded(SOUND, kind)
        for n in range(ways):
            made[f"cut{n}.{kind}"] = whole[: int(len(whole) * n / (ways + 1))]
            spoilt = bytearray(whole)
            for at in random.integers(0, len(spoilt), 40):
                spoilt[at] = random.integers(256)
            made[f"broken{n}.{kind}"] = bytes(spoilt)
    for n in range(ways):
        made[f"noise{n}.wav"] = random.bytes(50 * n)
        made[f"text{n}.wav"] = b"this is no sound\n" * n
    return made


def lying() -> dict[str, bytes]:
    """Headers that promise what is not there."""
    made: dict[str, bytes] = {}
    for n, size in enumerate((0, 1, 2**31 - 1, 2**32 - 1)):
        for rate in (0, 1, 8_000, 192_000, 2**31):
            header = b"RIFF" + struct.pack("<I", size) + b"WAVEfmt "
            header += struct.pack("<IHHIIHH", 16, 1, n, rate % 2**32, 0, 2 * n, 16)
            made[f"header{n}-{rate}.wav"] = header + b"data" + struct.pack("<I", size) + b"\0" * 64
    flac = bytearray(encoded(SOUND, "flac"))
    flac[21] |= 0x0F  # STREAMINFO's number of samples: 36 bits from the middle of this byte on
    flac[22:26] = b"\xff" * 4
    made["claims.flac"] = bytes(flac)
    wav = encoded(SOUND)
    for at in range(4, 48, 4):
        made[f"most{at}.wav"] = wav[:at] + b"\xff\xff\xff\x7f" + wav[at + 4 :]
    return made


def odd() -> dict[str, bytes]:
    """Real files with samples that a model has no use for, some of which can be heard all the same."""
    samples = {
        "one": SOUND[:1],
        "none": SOUND[:0],
        "nan": np.full(9000, np.nan, np.float32),
        "silent": 0 * SOUND,
        "eight": np.tile(SOUND[:, None], 8),
        "inf": np.r_[SOUND, np.float32(np.inf)],
        "loud": SOUND * 1e30,
    }
    made = {
        f"{name}{rate}.wav": encoded(wave, "wav", rate, "FLOAT")
        for name, wave in samples.items()
        for rate in (8_000, 192_000)
    }
    made["minute.flac"] = encoded(np.zeros(60 * RATE_HZ, np.int16), "flac")  # a few kB
    made["crowd.wav"] = encoded(np.tile(SOUND[:20, None], 500))
    return made


def strangers() -> dict[str, bytes]:
    """Whole files of other kinds, and archives that would fill a memory if somebody unpacked them."""
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("clip.wav", bytes(10_000_000))
        archive.writestr("../../clip.wav", encoded(SOUND))
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in (
            (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)),
            (b"IDAT", zlib.compress(b"\0\0")),
            (b"IEND", b""),
        )
    )
    ogg = encoded(SOUND, "ogg")
    return {
        "json.wav": json.dumps({"file": "clip.wav", "samples": [0.1] * 100}).encode(),
        "html.mp3": b"<!doctype html><title>404</title>Not found",
        "picture.wav": png,
        "picture.jpg": b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff\xd9",
        "picture.gif": b"GIF89a\1\0\1\0\0\0\0;",
        "picture.svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        "paper.pdf": b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF",
        "program.wav": b"\x7fELF\2\1\1" + bytes(57),
        "bomb.zip": zipped.getvalue(),
        "bomb.gz": gzip.compress(bytes(10_000_000)),
        "sound.wav.gz": gzip.compress(encoded(SOUND)),
        "film.mp4": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + struct.pack(">I", 2**31 - 1) + b"mdat" + bytes(50),
        "film.webm": b"\x1a\x45\xdf\xa3\x01\xff\xff\xff\xff\xff\xff\xff" + bytes(50),
        "film.wma": bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + b"\xff" * 50,
        "song.mid": b"MThd\0\0\0\6\0\1\0\1\0\x60MTrk\0\0\0\4\0\xff\x2f\0",
        "list.m3u8": b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\nhttp://127.0.0.1/x.wav\n",
        "concat.wav": b"ffconcat version 1.0\nfile /etc/passwd\n",
        "tag.mp3": b"ID3\4\0\0\x7f\x7f\x7f\x7f" + bytes(100),
        "rf64.wav": b"RF64\xff\xff\xff\xffWAVEds64" + struct.pack("<IQQQI", 28, 2**62, 2**62, 2**62, 0),
        "au.wav": b".snd" + struct.pack(">IIIII", 24, 2**32 - 1, 6, 16_000, 255),
        "twice.ogg": ogg + ogg[: len(ogg) // 2],
        "nulls.wav": bytes(5000),
    }
