"""Promotion: which model of a family is its champion."""

from slm_registry.api.dependencies import ModelToOpen, PromotionPolicy, Reader
from slm_registry.schemas import Model, Promotion, PromotionCheck
from slm_registry.service import promotion
from slm_shared.http.access import Member, Viewer
from slm_shared.http.routing import OpenRead, ServiceDatabase, WriteSession, router

routes = router(tags=["models"])


@routes.get("/api/models/{reference}/promotion")
async def check_promotion(
    _: Viewer, model: ModelToOpen, reader: Reader, policy: PromotionPolicy, read: OpenRead
) -> PromotionCheck:
    """Whether a model may become champion of its family, by every condition of the policy."""
    verified = await reader.verify(model)
    async with read() as session:
        return await promotion.check_promotion(session, model, policy, problems=verified.problems)


@routes.post("/api/models/{reference}:promote")
async def promote_model(
    body: Promotion,
    principal: Member,
    model: ModelToOpen,
    reader: Reader,
    policy: PromotionPolicy,
    database: ServiceDatabase,
) -> PromotionCheck:
    """Let `champion` lead to a model, if the policy holds."""
    return await promotion.promote_model(database, reader, policy, model, body, principal=principal)


@routes.post("/api/models/{reference}:rollback")
async def roll_back(reference: str, principal: Member, session: WriteSession) -> Model:
    """Let `champion` of the model's family lead to the model it led to before."""
    return await promotion.roll_back(session, reference, actor=principal.subject)
