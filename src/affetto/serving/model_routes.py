"""`POST /v1/models` and `DELETE /v1/models/NAME`: changes of the models, for those who have an admin's token."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import FastAPI, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from affetto.serving import schemas
from affetto.serving.description import MODELS
from affetto.serving.model_list import NAME
from affetto.serving.roster import Roster
from affetto.serving.service import Service


class ModelRequest(BaseModel):
    """A model to serve."""

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"name": "lora", "path": "2026/lora"}]}
    )

    name: str = Field(pattern=f"^{NAME}$", description="name of the model; one of that name is replaced")
    path: str = Field(
        min_length=1, max_length=1000, description="path below --models-folder, or owner/name@revision of the hub"
    )


def add_model_routes(app: FastAPI, service: Service, roster: Roster | None, dependencies: Sequence[Any]) -> None:
    """Add the routes to the application. The guard lets nobody to them who is no admin."""

    @app.post(
        "/v1/models",
        summary="Add a model, or replace it",
        tags=[MODELS],
        response_model_exclude_unset=True,
        dependencies=dependencies,
        responses=schemas.refused(401, 403, 409, 413, 422, 500, 503)
        | {201: {"model": schemas.ModelAnswer, "description": "the model is new"}},
    )
    async def add_model(model: ModelRequest, request: Request, response: Response) -> schemas.ModelAnswer:
        assert roster is not None
        request.state.facts["model"] = model.name
        answer, replaces = await asyncio.to_thread(roster.add, model.name, model.path)
        response.status_code = 200 if replaces else 201
        return answer

    @app.delete(
        "/v1/models/{name}",
        summary="Remove a model",
        tags=[MODELS],
        response_model_exclude_unset=True,
        dependencies=dependencies,
        responses=schemas.refused(401, 403, 404, 409, 422, 500),
    )
    async def remove_model(name: Annotated[str, Path(pattern=f"^{NAME}$")], request: Request) -> schemas.ModelsAnswer:
        assert roster is not None
        request.state.facts["model"] = name
        await asyncio.to_thread(roster.remove, name)
        return schemas.ModelsAnswer(models=service.catalogue.describe(), **service.disclosure.use_fields())
