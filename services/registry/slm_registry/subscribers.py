"""What the registry does when something happened elsewhere."""

from sqlalchemy.ext.asyncio import AsyncSession

from slm_registry.service import journal
from slm_registry.service.registration import Registrar
from slm_registry.store import aliases, lineage, models
from slm_shared.delivery.bus import Bus
from slm_shared.events.catalogue import (
    DatasetProcessed,
    EvaluationCompleted,
    EvaluationFailed,
    EvaluationRegressed,
    ExperimentCompleted,
    ExperimentFailed,
    ExperimentStarted,
    RunLaunched,
)


async def remember_dataset(session: AsyncSession, event: DatasetProcessed) -> None:
    """Cards tell of a dataset's rows, and lineages begin with it."""
    fields = {"dataset_id", "name", "rows", "row_format", "sha256"}
    body = event.model_dump(mode="json", include=fields)
    await journal.note_once(session, event.subject, body, key="dataset_id")


async def remember_run(session: AsyncSession, event: RunLaunched) -> None:
    """Lineages tell of runs that led to nothing, too."""
    await journal.note(session, event.subject, event.model_dump(mode="json", exclude={"pool"}))


async def remember_attempt(session: AsyncSession, event: ExperimentStarted) -> None:
    """Each attempt is part of the lineage."""
    await journal.note(session, event.subject, event.model_dump(mode="json", exclude={"worker"}))


async def remember_failure(session: AsyncSession, event: ExperimentFailed) -> None:
    """A training that failed is told of as such."""
    run = await lineage.find_node(session, str(event.run_id))
    body = event.model_dump(mode="json") | {"name": run.name if run else None}
    await journal.note(session, event.subject, body)


async def remember_evaluation(session: AsyncSession, event: EvaluationCompleted) -> None:
    """Cards and lineage tell of a model's scores."""
    body = event.model_dump(mode="json")
    is_new = await journal.note_once(session, event.subject, body, key="evaluation_id", model_id=event.model_id)
    if is_new and await models.exists(session, event.model_id):
        await aliases.count_use(session, event.model_id, "evaluation")


async def remember_failed_evaluation(session: AsyncSession, event: EvaluationFailed) -> None:
    """The timeline of a model tells of measurements that came to nothing, too."""
    await journal.note(session, event.subject, event.model_dump(mode="json"), model_id=event.model_id)


async def remember_regression(session: AsyncSession, event: EvaluationRegressed) -> None:
    """The timeline of a model tells that it is worse than the one before it."""
    await journal.note(session, event.subject, event.model_dump(mode="json"), model_id=event.model_id)


def register(bus: Bus, registrar: Registrar) -> None:
    """Subscribe to everything this service consumes."""

    async def register_model(session: AsyncSession, event: ExperimentCompleted) -> None:
        """What an experiment made becomes a model."""
        await registrar.register_fine_tuned(session, event)

    bus.on(ExperimentCompleted, register_model)
    bus.on(DatasetProcessed, remember_dataset)
    bus.on(RunLaunched, remember_run)
    bus.on(ExperimentStarted, remember_attempt)
    bus.on(ExperimentFailed, remember_failure)
    bus.on(EvaluationCompleted, remember_evaluation)
    bus.on(EvaluationFailed, remember_failed_evaluation)
    bus.on(EvaluationRegressed, remember_regression)
