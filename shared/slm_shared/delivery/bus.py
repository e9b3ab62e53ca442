"""From JetStream to effect: one consumer per service and event, each effect exactly once.

FastStream carries the handlers: it reads their parameters, fills them, and runs the middlewares around them. Delivery
is written here (ADR 0008): a message is decoded and handled in one transaction together with its inbox row, then
acknowledged. What fails for a passing reason is given back with a delay; what can never be handled becomes a dead
letter.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from faststream import BaseMiddleware, StreamMessage
from faststream.nats import NatsBroker
from faststream.nats.subscriber.usecases import PullStreamSubscriber
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.delivery import dead_letters, inbox
from slm_shared.delivery.broker import Broker
from slm_shared.delivery.failpoints import failpoint
from slm_shared.delivery.handlers import Handler, UnhandledError, injected, subscribed
from slm_shared.delivery.pulling import MAX_DELIVERIES, PullLoop, give_back
from slm_shared.errors import ConflictError, UnavailableError
from slm_shared.events.catalogue import Event
from slm_shared.events.topology import consumer_named, durable_name
from slm_shared.observability.tracing import handling
from slm_shared.storage.database import Database

log = structlog.get_logger()

# The transaction that the current message is handled in.
_session: ContextVar[AsyncSession | None] = ContextVar("session", default=None)

CallNext = Callable[[Any], Awaitable[Any]]
# Transactions at once where each message has its own: the pool of connections has more to serve than one consumer.
AT_ONCE = 4
# Messages fetched at once, and handled in one transaction. When every statement runs into its timeout of ten seconds,
# all of them together and then each alone, the last is still answered within the 60 s that the server waits.
BATCH = 16


class RedriveFailedError(ConflictError):
    """A dead letter could not be handled this time either."""

    code = "redrive_failed"


class RetryLater(Exception):  # noqa: N818  a request to the bus, not a failure
    """Raised by a handler that cannot act yet, e.g. because an earlier event has not arrived."""


class JoinsTrace(BaseMiddleware[Any, Any]):
    """Runs what stands behind it in the trace of the message, as a step of its own."""

    async def consume_scope(self, call_next: CallNext, msg: StreamMessage[Any]) -> Any:
        """Join the trace that the header `traceparent` names."""
        durable = self.context.get_local("handler_").config.durable_name
        traceparent = msg.headers.get("traceparent")
        with handling(msg.raw_message.subject, event_id=msg.message_id, consumer=durable, traceparent=traceparent):
            return await call_next(msg)


class TakesEffectOnce(BaseMiddleware[Any, Any]):
    """Runs the handler in one transaction with its inbox row; not at all when that row is there.

    A transaction that is open around it, e.g. that of a request, is used instead of a new one, and committed by whoever
    opened it.
    """

    def __init__(self, msg: Any, /, *, context: Any, database: Database) -> None:
        super().__init__(msg, context=context)
        self._database = database

    async def consume_scope(self, call_next: CallNext, msg: StreamMessage[Any]) -> Any:
        """Decode before a connection is taken; commit before the server is answered."""
        await msg.decode()
        durable = self.context.get_local("handler_").config.durable_name
        around = _session.get()
        async with self._database.transaction() if around is None else nullcontext(around) as session:
            if await inbox.is_first(session, durable, UUID(msg.message_id)):
                with within(session):
                    await call_next(msg)


@contextmanager
def within(session: AsyncSession) -> Iterator[None]:
    """Handle messages of this block in the transaction of `session`."""
    token = _session.set(session)
    try:
        yield
    finally:
        _session.reset(token)


class _Unconnected(NatsBroker):
    """FastStream's registry of handlers; what these publish goes through the outbox instead."""

    async def _connect(self) -> Client:
        return Client()


class Bus:
    """The consumers of one service.

    Its handlers ask for the event, an `AsyncSession` and any of `provides`, each by its class.
    """

    name = "bus"

    def __init__(
        self,
        database: Database,
        broker: Broker,
        *,
        service: str,
        handlers: Iterable[tuple[type[Event], Handler]] = (),
        provides: Sequence[object] = (),
    ) -> None:
        self._broker = broker
        self._service = service
        self._database = database
        self._handlers = _Unconnected(
            logger=None,
            serializer=None,
            # From the outside to the inside.
            middlewares=(JoinsTrace, partial(TakesEffectOnce, database=database)),
        )
        self._provided: dict[type, Callable[[], object]] = {AsyncSession: _session.get}
        self._provided |= {type(value): partial(_same, value) for value in provides}
        self._subscribers: dict[str, PullStreamSubscriber] = {}
        self._loops: list[PullLoop] = []
        for event, handle in handlers:
            self.on(event, handle)

    def on(self, event: type[Event], handle: Handler) -> None:
        """Let `handle` take effect once for each event of this class.

        Raises TypeError when it asks for something that nobody provides, and KeyError for an event that this service
        has no consumer for.
        """
        consumer = consumer_named(durable_name(self._service, event))
        subscriber = subscribed(self._handlers, event, consumer)
        subscriber(injected(handle, event, self._provided))
        self._subscribers[consumer.durable] = subscriber
        handle_all = partial(self._handle_all, consumer.durable)
        self._loops.append(PullLoop(consumer, jetstream=self._broker.jetstream, handle=handle_all, batch=BATCH))

    def problem(self) -> str | None:
        """None while every consumer is subscribed."""
        return "; ".join(f"{each.name} {why}" for each in self._loops if (why := each.problem())) or None

    async def run(self) -> None:
        """Consume until cancelled; handlers in flight are given time to finish."""
        await self._handlers.connect()
        for subscriber in self._subscribers.values():
            await subscriber.start()
        async with asyncio.TaskGroup() as group:
            for loop in self._loops:
                group.create_task(loop.run(), name=loop.name)

    async def _handle_all(self, durable: str, messages: Sequence[Msg]) -> None:
        # A message that came before may fail again, and would undo the others with it.
        is_new = all(message.metadata.num_delivered == 1 for message in messages)
        if len(messages) == 1 or not is_new or not await self._handle_together(durable, messages):
            limit = asyncio.Semaphore(AT_ONCE)
            await asyncio.gather(*(self._handle_alone(durable, message, limit) for message in messages))

    async def _handle_together(self, durable: str, messages: Sequence[Msg]) -> bool:
        """Handle several deliveries in one transaction; False, with none of them handled, when one fails."""
        try:
            async with self._database.transaction() as session:
                with within(session):
                    for message in messages:
                        await self._subscribers[durable].process_message(message)
                        await session.flush()
                        # The next handler reads what is stored, as it would in a session of its own.
                        session.expunge_all()
        except Exception as error:  # noqa: BLE001  each is handled alone now, and tells what is wrong with it
            log.info("bus.handled_one_by_one", durable=durable, error=type(error).__name__)
            return False
        failpoint("handled-before-ack")
        await asyncio.gather(*(self._acknowledge(message) for message in messages))
        return True

    async def _handle_alone(self, durable: str, message: Msg, limit: asyncio.Semaphore) -> None:
        async with limit:
            await self._handle(durable, message)

    async def _handle(self, durable: str, message: Msg) -> None:
        """Handle one delivery and answer the server; what fails does not stop the others."""
        deliveries = message.metadata.num_delivered
        try:
            if deliveries >= MAX_DELIVERIES:
                raise UnhandledError(f"given up after {deliveries} deliveries")
            await self._subscribers[durable].process_message(message)
            failpoint("handled-before-ack")
            # Only now, when the effect is committed: a death before this costs a redelivery, not the effect.
            await self._acknowledge(message)
        except UnhandledError as error:
            await self._bury(durable, message, str(error))
        except (RetryLater, UnavailableError) as error:
            log.info("bus.retry_later", durable=durable, deliveries=deliveries, why=str(error))
            await give_back(message)
        except Exception:
            log.exception("bus.handler_failed", durable=durable, deliveries=deliveries)
            await give_back(message)

    async def redrive(self, session: AsyncSession, consumer: str, event_id: str) -> None:
        """Handle a dead letter again in the caller's transaction, which also forgets it.

        Raises DeadLetterNotFoundError, and RedriveFailedError when it cannot be handled this time either.
        """
        letter = await dead_letters.find(session, consumer, event_id)
        if consumer not in self._subscribers:
            raise RedriveFailedError("This service does not consume such events any more.")
        message = Msg(Client(), letter.subject, data=letter.body.encode(), headers=letter.headers)
        try:
            with within(session):
                await self._subscribers[consumer].process_message(message)
        except (UnhandledError, RetryLater) as error:
            raise RedriveFailedError(f"It cannot be handled this time either: {error}.") from error
        await dead_letters.remove(session, consumer, event_id)

    async def _acknowledge(self, message: Msg) -> None:
        try:
            await message.ack_sync(timeout=2.0)
        except (NatsError, TimeoutError):
            # The effect is committed; if this is lost too, the inbox makes the redelivery harmless.
            await message.ack()

    async def _bury(self, durable: str, message: Msg, error: str) -> None:
        event_id = (message.headers or {}).get("ce-id") or f"stream-seq-{message.metadata.sequence.stream}"
        try:
            async with self._database.transaction() as session:
                await inbox.bury(session, message, consumer=durable, event_id=event_id, error=error)
            log.error("bus.dead_letter", durable=durable, event_id=event_id, error=error)
            await self._acknowledge(message)
        except UnavailableError:
            await give_back(message)


def _same(value: object) -> object:
    return value
