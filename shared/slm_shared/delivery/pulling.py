"""The loop that pulls messages from one durable consumer, and says why when it cannot.

It takes the place of FastStream's own loop, which hides a deleted consumer and a closed connection and then asks again
without a pause (ADR 0008).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext

from slm_shared.background import is_wanted
from slm_shared.errors import UnavailableError
from slm_shared.events.topology import Consumer

log = structlog.get_logger()

BATCH = 4
FETCH_TIMEOUT_S = 5.0
CHECK_EVERY_S = 20.0
RETRY_DELAYS_S = (1, 5, 30, 120, 600, 1800, 3600)
# The first and one after each delay; the last comes 1.7 hours after the first.
MAX_DELIVERIES = len(RETRY_DELAYS_S) + 1
REBIND_DELAY_S = 0.5
# Less than `background.CANCEL_AGAIN_S`: the second cancellation must not meet a handler that still works.
DRAIN_TIMEOUT_S = 10.0

Check = Callable[[JetStreamContext, Consumer], Awaitable[None]]


class ConsumerDiffersError(Exception):
    """The server has the consumer with another setting."""


async def check_consumer(jetstream: JetStreamContext, consumer: Consumer) -> None:
    """Raise ConsumerDiffersError unless the server's consumer is the one that the migration makes."""
    info = await jetstream.consumer_info(consumer.stream, consumer.durable)
    if difference := consumer.differs(info.config):
        raise ConsumerDiffersError(f"another {difference} than this version needs")


async def give_back(message: Msg) -> None:
    """Have a message delivered again after a pause that grows with its deliveries.

    A negative acknowledgement without a delay is answered at once: a minute's outage would use up every delivery.
    """
    deliveries = message.metadata.num_delivered
    await message.nak(delay=RETRY_DELAYS_S[min(deliveries, len(RETRY_DELAYS_S)) - 1])


class PullLoop:
    """One durable consumer.

    `handle` gets what was fetched at once, up to `batch` messages, and answers the server for each of them. `check`
    raises what is wrong with the consumer, or UnavailableError for what `handle` needs.
    """

    def __init__(
        self,
        consumer: Consumer,
        *,
        jetstream: Callable[[], Awaitable[JetStreamContext]],
        handle: Callable[[Sequence[Msg]], Awaitable[object]],
        check: Check = check_consumer,
        batch: int = BATCH,
    ) -> None:
        self.name = consumer.durable
        self._consumer = consumer
        self._problem: str | None = "is not subscribed yet"
        self._jetstream = jetstream
        self._handle = handle
        self._check = check
        self._batch = batch

    def problem(self) -> str | None:
        """None while the consumer is subscribed."""
        return self._problem

    async def run(self) -> None:
        """Pull until cancelled; messages in flight are given time to be handled."""
        while is_wanted():
            try:
                await self._fetch_and_handle(await self._jetstream())
            except ConsumerDiffersError as error:
                self._problem = f"has {error}; run the migration"
                await asyncio.sleep(REBIND_DELAY_S)
            except UnavailableError as error:
                self._problem = f"waits: {error.message}"
                await asyncio.sleep(REBIND_DELAY_S)
            except (NatsError, OSError, TimeoutError) as error:
                self._problem = "lost its consumer"
                log.warning("pulling.consumer_lost", durable=self.name, error=type(error).__name__)
                await asyncio.sleep(REBIND_DELAY_S)

    async def _fetch_and_handle(self, jetstream: JetStreamContext) -> None:
        await self._check(jetstream, self._consumer)
        pull = await jetstream.pull_subscribe_bind(durable=self._consumer.durable, stream=self._consumer.stream)
        self._problem = None
        loop = asyncio.get_running_loop()
        checked_at = loop.time()
        try:
            while is_wanted():
                if loop.time() - checked_at > CHECK_EVERY_S:
                    # A deleted consumer looks like one without messages.
                    await self._check(jetstream, self._consumer)
                    checked_at = loop.time()
                try:
                    messages = await pull.fetch(self._batch, timeout=FETCH_TIMEOUT_S)
                except TimeoutError:  # of nats or of asyncio, depending on where in the client it ran out
                    continue
                await self._finish(asyncio.ensure_future(self._handle(messages)))
        finally:
            # Also without a connection: a new one would subscribe again to an inbox that nobody reads, and what the
            # server delivers there comes again only after `ack_wait`.
            with suppress(NatsError):
                await pull.unsubscribe()

    async def _finish(self, handling: "asyncio.Future[object]") -> None:
        try:
            await asyncio.shield(handling)
        except asyncio.CancelledError:
            await asyncio.wait([handling], timeout=DRAIN_TIMEOUT_S)
            handling.cancel()
            raise
