"""Records of settings."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """Settings or spec that cannot be changed; an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Section(Record):
    """Section of the settings that the runs of every method have."""

    common: ClassVar[bool] = True
