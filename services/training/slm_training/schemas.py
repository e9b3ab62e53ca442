"""HTTP bodies of the training service."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field

from slm_shared.requests import Body
from slm_training.domain import MAX_FAMILY_LENGTH, STATUS_OF, RunState, without_version
from slm_training.tables import RunRow

Name = Annotated[str, Field(min_length=1, max_length=120)]
Text = Annotated[str, Field(max_length=4000)]
Reference = Annotated[str, Field(min_length=1, max_length=200, description="An id, `<family>-v<n>`, or a family.")]
Family = Annotated[
    str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=MAX_FAMILY_LENGTH), AfterValidator(without_version)
]
DEFAULT_LEARNING_RATES = {"full": 2e-3, "lora": 5e-3}


class RunCreate(Body):
    """What to train: a base model, data, and hyperparameters by their usual names."""

    name: Name
    family: Family | None = None
    goal: Text | None = None
    description: Text | None = None
    base_model: Reference = "nano-v1"
    training_dataset: Reference
    evaluation_dataset: Reference | None = None
    method: Literal["full", "lora"] = "full"
    epochs: Annotated[float, Field(strict=True, gt=0, le=100)] = 3.0
    learning_rate: Annotated[float, Field(strict=True, ge=1e-8, le=1)] | None = None
    batch_size: Annotated[int, Field(strict=True, ge=1, le=1024)] = 16
    max_length: Annotated[int, Field(strict=True, ge=8, le=8192)] = 256
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**32)] = 42
    warmup_ratio: Annotated[float, Field(strict=True, ge=0, lt=1)] = 0.05
    weight_decay: Annotated[float, Field(strict=True, ge=0, le=1)] = 0.0
    lora_rank: Annotated[int, Field(strict=True, ge=1, le=512)] = 16
    lora_alpha: Annotated[int, Field(strict=True, ge=1, le=1024)] = 32

    def config(self) -> dict[str, Any]:
        """The hyperparameters with every default filled in."""
        names = (
            "method", "epochs", "learning_rate", "batch_size", "max_length", "seed", "warmup_ratio", "weight_decay",
            "lora_rank", "lora_alpha",
        )  # fmt: skip
        chosen: dict[str, Any] = {name: getattr(self, name) for name in names}
        return chosen | {"learning_rate": self.learning_rate or DEFAULT_LEARNING_RATES[self.method]}


class ModelReference(BaseModel):
    """A model as the run knows it."""

    id: UUID
    name: str


class DatasetReference(BaseModel):
    """A dataset version as the run knows it; `sha256` is that of its canonical Parquet."""

    id: UUID
    name: str
    sha256: str
    rows: int


class RunError(BaseModel):
    """Why a run failed; `blame` says whose fault it is."""

    code: str
    message: str
    blame: str
    log_tail: str = ""


class Run(BaseModel):
    """A request to train, and where it stands."""

    id: UUID
    experiment_id: UUID
    name: str
    family: str
    goal: str | None
    description: str | None
    owner: str
    state: str
    base_model: ModelReference
    training_dataset: DatasetReference
    evaluation_dataset: DatasetReference | None
    config: dict[str, Any]
    created_at: datetime
    error: RunError | None

    @classmethod
    def of(cls, row: RunRow) -> "Run":
        """The run in a row."""
        return cls.model_validate(row, from_attributes=True)


class Artifact(BaseModel):
    """The files a training left, named by the hash of their manifest."""

    prefix: str
    manifest_key: str
    manifest_sha256: str
    size_bytes: int
    parameter_count: int


class Attempt(BaseModel):
    """One lease of the run: `outcome` is succeeded, failed, released, lost or cancelled, or null while it works.

    It went on from the checkpoint of `resumed_from_step` (0: from the start) and came to `last_step`; `lost_steps` of
    them were made in vain, because the next attempt went on from before.
    """

    number: int
    epoch: int
    worker: str
    claimed_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    outcome: str | None
    code: str | None
    resumed_from_step: int
    last_step: int = 0
    lost_steps: int = 0


class Experiment(BaseModel):
    """One training and what came of it. Losses are in nats per trained token."""

    id: UUID
    run_id: UUID
    name: str
    family: str
    goal: str | None
    status: str
    state: str
    attempt: int
    base_model: ModelReference
    training_dataset: DatasetReference
    evaluation_dataset: DatasetReference | None
    config: dict[str, Any]
    progress: dict[str, float | None]
    steps: int | None
    train_loss: float | None
    eval_loss: float | None
    duration_s: float | None
    artifact: Artifact | None
    error: RunError | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    attempts: list[Attempt] = Field(default_factory=list)

    @classmethod
    def of(cls, row: RunRow, attempts: "Sequence[Attempt]" = ()) -> "Experiment":
        """The experiment in a run's row."""
        result = row.result or {}
        same = Run.of(row).model_dump(exclude={"id", "experiment_id", "description", "owner"})
        return cls.model_validate(
            same
            | {name: result.get(name) for name in ("steps", "train_loss", "eval_loss", "duration_s")}
            | {
                "id": row.experiment_id,
                "run_id": row.id,
                "status": str(STATUS_OF[RunState(row.state)]),
                "attempt": row.attempt,
                "progress": row.progress,
                "artifact": result or None,
                "started_at": row.started_at,
                "completed_at": row.completed_at,
                "attempts": list(attempts),
            }
        )


class Point(BaseModel):
    """One value at one optimiser step; null where the trainer measured a non-finite number."""

    step: int
    value: float | None
    time: datetime


class Metrics(BaseModel):
    """The series of an experiment by name, in order of step."""

    experiment_id: UUID
    series: dict[str, list[Point]]


class Line(BaseModel):
    """One log line; ask for what follows with `after=seq`."""

    seq: int
    time: datetime
    level: str
    message: str


class Log(BaseModel):
    """The newest lines of an experiment's log, oldest of them first."""

    experiment_id: UUID
    lines: list[Line]


class Claim(Body):
    """A worker asks for work."""

    pool: Name = "default"
    worker: Name
    claim_id: UUID


class Forget(Body):
    """A worker has restarted and holds nothing."""

    worker: Name


class Fenced(Body):
    """Every write of a worker carries the epoch of its lease."""

    epoch: Annotated[int, Field(strict=True, ge=1)]


class Heartbeat(Fenced):
    """The worker lives and has come to `step`."""

    step: Annotated[int, Field(strict=True, ge=0)] = 0


class HeartbeatAnswer(BaseModel):
    """What the worker should do."""

    cancel: bool
    drain: bool = False


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
    versions: dict[str, Annotated[str, Field(max_length=100)]] = Field(default_factory=dict, max_length=50)


class Checkpoint(Fenced):
    """A checkpoint is stored under the lease's checkpoint prefix, its manifest last."""

    step: Annotated[int, Field(strict=True, ge=1)]
    manifest_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size_bytes: Annotated[int, Field(strict=True, ge=1)]


class CheckpointAnswer(BaseModel):
    """Checkpoints that nobody needs any more, by prefix; the worker may remove them."""

    obsolete: list[str]


class Resumption(Fenced):
    """The attempt goes on from the checkpoint of `step`."""

    step: Annotated[int, Field(strict=True, ge=1)]


class FailureReport(Fenced):
    """The attempt ended without a result."""

    code: Annotated[str, Field(min_length=1, max_length=80)]
    message: Annotated[str, Field(max_length=2000)]
    blame: Literal["user", "system", "infra"]
    retry: bool = False
    log_tail: Annotated[str, Field(max_length=100_000)] = ""
