"""What the datasets service does when something happened elsewhere: it learns which runs read which datasets."""

from sqlalchemy.ext.asyncio import AsyncSession

from slm_datasets.service import uses
from slm_shared.delivery.handlers import Handlers
from slm_shared.events.catalogue import ExperimentCancelled, ExperimentCompleted, ExperimentFailed, RunLaunched

handlers = Handlers()


@handlers.on(RunLaunched)
async def hold_datasets(session: AsyncSession, event: RunLaunched) -> None:
    """A run needs its datasets until it has ended."""
    await uses.hold_datasets(session, event)


@handlers.on(ExperimentCompleted)
@handlers.on(ExperimentFailed)
@handlers.on(ExperimentCancelled)
async def release_datasets(
    session: AsyncSession, event: ExperimentCompleted | ExperimentFailed | ExperimentCancelled
) -> None:
    """A run has ended and needs its datasets no longer."""
    await uses.release_datasets(session, event.run_id)
