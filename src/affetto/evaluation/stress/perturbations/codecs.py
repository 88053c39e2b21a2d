"""Lossy codecs that libsndfile has."""

from __future__ import annotations

from affetto.audio.compression import MP3, OPUS, Codec
from affetto.evaluation.stress.perturbation import Perturbation, Scene


def _perturbation(codec: Codec, name: str, title: str, kbps: float, order: int) -> Perturbation:
    def missing(scene: Scene) -> str:
        return "" if codec.is_available else f"the installed libsndfile writes no {title}: pip install -U soundfile"

    return Perturbation(
        name=name,
        family="codec",
        title=title,
        levels=(kbps,),
        unit="kbit/s",
        may_alter=False,
        apply=lambda samples, rate_kbps, _: codec.through(samples, rate_kbps),
        missing=missing,
        order=order,
    )


AS_MP3 = _perturbation(MP3, name="mp3", title="MP3", kbps=24.0, order=40)
AS_OPUS = _perturbation(OPUS, name="opus", title="Opus", kbps=12.0, order=41)
