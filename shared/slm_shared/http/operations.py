"""What an operator asks of every service: is anything stuck, what was given up, who did what.

Each service serves the same routes below `/api/operations/<service>`.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from sqlalchemy import func, select

from slm_shared.delivery import dead_letters, inbox
from slm_shared.delivery.dead_letters import DeadLetter, DeadLetterNotFoundError
from slm_shared.http.access import Admin, Viewer
from slm_shared.http.paging import DEFAULT_LIMIT, MAX_LIMIT
from slm_shared.http.provided import Service, provided
from slm_shared.http.requests import Body
from slm_shared.http.routing import ReadSession, WriteSession, router
from slm_shared.storage import audit
from slm_shared.storage.audit import AuditEntry
from slm_shared.storage.database import outbox_table

MAX_EVENT_IDS = 1000
OwnService = Annotated[Service, provided(Service)]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT)]


class Health(BaseModel):
    """Whether anything waits; `problems` are those of `/readyz`, the times are the oldest one's."""

    service: str
    unpublished_events: int
    oldest_unpublished_at: datetime | None
    dead_letters: int
    problems: dict[str, str]


class AuditChain(BaseModel):
    """`first_broken` is the number of the first audit row that is not as it was written, or null."""

    is_whole: bool
    first_broken: int | None


class HandledQuestion(Body):
    """Which of these events has a consumer not handled?"""

    consumer: Annotated[str, Field(min_length=1, max_length=200)]
    event_ids: Annotated[list[UUID], Field(max_length=MAX_EVENT_IDS)]


class HandledAnswer(BaseModel):
    """Those that it has neither handled nor given up."""

    missing: list[UUID]


async def show_operations(service: OwnService, _: Viewer, session: ReadSession) -> Health:
    """Whether anything waits or was given up."""
    waiting = select(func.count(), func.min(outbox_table.c.created_at)).where(outbox_table.c.published_at.is_(None))
    count, oldest = (await session.execute(waiting)).one()
    return Health(
        service=service.name,
        unpublished_events=count,
        oldest_unpublished_at=oldest,
        dead_letters=await dead_letters.count(session),
        problems={task.name: problem for task in service.background if (problem := task.problem())},
    )


async def list_dead_letters(_: Admin, session: ReadSession, limit: Limit = DEFAULT_LIMIT) -> list[DeadLetter]:
    """Messages that could not be handled, newest first."""
    return list(await dead_letters.list_all(session, limit=limit))


async def redrive(consumer: str, event_id: str, service: OwnService, principal: Admin, session: WriteSession) -> None:
    """Handle a dead letter again; it is kept when that fails once more."""
    if service.bus is None:
        raise DeadLetterNotFoundError("There is no such dead letter.")
    await service.bus.redrive(session, consumer, event_id)
    await audit.append(session, "dead_letter.redriven", actor=principal.subject, object_id=event_id)


async def discard(consumer: str, event_id: str, principal: Admin, session: WriteSession) -> None:
    """Give a dead letter up for good."""
    letter = await dead_letters.find(session, consumer, event_id)
    await dead_letters.remove(session, consumer, event_id)
    facts = {"consumer": consumer, "subject": letter.subject, "error": letter.error}
    await audit.append(session, "dead_letter.discarded", actor=principal.subject, object_id=event_id, **facts)


async def list_audit(
    _: Admin,
    session: ReadSession,
    before: Annotated[int | None, Query(ge=1, lt=2**63, description="Entries before this `seq`.")] = None,
    limit: Limit = DEFAULT_LIMIT,
) -> list[AuditEntry]:
    """Who did what, newest first."""
    return list(await audit.entries(session, before=before, limit=limit))


async def verify_audit(_: Admin, session: ReadSession) -> AuditChain:
    """Whether the audit log is as it was written."""
    broken = await audit.first_broken(session)
    return AuditChain(is_whole=broken is None, first_broken=broken)


async def list_missing(body: HandledQuestion, _: Viewer, session: ReadSession) -> HandledAnswer:
    """Which events a consumer has not handled; asked by their owner, who then publishes them again."""
    return HandledAnswer(missing=await inbox.missing(session, body.consumer, body.event_ids))


def operations_router(service: str) -> APIRouter:
    """The routes of one service."""
    routes = router(tags=["operations"], prefix=f"/api/operations/{service}")
    letter = "/dead-letters/{consumer}/{event_id}"
    endpoints: tuple[tuple[str, str, Callable[..., Any], int], ...] = (
        ("GET", "", show_operations, 200),
        ("GET", "/dead-letters", list_dead_letters, 200),
        ("POST", f"{letter}:redrive", redrive, 204),
        ("DELETE", letter, discard, 204),
        ("GET", "/audit", list_audit, 200),
        ("GET", "/audit:verify", verify_audit, 200),
        ("POST", "/inbox:missing", list_missing, 200),
    )
    for method, path, endpoint, status in endpoints:
        name = f"{service}_{endpoint.__name__}"
        routes.add_api_route(path, endpoint, methods=[method], status_code=status, name=name)
    return routes
