"""W3C Trace Context: which request or event the current work belongs to.

The trace context is OpenTelemetry's own, so whatever SDK an operator switches on joins the same traces; without one the
`traceparent` still travels from request to outbox row to event to handler.
Format: https://www.w3.org/TR/trace-context/
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import context, trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_propagator = TraceContextTextMapPropagator()


def current_traceparent() -> str | None:
    """The `traceparent` header value of what is being done now, or None outside any trace."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get("traceparent")


@contextmanager
def tracing(traceparent: str | None) -> Iterator[None]:
    """Run the block inside the given trace; a missing or malformed header starts a new one."""
    carrier = {"traceparent": traceparent} if traceparent else {}
    extracted = _propagator.extract(carrier, context=context.Context())
    if not trace.get_current_span(extracted).get_span_context().is_valid:
        extracted = trace.set_span_in_context(trace.NonRecordingSpan(_new_span_context()), context.Context())
    token = context.attach(extracted)
    try:
        yield
    finally:
        context.detach(token)


def _new_span_context() -> trace.SpanContext:
    return trace.SpanContext(
        trace_id=secrets.randbits(128) | 1,
        span_id=secrets.randbits(64) | 1,
        is_remote=False,
        trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED),
    )
