"""What a request names, found and frozen: models and datasets by content hash."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from pydantic import JsonValue

from slm_shared.errors import FieldProblem, Hint
from slm_shared.peers import Peer
from slm_shared.references import DatasetRef, ModelRef
from slm_shared.storage.database import Database
from slm_training import store
from slm_training.domain import OBJECTIVE_OF, OBJECTIVES_FOR, TRAINABLE_FORMATS, Objective
from slm_training.errors import (
    DatasetNotFoundError,
    DatasetNotReadyError,
    DatasetNotTrainableError,
    ModelNotAllowedError,
    ModelNotFoundError,
    ObjectiveNotPossibleError,
)
from slm_training.schemas.config import RunCreate
from slm_training.tables import PlanRow, RunRow

# None of it needs quoting in a path, and none leads out of one.
MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
MODEL_FIELDS = ("id", "name", "artifact_prefix", "manifest_key", "manifest_sha256")


@dataclass(frozen=True)
class Inputs:
    """What a run works on, as it is at launch: nothing that happens later changes it."""

    base_model: ModelRef
    training_dataset: DatasetRef
    evaluation_dataset: DatasetRef | None

    @classmethod
    def of(cls, job: RunRow | PlanRow) -> "Inputs":
        """Those of an earlier job."""
        evaluation = job.evaluation_dataset
        return cls(
            ModelRef.model_validate(job.base_model),
            DatasetRef.model_validate(job.training_dataset),
            DatasetRef.model_validate(evaluation) if evaluation is not None else None,
        )

    def kept(self) -> Mapping[str, JsonValue]:
        """As columns of a job's row."""
        named = {name: getattr(self, name) for name in ("base_model", "training_dataset", "evaluation_dataset")}
        return {name: each and each.model_dump(mode="json", exclude_unset=True) for name, each in named.items()}


class Resolver:
    """Finds what a request names: in the projection first, then once at its owner."""

    def __init__(self, database: Database, *, datasets: Peer, registry: Peer) -> None:
        self._database = database
        self._datasets = datasets
        self._registry = registry

    async def resolve(self, request: RunCreate) -> Inputs:
        """The inputs of a run. Raises what `errors` says about models and datasets, and UnavailableError."""
        evaluation = request.evaluation_dataset
        return Inputs(
            base_model=await self._model(request.base_model),
            training_dataset=await self._dataset(request.training_dataset, field="training_dataset"),
            evaluation_dataset=await self._dataset(evaluation, field="evaluation_dataset") if evaluation else None,
        )

    async def _model(self, reference: str) -> ModelRef:
        if not MODEL_NAME.fullmatch(reference):
            raise ModelNotAllowedError(
                "The base model must be the id or the name of a registered model.",
                hint=Hint.LIST_MODELS,
                errors=[FieldProblem("base_model", "is neither an id nor a name such as nano-v1")],
            )
        found = await self._registry.get(f"/api/models/{reference}")
        if found is None:
            raise ModelNotFoundError("There is no such base model.", hint=Hint.LIST_MODELS)
        return ModelRef.model_validate({name: found[name] for name in MODEL_FIELDS})

    async def _dataset(self, reference: str, *, field: str) -> DatasetRef:
        async with self._database.read(answering=True) as session:
            row = await store.find_dataset(session, reference)
        if row is not None and row.deleted:
            raise DatasetNotFoundError(f"The {field} was deleted.")
        if row is not None:
            found = DatasetRef.model_validate(row, from_attributes=True)
        else:
            found = await self._ask_for_dataset(reference, field=field)
        if found.row_format not in TRAINABLE_FORMATS:
            raise DatasetNotTrainableError(
                f"The {field} has rows of the format {found.row_format}, which cannot be trained on.",
                hint="Upload it with prompt_column and completion_column, or as prompt/completion, messages or text.",
                errors=[FieldProblem(field, f"must have rows of one of: {', '.join(TRAINABLE_FORMATS)}")],
            )
        return found

    async def _ask_for_dataset(self, reference: str, *, field: str) -> DatasetRef:
        found = await self._datasets.get(f"/api/datasets/{quote(reference, safe='')}")
        if found is None:
            raise DatasetNotFoundError(f"There is no such {field}.", hint=Hint.LIST_DATASETS)
        if found["status"] != "processed":
            hint = "Wait until it is processed." if found["status"] == "in_progress" else "Mend and upload it again."
            raise DatasetNotReadyError(f"The {field} is not processed: its status is {found['status']}.", hint=hint)
        return DatasetRef.model_validate(found | {"sha256": found["canonical_sha256"]})


def objective_of(request: RunCreate, inputs: Inputs) -> Objective:
    """What the run is trained for: as asked, or what the rows are for. Raises ObjectiveNotPossibleError."""
    row_format = inputs.training_dataset.row_format
    if request.objective == "auto":
        return OBJECTIVE_OF[row_format]
    objective = Objective(request.objective)
    if objective not in OBJECTIVES_FOR[row_format]:
        possible = ", ".join(sorted(OBJECTIVES_FOR[row_format]))
        raise ObjectiveNotPossibleError(
            f"Rows of the format {row_format} cannot be trained on with the objective {objective}.",
            errors=[FieldProblem("objective", f"must be auto or one of: {possible}")],
        )
    return objective
