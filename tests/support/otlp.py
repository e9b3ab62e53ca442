"""A collector that keeps what it is sent over OTLP."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass
class Collector:
    """What arrived so far; `services` sent the spans at the same places of `spans`."""

    endpoint: str = ""
    spans: list[Span] = field(default_factory=list)
    services: list[str] = field(default_factory=list)
    logs: list[LogRecord] = field(default_factory=list)
    metrics: list[str] = field(default_factory=list)

    def take(self, path: str, body: bytes) -> None:
        """Keep one request."""
        if path == "/v1/traces":
            for traced in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in traced.scope_spans:
                    self.spans += scope.spans
                    self.services += [_service(traced.resource)] * len(scope.spans)
        elif path == "/v1/logs":
            for logged in ExportLogsServiceRequest.FromString(body).resource_logs:
                self.logs += [record for scope in logged.scope_logs for record in scope.log_records]
        elif path == "/v1/metrics":
            for measured in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                self.metrics += [metric.name for scope in measured.scope_metrics for metric in scope.metrics]


def _service(resource: Resource) -> str:
    return str(next(each.value.string_value for each in resource.attributes if each.key == "service.name"))


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that listens on a free loopback port while the block runs."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.take(self.path, self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    collector.endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
