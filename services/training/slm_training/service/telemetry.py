"""Stores the metric points and log lines that trainers send."""

import asyncio

import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from pydantic import ValidationError

from slm_shared.delivery.broker import Broker
from slm_shared.errors import UnavailableError
from slm_shared.events.catalogue import TelemetryBatch
from slm_shared.events.topology import TELEMETRY
from slm_shared.storage.database import Database
from slm_training import store

log = structlog.get_logger()

DURABLE = "training-telemetry"
BATCH = 50
FETCH_TIMEOUT_S = 5.0
RETRY_S = 1.0


class TelemetryIntake:
    """Consumes the telemetry stream: many batches in one transaction, acknowledged after its commit.

    A batch that arrives twice is stored once; one that cannot be read is dropped, with a line in the log.
    """

    name = "telemetry"

    def __init__(self, database: Database, broker: Broker) -> None:
        self._database = database
        self._broker = broker
        self._problem: str | None = "is not subscribed yet"

    def problem(self) -> str | None:
        """None while the stream is consumed."""
        return self._problem

    async def run(self) -> None:
        """Store what arrives until cancelled."""
        while True:
            try:
                jetstream = await self._broker.jetstream()
                await jetstream.consumer_info(TELEMETRY, DURABLE)
                pull = await jetstream.pull_subscribe_bind(durable=DURABLE, stream=TELEMETRY)
                self._problem = None
                while True:
                    try:
                        messages = await pull.fetch(BATCH, timeout=FETCH_TIMEOUT_S)
                    except TimeoutError:  # of nats or of asyncio, depending on where in the client it ran out
                        continue
                    await self._store(messages)
            except (NatsError, UnavailableError, OSError, TimeoutError) as error:
                self._problem = "lost its consumer or its database"
                log.warning("telemetry.retrying", error=type(error).__name__)
                await asyncio.sleep(RETRY_S)

    async def _store(self, messages: list[Msg]) -> None:
        batches = [batch for batch in map(_read, messages) if batch is not None]
        async with self._database.transaction() as session:
            await store.add_telemetry(session, batches)
        await asyncio.gather(*(message.ack() for message in messages))


def _read(message: Msg) -> TelemetryBatch | None:
    try:
        return TelemetryBatch.model_validate_json(message.data)
    except ValidationError:
        log.warning("telemetry.unreadable", subject=message.subject)
        return None
