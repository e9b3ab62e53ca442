"""Where a reader of the live feed stands: which request continues it, and what each server-sent event means."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import httpx2

from slm_client.calls import Call, Nothing
from slm_client.models import LiveEvent, LiveMessage


@dataclass
class FeedPosition:
    """The place in the stream after which the feed continues; `after` None means "from now on"."""

    types: tuple[str, ...]
    after: int | None
    follow: bool

    def call(self) -> Call[Nothing]:
        """The request that opens or continues the feed."""
        params: dict[str, str | int] = {"follow": "true" if self.follow else "false"}
        if self.types:
            params["types"] = ",".join(self.types)
        return Call("GET", "/api/events", Nothing, params=params)

    def headers(self) -> Mapping[str, str]:
        """`Last-Event-ID` is how server-sent events are taken up again."""
        position = {} if self.after is None else {"Last-Event-ID": str(self.after)}
        return {"Accept": "text/event-stream", **position}

    def take(self, event: httpx2.ServerSentEvent) -> LiveEvent | None:
        """Move behind this event and return it; None for one that only carries a position or is not ours."""
        if not event.id.isdecimal():
            return None
        self.after = int(event.id)
        try:
            body = json.loads(event.data)
        except ValueError:
            return None
        if not isinstance(body, dict):
            return None
        return LiveEvent.model_validate({**body, "sequence": self.after, "type": event.event})


def live_headers(after: int) -> Mapping[str, str]:
    """The headers that open a live view of an experiment behind a place in its log."""
    return {"Accept": "text/event-stream", "Last-Event-ID": str(after)}


def live_message(event: httpx2.ServerSentEvent) -> LiveMessage | None:
    """What an event of a live view says; None for one that is not ours."""
    try:
        body = json.loads(event.data)
    except ValueError:
        return None
    if not isinstance(body, dict):
        return None
    return LiveMessage(event=event.event, id=int(event.id) if event.id.isdecimal() else 0, data=body)
