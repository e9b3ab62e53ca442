"""W3C Trace Context: which request or event the current work belongs to, and spans for its steps.

The trace context is OpenTelemetry's own. Without its SDK (`exporting`) no span is recorded, and the `traceparent` still
travels from request to outbox row to event to handler.
Format: https://www.w3.org/TR/trace-context/
"""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

from opentelemetry import context, trace
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_propagator = TraceContextTextMapPropagator()
# Not the API's own stand-in for a tracer: that looks into the environment for each span.
_provider: trace.TracerProvider | None = None
_tracer: trace.Tracer | None = None


def record_spans(provider: trace.TracerProvider | None) -> None:
    """Record the spans of this process with `provider` from now on, or not at all."""
    global _provider, _tracer
    _provider = provider
    _tracer = None if provider is None else provider.get_tracer("slm_shared")


def span_provider() -> trace.TracerProvider | None:
    """What records the spans of this process, if anything does."""
    return _provider


def current_traceparent() -> str | None:
    """The `traceparent` header value of what is being done now, or None outside any trace."""
    span = trace.get_current_span().get_span_context()
    if not span.is_valid:
        return None
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"


@contextmanager
def tracing(traceparent: str | None) -> Iterator[None]:
    """Run the block inside the given trace; a missing or malformed header starts a new one."""
    carrier = {"traceparent": traceparent} if traceparent else {}
    extracted = _propagator.extract(carrier, context=context.Context())
    # With the SDK, a span without a parent starts a trace by itself.
    if _tracer is None and not trace.get_current_span(extracted).get_span_context().is_valid:
        extracted = trace.set_span_in_context(trace.NonRecordingSpan(_new_span_context()), context.Context())
    token = context.attach(extracted)
    try:
        yield
    finally:
        context.detach(token)


def joining(traceparent: str | None) -> AbstractContextManager[None]:
    """Run a request inside the given trace, unless the framework has opened a span for the request already."""
    return nullcontext() if _tracer is not None and current_traceparent() else tracing(traceparent)


@contextmanager
def span(
    name: str, *, kind: SpanKind = SpanKind.INTERNAL, attributes: Mapping[str, str | int] | None = None
) -> Iterator[None]:
    """Record the block as a step of the current trace; an exception marks it as failed."""
    if _tracer is None:
        yield
        return
    with _tracer.start_as_current_span(name, kind=kind, attributes=attributes):
        yield


@contextmanager
def publishing(subject: str, *, event_id: str, traceparent: str | None) -> Iterator[str | None]:
    """Record the block as the publication of an event; gives the `traceparent` that its message carries."""
    if _tracer is None:
        yield traceparent
        return
    attributes = _messaging("send", subject, event_id)
    with tracing(traceparent), span(f"publish {subject}", kind=SpanKind.PRODUCER, attributes=attributes):
        yield current_traceparent()


@contextmanager
def handling(subject: str, *, event_id: str, consumer: str, traceparent: str | None) -> Iterator[None]:
    """Record the block as the handling of a message, in the trace that published it."""
    with tracing(traceparent):
        if _tracer is None:
            yield
            return
        attributes = _messaging("process", subject, event_id) | {"messaging.consumer.group.name": consumer}
        with span(f"process {subject}", kind=SpanKind.CONSUMER, attributes=attributes):
            yield


@contextmanager
def working(key: str, *, epoch: int, traceparent: str | None) -> Iterator[None]:
    """Record the block as work under one lease, in the trace that asked for it."""
    with tracing(traceparent), span("run", kind=SpanKind.CONSUMER, attributes={"slm.job.id": key, "slm.epoch": epoch}):
        yield


def _messaging(operation: str, subject: str, event_id: str) -> dict[str, str | int]:
    # https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/
    return {
        "messaging.system": "nats",
        "messaging.operation.type": operation,
        "messaging.destination.name": subject,
        "messaging.message.id": event_id,
    }


def _new_span_context() -> trace.SpanContext:
    return trace.SpanContext(
        # Zero is no valid id.
        trace_id=secrets.randbits(128) | 1,
        span_id=secrets.randbits(64) | 1,
        is_remote=False,
        trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED),
    )
