"""Settings of the training service; environment prefix `SLM_TRAINING_`."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from slm_shared.settings import SECRETS_DIR, ServiceSettings


class TrainingSettings(ServiceSettings):
    """Times in seconds. A lease that is not renewed for `lease_ttl_s` is taken from its worker."""

    model_config = SettingsConfigDict(env_prefix="SLM_TRAINING_", frozen=True, extra="ignore", secrets_dir=SECRETS_DIR)

    port: int = Field(18002, ge=0, le=65535)
    database_name: str = "slm_training"
    lease_ttl_s: float = Field(90.0, gt=0)
    heartbeat_s: float = Field(3.0, gt=0)
    reaper_interval_s: float = Field(10.0, gt=0)
