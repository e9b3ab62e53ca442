"""From JetStream to effect: one consumer per service and event, each effect exactly once.

A delivered message is checked, decoded and handled in one transaction together with its inbox row, then acknowledged.
What fails for a passing reason is given back with a delay (a plain negative acknowledgement would be redelivered at
once, for ever); what can never be handled becomes a dead letter.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.background import is_wanted
from slm_shared.delivery import dead_letters, inbox
from slm_shared.delivery.broker import Broker
from slm_shared.delivery.failpoints import failpoint
from slm_shared.errors import ConflictError, UnavailableError
from slm_shared.events.catalogue import Event
from slm_shared.events.cloudevents import Envelope, envelope_of
from slm_shared.events.topology import EVENTS, consumer_named, durable_name
from slm_shared.observability.tracing import tracing
from slm_shared.storage.database import Database

log = structlog.get_logger()

BATCH = 4
FETCH_TIMEOUT_S = 5.0
CHECK_EVERY_S = 20.0
RETRY_DELAYS_S = (1, 5, 30, 120, 600, 1800, 3600)
MAX_DELIVERIES = 8
REBIND_DELAY_S = 0.5
DRAIN_TIMEOUT_S = 10.0

E = TypeVar("E", bound=Event)
Handler = Callable[[AsyncSession, E], Awaitable[None]]


class RedriveFailedError(ConflictError):
    """A dead letter could not be handled this time either."""

    code = "redrive_failed"


class RetryLater(Exception):  # noqa: N818  a request to the bus, not a failure
    """Raised by a handler that cannot act yet, e.g. because an earlier event has not arrived."""


class ConsumerDiffersError(Exception):
    """The server has the consumer with another setting."""


@dataclass(frozen=True)
class _Subscription:
    durable: str
    event: type[Event]
    handle: Handler[Any]


class Bus:
    """The consumers of one service."""

    name = "bus"

    def __init__(self, database: Database, broker: Broker, *, service: str) -> None:
        self._database = database
        self._broker = broker
        self._service = service
        self._subscriptions: list[_Subscription] = []
        self._lost: dict[str, str] = {}

    def on(self, event: type[E], handle: Handler[E]) -> None:
        """Let `handle(session, event)` take effect once for each event of this class."""
        durable = durable_name(self._service, event)
        self._subscriptions.append(_Subscription(durable, event, handle))
        self._lost[durable] = "is not subscribed yet"

    def problem(self) -> str | None:
        """None while every consumer is subscribed."""
        return "; ".join(f"{durable} {why}" for durable, why in self._lost.items()) or None

    async def run(self) -> None:
        """Consume until cancelled; handlers in flight are given time to finish."""
        async with asyncio.TaskGroup() as group:
            for subscription in self._subscriptions:
                group.create_task(self._consume(subscription), name=subscription.durable)

    async def _consume(self, subscription: _Subscription) -> None:
        while is_wanted():
            try:
                jetstream = await self._broker.jetstream()
                await self._fetch_and_handle(jetstream, subscription)
            except ConsumerDiffersError as error:
                self._lost[subscription.durable] = f"has {error}; run the migration"
                await asyncio.sleep(REBIND_DELAY_S)
            except (NatsError, OSError, TimeoutError) as error:
                self._lost[subscription.durable] = "lost its consumer"
                log.warning("bus.consumer_lost", durable=subscription.durable, error=type(error).__name__)
                await asyncio.sleep(REBIND_DELAY_S)

    async def _fetch_and_handle(self, jetstream: JetStreamContext, subscription: _Subscription) -> None:
        await self._check(jetstream, subscription)
        pull = await jetstream.pull_subscribe_bind(durable=subscription.durable, stream=EVENTS)
        self._lost.pop(subscription.durable, None)
        loop = asyncio.get_running_loop()
        checked_at = loop.time()
        try:
            while is_wanted():
                if loop.time() - checked_at > CHECK_EVERY_S:
                    # A deleted consumer looks like one without messages.
                    await self._check(jetstream, subscription)
                    checked_at = loop.time()
                try:
                    messages = await pull.fetch(BATCH, timeout=FETCH_TIMEOUT_S)
                except TimeoutError:  # of nats or of asyncio, depending on where in the client it ran out
                    continue
                handling = asyncio.gather(*(self._handle(subscription, message) for message in messages))
                try:
                    await asyncio.shield(handling)
                except asyncio.CancelledError:
                    await asyncio.wait([handling], timeout=DRAIN_TIMEOUT_S)
                    raise
        finally:
            if self._broker.is_connected:
                await pull.unsubscribe()

    async def _check(self, jetstream: JetStreamContext, subscription: _Subscription) -> None:
        """Raise ConsumerDiffersError unless the server's consumer is the one that the migration makes."""
        info = await jetstream.consumer_info(EVENTS, subscription.durable)
        if difference := consumer_named(subscription.durable).differs(info.config):
            raise ConsumerDiffersError(f"another {difference} than this version needs")

    async def _handle(self, subscription: _Subscription, message: Msg) -> None:
        """Handle one delivery and answer the server; never raises, so that one message cannot stop the others."""
        deliveries = message.metadata.num_delivered
        try:
            envelope, event = _decode(subscription.event, message.headers, message.data)
            if deliveries >= MAX_DELIVERIES:
                raise _UnhandledError(f"given up after {deliveries} deliveries")
            with tracing(envelope.traceparent):
                await self._take_effect(subscription, UUID(envelope.event_id), event)
            failpoint("handled-before-ack")
            await self._acknowledge(message)
        except _UnhandledError as error:
            await self._bury(subscription, message, str(error), deliveries)
        except (RetryLater, UnavailableError) as error:
            log.info("bus.retry_later", durable=subscription.durable, deliveries=deliveries, why=str(error))
            await self._give_back(message, deliveries)
        except Exception:
            log.exception("bus.handler_failed", durable=subscription.durable, deliveries=deliveries)
            await self._give_back(message, deliveries)

    async def redrive(self, session: AsyncSession, consumer: str, event_id: str) -> None:
        """Handle a dead letter again in the caller's transaction, which also forgets it.

        Raises DeadLetterNotFoundError, and RedriveFailedError when it cannot be handled this time either.
        """
        letter = await dead_letters.find(session, consumer, event_id)
        subscription = next((each for each in self._subscriptions if each.durable == consumer), None)
        if subscription is None:
            raise RedriveFailedError("This service does not consume such events any more.")
        try:
            envelope, event = _decode(subscription.event, letter.headers, letter.body.encode())
            if await inbox.is_first(session, consumer, UUID(envelope.event_id)):
                await subscription.handle(session, event)
        except (_UnhandledError, RetryLater) as error:
            raise RedriveFailedError(f"It cannot be handled this time either: {error}.") from error
        await dead_letters.remove(session, consumer, event_id)

    async def _take_effect(self, subscription: _Subscription, event_id: UUID, event: Event) -> None:
        async with self._database.transaction() as session:
            if await inbox.is_first(session, subscription.durable, event_id):
                await subscription.handle(session, event)

    async def _acknowledge(self, message: Msg) -> None:
        try:
            await message.ack_sync(timeout=2.0)
        except (NatsError, TimeoutError):
            # The effect is committed; if this is lost too, the inbox makes the redelivery harmless.
            await message.ack()

    async def _give_back(self, message: Msg, deliveries: int) -> None:
        await message.nak(delay=RETRY_DELAYS_S[min(deliveries, len(RETRY_DELAYS_S)) - 1])

    async def _bury(self, subscription: _Subscription, message: Msg, error: str, deliveries: int) -> None:
        headers = dict(message.headers or {})
        event_id = headers.get("ce-id") or f"stream-seq-{message.metadata.sequence.stream}"
        try:
            async with self._database.transaction() as session:
                await inbox.bury(
                    session,
                    consumer=subscription.durable,
                    event_id=event_id,
                    subject=message.subject,
                    headers=headers,
                    body=message.data,
                    error=error,
                    deliveries=deliveries,
                )
            log.error("bus.dead_letter", durable=subscription.durable, event_id=event_id, error=error)
            await self._acknowledge(message)
        except UnavailableError:
            await self._give_back(message, deliveries)


class _UnhandledError(Exception):
    """This message can never be handled here."""


def _decode(event: type[Event], headers: Mapping[str, str] | None, body: bytes) -> tuple[Envelope, Event]:
    envelope = envelope_of(headers)
    if envelope is None or envelope.type != event.subject:
        raise _UnhandledError("the headers are not those of this event")
    try:
        UUID(envelope.event_id)
        return envelope, event.model_validate_json(body)
    except ValidationError as error:
        places = ", ".join(".".join(map(str, problem["loc"])) or "body" for problem in error.errors()[:5])
        raise _UnhandledError(f"the body does not fit {event.__name__}: {places}") from error
    except ValueError as error:
        raise _UnhandledError("the event id is not a UUID") from error
