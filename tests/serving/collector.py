"""A collector of OpenTelemetry on the loopback interface."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Collector(ThreadingHTTPServer):
    """Collector on the loopback interface. It answers once it is let."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.let, self.entered = threading.Event(), threading.Event()
        self.let.set()
        self.bodies: list[bytes] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def spans(self) -> list[dict[str, Any]]:
        """Spans that came, with their resource: name, numbers, times in nanoseconds and attributes."""
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        spans = []
        for body in self.bodies:
            for group in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in group.scope_spans:
                    spans += [
                        {
                            "name": span.name,
                            "trace": span.trace_id.hex(),
                            "id": span.span_id.hex(),
                            "parent": span.parent_span_id.hex(),
                            "times": (span.start_time_unix_nano, span.end_time_unix_nano),
                            "status": span.status.code,
                            "kind": span.kind,
                            "state": span.trace_state,
                            "events": len(span.events),
                            "service": _values(group.resource.attributes)["service.name"],
                            "version": _values(group.resource.attributes)["service.version"],
                            **_values(span.attributes),
                        }
                        for span in scope.spans
                    ]
        return spans


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert (self.path, self.headers["Content-Type"]) == ("/v1/traces", "application/x-protobuf")
        self.server.bodies.append(body)
        self.server.entered.set()
        assert self.server.let.wait(60)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def _values(attributes: Any) -> dict[str, Any]:
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in attributes}
