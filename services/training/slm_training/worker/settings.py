"""Settings of the trainer worker, environment prefix `SLM_TRAINER_`."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from slm_shared.jobs.worker import WorkerSettings
from slm_shared.settings import SECRETS_DIR
from slm_training.worker.cluster.options import ClusterOptions


class TrainerSettings(WorkerSettings):
    """`work_dir` holds job folders and the cache of base models; all of it may be deleted while the worker is down.

    A checkpoint is stored every `checkpoint_s`, and when the worker is told to stop, for which it has `stop_grace_s`. A
    child that makes no optimiser step for `stall_timeout_s` is killed. `threads` of None means every core this process
    may use. Of finished jobs the newest `kept_jobs` folders stay for inspection.

    With `ray_address` everything is trained on that Ray cluster, of which this machine is a node: a run takes
    `num_processes` times `ray_cpus` and `ray_gpus`, and waits `ray_start_timeout_s` for them.
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
    ray_address: str | None = Field(None, pattern=r"^(auto|[^/]+:\d+)$")
    ray_cpus: int = Field(1, ge=1)
    ray_gpus: int = Field(0, ge=0, le=1)
    ray_start_timeout_s: float = Field(300.0, gt=0)

    @property
    def cluster(self) -> ClusterOptions | None:
        """The cluster that trains in place of this machine, if one is set."""
        if self.ray_address is None:
            return None
        return ClusterOptions(
            address=self.ray_address, cpus=self.ray_cpus, gpus=self.ray_gpus, start_timeout_s=self.ray_start_timeout_s
        )
