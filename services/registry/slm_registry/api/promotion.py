"""Promotion: which model of a family is its champion."""

from fastapi import Request

from slm_registry.api.dependencies import Reader
from slm_registry.schemas import Model, Promotion, PromotionCheck
from slm_registry.service import promotion, reading
from slm_registry.settings import RegistrySettings
from slm_shared.errors import ForbiddenError
from slm_shared.http.access import Member, Viewer
from slm_shared.http.provided import given
from slm_shared.http.routing import OpenRead, WriteSession, router
from slm_shared.identity.principal import Role
from slm_shared.storage.database import Database

routes = router(tags=["models"])


@routes.get("/api/models/{reference}/promotion")
async def check_promotion(
    reference: str, request: Request, _: Viewer, reader: Reader, read: OpenRead
) -> PromotionCheck:
    """Whether a model may become champion of its family, by every condition of the policy."""
    async with read() as session:
        row = await reading.get_model(session, reference)
    found = await reader.verify(row)
    async with read() as session:
        return await promotion.check(
            session, row, given(request.app, RegistrySettings).promotion_policy, found.problems
        )


@routes.post("/api/models/{reference}:promote")
async def promote_model(
    reference: str, body: Promotion, request: Request, principal: Member, reader: Reader
) -> PromotionCheck:
    """Let `champion` lead to a model, if the policy holds."""
    if body.force and not principal.may(Role.ADMIN):
        raise ForbiddenError("Only administrators may promote a model by force.")
    database = given(request.app, Database)
    async with database.read(answering=True) as session:
        row = await reading.get_model(session, reference)
    verified = await reader.verify(row)
    async with database.transaction(answering=True) as session:
        row = await reading.get_model(session, str(row.id))
        return await promotion.promote(
            session,
            row,
            given(request.app, RegistrySettings).promotion_policy,
            problems=verified.problems,
            reason=body.reason,
            force=body.force,
            actor=principal.subject,
        )


@routes.post("/api/models/{reference}:rollback")
async def roll_back(reference: str, principal: Member, session: WriteSession) -> Model:
    """Let `champion` of the model's family lead to the model it led to before."""
    row = await reading.get_model(session, reference, deleted=True)
    champion = await promotion.roll_back(session, row.family, actor=principal.subject)
    session.expire(champion)
    return Model.of(await reading.get_model(session, f"{row.family}@champion"))
