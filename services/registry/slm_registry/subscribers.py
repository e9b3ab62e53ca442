"""What the registry does when something happened elsewhere."""

from sqlalchemy.ext.asyncio import AsyncSession

from slm_registry.service import journal
from slm_registry.service.registration import Registrar
from slm_shared.delivery.handlers import Handlers
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

handlers = Handlers()


@handlers.on(ExperimentCompleted)
async def register_model(session: AsyncSession, event: ExperimentCompleted, registrar: Registrar) -> None:
    """What an experiment made becomes a model."""
    await registrar.register_fine_tuned(session, event)


@handlers.on(DatasetProcessed)
async def remember_dataset(session: AsyncSession, event: DatasetProcessed) -> None:
    """Cards show a dataset's rows, and lineages begin with it."""
    fields = {"dataset_id", "name", "rows", "row_format", "sha256"}
    body = event.model_dump(mode="json", include=fields)
    await journal.note_once(session, event.subject, body, key="dataset_id")


@handlers.on(RunLaunched)
async def remember_run(session: AsyncSession, event: RunLaunched) -> None:
    """The lineage also shows runs that made no model."""
    await journal.note(session, event.subject, event.model_dump(mode="json", exclude={"pool"}))


@handlers.on(ExperimentStarted)
async def remember_attempt(session: AsyncSession, event: ExperimentStarted) -> None:
    """Each attempt is part of the lineage."""
    await journal.note(session, event.subject, event.model_dump(mode="json", exclude={"worker"}))


@handlers.on(ExperimentFailed)
async def remember_failure(session: AsyncSession, event: ExperimentFailed) -> None:
    """The lineage shows which trainings failed."""
    await journal.note_failure(session, event)


@handlers.on(EvaluationCompleted)
async def remember_evaluation(session: AsyncSession, event: EvaluationCompleted) -> None:
    """Cards and lineage show a model's scores."""
    await journal.note_evaluation(session, event)


@handlers.on(EvaluationFailed)
async def remember_failed_evaluation(session: AsyncSession, event: EvaluationFailed) -> None:
    """The timeline of a model also shows evaluations that failed."""
    await journal.note(session, event.subject, event.model_dump(mode="json"), model_id=event.model_id)


@handlers.on(EvaluationRegressed)
async def remember_regression(session: AsyncSession, event: EvaluationRegressed) -> None:
    """The timeline of a model shows that it is worse than the one before it."""
    await journal.note(session, event.subject, event.model_dump(mode="json"), model_id=event.model_id)
