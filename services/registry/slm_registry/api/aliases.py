"""Aliases of models."""

from fastapi import Response

from slm_registry.schemas import Aliases
from slm_registry.service import aliases
from slm_shared.http.access import Member, Viewer
from slm_shared.http.routing import ReadSession, WriteSession, router

routes = router(tags=["models"])


@routes.get("/api/models/{reference}/aliases")
async def get_aliases(reference: str, _: Viewer, session: ReadSession) -> Aliases:
    """Where the aliases of the model's family lead, and how they moved."""
    return await aliases.aliases_of(session, reference)


@routes.put("/api/models/{reference}/aliases/{alias}")
async def point_alias(reference: str, alias: str, principal: Member, session: WriteSession) -> Aliases:
    """Let a free alias of the model's family lead to this model; `champion` moves by promotion only."""
    await aliases.point_alias(session, reference, alias, actor=principal.subject)
    return await aliases.aliases_of(session, reference)


@routes.delete("/api/models/{reference}/aliases/{alias}", status_code=204, response_class=Response)
async def remove_alias(reference: str, alias: str, principal: Member, session: WriteSession) -> None:
    """Take a free alias away from this model."""
    await aliases.remove_alias(session, reference, alias, actor=principal.subject)
