"""The spans that this process records, kept in memory."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from slm_shared.observability.tracing import record_spans


@contextmanager
def recorded_spans() -> Iterator[InMemorySpanExporter]:
    """Record spans while the block runs; apps that are made in it record their requests."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    record_spans(provider)
    try:
        yield exporter
    finally:
        record_spans(None)
        provider.shutdown()
