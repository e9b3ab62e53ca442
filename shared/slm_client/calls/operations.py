"""Requests about the services themselves."""

from urllib.parse import quote

from slm_client.calls.base import Call, Nothing, given
from slm_client.models import AuditEntry, DeadLetter, ServiceHealth


def health(service: str) -> Call[ServiceHealth]:
    """The health of a service."""
    return Call("GET", f"/api/operations/{service}", ServiceHealth)


def dead_letters(service: str, *, limit: int) -> Call[list[DeadLetter]]:
    """The dead letters of a service."""
    return Call("GET", f"/api/operations/{service}/dead-letters", list[DeadLetter], params={"limit": limit})


def redrive(service: str, consumer: str, event_id: str) -> Call[Nothing]:
    """Deliver a dead letter again."""
    return Call("POST", f"{_letter(service, consumer, event_id)}:redrive", Nothing)


def discard(service: str, consumer: str, event_id: str) -> Call[Nothing]:
    """Delete a dead letter."""
    return Call("DELETE", _letter(service, consumer, event_id), Nothing)


def audit(service: str, *, before: int | None, limit: int) -> Call[list[AuditEntry]]:
    """The audit log of a service."""
    path = f"/api/operations/{service}/audit"
    return Call("GET", path, list[AuditEntry], params=given(before=before, limit=limit))


def _letter(service: str, consumer: str, event_id: str) -> str:
    return f"/api/operations/{service}/dead-letters/{quote(consumer, safe='')}/{quote(event_id, safe='')}"
