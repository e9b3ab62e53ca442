"""The live feed: every event of the stream in order, for each reader from the place where it stopped."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import FetchTimeoutError

from slm_gateway.errors import FeedUnavailableError
from slm_shared.delivery.broker import Broker
from slm_shared.events.topology import EVENTS

log = structlog.get_logger()
CONNECT_TIMEOUT_S = 2.0
BATCH = 64
QUIET_S = 5.0
HEARTBEAT_S = 2.0
# The server removes the consumer of a reader that ended without a word, e.g. with a crash of the gateway.
FORGOTTEN_AFTER_S = 60.0
REBIND_DELAY_S = 0.5

Pull = JetStreamContext.PullSubscription


@dataclass(frozen=True)
class FeedEvent:
    """One event of the feed; `sequence` is its place in the stream."""

    sequence: int
    subject: str
    event_id: str | None
    time: str | None
    data: Any


class LiveFeed:
    """Readers of the event stream.

    Each reader has a short-lived consumer of its own that acknowledges nothing; when it is lost (a restarted server, a
    gap) the next one starts behind the last event that was read, so nothing is missed or repeated.
    """

    def __init__(self, broker: Broker, *, max_readers: int) -> None:
        self._broker = broker
        self._max_readers = max_readers
        self._readers = 0
        self._forgetting: set[asyncio.Task[None]] = set()

    async def position(self, *, after: int | None, from_start: bool) -> int:
        """The sequence behind which to read: `after` itself, or the stream's end (its start if `from_start`).

        A sequence the stream has not reached belongs to a stream that is gone; reading then starts from the beginning.
        Raises FeedUnavailableError when the stream cannot be asked.
        """
        if self._readers >= self._max_readers:
            raise FeedUnavailableError("Too many live feeds are open.", retry_after_s=10)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                info = await (await self._broker.jetstream()).stream_info(EVENTS)
        except (NatsError, OSError, TimeoutError) as error:
            raise FeedUnavailableError("The event stream does not answer.") from error
        if after is None:
            return 0 if from_start else info.state.last_seq
        return after if after <= info.state.last_seq else 0

    async def read(self, *, after: int, subjects: list[str], follow: bool) -> AsyncIterator[FeedEvent | None]:
        """Events behind `after`, only those of `subjects` if any are given; None whenever it was quiet for a while.

        With `follow` it never ends by itself, else after the last event there is now.
        """
        self._readers += 1
        try:
            while True:
                try:
                    async for event in self._read_on(after, subjects=subjects, follow=follow):
                        if event is not None:
                            after = event.sequence
                        yield event
                    if not follow:
                        return
                except (NatsError, OSError, TimeoutError) as error:
                    log.info("feed.lost", error=type(error).__name__)
                    yield None
                await asyncio.sleep(REBIND_DELAY_S)
        finally:
            self._readers -= 1

    async def _read_on(self, after: int, *, subjects: list[str], follow: bool) -> AsyncIterator[FeedEvent | None]:
        """Read with one consumer until it is lost."""
        jetstream = await self._broker.jetstream()
        config = ConsumerConfig(
            ack_policy=AckPolicy.NONE,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=after + 1,
            inactive_threshold=FORGOTTEN_AFTER_S,
            mem_storage=True,
            filter_subjects=subjects or None,
        )
        info = await jetstream.add_consumer(EVENTS, config)
        pull = await jetstream.pull_subscribe_bind(consumer=info.name, stream=EVENTS)
        try:
            pending, expected = info.num_pending or 0, 1
            while pending or follow:
                messages = await _fetch(pull, pending)
                if not messages:
                    yield None
                for message in messages:
                    # A gap: some were sent on a connection that broke. The next consumer begins before it.
                    if message.metadata.sequence.consumer != expected:
                        return
                    expected += 1
                    pending = message.metadata.num_pending
                    yield _event_of(message)
        finally:
            # A task of its own: this block also ends by cancellation, when nothing may be awaited any more.
            forgetting = asyncio.create_task(self._forget(jetstream, pull, info.name))
            self._forgetting.add(forgetting)
            forgetting.add_done_callback(self._forgetting.discard)

    async def _forget(self, jetstream: JetStreamContext, pull: Pull, consumer: str) -> None:
        with suppress(NatsError, TimeoutError):
            # Also without a connection: the client would subscribe again on the next one.
            await pull.unsubscribe()
            if self._broker.is_connected:
                await jetstream.delete_consumer(EVENTS, consumer)


async def _fetch(pull: Pull, pending: int) -> list[Msg]:
    """What there is already, else the next event; empty after a quiet while. Raises NotFoundError for a lost consumer.

    Asking for exactly what is there keeps `fetch` from waiting for a batch to fill up.
    """
    try:
        return await pull.fetch(min(pending, BATCH) or 1, timeout=QUIET_S, heartbeat=HEARTBEAT_S)
    except FetchTimeoutError:
        return []
    except TimeoutError:
        # Not even a heartbeat came: the server restarted, or the consumer is gone, which this tells.
        await pull.consumer_info()
        return []


def _event_of(message: Msg) -> FeedEvent:
    headers = message.headers or {}
    try:
        data = json.loads(message.data)
    except ValueError:
        data = None
    return FeedEvent(
        sequence=message.metadata.sequence.stream,
        subject=message.subject,
        event_id=headers.get("ce-id"),
        time=headers.get("ce-time"),
        data=data,
    )
