"""Settings of the trainer worker, environment prefix `SLM_TRAINER_`."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from slm_shared.settings import SECRETS_DIR
from slm_shared.worker import WorkerSettings


class TrainerSettings(WorkerSettings):
    """`work_dir` holds job folders and the cache of base models; all of it may be deleted while the worker is down.

    A checkpoint is stored every `checkpoint_s`, and when the worker is told to stop, for which it has `stop_grace_s`. A
    child that makes no optimiser step for `stall_timeout_s` is killed. `threads` of None means every core this process
    may use. Of finished jobs the newest `kept_jobs` folders stay for inspection.
    """

    model_config = SettingsConfigDict(
        env_prefix="SLM_TRAINER_", frozen=True, extra="ignore", populate_by_name=True, secrets_dir=SECRETS_DIR
    )

    name: str = Field("trainer-1", min_length=1, max_length=100)
    work_dir: Path = Path(".slm/trainer")
    # Events wake a worker for runs; somebody who waits for a plan should not wait for long.
    poll_s: float = Field(1.0, gt=0)
    stop_grace_s: float = Field(120.0, ge=0)
    checkpoint_s: float = Field(120.0, ge=0)
    stall_timeout_s: float = Field(900.0, gt=0)
    warm_timeout_s: float = Field(180.0, gt=0)
    threads: int | None = Field(None, ge=1)
    kept_jobs: int = Field(3, ge=0)
