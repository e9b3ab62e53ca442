"""Settings of the datasets service; environment prefix `SLM_DATASETS_`."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from slm_shared.settings import SECRETS_DIR, ServiceSettings

GIB = 1024**3


class DatasetsSettings(ServiceSettings):
    """Sizes in bytes, times in seconds.

    `max_upload_bytes` bounds one request, `max_parts_upload_bytes` a file that comes in parts. `public_s3_endpoint` is
    where clients can reach the object store; without it parts go through the gateway. `workers` datasets are processed
    at once and `examiners` examined; a process with no examiners leaves that to others. `personal_data_rows` bounds the
    rows that Presidio looks at, where the extra `pii` is installed.
    """

    model_config = SettingsConfigDict(env_prefix="SLM_DATASETS_", frozen=True, extra="ignore", secrets_dir=SECRETS_DIR)

    port: int = Field(18001, ge=0, le=65535)
    database_name: str = "slm_datasets"
    max_upload_bytes: int = Field(2 * GIB, gt=0)
    max_parts_upload_bytes: int = Field(50 * GIB, gt=0)
    # S3 takes no smaller part than 5 MiB, but for the last one.
    upload_part_bytes: int = Field(16 * 1024**2, ge=5 * 1024**2)
    upload_lifetime_s: float = Field(24 * 3600.0, gt=0)
    max_open_uploads: int = Field(10, gt=0)
    public_s3_endpoint: str | None = None
    processing_timeout_s: float = Field(300.0, gt=0)
    processing_memory_bytes: int = Field(2 * GIB, gt=0)
    max_expanded_bytes: int = Field(10 * GIB, gt=0)
    token_report_rows: int = Field(200_000, gt=0)
    personal_data_rows: int = Field(3_000, gt=0)
    lease_ttl_s: float = Field(60.0, gt=0)
    poll_s: float = Field(2.0, gt=0)
    workers: int = Field(1, ge=1, le=16)
    examiners: int = Field(1, ge=0, le=16)
    cleanup_after_s: float = Field(60.0, ge=0)
    cleanup_every_s: float = Field(30.0, gt=0)
