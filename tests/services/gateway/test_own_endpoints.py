"""What the gateway answers itself."""

import json
import re
from typing import Any

from starlette.types import Receive, Scope, Send

from tests.support.gateway import Gateway, RecordingService


def answering(body: Any, *, status: int = 200) -> Any:
    """A handler of a small service."""

    async def handle(_scope: Scope, _receive: Receive, send: Send) -> None:
        data = json.dumps(body).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(data)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": data})

    return handle


async def test_overview_counts_and_names_who_is_away(service: RecordingService, gateway: Gateway) -> None:
    experiments = [{"id": str(n), "status": "running" if n == 3 else "completed"} for n in range(7)]
    service.handlers["/api/experiments"] = answering({"items": experiments, "next_cursor": None})
    client = await gateway(training_url=service.address)
    overview = (await client.get("/api/overview")).json()
    assert overview["experiments"] == {"total": 7, "by_status": {"completed": 6, "running": 1}, "is_exact": True}
    assert [each["id"] for each in overview["running"]] == ["3"]
    assert [each["id"] for each in overview["recent_experiments"]] == ["0", "1", "2", "3", "4"]
    assert overview["unavailable"] == ["datasets", "registry"]
    assert overview["datasets"] is None


async def test_overview_says_when_it_stopped_counting(service: RecordingService, gateway: Gateway) -> None:
    page = {"items": [{"id": "1", "status": "queued"}] * 100, "next_cursor": "more"}
    service.handlers["/api/experiments"] = answering(page)
    client = await gateway(training_url=service.address)
    assert (await client.get("/api/overview")).json()["experiments"] == {
        "total": 500,
        "by_status": {"queued": 500},
        "is_exact": False,
    }


async def test_api_description_is_merged_and_survives_an_outage(service: RecordingService, gateway: Gateway) -> None:
    operation = {"get": {"operationId": "list_runs", "responses": {"200": {"description": "runs"}}}}
    description = {"openapi": "3.1.0", "paths": {"/api/runs": operation, "/api/leases:claim": operation}}
    service.handlers["/openapi.json"] = answering(description)
    client = await gateway(training_url=service.address)
    merged = (await client.get("/api/openapi.json")).json()
    assert {"/api/runs", "/api/overview", "/api/events"} <= merged["paths"].keys()
    assert "/api/leases:claim" not in merged["paths"]
    assert merged["x-unavailable"] == ["datasets", "evaluation", "registry"]
    service.handlers["/openapi.json"] = answering({}, status=500)
    assert "/api/runs" in (await client.get("/api/openapi.json")).json()["paths"]


async def test_documentation_needs_no_other_site(gateway: Gateway) -> None:
    client = await gateway()
    page = await client.get("/api/docs")
    assert page.status_code == 200
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(addresses) == 4
    for address in addresses:
        assert address.startswith("/api/docs/")
        assert (await client.get(address)).status_code == 200
    assert "http" not in page.headers["content-security-policy"]
    assert (await client.get("/api/docs/../settings.py")).status_code == 404
    assert (await client.get("/api/docs/core.py")).status_code == 404


async def test_own_endpoints_ignore_what_a_client_says_of_itself(gateway: Gateway) -> None:
    client = await gateway()
    answer = await client.get("/api/overview", headers={"SLM-Principal": "forged", "X-Request-ID": "mine"})
    assert (answer.status_code, answer.headers["x-request-id"]) == (200, "mine")


async def test_health(gateway: Gateway) -> None:
    client = await gateway()
    assert [(await client.get(path)).status_code for path in ("/healthz", "/readyz")] == [200, 200]


async def test_feed_without_a_stream_is_a_503(gateway: Gateway) -> None:
    client = await gateway()
    answer = await client.get("/api/events")
    assert (answer.status_code, answer.json()["code"]) == (503, "feed_unavailable")


async def test_feed_refuses_nonsense(gateway: Gateway) -> None:
    client = await gateway()
    assert (await client.get("/api/events?types=a..b;c")).status_code == 422
    assert (await client.get("/api/events", headers={"Last-Event-ID": "x"})).status_code == 422
    assert (await client.get("/api/events", headers={"Last-Event-ID": "9" * 20})).status_code == 503
