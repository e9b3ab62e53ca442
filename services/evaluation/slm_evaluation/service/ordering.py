"""Evaluations that a user orders, cancels or retries."""

from dataclasses import dataclass, replace
from urllib.parse import quote
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from slm_evaluation import store
from slm_evaluation.domain import EvaluationStatus
from slm_evaluation.errors import (
    DatasetNotFoundError,
    DatasetNotReadyError,
    EvaluationFinishedError,
    EvaluationNotRetryableError,
    ModelNotFoundError,
)
from slm_evaluation.schemas.evaluations import EvaluationCreate
from slm_evaluation.schemas.leases import KnownModel, Measuring
from slm_evaluation.service.planning import queued
from slm_evaluation.service.reading import existing
from slm_evaluation.service.suites import read_suite
from slm_evaluation.settings import EvaluationSettings
from slm_evaluation.tables import EvaluationRow
from slm_shared.errors import Hint
from slm_shared.peers import Peer
from slm_shared.references import DatasetRef
from slm_shared.storage import audit
from slm_shared.storage.database import Database, database_now


@dataclass(frozen=True)
class Inputs:
    """The model and the dataset of an evaluation."""

    model: KnownModel
    dataset: DatasetRef


class Resolver:
    """Finds the model and the dataset of a request: in our own database first, then at the service that owns them."""

    def __init__(self, database: Database, *, datasets: Peer, registry: Peer) -> None:
        self._database = database
        self._datasets = datasets
        self._registry = registry

    async def resolve(self, request: EvaluationCreate) -> Inputs:
        """Model and dataset. Raises what `errors` says about them, and UnavailableError."""
        return Inputs(await self._model(request.model), await self._dataset(request.dataset))

    async def _model(self, reference: str) -> KnownModel:
        async with self._database.read() as session:
            row = await store.find_model_named(session, reference)
        if row is not None and row.deleted:
            raise ModelNotFoundError("The model was deleted.")
        if row is not None:
            return KnownModel.model_validate(row, from_attributes=True)
        found = await self._registry.get(f"/api/models/{quote(reference, safe='')}")
        if found is None:
            raise ModelNotFoundError("There is no such model.", hint=Hint.LIST_MODELS)
        return KnownModel.model_validate(found)

    async def _dataset(self, reference: str) -> DatasetRef:
        async with self._database.read() as session:
            row = await store.find_dataset_named(session, reference)
        if row is not None:
            return DatasetRef.model_validate(row, from_attributes=True)
        found = await self._datasets.get(f"/api/datasets/{quote(reference, safe='')}")
        if found is None:
            raise DatasetNotFoundError("There is no such dataset.", hint=Hint.LIST_DATASETS)
        if found["status"] != "processed":
            raise DatasetNotReadyError(f"The dataset is not processed: its status is {found['status']}.")
        return DatasetRef.model_validate(found | {"sha256": found["canonical_sha256"]})


async def order_evaluation(
    session: AsyncSession, request: EvaluationCreate, inputs: Inputs, *, settings: EvaluationSettings, owner: str
) -> EvaluationRow:
    """Queue an evaluation, or return the existing one of the same model, dataset and settings."""
    await store.project_model(session, inputs.model)
    await store.project_dataset(session, inputs.dataset)
    model = await store.find_model(session, inputs.model.id)
    assert model is not None
    chosen = settings.measuring() | request.chosen()
    if request.suite is not None:
        chosen["suite"] = read_suite(settings.suites_folder, request.suite)
    new = replace(queued(model, inputs.dataset, Measuring.model_validate(chosen)), owner=owner)
    row = existing(await store.locked(session, await store.add_evaluation(session, new)))
    if row.id == new.id:
        names = {"model": row.model["name"], "dataset": row.dataset["name"]}
        await audit.append(session, "evaluation.queued", actor=owner, object_id=row.id, **names)
    return row


async def cancel_evaluation(session: AsyncSession, evaluation_id: UUID, *, actor: str) -> EvaluationRow:
    """Stop an evaluation: at once while it is queued, at the next heartbeat while it runs. Twice is fine.

    Raises EvaluationNotFoundError and EvaluationFinishedError.
    """
    row = existing(await store.locked(session, evaluation_id))
    status = EvaluationStatus(row.status)
    if status in (EvaluationStatus.COMPLETED, EvaluationStatus.FAILED):
        raise EvaluationFinishedError(f"The evaluation is {status} and cannot be cancelled any more.")
    if status is EvaluationStatus.QUEUED:
        now = await database_now(session)
        await store.move(session, row, EvaluationStatus.CANCELLED, values={"retry_at": None, "completed_at": now})
    elif status is EvaluationStatus.RUNNING:
        await store.ask_to_cancel(session, row)
    if status is not EvaluationStatus.CANCELLED:
        await audit.append(session, "evaluation.cancelled", actor=actor, object_id=row.id)
    return row


async def retry_evaluation(session: AsyncSession, evaluation_id: UUID, *, actor: str) -> EvaluationRow:
    """Queue an evaluation again that failed or was cancelled.

    Raises EvaluationNotFoundError and EvaluationNotRetryableError.
    """
    row = existing(await store.locked(session, evaluation_id))
    if not await store.retry(session, row):
        raise EvaluationNotRetryableError(f"The evaluation is {row.status}, so there is nothing to try again.")
    await audit.append(session, "evaluation.retried", actor=actor, object_id=row.id)
    return row
