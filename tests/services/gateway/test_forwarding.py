"""What the gateway passes on, and what it does when there is nobody to pass it to."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator

import httpx2
import psutil
import pytest
from starlette.types import Receive, Scope, Send

from slm_shared.identity.principal import Principal, Role
from tests.support.gateway import Gateway, RecordingService

MIB = 1024 * 1024


async def test_target_and_method_arrive_byte_for_byte(service: RecordingService, gateway: Gateway) -> None:
    client = await gateway(training_url=service.address)
    for target in (
        "/api/runs/0190-ab:cancel",
        "/api/runs?q=a%2Fb+c&&x==&%zz",
        "/api/runs/a%2F..%2Fb/%E2%82%AC?%",
        "/api/runs/a;b=c/d~!$&'()*,@",
    ):
        url = httpx2.URL(str(client.base_url)).copy_with(raw_path=target.encode())
        assert (await client.request("POST", url)).status_code == 200
        assert service.asked[-1]["target"] == target
        assert service.asked[-1]["method"] == "POST"


async def test_services_see_the_gateways_principal_and_no_other(service: RecordingService, gateway: Gateway) -> None:
    client = await gateway(training_url=service.address)
    forged = {
        "SLM-Principal": "forged",
        "X-User-Id": "root",
        "X-Forwarded-User": "root",
        "Authorization": "Bearer x",
        "Cookie": "session=x",
        "Idempotency-Key": "k-1",
    }
    await client.post("/api/runs", headers=forged)
    seen = service.asked[-1]["headers"]
    assert service.principal() == Principal("local", Role.ADMIN)
    assert not {"x-user-id", "x-forwarded-user", "authorization", "cookie"} & seen.keys()
    assert seen["idempotency-key"] == "k-1"


async def test_request_id_and_trace_go_through(service: RecordingService, gateway: Gateway) -> None:
    client = await gateway(training_url=service.address)
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    answer = await client.get("/api/runs", headers={"X-Request-ID": "mine-1", "traceparent": trace})
    assert answer.headers["x-request-id"] == service.asked[-1]["headers"]["x-request-id"] == "mine-1"
    assert service.asked[-1]["headers"]["traceparent"] == trace
    answer = await client.get("/api/runs", headers={"X-Request-ID": "bad id\t!", "traceparent": "nonsense"})
    assert service.asked[-1]["headers"]["x-request-id"] == answer.headers["x-request-id"] != "bad id\t!"
    assert len(service.asked[-1]["headers"]["traceparent"]) == 55


async def test_leases_are_not_public(service: RecordingService, gateway: Gateway) -> None:
    client = await gateway(training_url=service.address, evaluation_url=service.address)
    for path in (
        "/api/leases:claim",
        "/api/leases/0190:heartbeat",
        "/api/evaluation-leases:claim",
        "/api/nothing",
        "/",
    ):
        answer = await client.post(path)
        assert (answer.status_code, answer.json()["status"]) == (404, 404)
    assert service.asked == []


async def test_a_service_that_is_down_is_a_503_within_two_seconds(gateway: Gateway) -> None:
    client = await gateway()
    began = time.monotonic()
    answer = await client.get("/api/models")
    assert time.monotonic() - began < 2
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


async def test_a_service_that_accepts_nobody_is_a_503_within_two_seconds(gateway: Gateway) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(2)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        client = await gateway(training_url=f"http://127.0.0.1:{port}")
        began = time.monotonic()
        answer = await client.get("/api/runs")
        for each in waiting:
            each.close()
    assert answer.status_code == 503
    assert time.monotonic() - began < 2


async def test_answers_stream_as_they_come(service: RecordingService, gateway: Gateway) -> None:
    proceed = asyncio.Event()

    async def stream(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await proceed.wait()
        await send({"type": "http.response.body", "body": b"second"})

    service.handlers["/api/runs"] = stream
    client = await gateway(training_url=service.address)
    async with client.stream("GET", "/api/runs") as answer:
        parts = answer.aiter_bytes()
        assert await anext(parts) == b"first"
        proceed.set()
        assert [part async for part in parts] == [b"second"]


async def test_a_client_that_leaves_ends_the_request_behind(service: RecordingService, gateway: Gateway) -> None:
    async def endless(_scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        service.gone.set()

    service.handlers["/api/runs"] = endless
    client = await gateway(training_url=service.address)
    async with client.stream("GET", "/api/runs") as answer:
        await anext(answer.aiter_bytes())
    await asyncio.wait_for(service.gone.wait(), 5)


async def test_a_client_that_leaves_before_the_answer_ends_the_request_behind(
    service: RecordingService, gateway: Gateway
) -> None:
    async def silent(_scope: Scope, receive: Receive, _send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        service.gone.set()

    service.handlers["/api/runs"] = silent
    client = await gateway(training_url=service.address)
    with pytest.raises(httpx2.ReadTimeout):
        await client.get("/api/runs", timeout=0.3)
    await asyncio.wait_for(service.gone.wait(), 5)
    assert (await client.get("/api/experiments")).status_code == 200


async def test_an_answer_that_breaks_off_is_not_passed_on_as_complete(
    service: RecordingService, gateway: Gateway
) -> None:
    async def broken(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100")]})
        await send({"type": "http.response.body", "body": b"only this", "more_body": True})

    service.handlers["/api/runs"] = broken
    client = await gateway(training_url=service.address)
    with pytest.raises(httpx2.RemoteProtocolError):
        await client.get("/api/runs")


async def test_large_uploads_pass_at_constant_memory(service: RecordingService, gateway: Gateway) -> None:
    size_bytes = 256 * MIB
    client = await gateway(training_url=service.address)
    chunk = bytes(MIB)
    memory = psutil.Process()
    peak = before = memory.memory_info().rss

    async def body() -> AsyncIterator[bytes]:
        nonlocal peak
        for _ in range(size_bytes // MIB):
            peak = max(peak, memory.memory_info().rss)
            yield chunk

    answer = await client.post("/api/runs", content=body(), headers={"Content-Length": str(size_bytes)}, timeout=60)
    assert answer.json()["received"] == size_bytes
    assert service.asked[-1]["headers"]["content-length"] == str(size_bytes)
    assert peak - before < 48 * MIB


async def test_an_upload_refused_early_gets_its_answer(service: RecordingService, gateway: Gateway) -> None:
    async def refuse(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 413, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    service.handlers["/api/runs"] = refuse
    client = await gateway(training_url=service.address)
    assert (await client.post("/api/runs", content=b"x" * 200_000)).status_code == 413


async def test_an_upload_given_up_ends_the_request_behind(service: RecordingService, gateway: Gateway) -> None:
    ended = asyncio.Event()

    async def reading(_scope: Scope, receive: Receive, _send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        ended.set()

    service.handlers["/api/runs"] = reading
    client = await gateway(training_url=service.address)

    async def half() -> AsyncIterator[bytes]:
        yield bytes(MIB)
        raise RuntimeError("the user closed the lid")

    with pytest.raises(RuntimeError, match="lid"):
        await client.post("/api/runs", content=half(), headers={"Content-Length": str(2 * MIB)})
    await asyncio.wait_for(ended.wait(), 5)


async def test_empty_answers_stay_empty(service: RecordingService, gateway: Gateway) -> None:
    async def no_content(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    service.handlers["/api/runs"] = no_content
    client = await gateway(training_url=service.address)
    assert (await client.delete("/api/runs")).status_code == 204
    head = await client.head("/api/experiments")
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) > 0


async def test_connections_the_service_closed_are_not_used_again(gateway: Gateway) -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(once, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        client = await gateway(training_url=f"http://127.0.0.1:{port}")
        for _ in range(5):
            answers = await asyncio.gather(*(client.get("/api/runs") for _ in range(10)))
            assert {answer.status_code for answer in answers} == {200}


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
async def test_pages_of_other_sites_are_refused(service: RecordingService, gateway: Gateway, origin: str) -> None:
    client = await gateway(training_url=service.address)
    answer = await client.post("/api/runs", headers={"Origin": origin})
    assert (answer.status_code, answer.json()["code"]) == (403, "origin_not_allowed")
    answer = await client.get("/api/runs", headers={"Host": "evil.example"})
    assert answer.status_code == 403
    assert service.asked == []
