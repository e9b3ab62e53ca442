"""The work queue: rows are leased, served in a folder of their own, several side by side, and tried three times."""

import asyncio
import contextlib
import tempfile
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import structlog

from slm_datasets import store
from slm_datasets.background.children import TaskFailedError
from slm_datasets.background.loop import WorkLoop
from slm_datasets.domain.states import MAX_ATTEMPTS
from slm_datasets.schemas import Problem, ProblemLog, Progress
from slm_datasets.settings import DatasetsSettings
from slm_datasets.tables import QueuedRow
from slm_shared.errors import UnavailableError, is_disk_full
from slm_shared.observability.tracing import working
from slm_shared.storage.database import Database
from slm_shared.storage.ids import new_id

log = structlog.get_logger()

R = TypeVar("R", bound=QueuedRow)
DISK_FULL = Problem(
    code="disk_full",
    message="The disk of the datasets service is full.",
    hint="Make room there, then retry it: the upload is kept.",
)
UNEXPECTED = Problem(
    code="internal_error",
    message="Processing failed unexpectedly.",
    hint="Try it again. If it fails again, look into the log of the datasets service.",
)


class Work(Protocol[R]):
    """What a queue does with its rows."""

    name: str
    kind: type[R]

    async def do(self, row: R, folder: Path) -> None:
        """Do the work of one row and commit the result. Raises TaskFailedError."""

    async def fail(self, row: R, problem: Problem, problems: ProblemLog | None) -> None:
        """Commit that the work of a row ended without a result."""


class WorkQueue(Generic[R]):
    """Serves the rows of one kind, `workers` at a time; any number of services may do so side by side."""

    def __init__(self, database: Database, work: Work[R], settings: DatasetsSettings, *, workers: int) -> None:
        self.name = work.name
        self._database, self._work, self._settings, self._workers = database, work, settings, workers
        self._worker = f"datasets-{new_id()}"
        self._loop = WorkLoop(self._claim, self._serve, poll_s=settings.poll_s)
        database.on_commit.append(self._loop.wake)

    def problem(self) -> str | None:
        """Requests are answered whether or not anything is worked on at the moment."""
        return None

    async def run(self) -> None:
        """Serve until cancelled."""
        await self._loop.run(workers=self._workers)

    async def _claim(self) -> R | None:
        async with self._database.transaction() as session:
            return await store.claim(session, self._work.kind, worker=self._worker, ttl_s=self._settings.lease_ttl_s)

    async def _serve(self, row: R) -> None:
        with working(str(row.id), epoch=row.epoch, traceparent=row.traceparent):
            await self._attempt(row)

    async def _attempt(self, row: R) -> None:
        hold = asyncio.create_task(self._hold(row))
        try:
            with tempfile.TemporaryDirectory(prefix=f"slm-{self.name}-") as folder:
                await self._work.do(row, Path(folder))
        except asyncio.CancelledError:
            # The service stops: another one need not wait for the lease to run out.
            await self._release(row)
            raise
        except UnavailableError:
            # Nothing can be committed now. The lease runs out, and then the row is claimed again.
            raise
        except Exception as error:  # noqa: BLE001  an unexpected error has to end the work too, not only the attempt
            failure = _failure_of(error, row)
            if failure.retry and row.attempt < MAX_ATTEMPTS:
                await self._release(row)
            else:
                await self._work.fail(row, failure.problem, failure.problems)
        finally:
            hold.cancel()

    async def _hold(self, row: R) -> None:
        """Renew the lease until cancelled; in an outage of the database go on, the fence decides in the end."""
        while True:
            # Three renewals may fail before the lease is lost.
            await asyncio.sleep(self._settings.lease_ttl_s / 4)
            with contextlib.suppress(UnavailableError):
                async with self._database.transaction() as session:
                    await store.renew(session, row, ttl_s=self._settings.lease_ttl_s)

    async def _release(self, row: R) -> None:
        async with self._database.transaction() as session:
            await store.release(session, row)


def _failure_of(error: Exception, row: QueuedRow) -> TaskFailedError:
    if isinstance(error, TaskFailedError):
        return error
    if is_disk_full(error):
        return TaskFailedError(DISK_FULL, retry=True)
    log.error("dataset.work_failed", row_id=str(row.id), exc_info=error)
    return TaskFailedError(UNEXPECTED, retry=True)


async def note_progress(database: Database, row: QueuedRow, progress: Progress) -> None:
    """Store how far the work of a row got."""
    async with database.transaction() as session:
        await store.note_progress(session, row, progress.model_dump())
