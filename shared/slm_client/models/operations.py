"""Answers for operators: health, dead letters, audit."""

from datetime import datetime
from typing import Any

from pydantic import Field

from slm_client.models.base import Answer

SERVICES = ("datasets", "evaluation", "registry", "training")
"""The services that have operations endpoints."""


class ServiceHealth(Answer):
    """What waits in a service; the time is that of the oldest unpublished event."""

    service: str
    unpublished_events: int = 0
    oldest_unpublished_at: datetime | None = None
    dead_letters: int = 0
    problems: dict[str, str] = Field(default_factory=dict)


class DeadLetter(Answer):
    """A message that a consumer could not handle and gave up."""

    consumer: str
    event_id: str
    subject: str = ""
    error: str = ""
    deliveries: int = 0
    created_at: datetime | None = None
    body: str = ""


class AuditEntry(Answer):
    """One entry of the audit log."""

    seq: int
    at: datetime | None = None
    actor: str = ""
    action: str = ""
    object_id: str = ""
    request_id: str = ""
    details: dict[str, Any] = Field(default_factory=dict)
