"""The job that the supervisor hands to its child, and the result that comes back."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from slm_shared.references import DatasetRef
from slm_training.schemas.leases import RunLease
from slm_training.schemas.options import TrainingConfig as TrainingConfig

# Names the file with the job, for the processes of a group: only the first of them hears the supervisor.
JOB_VARIABLE = "SLM_TRAINER_JOB"


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


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
