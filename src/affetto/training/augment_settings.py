"""Section `augment` of a run's settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field

from affetto.errors import UserError
from affetto.training import effects
from affetto.training.effects import Acts, NeedsTarget
from affetto.training.records import Section

if TYPE_CHECKING:
    from affetto.audio.changes import Change


def _written(value: Any) -> Any:
    """Changes as they are written in full: of a list, of a text with commas, or of one number.

    Raises ValueError for a change that there is not.
    """
    from affetto.audio.changes import parse_all  # which imports numpy, as `affetto settings` need not

    if isinstance(value, str):
        value = [part for part in value.strip().strip("[]").split(",") if part.strip()]
    parts = value if isinstance(value, list | tuple) else [value]
    try:
        return tuple(str(change) for change in parse_all(str(part) for part in parts))
    except UserError as problem:
        raise ValueError(str(problem)) from None


class AugmentSettings(Section):
    """Changes of training clips: stored copies, and what is drawn anew in every epoch."""

    copies: Annotated[tuple[str, ...], BeforeValidator(_written)] = Field(
        (),
        description="changes under which each training clip has a stored copy that trains beside it, as in "
        "speed:0.9,speed:1.1; a number alone is a speed",
    )
    copies_auxiliary: Annotated[bool, Acts(effects.COPIES_OF_AUXILIARY)] = Field(
        False, description="copies of auxiliary clips too"
    )
    noise_snr_db: Annotated[float | None, Acts(effects.STEPS)] = Field(
        None,
        description="noise at this signal-to-noise ratio or better (up to +20 dB): white, or of augment.noise_folder",
    )
    noise_folder: Annotated[str | None, Acts(effects.NOISE)] = Field(
        None, description="folder of recorded noise, in place of white noise; it counts by its content"
    )
    speed: Annotated[float, Acts(effects.STEPS)] = Field(
        0.0, ge=0, lt=0.5, description="largest change of speed and pitch: the factor is drawn from 1 ± this value"
    )
    tempo: Annotated[float, Acts(effects.STEPS)] = Field(
        0.0, ge=0, lt=0.5, description="largest change of the tempo: the factor is drawn from 1 ± this value"
    )
    pitch: Annotated[float, Acts(effects.STEPS)] = Field(
        0.0, ge=0, le=12, description="largest change of the pitch in semitones, up or down; the duration stays"
    )
    tract: Annotated[float, Acts(effects.STEPS)] = Field(
        0.0,
        ge=0,
        le=0.3,
        description="largest change of the length of the vocal tract: the factor is drawn from 1 ± this value",
    )
    room: Annotated[float, Acts(effects.STEPS)] = Field(
        0.0, ge=0, le=3, description="longest reverberation time in seconds of synthetic rooms; 0: no rooms"
    )
    codec: Annotated[float, Acts(effects.STEPS)] = Field(
        0.0, ge=0, le=1, description="share of the clips that come over a telephone (300 to 3,400 Hz, µ-law)"
    )
    time_mask: Annotated[float, Acts(effects.FRAMES)] = Field(
        0.0, ge=0, lt=1, description="longest share of a clip's frames that is set to zero"
    )
    feature_mask: Annotated[float, Acts(effects.STEPS)] = Field(
        0.0, ge=0, lt=1, description="largest share of the features that is set to zero (of statistics: to their mean)"
    )

    mixup: Annotated[
        float,
        Acts(effects.STORED_STATISTICS),
        NeedsTarget("mixes", lambda value: value > 0, "a target whose loss is a sum over clips"),
    ] = Field(
        0.0,
        ge=0,
        description="α of the Beta distribution from which each clip's share in a mixture with another clip is drawn; "
        "0: clips are not mixed",
    )

    @property
    def changes(self) -> tuple[Change, ...]:
        """The changes that `copies` names."""
        from affetto.audio.changes import parse_all

        return parse_all(self.copies)

    @property
    def waveform(self) -> bool:
        """True if waves change, so that no prefix can be stored for training."""
        changes = (self.speed, self.tempo, self.pitch, self.tract, self.room, self.codec)
        return self.noise_snr_db is not None or any(change > 0 for change in changes)
