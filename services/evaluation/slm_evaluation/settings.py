"""Settings of the evaluation service; environment prefix `SLM_EVALUATION_`."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from slm_shared.settings import SECRETS_DIR, ServiceSettings


class EvaluationSettings(ServiceSettings):
    """Times in seconds, lengths in tokens; `generations` is how many rows are answered by the model in full.

    `hourly_price` is what the machine of an evaluation worker costs in an hour, in any currency; without it no
    `cost_per_1k_tokens` is told. `suites_folder` holds benchmark suites (`<name>.yaml`) beside those that ship.
    """

    model_config = SettingsConfigDict(
        env_prefix="SLM_EVALUATION_", frozen=True, extra="ignore", secrets_dir=SECRETS_DIR
    )

    port: int = Field(18004, ge=0, le=65535)
    database_name: str = "slm_evaluation"
    lease_ttl_s: float = Field(90.0, gt=0)
    heartbeat_s: float = Field(5.0, gt=0)
    reaper_interval_s: float = Field(10.0, gt=0)
    max_length: int = Field(1024, ge=8)
    max_new_tokens: int = Field(96, ge=1)
    generations: int = Field(64, ge=0)
    hourly_price: float | None = Field(None, ge=0)
    suites_folder: Path | None = None

    def measuring(self) -> dict[str, int]:
        """How to measure what says nothing else, as fields of `schemas.leases.Measuring`."""
        return self.model_dump(include={"max_length", "max_new_tokens", "generations"})
