"""Sends facts to an OpenLineage backend, each at least once; off unless a transport is configured."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import structlog
from anyio import to_thread
from openlineage.client import OpenLineageClient

from slm_registry import store
from slm_registry.service.openlineage import run_events
from slm_registry.tables import FactRow
from slm_shared.errors import UnavailableError
from slm_shared.storage.database import Database

log = structlog.get_logger()

BATCH = 50
# Longer than a batch takes: what may still be under way when the time is over is one fact with all its retries.
CLAIM_TTL = timedelta(minutes=5)
EMIT_FOR_S = 60.0
POLL_S = 2.0
RETRY_S = 10.0


class OpenLineageEmitter:
    """Emits facts in their order, and marks them once the transport has taken them.

    `transport` is the configuration of the library, e.g. `{"type": "http", "url": "http://marquez:5000"}`.
    """

    name = "openlineage"

    def __init__(self, database: Database, transport: Mapping[str, Any]) -> None:
        self._database = database
        self._client = OpenLineageClient(config={"transport": dict(transport)})

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
        """Emit the oldest facts that were not; returns how many the backend has taken.

        Whoever emits holds a claim meanwhile, not a transaction: a backend may take its time. The claim of a process
        that died expires, and what it had not marked is emitted again. Raises what the transport raises.
        """
        async with self._database.transaction() as session:
            claim = await store.claim_emission(session, ttl=CLAIM_TTL)
            rows = await store.unemitted_facts(session, limit=BATCH) if claim else []
        if claim is None:
            return 0
        taken: list[int] = []
        try:
            await to_thread.run_sync(self._emit, rows, taken)
        finally:
            async with self._database.transaction() as session:
                await store.mark_emitted(session, taken, claim=claim)
        return len(taken)

    def _emit(self, rows: Sequence[FactRow], taken: list[int]) -> None:
        """Emit facts, noting in `taken` which the backend has, until too little time is left of the claim."""
        begun = time.monotonic()
        for row in rows:
            for event in run_events(row.subject, row.body, row.at):
                self._client.emit(event)
            taken.append(row.seq)
            if time.monotonic() - begun > EMIT_FOR_S:
                break
