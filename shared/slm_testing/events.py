"""The stream of events as a test sees it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, DeliverPolicy

from slm_shared.delivery.broker import Broker
from slm_shared.events.catalogue import Event
from slm_shared.events.cloudevents import MESSAGE_ID, headers_of
from slm_shared.events.topology import EVENTS, STREAMS
from slm_shared.settings import PlatformSettings
from slm_shared.storage.ids import new_id
from slm_testing.waiting import DEADLINE_S, eventually

E = TypeVar("E", bound=Event)


class EventLog:
    """Publishes as an owner would, and waits for what services publish."""

    def __init__(self, jetstream: JetStreamContext) -> None:
        self._jetstream = jetstream

    async def publish(self, event: Event, *, event_id: UUID | None = None, message_id: str | None = None) -> UUID:
        """Publish an event in its owner's name; returns its id. A `message_id` of its own gets past deduplication."""
        event_id = event_id or new_id()
        headers = headers_of(
            event_id=str(event_id),
            subject=event.subject,
            source=event.owner,
            aggregate_id=str(event.aggregate_id),
            time=datetime.now(UTC),
            traceparent=None,
        )
        own = dict(headers) | ({MESSAGE_ID: message_id} if message_id else {})
        await self._jetstream.publish(event.subject, event.model_dump_json().encode(), stream=EVENTS, headers=own)
        return event_id

    async def all(self, event: type[E]) -> list[E]:
        """Every event of a class that was published in this test, oldest first."""
        info = await self._jetstream.stream_info(EVENTS, subjects_filter=event.subject)
        count = (info.state.subjects or {}).get(event.subject, 0)
        if not count:
            return []
        config = ConsumerConfig(deliver_policy=DeliverPolicy.ALL)
        pull = await self._jetstream.pull_subscribe(event.subject, stream=EVENTS, config=config)
        messages = await pull.fetch(count, timeout=5)
        await pull.unsubscribe()
        return [event.model_validate_json(message.data) for message in messages]

    async def wait_for(
        self, event: type[E], where: Callable[[E], bool] = lambda _: True, *, timeout_s: float = DEADLINE_S
    ) -> E:
        """The first event of a class that `where` accepts. Raises TimeoutError after `timeout_s`."""

        async def check() -> E | None:
            return next((found for found in await self.all(event) if where(found)), None)

        return await eventually(check, timeout_s=timeout_s)


@asynccontextmanager
async def emptied_events(settings: PlatformSettings) -> AsyncIterator[EventLog]:
    """The event stream, after every message of every stream was removed."""
    broker = Broker(settings.nats_url, name="tests")
    jetstream = await broker.jetstream()
    for stream in STREAMS:
        assert stream.name is not None
        await jetstream.purge_stream(stream.name)
    yield EventLog(jetstream)
    await broker.close()
