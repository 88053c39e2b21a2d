"""Parameters of requests, as the description of the API has them: of the address, or fields of the form."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Depends, Query
from pydantic import Field, TypeAdapter
from pydantic.json_schema import SkipJsonSchema

from affetto.serving.processing import Options

_Share = Annotated[float, Field(ge=0, le=1)] | SkipJsonSchema[None]
ModelName = Annotated[
    Annotated[str, Field(max_length=200)] | SkipJsonSchema[None],
    Query(description="name from /v1/models; default: the first of them"),
]
AbstainBelow = Annotated[
    _Share, Query(description="name no emotion where the highest probability is lower; default: 0")
]
Timeout = Annotated[
    Annotated[float, Field(gt=0)] | SkipJsonSchema[None],
    Query(description="seconds from the upload's end to the answer, at most --compute-seconds, which is the default"),
]
Coverage = Annotated[
    _Share, Query(description="give a set of labels that holds the true one of this share of clips; default: none")
]
Sets = Annotated[
    Annotated[str, Field(max_length=40)] | SkipJsonSchema[None],
    Query(description="kind of that set: lac (default), aps, lac-by-class or aps-by-class"),
]
RefuseNovel = Annotated[
    _Share,
    Query(
        description="give no answer to a recording more unlike the training clips than this share of held-out clips; "
        "1 only reports the novelty; default: it is not measured"
    ),
]
RequireSpeech = Annotated[
    Annotated[float, Field(ge=0)] | SkipJsonSchema[None],
    Query(
        description="give no answer to a recording with less speech than these seconds; 0 only reports it; default: it "
        "is not measured"
    ),
]
Format = Annotated[
    Literal["jsonl", "csv"] | SkipJsonSchema[None],
    Query(
        description="jsonl (default): a line of JSON for each recording as it is done; csv: a table as `affetto "
        "predict` writes it, in the order of the form"
    ),
]
SEGMENT_PARAMETERS: dict[str, Any] = {"model": ModelName, "abstain_below": AbstainBelow, "timeout": Timeout}
PARAMETERS: dict[str, Any] = {
    "model": ModelName,
    "abstain_below": AbstainBelow,
    "coverage": Coverage,
    "sets": Sets,
    "refuse_novel": RefuseNovel,
    "require_speech": RequireSpeech,
    "timeout": Timeout,
}
"""Parameters of an answer to a whole recording, by name."""


def fields_of(parameters: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """{name: JSON schema} of parameters as fields of a form."""
    return {name: TypeAdapter(parameter).json_schema() for name, parameter in parameters.items()}


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
