"""Tells an OpenLineage backend what happened, each fact at least once; off unless a transport is configured."""

import asyncio
from typing import Any

import structlog
from anyio import to_thread
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import RunEvent

from slm_registry.service.openlineage import run_events
from slm_registry.store import journal
from slm_shared.errors import UnavailableError
from slm_shared.storage.database import Database

log = structlog.get_logger()

BATCH = 50
POLL_S = 2.0
RETRY_S = 10.0


class OpenLineageEmitter:
    """Emits facts in their order, and marks them once the transport has taken them.

    `transport` is the configuration of the library, e.g. `{"type": "http", "url": "http://marquez:5000"}`.
    """

    name = "openlineage"

    def __init__(self, database: Database, transport: dict[str, Any]) -> None:
        self._database = database
        self._client = OpenLineageClient(config={"transport": transport})

    def problem(self) -> str | None:
        """Never one: a backend that is away delays its view and nothing else."""
        return None

    async def run(self) -> None:
        """Emit until cancelled."""
        while True:
            try:
                pause_s = 0.0 if await self.emit_some() == BATCH else POLL_S
            except UnavailableError:
                pause_s = RETRY_S
            except Exception:  # the edge of a stranger's transport, whose errors are of many kinds
                log.exception("openlineage.not_taken")
                pause_s = RETRY_S
            await asyncio.sleep(pause_s)

    async def emit_some(self) -> int:
        """Emit the oldest facts that were not; returns how many facts were dealt with."""
        async with self._database.transaction() as session:
            rows = await journal.take_unemitted(session, limit=BATCH)
            events = [event for row in rows for event in run_events(row.subject, row.body, row.at)]
            await to_thread.run_sync(self._emit, events)
            await journal.mark_emitted(session, [row.seq for row in rows])
        return len(rows)

    def _emit(self, events: list[RunEvent]) -> None:
        for event in events:
            self._client.emit(event)
