"""Trace context."""

from slm_shared.observability.tracing import current_traceparent, tracing

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_trace_is_carried_through() -> None:
    with tracing(TRACEPARENT):
        assert current_traceparent() == TRACEPARENT
    assert current_traceparent() is None


def test_without_a_header_a_new_trace_begins() -> None:
    with tracing(None):
        first = current_traceparent()
    with tracing("nonsense"):
        second = current_traceparent()
    assert first
    assert second
    assert first != second
