"""The life of leased work in the service that owns it: claimed, kept, failed, released, forgotten, reaped."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID

import structlog
from pydantic import ValidationError
from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.errors import ConflictError, NotFoundError
from slm_shared.jobs import leases
from slm_shared.jobs.leases import LeaseColumns
from slm_shared.jobs.protocol import Claim, Failure, FailureReport, Fenced, Forget, Grant, Heartbeat, HeartbeatAnswer

R = TypeVar("R", bound=LeaseColumns)
C = TypeVar("C", bound=Claim)
G = TypeVar("G", bound=Grant)
D = TypeVar("D", bound=Fenced)

log = structlog.get_logger()

UNREADABLE = Failure(code="not_readable", message="What is stored about this work cannot be read.", blame="system")
WORKER_LOST = Failure(code="worker_lost", message="The worker stopped answering.", blame="infra", retry=True)


class LeaseLostError(ConflictError):
    """The writer's lease is not the newest one, or has ended."""

    code = "lease_lost"


@dataclass(frozen=True)
class Queue(Generic[R]):
    """The rows of one table that a claim may take (`where`), which of them first, and what claiming changes."""

    row: type[R]
    where: ColumnElement[bool]
    order_by: Sequence[ColumnElement[Any]]
    values: Mapping[str, Any]


class LeasedWork(ABC, Generic[R, C, G, D]):
    """The leased work of a service, in one table or several.

    `working` has, for each table, which of its rows a worker works on. A service subclasses this, adds what is its own
    (the abstract methods), and hands it to `routes.lease_routes` and to `reaper.Reaper`. Every method but `complete`
    works in the caller's transaction. All that take an id lock the row and raise NotFoundError for work that never was
    and LeaseLostError for a lease that is not held any more.
    """

    lost: ClassVar[Failure] = WORKER_LOST

    def __init__(self, working: Mapping[type[R], ColumnElement[bool]], *, lease_ttl_s: float) -> None:
        self._working = working
        self.lease_ttl_s = lease_ttl_s

    @abstractmethod
    def missing(self) -> NotFoundError:
        """The error for an id that no row has."""

    @abstractmethod
    def queues(self, claim: C) -> Sequence[Queue[R]]:
        """What this claim may take; an earlier queue goes first."""

    @abstractmethod
    async def grant(self, session: AsyncSession, row: R) -> G:
        """What the worker needs to know. Also called again when a claim is repeated."""

    @abstractmethod
    async def end_badly(self, session: AsyncSession, row: R, failure: Failure) -> None:
        """An attempt failed: end the lease, and queue the work again or end it. `failure` is `lost` for a worker that
        stopped answering."""

    @abstractmethod
    async def give_back(self, session: AsyncSession, row: R) -> None:
        """The worker let go of unfinished work: end the lease, and queue the work again or end what was cancelled."""

    @abstractmethod
    async def kept(self, session: AsyncSession, row: R, beat: Heartbeat) -> HeartbeatAnswer:
        """The lease was renewed: note the progress and say what the worker should do."""

    @abstractmethod
    async def complete(self, work_id: UUID, completion: D) -> None:
        """Take the result. Opens its own transactions, for what was stored may have to be read back between them."""

    async def started(self, session: AsyncSession, row: R) -> None:
        """The worker has begun. It may say so twice."""

    async def claim(self, session: AsyncSession, claim: C) -> G | None:
        """Lease the next work to a worker, or None."""
        row = await self._claimed(session, claim)
        if row is None:
            return None
        try:
            return (await self.grant(session, row)).model_copy(update={"traceparent": row.traceparent})
        except ValidationError:
            # A row that cannot be read ends here; it would come first again and again, and nothing behind it be done.
            log.exception("lease.not_readable", table=type(row).__name__, id=str(row.id))
            await self.end_badly(session, row, UNREADABLE)
            return None

    async def _claimed(self, session: AsyncSession, claim: C) -> R | None:
        queues = self.queues(claim)
        # A later queue may have granted this claim before, and an earlier one have work by now.
        for queue in queues[1:]:
            if (again := await leases.granted(session, queue.row, claim.claim_id)) is not None:
                return again
        for queue in queues:
            row = await leases.claim(
                session,
                queue.row,
                where=queue.where,
                order_by=queue.order_by,
                worker=claim.worker,
                claim_id=claim.claim_id,
                ttl_s=self.lease_ttl_s,
                values=queue.values,
            )
            if row is not None:
                return row
        return None

    async def held(self, session: AsyncSession, work_id: UUID, epoch: int) -> R:
        """The row under this lease, locked."""
        for kind in self._working:
            if (row := await leases.held_row(session, kind, work_id, epoch)) is not None:
                return row
        # A list: `any` takes no asynchronous generator.
        if not any([await session.get(kind, work_id) for kind in self._working]):
            raise self.missing()
        raise LeaseLostError("The lease is not held any more.")

    async def start(self, session: AsyncSession, work_id: UUID, report: Fenced) -> None:
        """The worker has begun."""
        await self.started(session, await self.held(session, work_id, report.epoch))

    async def heartbeat(self, session: AsyncSession, work_id: UUID, beat: Heartbeat) -> HeartbeatAnswer:
        """Renew the lease; the answer may ask the worker to stop."""
        row = await self.held(session, work_id, beat.epoch)
        await leases.renew(session, type(row), work_id, epoch=beat.epoch, ttl_s=self.lease_ttl_s)
        return await self.kept(session, row, beat)

    async def fail(self, session: AsyncSession, work_id: UUID, report: FailureReport) -> None:
        """The attempt ended without a result."""
        await self.end_badly(session, await self.held(session, work_id, report.epoch), report)

    async def release(self, session: AsyncSession, work_id: UUID, report: Fenced) -> None:
        """The worker gives unfinished work back; that is no failure."""
        await self.give_back(session, await self.held(session, work_id, report.epoch))

    async def forget(self, session: AsyncSession, forget: Forget) -> None:
        """A worker has restarted: what it held is lost at once, not only when its leases run out."""
        for kind in self._working:
            for row in await leases.held_by(session, kind, worker=forget.worker):
                await self.end_badly(session, row, self.lost)

    async def reap(self, session: AsyncSession) -> int:
        """End every lease that ran out; returns how many."""
        rows = [
            row for kind, working in self._working.items() for row in await leases.expired(session, kind, where=working)
        ]
        for row in rows:
            await self.end_badly(session, row, self.lost)
        return len(rows)
