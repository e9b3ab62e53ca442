"""What the endpoints of this room are given, by type."""

from typing import Annotated

from fastapi import Depends, Header, Query

from slm_gateway.service.documents import ApiDescription
from slm_gateway.service.live_feed import LiveFeed
from slm_gateway.service.upstreams import Upstreams
from slm_shared.errors import FieldProblem, InvalidError
from slm_shared.http.provided import provided

MAX_TYPES = 50


async def _subjects(
    types: Annotated[str | None, Query(max_length=2000, description="Event names, comma separated.")] = None,
) -> list[str]:
    names = sorted({name.strip() for name in (types or "").split(",") if name.strip()})
    if len(names) > MAX_TYPES or not all(_is_event_name(name) for name in names):
        problem = FieldProblem("types", "must be event names such as run.launched, separated by commas")
        raise InvalidError("types is not a list of event names.", errors=[problem])
    return names


def _is_event_name(name: str) -> bool:
    return all(part.isidentifier() and part.isascii() for part in name.split("."))


async def _last_event(
    last_event_id: Annotated[str | None, Header(max_length=20, description="Continue behind this event.")] = None,
) -> int | None:
    if not last_event_id:
        return None
    if not (last_event_id.isascii() and last_event_id.isdecimal()):
        problem = FieldProblem("Last-Event-ID", "must be the id of an event of this feed")
        raise InvalidError("Last-Event-ID is not a number.", errors=[problem])
    return int(last_event_id)


Description = Annotated[ApiDescription, provided(ApiDescription)]
Feed = Annotated[LiveFeed, provided(LiveFeed)]
Services = Annotated[Upstreams, provided(Upstreams)]
# The names of events that are asked for, none for all; and the place in the stream behind which to go on.
EventNames = Annotated[list[str], Depends(_subjects)]
LastEvent = Annotated[int | None, Depends(_last_event)]
