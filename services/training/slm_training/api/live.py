"""Experiments as they happen, as server-sent events."""

import time
from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from fastapi import Header
from starlette.responses import StreamingResponse

from slm_shared.errors import FieldProblem, InvalidError
from slm_shared.http.access import Viewer
from slm_shared.http.routing import ServiceDatabase, router
from slm_training.schemas.experiments import LiveMessage
from slm_training.service import live

# Proxies close connections that are silent for 30 to 60 s.
KEEP_ALIVE_S = 15.0

routes = router(tags=["experiments"])


@routes.get(
    "/api/experiments/{experiment_id}/live",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "Server-sent events"}},
)
async def follow_experiment(
    experiment_id: UUID,
    database: ServiceDatabase,
    _: Viewer,
    last_event_id: Annotated[str | None, Header(max_length=20, description="Log lines behind this place.")] = None,
) -> StreamingResponse:
    """The experiment until it ends: `trainingProgress` whenever something changed, `log` for each line of the log.

    The same messages come over a WebSocket at `/api/experiments/{experiment_id}/socket`.
    """
    if last_event_id is not None and not last_event_id.isdecimal():
        problem = FieldProblem("Last-Event-ID", "is not a place in this log")
        raise InvalidError("The Last-Event-ID is not valid.", errors=[problem])
    messages = await live.follow(database, experiment_id, after=int(last_event_id or 0))
    # The second is for nginx, which would collect messages before it sends any.
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_as_text(messages), media_type="text/event-stream", headers=headers)


async def _as_text(messages: AsyncIterator[LiveMessage | None]) -> AsyncIterator[str]:
    """Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html); comments keep it alive."""
    yield "retry: 1000\n\n"
    last = time.monotonic()
    async for message in messages:
        if message is not None:
            yield f"id: {message.place}\nevent: {message.name}\ndata: {message.body.model_dump_json()}\n\n"
        elif time.monotonic() - last < KEEP_ALIVE_S:
            continue
        else:
            yield ": still here\n\n"
        last = time.monotonic()
