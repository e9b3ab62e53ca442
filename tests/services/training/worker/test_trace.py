"""One trace covers a run, whoever works on it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from slm_shared.events.catalogue import ModelRegistered
from slm_testing.events import EventLog
from slm_testing.spans import recorded_spans
from slm_testing.waiting import eventually
from tests.support.trainer import trainer
from tests.support.training import TrainingPlatform

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture(autouse=True)
def spans() -> Iterator[InMemorySpanExporter]:
    """What the services and the trainer of a test record."""
    with recorded_spans() as exporter:
        yield exporter


def of_trace(spans: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    """The spans of the test's trace by name, with the consumer's name for an event; of several the first."""
    found: dict[str, ReadableSpan] = {}
    for span in spans.get_finished_spans():
        if span.context is not None and f"{span.context.trace_id:032x}" == TRACE:
            consumer = (span.attributes or {}).get("messaging.consumer.group.name")
            found.setdefault(f"{span.name} by {consumer}" if consumer else span.name, span)
    return found


def parent_of(span: ReadableSpan) -> str:
    assert span.parent is not None
    return f"{span.parent.span_id:016x}"


def id_of(span: ReadableSpan) -> str:
    assert span.context is not None
    return f"{span.context.span_id:016x}"


async def test_one_trace_goes_from_the_launch_request_to_the_registered_model(
    platform: TrainingPlatform, principal_keys: Path, events: EventLog, spans: InMemorySpanExporter, tmp_path: Path
) -> None:
    await platform.dataset("rows", rows=64)
    platform.training.headers["traceparent"] = f"00-{TRACE}-{CALLER}-01"
    run = await platform.launch(epochs=1, max_length=64)
    settings = platform.settings.model_copy(
        update={"training_url": str(platform.training.base_url), "signing_key": principal_keys / "worker.json"}
    )
    async with trainer(settings, tmp_path):
        model = await events.wait_for(ModelRegistered, lambda event: str(event.run_id) == run["id"])

    async def all_recorded() -> dict[str, Any] | None:
        found = of_trace(spans)
        return found if {"publish model.registered", "run"} <= found.keys() else None

    found = await eventually(all_recorded)
    assert model.kind == "fine_tuned"
    steps = {
        "POST /api/runs": None,
        "publish run.launched": "POST /api/runs",
        "run": "POST /api/runs",
        "POST /api/leases/{work_id}:complete": "run",
        "publish experiment.completed": "POST /api/leases/{work_id}:complete",
        "process experiment.completed by registry-experiment-completed": "publish experiment.completed",
        "publish model.registered": "process experiment.completed by registry-experiment-completed",
    }
    assert steps.keys() <= found.keys()
    for step, cause in steps.items():
        assert parent_of(found[step]) == (CALLER if cause is None else id_of(found[cause])), step
    assert all(span.status.is_ok or span.status.is_unset for span in found.values())


async def test_a_draft_belongs_to_the_trace_of_the_request_that_starts_it(platform: TrainingPlatform) -> None:
    await platform.dataset("rows")
    draft = await platform.launch(draft=True)
    platform.training.headers["traceparent"] = f"00-{TRACE}-{CALLER}-01"
    assert (await platform.training.post(f"/api/runs/{draft['id']}:start")).status_code < 300
    assert (await platform.claim())["traceparent"].split("-")[1] == TRACE
