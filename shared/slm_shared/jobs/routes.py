"""The lease routes of a service: the service's end of `protocol`. Workers reach them directly, not over the gateway."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar
from uuid import UUID

from fastapi import APIRouter, Response
from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.http.access import Worker
from slm_shared.http.routing import WriteSession, router
from slm_shared.jobs.protocol import Claim, FailureReport, Fenced, Forget, Grant, Heartbeat, HeartbeatAnswer

C = TypeVar("C", bound=Claim, contravariant=True)
D = TypeVar("D", bound=Fenced, contravariant=True)
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


class LeaseService(Protocol[C, D]):
    """What a service does about its leased work; `lifecycle.LeasedWork` is most of it for work in one table."""

    async def claim(self, session: AsyncSession, claim: C) -> Grant | None:
        """Lease the next work, or None."""

    async def forget(self, session: AsyncSession, forget: Forget) -> None:
        """Free what a restarted worker held."""

    async def start(self, session: AsyncSession, work_id: UUID, report: Fenced) -> None:
        """The work has begun."""

    async def heartbeat(self, session: AsyncSession, work_id: UUID, beat: Heartbeat) -> HeartbeatAnswer:
        """Keep the lease."""

    async def complete(self, work_id: UUID, completion: D) -> None:
        """Take the result. Opens its own transactions: what was stored may have to be read back between them."""

    async def fail(self, session: AsyncSession, work_id: UUID, report: FailureReport) -> None:
        """The attempt ended without a result."""

    async def release(self, session: AsyncSession, work_id: UUID, report: Fenced) -> None:
        """The work is given back unfinished."""


def lease_routes(path: str, service: LeaseService[Any, Any], *, claims: Any, completions: Any) -> APIRouter:
    """The routes below `path`, e.g. `/api/leases`; `claims` and `completions` are the service's own body types."""
    routes = router(tags=["leases"])
    _add_claiming(routes, path, service, claims)
    _add_reports(routes, f"{path}/{{work_id}}", service, completions)
    return routes


def _add_claiming(routes: APIRouter, path: str, service: LeaseService[Any, Any], claims: Any) -> None:
    @routes.post(f"{path}:claim", response_model=None)
    @_reading(claims)
    async def claim(body: Any, _: Worker, session: WriteSession) -> Response:
        """Lease the next work; 204 when there is none."""
        grant = await service.claim(session, body)
        if grant is None:
            return Response(status_code=204)
        # Only what was set: what the work leaves to the defaults of the worker stays so.
        return Response(grant.model_dump_json(exclude_unset=True), media_type="application/json")

    @routes.post(f"{path}:forget", status_code=204)
    async def forget(body: Forget, _: Worker, session: WriteSession) -> None:
        """A worker has restarted: free what it held."""
        await service.forget(session, body)


def _add_reports(routes: APIRouter, path: str, service: LeaseService[Any, Any], completions: Any) -> None:
    @routes.post(f"{path}:start", status_code=204)
    async def start(work_id: UUID, body: Fenced, _: Worker, session: WriteSession) -> None:
        """The work has begun."""
        await service.start(session, work_id, body)

    @routes.post(f"{path}:heartbeat")
    async def heartbeat(work_id: UUID, body: Heartbeat, _: Worker, session: WriteSession) -> HeartbeatAnswer:
        """Keep the lease and hear whether to stop."""
        return await service.heartbeat(session, work_id, body)

    @routes.post(f"{path}:complete", status_code=204)
    @_reading(completions)
    async def complete(work_id: UUID, body: Any, _: Worker) -> None:
        """The work is done and its result is stored."""
        await service.complete(work_id, body)

    @routes.post(f"{path}:fail", status_code=204)
    async def fail(work_id: UUID, body: FailureReport, _: Worker, session: WriteSession) -> None:
        """The attempt ended without a result."""
        await service.fail(session, work_id, body)

    @routes.post(f"{path}:release", status_code=204)
    async def release(work_id: UUID, body: Fenced, _: Worker, session: WriteSession) -> None:
        """The work is given back unfinished."""
        await service.release(session, work_id, body)


def _reading(kind: Any) -> Callable[[Endpoint], Endpoint]:
    """Have FastAPI read the body as `kind`. It looks at annotations, and none can name a type that is a variable."""

    def annotate(endpoint: Endpoint) -> Endpoint:
        endpoint.__annotations__["body"] = kind
        return endpoint

    return annotate
