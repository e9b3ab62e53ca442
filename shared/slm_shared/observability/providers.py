"""OpenTelemetry's SDK with exporters that speak OTLP over HTTP. Only `exporting` imports this.

The SDK itself reads the standard variables for addresses, headers, sampling, intervals and queues.
"""

import logging
import os
import time
from collections.abc import Callable
from threading import Thread

from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from slm_shared.observability.code_version import code_version
from slm_shared.observability.logging import LogExport
from slm_shared.observability.tracing import record_spans

SHUTDOWN_S = 3.0


class Providers:
    """The providers of this process. `OTEL_TRACES_EXPORTER=none` leaves out traces, and so on for each signal."""

    def __init__(self, service: str) -> None:
        self._resource = _resource(service)
        self._shutdowns: list[Callable[[], None]] = []
        for signal, start in (("TRACES", self._traces), ("METRICS", self._metrics), ("LOGS", self._logs)):
            if os.environ.get(f"OTEL_{signal}_EXPORTER", "otlp") != "none":
                self._shutdowns.append(start())

    def shutdown(self) -> None:
        """Send what has not been sent yet; a collector that does not answer holds up the end for three seconds."""
        record_spans(None)
        threads = [Thread(target=shutdown, daemon=True) for shutdown in self._shutdowns]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + SHUTDOWN_S
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _traces(self) -> Callable[[], None]:
        provider = TracerProvider(resource=self._resource, shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        trace.set_tracer_provider(provider)
        record_spans(provider)
        return provider.shutdown

    def _metrics(self) -> Callable[[], None]:
        provider = MeterProvider(
            [PeriodicExportingMetricReader(OTLPMetricExporter())], self._resource, shutdown_on_exit=False
        )
        metrics.set_meter_provider(provider)
        return provider.shutdown

    def _logs(self) -> Callable[[], None]:
        provider = LoggerProvider(self._resource, shutdown_on_exit=False)
        provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
        logging.getLogger().addHandler(LogExport(provider.get_logger("slm_shared")))
        return provider.shutdown


def _resource(service: str) -> Resource:
    """What is sent says where it is from: `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` win over our names."""
    given = Resource.create({"service.version": code_version(), "service.instance.id": f"{service}-{os.getpid()}"})
    is_named = not str(given.attributes[SERVICE_NAME]).startswith("unknown_service")
    return given if is_named else given.merge(Resource({SERVICE_NAME: service}))
