"""Live streams: which request opens or continues one, and what each server-sent event means."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar

import httpx2

from slm_client import calls
from slm_client.calls.base import Call, Nothing
from slm_client.models import LiveEvent, LiveMessage

M = TypeVar("M")


class StreamPosition(ABC, Generic[M]):
    """How far a live stream was read: up to and with the place `after`; None means "from now on".

    `what` names the stream in errors, `ends` says whether it is over when its connection closes.
    """

    what: ClassVar[str]
    after: int | None
    ends: bool

    def headers(self) -> Mapping[str, str]:
        """The headers of the request; `Last-Event-ID` is how server-sent events are continued."""
        position = {} if self.after is None else {"Last-Event-ID": str(self.after)}
        return {"Accept": "text/event-stream", **position}

    @abstractmethod
    def call(self) -> Call[Nothing]:
        """The request that opens or continues the stream."""

    @abstractmethod
    def take(self, event: httpx2.ServerSentEvent) -> M | None:
        """Move past this event and return its message; None if it only carries a position or is not the platform's."""


class FeedPosition(StreamPosition[LiveEvent]):
    """A place in the live feed: the stream sequence of an event. Without `follow` the past events are all."""

    what = "The live feed"

    def __init__(self, types: tuple[str, ...], *, after: int | None, follow: bool) -> None:
        self._types = types
        self.after = after
        self.ends = not follow

    def call(self) -> Call[Nothing]:
        """The request that opens or continues the feed."""
        return calls.platform.events(types=self._types, follow=not self.ends)

    def take(self, event: httpx2.ServerSentEvent) -> LiveEvent | None:
        """Move past this event and return it."""
        if not event.id.isdecimal():
            return None
        self.after = int(event.id)
        body = _object_in(event)
        if body is None:
            return None
        return LiveEvent.model_validate({**body, "sequence": self.after, "type": event.event})


class ExperimentPosition(StreamPosition[LiveMessage]):
    """A place in the live view of an experiment: a line of its log."""

    what = "The live view"
    ends = True

    def __init__(self, experiment_id: object, *, after: int) -> None:
        self._experiment_id = experiment_id
        self.after = after

    def call(self) -> Call[Nothing]:
        """The request that opens or continues the live view."""
        return calls.experiments.live(self._experiment_id)

    def take(self, event: httpx2.ServerSentEvent) -> LiveMessage | None:
        """Move past this event and return its message."""
        body = _object_in(event)
        if body is None:
            return None
        self.after = int(event.id) if event.id.isdecimal() else 0
        return LiveMessage(event=event.event, id=self.after, data=body)


def _object_in(event: httpx2.ServerSentEvent) -> dict[str, Any] | None:
    """The JSON object that an event carries, or None."""
    try:
        body = json.loads(event.data)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None
