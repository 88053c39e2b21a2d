"""Calibration of a batch to the speaker of further clips, in the same turns as all else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np

from affetto.errors import UserError
from affetto.inference.adaptation import parts_of
from affetto.inference.predictor import ONLY_STATISTICS
from affetto.serving import tracing
from affetto.serving.catalogue import Model
from affetto.serving.refusals import RefusalError, timed_out
from affetto.serving.service import Gone, Job, Service

_OF_CLIP = (413, 415, 422)
"""Statuses of what is wrong with a clip itself."""


def check_adapts(model: Model) -> None:
    """Raise RefusalError (422) for a model that cannot be adapted in turns."""
    if model.statistics is None:
        message = f"calibrate: the model {model.name!r}: {ONLY_STATISTICS}; ensembles adapt in `affetto predict` alone"
        raise RefusalError(422, "invalid_parameter", message)


async def calibrate(
    service: Service, model: Model, clips: Sequence[bytes], client: str, *, gone: Gone, end: float, seconds: float
) -> Model:
    """The model adapted to the speaker of these clips, which are computed one after another, in a place of the client.

    `end`: time of the event loop at which the batch is given up, `seconds` after its upload. Raises RefusalError for a
    clip that cannot be used, and where the time is over; ClientDisconnect where `gone` returns.
    """
    rows: list[np.ndarray] = []
    for number, clip in enumerate(clips, start=1):
        remaining = end - asyncio.get_running_loop().time()
        try:
            if remaining <= 0:
                raise timed_out(seconds)
            with tracing.part("calibration", index=number - 1):
                rows.append(await service.process(model, clip, _statistics, client, gone=gone, timeout=remaining))
        except RefusalError as problem:
            if problem.code == "timed_out":
                raise timed_out(seconds) from None
            if problem.status not in _OF_CLIP:
                raise
            message = f"calibrate: clip {number} of {len(clips)} cannot be used; mend it, or leave it out: "
            raise RefusalError(problem.status, problem.code, message + problem.message) from None
    return model.adapted(np.stack(rows))


def _statistics(job: Job) -> np.ndarray:
    try:
        (statistics,) = parts_of(job.predictor).clip_statistics([job.wave])
    except UserError as problem:  # too short for the backbone
        raise RefusalError(422, "unusable_audio", str(problem)) from None
    return statistics
