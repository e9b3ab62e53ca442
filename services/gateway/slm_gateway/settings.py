"""Settings of the gateway, prefix `SLM_GATEWAY_`."""

from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from slm_gateway.domain.access import is_loopback
from slm_shared.settings import ServiceSettings


class GatewaySettings(ServiceSettings):
    """Where the gateway listens and how long it waits for the services behind it.

    Until there is sign-in everybody who reaches the gateway is its admin, so it refuses to listen beyond this machine
    unless `allow_remote` says that something else (a container network, a proxy) keeps others out.
    """

    model_config = SettingsConfigDict(env_prefix="SLM_GATEWAY_", frozen=True, extra="ignore")

    port: int = Field(default=8000, ge=0, le=65535)
    allow_remote: bool = False
    connect_timeout_s: float = Field(default=1.5, gt=0)
    answer_timeout_s: float = Field(default=60.0, gt=0)
    # A service answers an upload only once the file is stored and hashed.
    upload_answer_timeout_s: float = Field(default=600.0, gt=0)
    max_upstream_connections: int = Field(default=1000, ge=1)
    # Each has a consumer of its own in NATS.
    max_live_readers: int = Field(default=256, ge=1)

    @model_validator(mode="after")
    def _stays_on_this_machine(self) -> Self:
        if not self.allow_remote and not is_loopback(self.host):
            raise ValueError(
                f"the gateway has no sign-in yet and listens on loopback only, not on {self.host}; "
                "set SLM_GATEWAY_ALLOW_REMOTE=true where something else keeps strangers out"
            )
        return self
