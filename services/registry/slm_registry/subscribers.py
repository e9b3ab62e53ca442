"""What the registry does when something happened elsewhere."""

from sqlalchemy.ext.asyncio import AsyncSession

from slm_registry.service import registration
from slm_registry.store import aliases, models, projections
from slm_shared.bus import Bus
from slm_shared.events import DatasetProcessed, EvaluationCompleted, ExperimentCompleted


async def register_model(session: AsyncSession, event: ExperimentCompleted) -> None:
    """What an experiment made becomes a model."""
    await registration.register_fine_tuned(session, event)


async def remember_dataset(session: AsyncSession, event: DatasetProcessed) -> None:
    """Cards tell of a dataset's rows."""
    await projections.project_dataset(session, event)


async def remember_evaluation(session: AsyncSession, event: EvaluationCompleted) -> None:
    """Cards and lineage tell of a model's scores."""
    if await projections.project_evaluation(session, event) and await models.exists(session, event.model_id):
        await aliases.count_use(session, event.model_id, "evaluation")


def register(bus: Bus) -> None:
    """Subscribe to everything this service consumes."""
    bus.on(ExperimentCompleted, register_model)
    bus.on(DatasetProcessed, remember_dataset)
    bus.on(EvaluationCompleted, remember_evaluation)
