"""Bodies of the gateway's own answers."""

from typing import Any

from pydantic import BaseModel, Field


class Count(BaseModel):
    """How many there are; `is_exact` is false where counting stopped at its bound and there are more."""

    total: int = 0
    by_status: dict[str, int] = Field(default_factory=dict)
    is_exact: bool = True


class Overview(BaseModel):
    """The platform at a glance; what a service that is away would have said is null, and the service is named.

    Experiments are as their own endpoint shows them.
    """

    datasets: Count | None = None
    models: Count | None = None
    experiments: Count | None = None
    running: list[dict[str, Any]] = Field(default_factory=list)
    recent_experiments: list[dict[str, Any]] = Field(default_factory=list)
    unavailable: list[str] = Field(default_factory=list)
