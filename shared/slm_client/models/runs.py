"""Runs."""

from datetime import datetime
from typing import Any

from pydantic import Field

from slm_client.models.base import Answer, Problem, Reference


class Run(Answer):
    """A request to train, and where it stands."""

    id: str
    experiment_id: str
    name: str
    family: str | None = None
    state: str
    base_model: Reference | None = None
    training_dataset: Reference | None = None
    evaluation_dataset: Reference | None = None
    config: dict[str, Any] = Field(default_factory=dict)
    created_at: datetime | None = None
    owner: str | None = None
    error: Problem | None = None
