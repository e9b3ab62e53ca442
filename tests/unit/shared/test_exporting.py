"""What a process exports over OTLP, and what it costs when nobody asks for it."""

import json
import os
import subprocess
import sys

from tests.support.otlp import Collector, collecting

PROBE = """
import json, sys
import structlog
from slm_shared.observability.exporting import exporting
from slm_shared.observability.logging import configure_logging
from slm_shared.observability.tracing import current_traceparent, span, tracing

configure_logging("probe")
with exporting("probe"):
    with tracing("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), span("step", attributes={"rows": 3}):
        structlog.get_logger().info("probe.event", rows=3, where={"a": 1})
        try:
            raise ValueError("broken")
        except ValueError:
            structlog.get_logger().exception("probe.failed")
        print(current_traceparent())
print(json.dumps(sorted(name for name in sys.modules if name.startswith("opentelemetry."))))
"""


def probe(**environment: str) -> tuple[str, list[str], list[dict[str, object]]]:
    """The traceparent inside of the span, OpenTelemetry's modules, and the log lines of a process of its own."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    traceparent, modules = done.stdout.splitlines()
    return traceparent, json.loads(modules), [json.loads(line) for line in done.stderr.splitlines()]


def received(**environment: str) -> tuple[Collector, str, list[dict[str, object]]]:
    """What a collector is sent by the process, its traceparent and its log lines."""
    with collecting() as collector:
        traceparent, _, lines = probe(OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, **environment)
    return collector, traceparent, lines


def test_without_an_endpoint_nothing_of_the_sdk_is_imported_and_the_trace_goes_on() -> None:
    traceparent, modules, lines = probe()
    assert not [name for name in modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))]
    assert traceparent == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert lines[0]["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert lines[0]["span_id"] == "b7ad6b7169203331"


def test_spans_and_logs_arrive_at_the_collector_before_the_process_ends() -> None:
    collector, traceparent, lines = received()
    (span,) = collector.spans
    assert (span.name, collector.services) == ("step", ["slm-probe"])
    assert span.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
    assert span.parent_span_id.hex() == "b7ad6b7169203331"
    assert traceparent == f"00-{span.trace_id.hex()}-{span.span_id.hex()}-01"
    assert [line["span_id"] for line in lines] == [span.span_id.hex()] * 2

    event, failure = collector.logs
    assert (event.body.string_value, event.severity_text, event.span_id) == ("probe.event", "INFO", span.span_id)
    attributes = {each.key: each.value for each in event.attributes}
    assert attributes["rows"].int_value == 3
    assert attributes["where"].string_value == "{'a': 1}"
    assert failure.severity_text == "ERROR"
    assert {each.key: each.value.string_value for each in failure.attributes}["exception.type"] == "ValueError"


def test_the_standard_variables_name_the_service_and_leave_signals_out() -> None:
    collector, _, _ = received(OTEL_SERVICE_NAME="mine", OTEL_LOGS_EXPORTER="none")
    assert collector.services == ["mine"]
    assert collector.logs == []
    assert received(OTEL_SDK_DISABLED="true")[0].spans == []


def test_a_collector_that_is_not_there_does_not_keep_a_process_from_ending() -> None:
    traceparent, _, lines = probe(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    assert traceparent.startswith("00-0af7651916cd43dd8448eb211c80319c-")
    assert lines[0]["event"] == "probe.event"
