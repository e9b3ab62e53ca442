"""Live views over WebSockets: what the training service tells, to pages of this gateway only."""

import json

import aiohttp
import pytest
from starlette.types import Receive, Scope, Send

from tests.support.gateway import Gateway, RecordingService

# Written out: processes that run tests side by side must name them alike.
EXPERIMENT = "01890a5d-ac96-774b-bcce-b302099a8057"


async def live(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Two messages, then the end."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    for part in (
        "retry: 1000\n\n",
        'id: 3\nevent: log\ndata: {"message": "a: b"}\n\n: still here\n\n',
        'id: 3\nevent: trainingProgress\ndata: {"jobId": "x", "progress": {"percentage": 50.0}}\n\n',
    ):
        await send({"type": "http.response.body", "body": part.encode(), "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def test_messages_arrive_and_the_socket_closes_with_the_run(gateway: Gateway, service: RecordingService) -> None:
    service.handlers[f"/api/experiments/{EXPERIMENT}/live"] = live
    client = await gateway(training_url=service.address)
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{client.base_url}/api/experiments/{EXPERIMENT}/socket?after=2") as socket,
    ):
        messages = [json.loads(message.data) async for message in socket]
        assert socket.close_code == 1000
    assert messages == [
        {"event": "log", "id": 3, "data": {"message": "a: b"}},
        {"event": "trainingProgress", "id": 3, "data": {"jobId": "x", "progress": {"percentage": 50.0}}},
    ]
    assert service.asked[-1]["headers"]["last-event-id"] == "2"
    assert service.principal().subject == "local"


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (f"/api/experiments/{EXPERIMENT}/socket", {"Origin": "https://example.org"}),
        (f"/api/experiments/{EXPERIMENT}/socket", {"Host": "example.org"}),
        ("/api/experiments/x/socket", {}),
        ("/api/leases:claim", {}),
    ],
)
async def test_strange_pages_and_other_paths_get_no_socket(
    gateway: Gateway, service: RecordingService, path: str, headers: dict[str, str]
) -> None:
    client = await gateway(training_url=service.address)
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await session.ws_connect(f"{client.base_url}{path}", headers=headers)
    assert caught.value.status == 403
    assert service.asked == []


async def test_without_the_service_the_socket_says_to_come_again(gateway: Gateway) -> None:
    client = await gateway()
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{client.base_url}/api/experiments/{EXPERIMENT}/socket") as socket,
    ):
        assert [message async for message in socket] == []
        assert socket.close_code == 1013
