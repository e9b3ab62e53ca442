"""Runs that are prepared and started later."""

from collections.abc import Mapping
from uuid import UUID

from pydantic import JsonValue
from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.http.preconditions import VersionConflictError
from slm_shared.observability.tracing import current_traceparent
from slm_shared.storage import audit
from slm_shared.storage.database import Database, database_now
from slm_training import store
from slm_training.domain import RunState
from slm_training.errors import DraftOnlyError
from slm_training.service.launching import announce_launched, facts_of, find_run, locked, request_of
from slm_training.service.resolving import Resolver
from slm_training.tables import RunRow


async def edit_draft(
    database: Database,
    resolver: Resolver,
    run_id: UUID,
    changes: Mapping[str, JsonValue],
    *,
    version: int | None,
    actor: str,
) -> RunRow:
    """Change what a draft asks for; a `version` of None takes whatever there is.

    Raises DraftOnlyError, VersionConflictError when it changed meanwhile, InvalidError for what the changes break, and
    what `Resolver.resolve` raises.
    """
    async with database.read(answering=True) as session:
        request = request_of(await find_run(session, run_id), changes)
    inputs = await resolver.resolve(request)
    async with database.transaction(answering=True) as session:
        run = await _draft(session, run_id)
        if version is not None and run.version != version:
            raise VersionConflictError("Somebody changed the draft since you read it.", hint="Read it again.")
        await store.change(session, run, {**facts_of(request, inputs), "version": run.version + 1})
        await audit.append(session, "run.edited", actor=actor, object_id=run.id, version=run.version)
    return run


async def start_draft(database: Database, resolver: Resolver, run_id: UUID, *, actor: str) -> RunRow:
    """Queue a draft with its inputs as they are now; one that was started before stays as it is.

    Raises RunNotFoundError, and what `Resolver.resolve` raises.
    """
    async with database.read(answering=True) as session:
        request = request_of(await find_run(session, run_id))
    inputs = await resolver.resolve(request)
    async with database.transaction(answering=True) as session:
        run = await locked(session, run_id)
        if run.state == RunState.DRAFT:
            # The run belongs to the trace of the request that starts it, not of the one that drafted it.
            now = {"queued_at": await database_now(session), "traceparent": current_traceparent()}
            values = {**facts_of(request_of(run), inputs), **now}
            await store.move(session, run, RunState.QUEUED, values=values)
            await announce_launched(session, run, actor=actor)
    return run


async def remove_draft(session: AsyncSession, run_id: UUID, *, actor: str) -> None:
    """Remove a run that was never started. Raises DraftOnlyError."""
    run = await _draft(session, run_id)
    await store.remove_draft(session, run)
    await audit.append(session, "run.removed", actor=actor, object_id=run_id, name=run.name)


async def _draft(session: AsyncSession, run_id: UUID) -> RunRow:
    run = await locked(session, run_id)
    if run.state != RunState.DRAFT:
        hint = "Clone it with the changes instead."
        raise DraftOnlyError("The run was started and stays as it is.", hint=hint)
    return run
