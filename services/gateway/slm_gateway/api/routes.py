"""The gateway's own endpoints."""

import json
import time
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Header, Query, Request
from starlette.responses import JSONResponse, StreamingResponse

from slm_gateway.schemas import Overview
from slm_gateway.service.documents import ApiDescription
from slm_gateway.service.live_feed import FeedEvent, LiveFeed
from slm_gateway.service.overview import overview
from slm_gateway.service.upstreams import Upstreams
from slm_shared.errors import FieldProblem, InvalidError
from slm_shared.http.access import Public, Viewer
from slm_shared.http.provided import given
from slm_shared.http.routing import router

KEEP_ALIVE_S = 15.0
MAX_TYPES = 50

routes = router(tags=["platform"])


@routes.get("/api/overview")
async def get_overview(request: Request, principal: Viewer) -> Overview:
    """The platform at a glance."""
    return await overview(given(request.app, Upstreams), principal)


@routes.get("/api/openapi.json", include_in_schema=False)
async def get_description(request: Request, _: Public) -> JSONResponse:
    """The API of the whole platform as one OpenAPI document."""
    description = given(request.app, ApiDescription)
    return JSONResponse(await description.merged(request.app.openapi()))


@routes.get(
    "/api/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "Server-sent events"}},
)
async def follow_events(
    request: Request,
    _: Viewer,
    types: Annotated[str | None, Query(max_length=2000, description="Event names, comma separated.")] = None,
    follow: Annotated[bool, Query(description="Stay and wait for new events.")] = True,
    last_event_id: Annotated[str | None, Header(max_length=20, description="Continue behind this event.")] = None,
) -> StreamingResponse:
    """Every event of the platform as it happens: `id` is its place in the stream, `event` its name.

    `data` is `{"id", "time", "data"}`. Without `Last-Event-ID` it begins now, or with the oldest event kept if `follow`
    is false.
    """
    feed = given(request.app, LiveFeed)
    subjects, after = _subjects(types), _sequence(last_event_id)
    start = await feed.position(after=after, from_start=not follow)
    events = feed.read(after=start, subjects=subjects, follow=follow)
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


def _subjects(types: str | None) -> list[str]:
    names = sorted({name.strip() for name in (types or "").split(",") if name.strip()})
    if len(names) > MAX_TYPES or not all(_is_event_name(name) for name in names):
        problem = FieldProblem("types", "must be event names such as run.launched, separated by commas")
        raise InvalidError("types is not a list of event names.", errors=[problem])
    return names


def _is_event_name(name: str) -> bool:
    return all(part.isidentifier() and part.isascii() for part in name.split("."))


def _sequence(last_event_id: str | None) -> int | None:
    if not last_event_id:
        return None
    if not (last_event_id.isascii() and last_event_id.isdecimal()):
        problem = FieldProblem("Last-Event-ID", "must be the id of an event of this feed")
        raise InvalidError("Last-Event-ID is not a number.", errors=[problem])
    return int(last_event_id)
