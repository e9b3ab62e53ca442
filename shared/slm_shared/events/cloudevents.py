"""CloudEvents 1.0 in binary mode over NATS headers.

Attributes travel as `ce-*` headers and the body is the event's JSON.
Format: https://github.com/cloudevents/spec/blob/main/cloudevents/bindings/nats-protocol-binding.md
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

SPEC_VERSION = "1.0"
MESSAGE_ID = "Nats-Msg-Id"


@dataclass(frozen=True)
class Envelope:
    """What the headers of one message say about its event."""

    event_id: str
    type: str


def headers_of(
    *, event_id: str, subject: str, source: str, aggregate_id: str, time: datetime, traceparent: str | None
) -> dict[str, str]:
    """The headers of one event; `Nats-Msg-Id` equals `ce-id`, so that the stream drops a repeated publish."""
    headers = {
        MESSAGE_ID: event_id,
        "ce-specversion": SPEC_VERSION,
        "ce-id": event_id,
        "ce-type": subject,
        "ce-source": f"/slm/{source}",
        "ce-subject": aggregate_id,
        "ce-time": time.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "ce-datacontenttype": "application/json",
    }
    if traceparent:
        headers["traceparent"] = traceparent
    return headers


def envelope_of(headers: Mapping[str, str] | None) -> Envelope | None:
    """Read the headers of a received message; None when it is not a CloudEvent of this platform's kind."""
    headers = headers or {}
    event_id, kind = headers.get("ce-id"), headers.get("ce-type")
    if headers.get("ce-specversion") != SPEC_VERSION or not event_id or not kind:
        return None
    return Envelope(event_id, kind)
