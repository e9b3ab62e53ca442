"""What trainers say and hear, beside `slm_shared.jobs.protocol`. Only pydantic is imported here: trainers read this."""

from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from slm_shared.jobs import protocol
from slm_shared.jobs.protocol import Fenced
from slm_shared.references import DatasetRef, ModelRef
from slm_training.schemas.options import TrainingConfig


class WorkerFacts(protocol.Request):
    """What a worker says of itself; `memory_gb` is of the device it trains on, None where nobody knows it."""

    device: Literal["cpu", "gpu"] = "cpu"
    device_name: Annotated[str, Field(max_length=200)] = ""
    devices: Annotated[int, Field(strict=True, ge=0, le=1024)] = 0
    cores: Annotated[int, Field(strict=True, ge=1, le=100_000)] = 1
    memory_gb: Annotated[float, Field(strict=True, ge=0)] | None = None
    host: Annotated[str, Field(max_length=200)] = ""
    pid: Annotated[int, Field(strict=True, ge=0)] = 0
    versions: dict[str, Annotated[str, Field(max_length=100)]] = Field(default_factory=dict, max_length=50)


class Claim(protocol.Claim):
    """A worker asks for work that its `capabilities` suffice for; one that names none is taken to suffice for all."""

    capabilities: WorkerFacts | None = None


class CheckpointRef(protocol.Answer):
    """A registered checkpoint as an artifact in the object store; `step` counts optimiser steps."""

    step: int
    prefix: str
    manifest_sha256: str


class RunLease(protocol.Grant):
    """What a claim returns; `checkpoints` are those of earlier attempts, the newest first."""

    id_field: ClassVar[str] = "run_id"

    run_id: UUID
    experiment_id: UUID
    name: str
    purpose: Literal["train", "plan"] = "train"
    config: TrainingConfig
    base_model: ModelRef
    training_dataset: DatasetRef
    evaluation_dataset: DatasetRef | None = None
    artifact_prefix: str
    checkpoint_prefix: str = ""
    checkpoints: list[CheckpointRef] = Field(default_factory=list)


class Completion(Fenced):
    """The artifact is stored under the lease's prefix, its manifest last."""

    manifest_key: Annotated[str, Field(max_length=400)]
    manifest_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size_bytes: Annotated[int, Field(strict=True, ge=1)]
    parameter_count: Annotated[int, Field(strict=True, ge=1)]
    steps: Annotated[int, Field(strict=True, ge=1)]
    train_loss: Annotated[float, Field(strict=True)]
    eval_loss: Annotated[float, Field(strict=True)] | None = None
    duration_s: Annotated[float, Field(strict=True, ge=0)]
    trained_tokens: Annotated[int, Field(strict=True, ge=0)] | None = None
    best_step: Annotated[int, Field(strict=True, ge=0)] | None = None
    versions: dict[str, Annotated[str, Field(max_length=100)]] = Field(default_factory=dict, max_length=50)


class Checkpoint(Fenced):
    """A checkpoint is stored under the lease's checkpoint prefix, its manifest last."""

    step: Annotated[int, Field(strict=True, ge=1)]
    manifest_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size_bytes: Annotated[int, Field(strict=True, ge=1)]
    metrics: dict[str, float | None] = Field(default_factory=dict, max_length=50)


class CheckpointAnswer(BaseModel):
    """Checkpoints that nobody needs any more, by prefix; the worker may remove them."""

    obsolete: list[str]


class Resumption(Fenced):
    """The attempt goes on from the checkpoint of `step`."""

    step: Annotated[int, Field(strict=True, ge=1)]


class Choice(BaseModel):
    """What the trainer settled by itself, and why."""

    value: str | int | float | bool
    reason: Annotated[str, Field(max_length=500)]


class Choices(Fenced):
    """Everything the trainer settled by itself, by option."""

    choices: dict[str, Choice] = Field(max_length=50)


class PlanReport(Fenced):
    """What a preflight found; the service keeps it as it is."""

    report: dict[str, Any] = Field(max_length=100)
