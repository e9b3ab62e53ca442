"""What the lease says about a run, and the job the supervisor hands to its child."""

from pathlib import Path
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from slm_shared.jobs.protocol import Grant
from slm_training.schemas.options import TrainingConfig as TrainingConfig

# Names the file with the job, for the processes of a group: only the first of them hears the supervisor.
JOB_VARIABLE = "SLM_TRAINER_JOB"


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class BaseModelRef(_Message):
    """The model to start from, as an artifact in the object store."""

    id: UUID
    name: str
    artifact_prefix: str
    manifest_key: str
    manifest_sha256: str


class DatasetRef(_Message):
    """A canonical dataset (Parquet) in the object store; `sha256` is that of the Parquet file."""

    id: UUID
    name: str
    object_key: str
    sha256: str
    row_format: str
    mapping: dict[str, str]
    rows: int


class CheckpointRef(_Message):
    """A registered checkpoint as an artifact in the object store; `step` counts optimiser steps."""

    step: int
    prefix: str
    manifest_sha256: str


class RunLease(Grant):
    """What a claim returns; `checkpoints` are those of earlier attempts, the newest first."""

    id_field: ClassVar[str] = "run_id"

    run_id: UUID
    experiment_id: UUID
    name: str
    purpose: Literal["train", "plan"] = "train"
    config: TrainingConfig
    base_model: BaseModelRef
    training_dataset: DatasetRef
    evaluation_dataset: DatasetRef | None = None
    artifact_prefix: str
    checkpoint_prefix: str = ""
    checkpoints: list[CheckpointRef] = Field(default_factory=list)


class LocalDataset(_Message):
    """A dataset that lies on this machine."""

    source: DatasetRef
    path: Path


class TrainingJob(_Message):
    """Everything the child needs; it reads and writes only the paths named here.

    `resume_folder` is the checkpoint to go on from, of optimiser step `resume_step`; a new one is written every
    `checkpoint_s` seconds.
    """

    run: RunLease
    base_folder: Path
    training: LocalDataset
    evaluation: LocalDataset | None
    output_folder: Path
    scratch_folder: Path
    threads: int | None
    checkpoint_s: float
    resume_folder: Path | None = None
    resume_step: int = 0


class TrainingResult(_Message):
    """What the child says at its end; `eval_loss` belongs to the saved weights, those of `best_step` if it is given."""

    steps: int
    train_loss: float
    eval_loss: float | None
    parameter_count: int
    trained_tokens: int | None = None
    best_step: int | None = None
    versions: dict[str, str]
