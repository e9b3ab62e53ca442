"""The overview and the live feed, which span services."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import Field

from slm_client.models.base import Answer
from slm_client.models.experiments import Experiment


class Count(Answer):
    """A count; `is_exact` is False if counting stopped at a limit."""

    total: int = 0
    by_status: dict[str, int] = Field(default_factory=dict)
    is_exact: bool = True


class Overview(Answer):
    """The platform at a glance; a part is None when its service is among the `unavailable`."""

    datasets: Count | None = None
    models: Count | None = None
    experiments: Count | None = None
    running: Sequence[Experiment] = ()
    recent_experiments: Sequence[Experiment] = ()
    unavailable: Sequence[str] = ()


class LiveEvent(Answer):
    """One event of the live feed; `sequence` is its place in the stream, after which a reader can continue."""

    sequence: int
    type: str
    id: str | None = None
    time: datetime | None = None
    data: dict[str, Any] = Field(default_factory=dict)
