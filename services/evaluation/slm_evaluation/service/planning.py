"""Which evaluations a registered model gets."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from slm_evaluation import store
from slm_evaluation.schemas.leases import KnownModel, Measuring
from slm_evaluation.settings import EvaluationSettings
from slm_evaluation.store import NewEvaluation
from slm_evaluation.tables import EvaluationRow, ModelRow
from slm_shared.delivery.bus import RetryLater
from slm_shared.events.catalogue import ModelRegistered
from slm_shared.references import DatasetRef
from slm_shared.storage.ids import new_id


async def plan_evaluations(session: AsyncSession, event: ModelRegistered, settings: EvaluationSettings) -> None:
    """Remember the model; measure a fine-tuned one and its base on the evaluation set, the same way.

    The base is measured once per dataset and settings, however many models come of it. Raises RetryLater while the
    base model is not known here.
    """
    await store.project_model(session, KnownModel.model_validate({"id": event.model_id, **event.model_dump()}))
    if event.kind != "fine_tuned" or event.evaluation_dataset_id is None or event.base_model_id is None:
        return
    base, tuned = await store.find_model(session, event.base_model_id), await store.find_model(session, event.model_id)
    if base is None or tuned is None:
        raise RetryLater(f"the base model {event.base_model_id} is not known yet")
    dataset, chosen = _evaluation_set(event), Measuring.model_validate(settings.measuring())
    baseline = await store.add_evaluation(session, queued(base, dataset, chosen))
    new = queued(tuned, dataset, chosen)
    await store.add_evaluation(
        session, replace(new, baseline_evaluation_id=baseline, experiment_id=event.experiment_id)
    )


def _evaluation_set(event: ModelRegistered) -> DatasetRef:
    return DatasetRef.model_validate(
        {
            "id": event.evaluation_dataset_id,
            "name": event.evaluation_dataset_name,
            "object_key": event.evaluation_dataset_key,
            "sha256": event.evaluation_dataset_sha256,
            "row_format": event.evaluation_row_format,
            "mapping": event.evaluation_mapping,
        }
    )


def queued(model: ModelRow, dataset: DatasetRef, chosen: Measuring) -> NewEvaluation:
    """A new evaluation; `chosen` says how it is measured, and with model and dataset what it is."""
    fields = ("name", "artifact_prefix", "manifest_key", "manifest_sha256", "signature")
    # Only what was set: the hash must stay what it was before there was an option that nobody chose.
    settings = chosen.model_dump(mode="json", exclude_unset=True)
    return NewEvaluation(
        id=new_id(),
        model_id=model.id,
        dataset_id=dataset.id,
        settings=settings,
        settings_hash=hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest(),
        model={"id": str(model.id), **{name: getattr(model, name) for name in fields}},
        dataset=dataset.model_dump(mode="json", exclude={"rows"}),
    )


def ids_and_names(row: EvaluationRow) -> Mapping[str, object]:
    """An evaluation, its model and its dataset, as every event of this service names them."""
    names = {"model_name": row.model["name"], "dataset_name": row.dataset["name"]}
    return {"evaluation_id": row.id, "model_id": row.model_id, "dataset_id": row.dataset_id, **names}


def predictions_prefix(evaluation_id: UUID, epoch: int) -> str:
    """Where a lease stores its predictions."""
    return f"evaluations/{evaluation_id}/e{epoch}"


def predictions_key(evaluation_id: UUID, epoch: int) -> str:
    """The object that holds the predictions of a lease."""
    return f"{predictions_prefix(evaluation_id, epoch)}/predictions.jsonl"


def index_key(predictions: str) -> str:
    """The object that holds the index of predictions."""
    return f"{predictions.rpartition('/')[0]}/index.json"
