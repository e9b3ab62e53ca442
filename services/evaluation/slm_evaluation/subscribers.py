"""What the evaluation service does when something happened elsewhere."""

from sqlalchemy.ext.asyncio import AsyncSession

from slm_evaluation import store
from slm_evaluation.service import planning
from slm_evaluation.settings import EvaluationSettings
from slm_shared.delivery.bus import Bus
from slm_shared.events.catalogue import DatasetProcessed, ModelDeleted, ModelRegistered


async def forget_model(session: AsyncSession, event: ModelDeleted) -> None:
    """A deleted model is measured no more."""
    await store.forget_model(session, event.model_id)


async def remember_dataset(session: AsyncSession, event: DatasetProcessed) -> None:
    """Any dataset may be asked for."""
    await store.project_dataset(session, {"id": event.dataset_id, **event.model_dump()})


def register(bus: Bus, settings: EvaluationSettings) -> None:
    """Subscribe to everything this service consumes."""

    async def measure_model(session: AsyncSession, event: ModelRegistered) -> None:
        """A new model is measured beside its base."""
        await planning.plan_evaluations(session, event, settings)

    bus.on(ModelRegistered, measure_model)
    bus.on(ModelDeleted, forget_model)
    bus.on(DatasetProcessed, remember_dataset)
