"""What the lease says about a run, and the job the supervisor hands to its child."""

from pathlib import Path
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class TrainingConfig(_Message):
    """The options, checked and filled in by the service; what an older service does not say has its old meaning.

    `batch_size` counts rows per forward pass over all processes.
    """

    method: Literal["full", "lora"]
    epochs: float
    learning_rate: float
    batch_size: int
    max_length: int
    seed: int
    warmup_ratio: float
    weight_decay: float
    lora_rank: int
    lora_alpha: int
    objective: Literal["sft", "pretrain", "dpo"] = "sft"
    max_steps: int | None = None
    gradient_accumulation_steps: int = 1
    warmup_steps: int | None = None
    max_grad_norm: float = 1.0
    optimizer: Literal["adamw", "adafactor", "sgd"] = "adamw"
    scheduler: str = "linear"
    packing: Literal["auto"] | bool = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    gradient_checkpointing: Literal["auto"] | bool = "auto"
    completion_only_loss: bool = True
    assistant_only_loss: bool = True
    lora_dropout: float = 0.0
    lora_target_modules: str = "all-linear"
    beta: float = 0.1
    validation_split: float | None = None
    eval_steps: int | None = None
    early_stopping_patience: int | None = None
    save_best_model: bool = False
    num_processes: int = 1

    @property
    def effective_batch(self) -> int:
        """Rows per optimiser step."""
        return self.batch_size * self.gradient_accumulation_steps


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


class RunLease(_Message):
    """What a claim returns; `checkpoints` are those of earlier attempts, the newest first."""

    run_id: UUID
    experiment_id: UUID
    epoch: int
    attempt: int
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
