"""Lines between a speaker and a recording: telephone, narrow band, lost packets."""

from __future__ import annotations

from affetto.audio.channels import TELEPHONE_BAND_HZ, TELEPHONE_RATE_HZ, at_rate, over_telephone, without_packets
from affetto.audio.companding import a_law, mu_law
from affetto.evaluation.stress.perturbation import Perturbation

TELEPHONE = Perturbation(
    name="telephone",
    family="line",
    title="telephone: 300 to 3,400 Hz in eight bits of the µ-law",
    levels=(TELEPHONE_BAND_HZ[1] / 1000,),
    unit="kHz",
    may_alter=False,
    apply=lambda samples, _, around: over_telephone(samples),
    order=30,
)
RESAMPLED = Perturbation(
    name="resampled",
    family="line",
    title="resampled to a lower rate and back",
    levels=(TELEPHONE_RATE_HZ / 1000,),
    unit="kHz",
    may_alter=False,
    apply=lambda samples, rate_khz, _: at_rate(samples, round(1000 * rate_khz)),
    order=31,
)
PACKETS = Perturbation(
    name="packets",
    family="line",
    title="lost packets of 20 ms",
    levels=(5.0, 15.0),
    unit="% lost",
    neutral=0.0,
    may_alter=True,
    apply=lambda samples, percent, around: without_packets(samples, percent / 100, around.random),
    order=32,
)
MU_LAW = Perturbation(
    name="mu-law",
    family="codec",
    title="µ-law at 8 kHz (G.711)",
    levels=(8.0,),
    unit="bits",
    may_alter=False,
    apply=lambda samples, _, around: at_rate(samples, TELEPHONE_RATE_HZ, mu_law),
    order=42,
)
A_LAW = Perturbation(
    name="a-law",
    family="codec",
    title="A-law at 8 kHz (G.711)",
    levels=(8.0,),
    unit="bits",
    may_alter=False,
    apply=lambda samples, _, around: at_rate(samples, TELEPHONE_RATE_HZ, a_law),
    order=43,
)
