"""Stores the metric points and log lines that trainers send."""

import asyncio
from collections.abc import Sequence

import structlog
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from pydantic import ValidationError

from slm_shared.delivery.broker import Broker
from slm_shared.delivery.pulling import PullLoop, check_consumer
from slm_shared.events.catalogue import TelemetryBatch
from slm_shared.events.topology import Consumer, consumer_named
from slm_shared.storage.database import Database
from slm_training import store

log = structlog.get_logger()

DURABLE = "training-telemetry"
# Messages per transaction: beyond that a commit costs no less per message.
BATCH = 50


class TelemetryIntake:
    """Consumes the telemetry stream: many batches in one transaction, acknowledged after its commit.

    A batch that arrives twice is stored once; one that cannot be read is dropped, with a line in the log.
    """

    name = "telemetry"

    def __init__(self, database: Database, broker: Broker) -> None:
        self._database = database
        self._loop = PullLoop(
            consumer_named(DURABLE), jetstream=broker.jetstream, handle=self._store, check=self._check, batch=BATCH
        )

    def problem(self) -> str | None:
        """None while the stream is consumed."""
        return self._loop.problem()

    async def run(self) -> None:
        """Store what arrives until cancelled."""
        await self._loop.run()

    async def _check(self, jetstream: JetStreamContext, consumer: Consumer) -> None:
        """Without the database nothing is fetched: each delivery counts, and a few are all that a batch gets."""
        await check_consumer(jetstream, consumer)
        await self._database.ping()

    async def _store(self, messages: Sequence[Msg]) -> None:
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
