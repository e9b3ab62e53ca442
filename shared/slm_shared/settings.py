"""Settings from the environment (and secret files), with defaults that fit the single-machine stack."""

import os
from functools import cached_property
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

# Clients are told within two seconds that a database does not answer.
ANSWER_WITHIN_S = 1.75
SECRETS_DIR = os.environ.get("SLM_SECRETS_DIR")


class PlatformSettings(BaseSettings):
    """Addresses and credentials every process shares; environment prefix `SLM_`.

    `postgres_url` names the server without a database (each service has its own). `principal_keys` and `signing_key`
    are files made by `python -m slm_shared.identity.keys`. `answer_within_s` is what a request may wait for its
    database. Secrets may also be files in the folder `SLM_SECRETS_DIR`.
    """

    model_config = SettingsConfigDict(env_prefix="SLM_", frozen=True, extra="ignore", secrets_dir=SECRETS_DIR)

    nats_url: str = "nats://127.0.0.1:14222"
    postgres_url: str = "postgresql://slm@127.0.0.1:15432"
    postgres_password: SecretStr | None = None
    s3_endpoint: str = "http://127.0.0.1:18333"
    s3_access_key: SecretStr = SecretStr("slm")
    s3_secret_key: SecretStr = SecretStr("slm-local")
    s3_bucket: str = "slm"
    gateway_url: str = "http://127.0.0.1:8000"
    datasets_url: str = "http://127.0.0.1:18001"
    training_url: str = "http://127.0.0.1:18002"
    registry_url: str = "http://127.0.0.1:18003"
    evaluation_url: str = "http://127.0.0.1:18004"
    principal_keys: Path | None = None
    signing_key: Path | None = None
    answer_within_s: float = Field(default=ANSWER_WITHIN_S, ge=0.5, le=60)

    def database_url(self, database: str) -> str:
        """The SQLAlchemy address (asyncpg) of one database on the PostgreSQL server, password included."""
        parts = urlsplit(self.postgres_url)
        user, password = parts.username or "slm", parts.password
        if self.postgres_password is not None:
            password = quote(self.postgres_password.get_secret_value(), safe="")
        credentials = user if password is None else f"{user}:{password}"
        location = f"{credentials}@{parts.hostname}:{parts.port or 5432}"
        return urlunsplit(("postgresql+asyncpg", location, f"/{database}", "", ""))

    def service_url(self, service: str) -> str:
        """The base address of a service by name, e.g. `service_url("datasets")`."""
        url: str = getattr(self, f"{service}_url")
        return url.rstrip("/")


class ServiceSettings(BaseSettings):
    """What every service has of its own. A service subclasses this with `env_prefix="SLM_<SERVICE>_"`."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", secrets_dir=SECRETS_DIR)

    host: str = "127.0.0.1"
    port: int = Field(ge=0, le=65535)
    database_name: str = ""
    log_level: str = "INFO"
    max_json_body_bytes: int = 1024 * 1024
    platform: PlatformSettings = Field(default_factory=PlatformSettings)

    @cached_property
    def database_url(self) -> str:
        """The SQLAlchemy address of this service's own database."""
        return self.platform.database_url(self.database_name)
