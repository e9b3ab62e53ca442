"""Live streams: which request opens or continues one, and what each server-sent event means."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import httpx2

from slm_client import calls
from slm_client.calls.base import Call, Nothing
from slm_client.models import LiveEvent, LiveMessage

M_co = TypeVar("M_co", covariant=True)


class StreamPosition(Protocol[M_co]):
    """How far a live stream was read. `ends` says whether the stream is over when its connection closes."""

    what: str

    @property
    def ends(self) -> bool: ...

    def call(self) -> Call[Nothing]:
        """The request that opens or continues the stream."""

    def headers(self) -> Mapping[str, str]:
        """Its headers; `Last-Event-ID` is how server-sent events are continued."""

    def take(self, event: httpx2.ServerSentEvent) -> M_co | None:
        """Move past this event and return its message; None if it only carries a position or is not the platform's."""


@dataclass
class FeedPosition:
    """The place in the live feed after which it continues; None means "from now on"."""

    types: tuple[str, ...]
    after: int | None
    follow: bool
    what: str = "The live feed"

    @property
    def ends(self) -> bool:
        """Whether past events are all that was asked for."""
        return not self.follow

    def call(self) -> Call[Nothing]:
        """The request that opens or continues the feed."""
        return calls.platform.events(types=self.types, follow=self.follow)

    def headers(self) -> Mapping[str, str]:
        """Its headers."""
        return _headers(self.after)

    def take(self, event: httpx2.ServerSentEvent) -> LiveEvent | None:
        """Move past this event and return it."""
        if not event.id.isdecimal():
            return None
        self.after = int(event.id)
        body = _object_in(event)
        if body is None:
            return None
        return LiveEvent.model_validate({**body, "sequence": self.after, "type": event.event})


@dataclass
class ExperimentPosition:
    """The line of an experiment's log after which its live view continues."""

    experiment_id: object
    after: int
    what: str = "The live view"
    ends: bool = True

    def call(self) -> Call[Nothing]:
        """The request that opens or continues the live view."""
        return calls.experiments.live(self.experiment_id)

    def headers(self) -> Mapping[str, str]:
        """Its headers."""
        return _headers(self.after)

    def take(self, event: httpx2.ServerSentEvent) -> LiveMessage | None:
        """Move past this event and return its message."""
        body = _object_in(event)
        if body is None:
            return None
        self.after = int(event.id) if event.id.isdecimal() else 0
        return LiveMessage(event=event.event, id=self.after, data=body)


def _headers(after: int | None) -> Mapping[str, str]:
    position = {} if after is None else {"Last-Event-ID": str(after)}
    return {"Accept": "text/event-stream", **position}


def _object_in(event: httpx2.ServerSentEvent) -> dict[str, Any] | None:
    """The JSON object that an event carries, or None."""
    try:
        body = json.loads(event.data)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None
