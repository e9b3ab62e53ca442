"""The platform's events in an application of your own, with FastStream (`pip install slm-platform[events]`).

    import asyncio
    from faststream import FastStream
    from slm_client.events import EventBroker, ExperimentCompleted

    broker = EventBroker("nats://127.0.0.1:14222", application="billing")

    @broker.on(ExperimentCompleted)
    async def bill(event: ExperimentCompleted) -> None:
        print(event.run_name, event.duration_s)

    asyncio.run(FastStream(broker).run())

Each event arrives at least once, also when it was published while the application was not running. `docs/events.md` has
the guarantees.
"""

import asyncio
import re
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from datetime import datetime
from functools import partial
from typing import Annotated, Any, get_args
from uuid import UUID

import structlog
from faststream import Context
from faststream.exceptions import RejectMessage
from faststream.nats import NatsBroker
from faststream.nats.subscriber.usecases import PullStreamSubscriber
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from slm_shared.background import running_in_background
from slm_shared.delivery.handlers import UnhandledError, subscribed
from slm_shared.delivery.pulling import MAX_DELIVERIES, PullLoop, give_back
from slm_shared.events.catalogue import (
    DatasetDeleted,
    DatasetFailed,
    DatasetProcessed,
    DatasetUploaded,
    EvaluationCompleted,
    EvaluationFailed,
    EvaluationRegressed,
    Event,
    ExperimentCancelled,
    ExperimentCompleted,
    ExperimentFailed,
    ExperimentStarted,
    ModelDeleted,
    ModelPromoted,
    ModelRegistered,
    RunLaunched,
)
from slm_shared.events.topology import CONSUMERS, Consumer, durable_name

__all__ = [
    "DatasetDeleted",
    "DatasetFailed",
    "DatasetProcessed",
    "DatasetUploaded",
    "EvaluationCompleted",
    "EvaluationFailed",
    "EvaluationRegressed",
    "Event",
    "EventBroker",
    "EventId",
    "ExperimentCancelled",
    "ExperimentCompleted",
    "ExperimentFailed",
    "ExperimentStarted",
    "ModelDeleted",
    "ModelPromoted",
    "ModelRegistered",
    "RunLaunched",
]

log = structlog.get_logger()

NAME = re.compile(r"[a-z0-9_]+(-[a-z0-9_]+)*")
# A third of `Consumer.ack_wait_s`: one of them may get lost.
STILL_WORKING_EVERY_S = 20.0
DEFAULTS: dict[str, Any] = {
    "max_reconnect_attempts": -1,
    "reconnect_time_wait": 1,
    "ping_interval": 10,
    "max_outstanding_pings": 2,
    # What fails is logged here, once.
    "logger": None,
}

EventId = Annotated[UUID, Context("message.message_id", cast=True)]
"""A handler's parameter of this type is the id of its event: the same for each delivery of that event."""


class EventBroker(NatsBroker):
    """FastStream's broker for NATS, which knows the platform's events.

    `application` names your application: lower-case letters, digits, `-` and `_`. Processes of one name share the
    events between them. `from_start` says that an application that is new begins with the oldest event that the
    platform keeps, not with the next one. `options` are those of `NatsBroker`, e.g. `security` or `middlewares`.
    """

    def __init__(self, servers: str, *, application: str, from_start: bool = False, **options: Any) -> None:
        if not NAME.fullmatch(application):
            raise ValueError(f"{application!r} is not a name of lower-case letters, digits, '-' and '_'")
        super().__init__(servers, name=application, **(DEFAULTS | options))
        # FastStream's own callback raises when a server refuses the client, which ends its attempts for ever.
        self._connection_kwargs["error_cb"] = options.get("error_cb", _log_error)
        self._application = application
        self._policy = DeliverPolicy.ALL if from_start else DeliverPolicy.NEW
        self._handled: dict[PullStreamSubscriber, type[Event]] = {}
        self._loops: list[PullLoop] = []
        self._running = AsyncExitStack()
        self._places: dict[str, tuple[datetime | None, int]] = {}

    def on(self, event: type[Event]) -> PullStreamSubscriber:
        """A decorator: the function handles each event of this class.

        It asks for the event by its class, for an `EventId`, and for whatever else FastStream gives to handlers.
        """
        consumer = Consumer(durable_name(self._application, event), event.subject)
        if consumer.durable in {each.durable for each in CONSUMERS}:
            raise ValueError(f"{self._application!r} is the name of a service of the platform")
        subscriber = subscribed(self, event, consumer)
        self._handled[subscriber] = event
        handle_all = partial(self._handle_all, subscriber)
        self._loops.append(PullLoop(consumer, jetstream=self._jetstream, handle=handle_all, check=self._ensure))
        return subscriber

    def problem(self) -> str | None:
        """None while every handler gets its events, else what is wrong; for a health check."""
        return "; ".join(f"{each.name} {why}" for each in self._loops if (why := each.problem())) or None

    async def start(self) -> None:
        """Connect and consume. Raises TypeError for a handler that does not ask for its event."""
        await super().start()
        for subscriber, event in self._handled.items():
            _check_parameters(subscriber, event)
        await self._running.enter_async_context(running_in_background(self._loops))

    async def stop(self, *args: Any) -> None:
        """Give handlers ten seconds to finish, then close the connection. What was not finished is delivered again."""
        await self._running.aclose()
        try:
            await super().stop(*args)
        except NatsError:  # There is no server to say goodbye to.
            await self.connection.close()

    async def _jetstream(self) -> JetStreamContext:
        jetstream: JetStreamContext = self.config.connection_state.stream
        return jetstream

    async def _ensure(self, jetstream: JetStreamContext, consumer: Consumer) -> None:
        """Make the consumer if it is not there, and note its place for the case that somebody deletes it."""
        created = (await jetstream.stream_info(consumer.stream)).created
        try:
            info = await jetstream.consumer_info(consumer.stream, consumer.durable)
        except NotFoundError:
            config = self._config(consumer, created)
            log.info("events.consumer_made", durable=consumer.durable, begins=config.deliver_policy)
            info = await jetstream.add_consumer(consumer.stream, config)
        if info.ack_floor is not None:
            self._places[consumer.durable] = created, info.ack_floor.stream_seq

    def _config(self, consumer: Consumer, created: datetime | None) -> ConsumerConfig:
        config = consumer.config()
        config.deliver_policy = self._policy
        if consumer.durable in self._places:
            of_stream, place = self._places[consumer.durable]
            # The numbers of a stream that is gone mean nothing in the next one.
            is_same = of_stream == created
            config.deliver_policy = DeliverPolicy.BY_START_SEQUENCE if is_same else DeliverPolicy.ALL
            config.opt_start_seq = place + 1 if is_same else None
        return config

    async def _handle_all(self, subscriber: PullStreamSubscriber, messages: Sequence[Msg]) -> None:
        await asyncio.gather(*(self._handle(subscriber, message) for message in messages))

    async def _handle(self, subscriber: PullStreamSubscriber, message: Msg) -> None:
        at = message.metadata
        about = {"durable": at.consumer, "stream_seq": at.sequence.stream, "deliveries": at.num_delivered}
        working = asyncio.create_task(_keep_telling(message))
        try:
            if at.num_delivered >= MAX_DELIVERIES:
                raise UnhandledError(f"given up after {at.num_delivered} deliveries")
            await subscriber.process_message(message)
            await message.ack()
        except (UnhandledError, RejectMessage) as error:
            log.error("events.given_up", **about, error=str(error))
            await message.term()
        except Exception:
            log.exception("events.handler_failed", **about)
            await give_back(message)
        finally:
            working.cancel()


def _check_parameters(subscriber: PullStreamSubscriber, event: type[Event]) -> None:
    dependant = subscriber.calls[0].dependant
    asked = [parameter.field_type for parameter in dependant.flat_params] if dependant else []
    if len(asked) != 1 or event not in (asked[0], *get_args(asked[0])):
        name = subscriber.calls.name
        raise TypeError(f"{name} must ask for {event.__name__}, and else only for what FastStream gives")


async def _keep_telling(message: Msg) -> None:
    """Tell the server that a slow handler still works: it would deliver the event again after a minute."""
    with suppress(NatsError):
        while True:
            await asyncio.sleep(STILL_WORKING_EVERY_S)
            await message.in_progress()


async def _log_error(error: Exception) -> None:
    log.warning("nats.error", error=type(error).__name__)
