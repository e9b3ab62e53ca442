"""Copies of what other services announced: models and datasets."""

from sqlalchemy.ext.asyncio import AsyncSession

from slm_evaluation import store
from slm_shared.events.catalogue import DatasetProcessed, ModelDeleted
from slm_shared.references import DatasetRef


async def remember_dataset(session: AsyncSession, event: DatasetProcessed) -> None:
    """Remember a dataset."""
    await store.project_dataset(session, DatasetRef.model_validate({"id": event.dataset_id, **event.model_dump()}))


async def forget_model(session: AsyncSession, event: ModelDeleted) -> None:
    """Remember that a model is gone."""
    await store.forget_model(session, event.model_id)
