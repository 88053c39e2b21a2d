"""Parameters of requests, as the description of the API has them."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query

from affetto.serving.processing import Options

ModelName = Annotated[str | None, Query(description="name from /v1/models; default: the first of them", max_length=200)]
AbstainBelow = Annotated[
    float | None,
    Query(description="name no emotion where the highest probability is lower; default: 0", ge=0, le=1),
]
Timeout = Annotated[
    float | None,
    Query(
        description="seconds from the upload's end to the answer, at most --compute-seconds, which is the default", gt=0
    ),
]
Coverage = Annotated[
    float | None,
    Query(description="give a set of labels that holds the true one of this share of clips; default: none", ge=0, le=1),
]
Sets = Annotated[
    str | None,
    Query(description="kind of that set: lac (default), aps, lac-by-class or aps-by-class", max_length=40),
]
RefuseNovel = Annotated[
    float | None,
    Query(
        description="give no answer to a recording more unlike the training clips than this share of held-out clips; "
        "1 only reports the novelty; default: it is not measured",
        ge=0,
        le=1,
    ),
]
RequireSpeech = Annotated[
    float | None,
    Query(
        description="give no answer to a recording with less speech than these seconds; 0 only reports it; default: it "
        "is not measured",
        ge=0,
    ),
]


async def read_options(
    model: ModelName = None,
    abstain_below: AbstainBelow = None,
    coverage: Coverage = None,
    sets: Sets = None,
    refuse_novel: RefuseNovel = None,
    require_speech: RequireSpeech = None,
    timeout: Timeout = None,
) -> Options:
    """Options of a request for a recording, from its query."""
    return Options(
        model=model,
        abstain_below=abstain_below,
        coverage=coverage,
        sets=sets,
        refuse_novel=refuse_novel,
        require_speech=require_speech,
        timeout=timeout,
    )


RecordingOptions = Annotated[Options, Depends(read_options)]
