"""The gateway's own endpoints."""

import json
import time
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Query, Request
from starlette.responses import JSONResponse, StreamingResponse

from slm_gateway.api.dependencies import Description, EventNames, Feed, LastEvent, Services
from slm_gateway.schemas import Overview
from slm_gateway.service.live_feed import FeedEvent
from slm_gateway.service.overview import overview
from slm_shared.http.access import Public, Viewer
from slm_shared.http.routing import router

# Proxies close connections on which nothing was sent for 30 to 60 s.
KEEP_ALIVE_S = 15.0

routes = router(tags=["platform"])


@routes.get("/api/overview")
async def get_overview(principal: Viewer, services: Services) -> Overview:
    """The platform at a glance."""
    return await overview(services, principal)


@routes.get("/api/openapi.json", include_in_schema=False)
async def get_description(request: Request, _: Public, description: Description) -> JSONResponse:
    """The API of the whole platform as one OpenAPI document."""
    return JSONResponse(await description.merged(request.app.openapi()))


@routes.get(
    "/api/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "Server-sent events"}},
)
async def follow_events(
    _: Viewer,
    feed: Feed,
    types: EventNames,
    last_event: LastEvent,
    follow: Annotated[bool, Query(description="Stay and wait for new events.")] = True,
) -> StreamingResponse:
    """Every event of the platform as it happens: `id` is its place in the stream, `event` its name.

    `data` is `{"id", "time", "data"}`. Without `Last-Event-ID` it begins now, or with the oldest event kept if `follow`
    is false.
    """
    start = await feed.position(after=last_event, from_start=not follow)
    events = feed.read(after=start, subjects=types, follow=follow)
    # nginx would hold events back until it has a buffer full of them.
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_as_text(events, start), media_type="text/event-stream", headers=headers)


async def _as_text(events: AsyncIterator[FeedEvent | None], start: int) -> AsyncIterator[str]:
    """Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html); comments keep it alive.

    The first one names the position, so that a reader who loses the connection before any event continues from there.
    """
    yield f"id: {start}\nretry: 1000\n\n"
    last = time.monotonic()
    async for event in events:
        if event is not None:
            body = json.dumps({"id": event.event_id, "time": event.time, "data": event.data}, separators=(",", ":"))
            yield f"id: {event.sequence}\nevent: {event.subject}\ndata: {body}\n\n"
        elif time.monotonic() - last < KEEP_ALIVE_S:
            continue
        else:
            yield ": still here\n\n"
        last = time.monotonic()
