"""Processing of a request of the API with a recording, and the options that it may have."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.requests import Request

from affetto import audio
from affetto.errors import UserError, unknown
from affetto.inference.predictor import Predictor
from affetto.serving import tracing
from affetto.serving.catalogue import Catalogue, Model
from affetto.serving.limits import Limits
from affetto.serving.refusals import RefusalError
from affetto.serving.service import Job, Service
from affetto.serving.uploads import receive
from affetto.targets.label_sets import DEFAULT_KIND

if TYPE_CHECKING:
    from affetto.inference.timeline import Segment

T = TypeVar("T")


@dataclass(frozen=True)
class Options:
    """Options of a request: those of its query, else those of its form."""

    model: str | None = None
    """None: the default model."""
    abstain_below: float | None = None
    """Least probability of a named emotion, 0 to 1; None: 0."""
    coverage: float | None = None
    """Share of clips whose true label is in the set of labels of an answer; None: no sets."""
    sets: str | None = None
    """Kind of the sets; None: the default one."""
    refuse_novel: float | None = None
    """Novelty from which on a recording gets no answer; None: novelty is not measured."""
    require_speech: float | None = None
    """Seconds of speech without which a recording gets no answer; None: speech is not measured."""
    timeout: float | None = None
    """Seconds from the upload's end to the answer; None: the server's `compute_seconds`."""

    def completed(self, fields: Mapping[str, str]) -> Options:
        """Options that are not set here, from the fields of a form. Raises RefusalError (422) for no number there."""
        return replace(
            self,
            model=fields.get("model") if self.model is None else self.model,
            abstain_below=_share("abstain_below", fields) if self.abstain_below is None else self.abstain_below,
            coverage=_share("coverage", fields) if self.coverage is None else self.coverage,
            sets=fields.get("sets") if self.sets is None else self.sets,
            refuse_novel=_share("refuse_novel", fields) if self.refuse_novel is None else self.refuse_novel,
            require_speech=_number("require_speech", fields) if self.require_speech is None else self.require_speech,
            timeout=_number("timeout", fields) if self.timeout is None else self.timeout,
        )

    def check(self, catalogue: Catalogue, limits: Limits) -> Model:
        """The model. Raises RefusalError: 404 for an unknown one, 422 for an option that cannot be followed."""
        model = catalogue.find(self.model)
        if self.abstain_below and not model.predictor.target.has_classes:
            raise _invalid(f"abstain_below: the model {model.name!r} names no single emotion; leave it out")
        if self.timeout is not None and not 0 < self.timeout <= limits.compute_seconds:
            raise _invalid(f"timeout: give seconds above 0, at most {limits.compute_seconds:g} (--compute-seconds)")
        if self.sets is not None and self.coverage is None:
            raise _invalid(
                "sets: it is the kind of the sets that coverage asks for: give coverage too, or leave it out"
            )
        for option, follow in self._demands(copy.copy(model.predictor)).items():
            try:
                follow()
            except UserError as problem:
                raise _invalid(f"{option}: the model {model.name!r}: {problem}") from None
        return model

    def apply(self, predictor: Predictor) -> None:
        """Set the options in a predictor of this request alone, after `check`."""
        if self.abstain_below is not None:
            predictor.abstain_below = self.abstain_below
        for follow in self._demands(predictor).values():
            follow()

    def _demands(self, predictor: Predictor) -> dict[str, Callable[[], None]]:
        """{option: function that lets a predictor follow it, or raises UserError}, of the options that are set."""
        demands: dict[str, Callable[[], None]] = {}
        if self.coverage is not None:
            demands["coverage"] = partial(predictor.cover, self.coverage, self.sets or DEFAULT_KIND)
        if self.refuse_novel is not None:
            demands["refuse_novel"] = partial(predictor.watch, self.refuse_novel)
        if self.require_speech is not None:
            demands["require_speech"] = partial(predictor.require_speech, self.require_speech)
        return demands


NAMES = tuple(option.name for option in fields(Options))
"""Names of the options, in a query and in a form."""


def _number(name: str, fields: Mapping[str, str], kind: str = "a number") -> float | None:
    """A number in a form; None where it is absent. Raises RefusalError (422) for a text that is none."""
    try:
        return float(fields[name]) if name in fields else None
    except ValueError:
        raise _invalid(f"form.{name}: give {kind}") from None


def _share(name: str, fields: Mapping[str, str]) -> float | None:
    """A number from 0 to 1 in a form. Raises RefusalError (422) for a text that is none."""
    share = _number(name, fields, "a number from 0 to 1")
    if share is not None and not 0 <= share <= 1:
        raise _invalid(f"form.{name}: give a number from 0 to 1")
    return share


def _invalid(message: str) -> RefusalError:
    return RefusalError(422, "invalid_parameter", message)


async def process_upload(
    request: Request,
    service: Service,
    options: Options,
    task: Callable[[Job], T],
    check: Callable[[Model], None] = lambda model: None,
    read_fields: Callable[[Mapping[str, str]], None] = lambda fields: None,
    form_names: Collection[str] = NAMES,
) -> tuple[Model, T]:
    """Handle a request with a recording: take a place, receive the upload, run `task`.

    `check` gets the model, and may raise RefusalError: before the upload where the query names the model.
    `read_fields` gets the form's fields once they are there, and may raise RefusalError too. `form_names`: fields that
    there are. Returns the model and the task's result. Raises RefusalError.
    """

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    def run_task(job: Job) -> T:
        facts["audio_seconds"] = round(len(job.wave) / audio.RATE_HZ, 3)
        options.apply(job.predictor)
        return task(job)

    facts: dict[str, Any] = request.state.facts
    refuse_unknown("query", request.query_params)
    service.catalogue.find(options.model)
    if options.model is not None:
        check(options.check(service.catalogue, service.limits))
    client: str = request.state.client
    with service.take_place(client):
        with tracing.part("upload") as trace:
            upload = await receive(request, service.limits)
            if trace is not None:
                trace.note(bytes=len(upload.audio))
        refuse_unknown("form", upload.fields, form_names)
        options = options.completed(upload.fields)
        read_fields(upload.fields)
        model = options.check(service.catalogue, service.limits)
        check(model)
        facts |= {"model": model.name, "bytes": len(upload.audio)}
        answer = service.process(model, upload.audio, run_task, client, gone=gone, timeout=options.timeout)
        del upload  # whose bytes are not needed once they are decoded
        return model, await answer


def refuse_unknown(part: str, names: Iterable[str], allowed: Collection[str] = NAMES) -> None:
    """Raise RefusalError (422) for a name in the query or the form that is no option, as a misspelt one."""
    for name in names:
        if name not in allowed:
            raise _invalid(f"{part}: {unknown('parameter', name[:40], allowed)}")


def refuse_recording_options(names: Collection[str]) -> None:
    """Raise RefusalError (422) where an option is among these that neither segments nor transcripts follow."""
    for name in ("coverage", "sets", "refuse_novel", "require_speech"):
        if name in names:
            raise _invalid(
                f"{name}: it is for answers to whole recordings (/v1/predict), not for segments or transcripts: leave "
                "it out"
            )


def segment(job: Job) -> list[Segment]:
    """Compute the timeline of a recording."""
    from affetto.inference.timeline import Timeline

    return list(Timeline(job.predictor).stream(job.blocks()))
