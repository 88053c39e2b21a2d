"""Spans of requests for a collector of OpenTelemetry, by OTLP over HTTP, as the standard variables set it.

A thread of its own sends them. Where the collector is slow or away, spans are dropped, and no request waits.
"""

from __future__ import annotations

import importlib.util
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from affetto._version import __version__
from affetto.errors import UserError
from affetto.serving.tracing import Trace, nanoseconds

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from affetto.serving.exchange import Exchange

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""Variables of the collector's address, the first that is set."""
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
PROTOCOL = "http/protobuf"
NEEDED = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
SILENT_SECONDS = 60.0
"""Time in which the exporter repeats none of its messages in the log."""


def is_wanted(environment: Mapping[str, str]) -> bool:
    """True if the variables name a collector. An empty variable counts as unset, as OpenTelemetry has it.

    Raises UserError for an address, exporter or protocol that cannot be followed, and where the extra is missing.
    """
    endpoint = _first(environment, ENDPOINTS)
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip().lower() or "otlp"
    if endpoint is None or exporter == "none" or environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if exporter != "otlp":
        raise UserError("OTEL_TRACES_EXPORTER: affetto sends traces by otlp alone; give otlp, or none for no traces")
    protocol = _first(environment, PROTOCOLS)
    if protocol is not None and environment[protocol].strip().lower() != PROTOCOL:
        raise UserError(
            f"{protocol}: affetto speaks {PROTOCOL} alone: unset it, and give the collector's port for that"
        )
    if not _is_address(environment[endpoint].strip()):
        raise UserError(f"{endpoint}: no address of a collector; give one as http://127.0.0.1:4318")
    if not all(map(_is_installed, NEEDED)):
        raise UserError(
            f"{endpoint} is set, and traces need opentelemetry-sdk and its exporter: pip install 'affetto[telemetry]', "
            "or set OTEL_SDK_DISABLED=true"
        )
    return True


def _first(environment: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if environment.get(name, "").strip()), None)


def _is_address(text: str) -> bool:
    try:
        address = urlsplit(text)
        return address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
    except ValueError:
        return False


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # a package above it is missing
        return False


class _Seldom(logging.Filter):
    """Lets each message of a logger through once in `SILENT_SECONDS`, whatever its values."""

    def __init__(self) -> None:
        super().__init__()
        self._silent_until: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        moment = time.monotonic()
        if moment < self._silent_until.get(str(record.msg), 0.0):
            return False
        self._silent_until[str(record.msg)] = moment + SILENT_SECONDS
        return True


class Telemetry:
    """Tracer of the API's requests. It takes its settings from the process's environment, and no global provider."""

    def __init__(self) -> None:
        """Raise UserError for variables that OpenTelemetry refuses."""
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http import trace_exporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        logging.getLogger(trace_exporter.__name__).addFilter(_Seldom())
        try:
            resource = Resource.create({"service.version": __version__})
            if str(resource.attributes["service.name"]).startswith("unknown_service"):
                resource = resource.merge(Resource({"service.name": "affetto"}))
            self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
            self._provider.add_span_processor(BatchSpanProcessor(trace_exporter.OTLPSpanExporter()))
        except (ValueError, OSError) as problem:
            raise UserError(f"OpenTelemetry refuses one of its variables OTEL_…: {problem}") from None
        self._tracer = self._provider.get_tracer("affetto", __version__)
        self._api, self._propagator = trace, TraceContextTextMapPropagator()

    def begin(self, exchange: Exchange) -> Trace:
        """Begin the span of a request, below that of its client where the request names one."""
        from affetto.serving import routes  # it needs numpy, which whoever only asks `is_wanted` does not wait for

        carrier = {name: exchange.headers[name] for name in ("traceparent", "tracestate") if name in exchange.headers}
        method = exchange.method if exchange.method in METHODS else "_OTHER"
        route = routes.counted(exchange.path)
        span = self._tracer.start_span(
            f"{method} {route}" if route != routes.ELSEWHERE else method,
            context=self._propagator.extract(carrier),
            kind=self._api.SpanKind.SERVER,
            attributes={"http.request.method": method, "affetto.request_id": exchange.id}
            | ({"http.route": route} if route != routes.ELSEWHERE else {}),
        )
        return Trace(span, self._start)

    def end(self, trace: Trace, exchange: Exchange) -> None:
        """End the span of a request with the facts of its line in the log."""
        facts = exchange.facts
        trace.note(**{name: facts[name] for name in ("model", "audio_seconds", "bytes", "files") if name in facts})
        if exchange.status:
            trace.span.set_attribute("http.response.status_code", exchange.status)
        if "error" in facts:
            trace.span.set_attribute("error.type", facts["error"])
        if facts.get("client_left"):
            trace.note(client_left=True)
        if exchange.status >= 500:
            trace.span.set_status(self._api.StatusCode.ERROR)
        trace.span.end()

    def flush(self, seconds: float) -> Callable[[], None]:
        """Send what is there, beside what the caller does. Returns the wait for it, until `seconds` from here."""
        end = time.monotonic() + seconds
        thread = threading.Thread(target=self._provider.shutdown, name="affetto-traces", daemon=True)
        thread.start()
        return lambda: thread.join(max(0.0, end - time.monotonic()))

    def _start(self, name: str, above: Span, began: float | None) -> Span:
        context = self._api.set_span_in_context(above)
        return self._tracer.start_span(name, context=context, start_time=nanoseconds(began))
