"""What the evaluation service does when something happened elsewhere."""

from sqlalchemy.ext.asyncio import AsyncSession

from slm_evaluation.service import planning, projections
from slm_evaluation.settings import EvaluationSettings
from slm_shared.delivery.handlers import Handlers
from slm_shared.events.catalogue import DatasetProcessed, ModelDeleted, ModelRegistered

handlers = Handlers()


@handlers.on(ModelRegistered)
async def measure_model(session: AsyncSession, event: ModelRegistered, settings: EvaluationSettings) -> None:
    """A new model is measured beside its base."""
    await planning.plan_evaluations(session, event, settings)


@handlers.on(ModelDeleted)
async def forget_model(session: AsyncSession, event: ModelDeleted) -> None:
    """A deleted model is measured no more."""
    await projections.forget_model(session, event)


@handlers.on(DatasetProcessed)
async def remember_dataset(session: AsyncSession, event: DatasetProcessed) -> None:
    """Any dataset may be asked for."""
    await projections.remember_dataset(session, event)
