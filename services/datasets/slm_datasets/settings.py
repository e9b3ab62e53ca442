"""Settings of the datasets service; environment prefix `SLM_DATASETS_`."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from slm_shared.settings import SECRETS_DIR, ServiceSettings


class DatasetsSettings(ServiceSettings):
    """Sizes in bytes, times in seconds."""

    model_config = SettingsConfigDict(env_prefix="SLM_DATASETS_", frozen=True, extra="ignore", secrets_dir=SECRETS_DIR)

    port: int = Field(18001, ge=0, le=65535)
    database_name: str = "slm_datasets"
    max_upload_bytes: int = Field(2 * 1024**3, gt=0)
    processing_timeout_s: float = Field(300.0, gt=0)
    lease_ttl_s: float = Field(60.0, gt=0)
    poll_s: float = Field(2.0, gt=0)
    workers: int = Field(1, ge=1, le=16)
