"""Settings of the evaluation worker, environment prefix `SLM_EVALUATOR_`."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from slm_shared.jobs.worker import WorkerSettings
from slm_shared.settings import SECRETS_DIR


class EvaluatorSettings(WorkerSettings):
    """`work_dir` may be deleted while the worker is down. The child is ended after `idle_s` without work."""

    model_config = SettingsConfigDict(
        env_prefix="SLM_EVALUATOR_", frozen=True, extra="ignore", populate_by_name=True, secrets_dir=SECRETS_DIR
    )

    name: str = Field("evaluator-1", min_length=1, max_length=100)
    work_dir: Path = Path(".slm/evaluator")
    poll_s: float = Field(1.0, gt=0)
    idle_s: float = Field(60.0, gt=0)
    stall_timeout_s: float = Field(900.0, gt=0)
