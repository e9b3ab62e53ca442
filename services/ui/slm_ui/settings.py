"""Settings of the console, prefix `SLM_UI_`."""

import ipaddress
import os
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from slm_client.upload_parts import PARTS_FROM_BYTES
from slm_client.wire import DEFAULT_GATEWAY, GATEWAY_VARIABLE

LOCAL_NAMES = ("127.0.0.1", "localhost", "::1")


class UiSettings(BaseSettings):
    """Where the console listens, and where it finds the gateway.

    Until there is sign-in everybody who reaches the console may do everything, so it refuses to listen beyond this
    machine unless `allow_remote` says that something else keeps strangers out.
    """

    model_config = SettingsConfigDict(env_prefix="SLM_UI_", frozen=True, extra="ignore")

    host: str = "127.0.0.1"
    port: int = Field(default=8501, ge=0, le=65535)
    allow_remote: bool = False
    gateway_url: str = Field(default_factory=lambda: os.environ.get(GATEWAY_VARIABLE) or DEFAULT_GATEWAY)
    max_upload_mb: int = Field(default=1024, ge=1)
    parts_from_bytes: int = Field(default=PARTS_FROM_BYTES, ge=1)
    refresh_s: float = Field(default=2.0, gt=0)
    idle_refresh_s: float = Field(default=8.0, gt=0)
    page_size: int = Field(default=25, ge=1, le=100)

    @model_validator(mode="after")
    def _stays_on_this_machine(self) -> Self:
        if not self.allow_remote and not _is_loopback(self.host):
            raise ValueError(
                f"the console has no sign-in yet and listens on loopback only, not on {self.host}; "
                "set SLM_UI_ALLOW_REMOTE=true where something else keeps strangers out"
            )
        return self

    @property
    def allowed_hosts(self) -> list[str]:
        """The names under which a browser may ask for it; empty for any."""
        return [] if self.allow_remote else list(LOCAL_NAMES)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def settings() -> UiSettings:
    """The settings, as the environment says now."""
    return UiSettings()
