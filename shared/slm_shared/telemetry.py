"""Structured logs and W3C Trace Context.

The trace context is OpenTelemetry's own, so whatever SDK an operator switches on joins the same traces; without one the
`traceparent` still travels from request to outbox row to event to handler.
Format: https://www.w3.org/TR/trace-context/
"""

import logging
import secrets
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog
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


def _add_trace_id(_logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        entry["trace_id"] = trace.format_trace_id(span.trace_id)
    return entry


def configure_logging(service: str, *, level: str = "INFO") -> None:
    """Send structlog and the standard library's logs to standard error: colours on a terminal, JSON lines otherwise."""
    renderer: Any = (
        structlog.dev.ConsoleRenderer()
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace_id,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level.upper()),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            renderer,
        ],
    )
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    logging.getLogger("uvicorn.access").disabled = True
    structlog.contextvars.bind_contextvars(service=service)
