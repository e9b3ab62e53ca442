"""What the evaluation service does when something happened elsewhere."""

from sqlalchemy.ext.asyncio import AsyncSession

from slm_evaluation.service import planning
from slm_evaluation.settings import EvaluationSettings
from slm_shared.bus import Bus
from slm_shared.events import ModelRegistered


def register(bus: Bus, settings: EvaluationSettings) -> None:
    """Subscribe to everything this service consumes."""

    async def measure_model(session: AsyncSession, event: ModelRegistered) -> None:
        """A new model is measured beside its base."""
        await planning.plan_evaluations(session, event, settings)

    bus.on(ModelRegistered, measure_model)
