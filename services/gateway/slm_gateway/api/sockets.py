"""Live views of experiments over WebSockets: what the training service tells as server-sent events, as JSON texts."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator

import aiohttp
import structlog
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from slm_gateway.domain.access import is_foreign_name, is_foreign_write
from slm_gateway.service.upstreams import Upstreams
from slm_shared.errors import PlatformError
from slm_shared.identity.principal import HEADER, Principal

log = structlog.get_logger()

PATH = re.compile(r"/api/experiments/(?P<experiment>[0-9A-Fa-f-]{36})/socket")
# RFC 6455 and its registry; codes from 4000 are the application's own.
POLICY_VIOLATION, NOT_FOUND, TRY_AGAIN = 1008, 4404, 1013


class ProgressSockets:
    """Serves `/api/experiments/{id}/socket`: each message is `{"event", "id", "data"}`, and it closes with the run."""

    def __init__(self, upstreams: Upstreams, *, only_this_machine: bool) -> None:
        self._upstreams = upstreams
        self._only_this_machine = only_this_machine

    async def serve(self, scope: Scope, receive: Receive, send: Send, *, principal: Principal) -> None:
        """Serve one socket; refuses pages of other origins, for whom a browser would open it as well."""
        socket = WebSocket(scope, receive, send)
        match = PATH.fullmatch(scope["path"])
        if match is None or self._is_foreign(Headers(scope=scope)):
            await socket.close(POLICY_VIOLATION)
            return
        await socket.accept()
        relay = asyncio.create_task(self._relay(socket, match["experiment"], principal))
        gone = asyncio.create_task(_until_gone(socket))
        try:
            await asyncio.wait({relay, gone}, return_when=asyncio.FIRST_COMPLETED)
            if relay.done() and not gone.done():
                await socket.close(relay.result())
        finally:
            relay.cancel()
            gone.cancel()
            # Cancelled tasks end only when they run again: the response has to be closed before this returns.
            await asyncio.wait({relay, gone})

    def _is_foreign(self, headers: Headers) -> bool:
        host = headers.get("host", "")
        if self._only_this_machine and is_foreign_name(host):
            return True
        return is_foreign_write("POST", origin=headers.get("origin"), host_header=host)

    async def _relay(self, socket: WebSocket, experiment: str, principal: Principal) -> int:
        """Pass every message on; the code to close with."""
        after = socket.query_params.get("after", "0")
        try:
            headers = [(HEADER, self._upstreams.token("training", principal))]
            if after.isdecimal():
                headers.append(("Last-Event-ID", after))
            target = f"/api/experiments/{experiment}/live"
            response = await self._upstreams.open("training", "GET", target, headers=headers)
        except (PlatformError, aiohttp.ClientError, TimeoutError, OSError):
            return TRY_AGAIN
        try:
            if response.status != 200:
                return NOT_FOUND if response.status in (404, 422) else TRY_AGAIN
            async for event, place, data in _events(response.content):
                await socket.send_text(json.dumps({"event": event, "id": place, "data": json.loads(data)}))
            return 1000
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("socket.lost", error=type(error).__name__)
            return TRY_AGAIN
        finally:
            response.close()


async def _events(content: aiohttp.StreamReader) -> AsyncIterator[tuple[str, int, str]]:
    """Name, id and data of each server-sent event; ours have one line of data."""
    event, place, data = "", 0, ""
    async for line in content:
        name, _, value = line.decode().rstrip("\r\n").partition(": ")
        if name == "event":
            event = value
        elif name == "id":
            place = int(value)
        elif name == "data":
            data = value
        elif not name and data:
            yield event, place, data
            data = ""


async def _until_gone(socket: WebSocket) -> None:
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            await socket.receive_text()
