"""Metric points and log lines of one attempt: to a file first, to NATS behind it.

Training never waits for NATS. What could not be published stays in the spool file and goes out when NATS is back, in
order, each batch under its own message id so that a repeated publish is dropped by the stream. What an attempt leaves
in its spool at its end, however it ended, the worker replays.
"""

import asyncio
import contextlib
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from uuid import UUID

import structlog
from nats.errors import Error as NatsError
from pydantic import BaseModel, ValidationError

from slm_shared.delivery.broker import Broker
from slm_shared.events.catalogue import LogLine, MetricPoint, TelemetryBatch, telemetry_subject
from slm_shared.events.cloudevents import MESSAGE_ID
from slm_shared.events.topology import TELEMETRY

log = structlog.get_logger()

SPOOL = "telemetry.jsonl"
SENT = "telemetry.sent"
FLUSH_INTERVAL_S = 0.3
PUBLISH_TIMEOUT_S = 5.0
RETRY_DELAY_S = 1.0
REMAINING_TIMEOUT_S = 5.0
# With a quarter of that in lines of full length a batch stays below the 1 MB of a NATS message.
MAX_ENTRIES_PER_BATCH = 1000
MAX_LINE_CHARACTERS = 2000


class Telemetry:
    """Publishes what one attempt measures. Use it as an async context manager around the attempt."""

    def __init__(self, broker: Broker, *, experiment_id: UUID, epoch: int, spool: Path) -> None:
        self._broker = broker
        self._experiment_id = experiment_id
        self._epoch = epoch
        self._spool = spool
        self._points: list[MetricPoint] = []
        self._lines: list[LogLine] = []
        self._batches = 0
        self._published = 0
        self._changed = asyncio.Condition()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Telemetry":
        self._spool.parent.mkdir(parents=True, exist_ok=True)
        self._spool.write_bytes(b"")
        self._tasks = [asyncio.create_task(self._flush_often()), asyncio.create_task(self._publish_all())]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)

    def points(self, step: int, values: Mapping[str, float | None], *, time: datetime) -> None:
        """Note values of several series at one step."""
        self._points += [MetricPoint(step=step, name=name, value=value, time=time) for name, value in values.items()]

    def line(self, message: str, *, level: str = "info", time: datetime) -> None:
        """Note one log line; a very long one is cut."""
        self._lines.append(LogLine(time=time, level=level, message=message[:MAX_LINE_CHARACTERS]))

    async def publish_remaining(self) -> None:
        """Publish what is there, but wait for NATS a few seconds at most."""
        await self._flush()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REMAINING_TIMEOUT_S), self._changed:
                await self._changed.wait_for(lambda: self._published == self._batches)
        if self._published < self._batches:
            log.warning("telemetry.left_in_spool", batches=self._batches - self._published, spool=str(self._spool))
        else:
            self._spool.with_name(SENT).touch()

    async def _flush_often(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_INTERVAL_S)
            await self._flush()

    async def _flush(self) -> None:
        """Move what was noted into the spool, as batches."""
        async with self._changed:
            while self._points or self._lines:
                batch = TelemetryBatch(
                    experiment_id=self._experiment_id,
                    epoch=self._epoch,
                    batch=self._batches,
                    points=self._points[:MAX_ENTRIES_PER_BATCH],
                    lines=self._lines[: MAX_ENTRIES_PER_BATCH // 4],
                )
                del self._points[:MAX_ENTRIES_PER_BATCH], self._lines[: MAX_ENTRIES_PER_BATCH // 4]
                with self._spool.open("ab") as spool:
                    spool.write(batch.model_dump_json().encode() + b"\n")
                self._batches += 1
            self._changed.notify_all()

    async def _publish_all(self) -> None:
        """Publish the spool from its beginning, following it as it grows."""
        with self._spool.open("rb") as spool:
            while True:
                async with self._changed:
                    await self._changed.wait_for(lambda: self._published < self._batches)
                key = _Key(experiment_id=self._experiment_id, epoch=self._epoch, batch=self._published)
                await _publish(self._broker, key, spool.readline().rstrip(b"\n"))
                async with self._changed:
                    self._published += 1
                    self._changed.notify_all()


class _Key(BaseModel):
    """What names a batch."""

    experiment_id: UUID
    epoch: int
    batch: int


async def _publish(broker: Broker, key: _Key, payload: bytes) -> None:
    headers = {MESSAGE_ID: f"{key.experiment_id}-{key.epoch}-{key.batch}"}
    subject = telemetry_subject(key.experiment_id)
    while True:
        try:
            jetstream = await broker.jetstream()
            await jetstream.publish(subject, payload, PUBLISH_TIMEOUT_S, TELEMETRY, headers)
            return
        except (NatsError, OSError, TimeoutError) as error:
            log.warning("telemetry.not_published", error=type(error).__name__)
            await asyncio.sleep(RETRY_DELAY_S)


async def replay(broker: Broker, jobs: Path) -> None:
    """Publish what earlier attempts left in their spools below `jobs`; what has arrived before is dropped there."""
    for spool in _unsent(jobs):
        for line in spool.read_bytes().splitlines():
            try:
                key = _Key.model_validate_json(line)
            except ValidationError:
                log.warning("telemetry.torn_line", spool=str(spool))  # the process died while it wrote the last one
                continue
            await _publish(broker, key, line)
        spool.with_name(SENT).touch()


def _unsent(jobs: Path) -> list[Path]:
    return [spool for spool in sorted(jobs.glob(f"*/{SPOOL}")) if not spool.with_name(SENT).exists()]


def prune(jobs: Path, *, keep: int) -> None:
    """Remove all but the newest job folders; of those whose spool is not sent, everything but the spool."""
    folders = sorted(jobs.glob("*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for folder in folders[keep:]:
        if (folder / SENT).exists() or not (folder / SPOOL).exists():
            shutil.rmtree(folder, ignore_errors=True)
            continue
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name != SPOOL:
                path.unlink()
