"""The AsyncAPI 3.0 document of the platform's events, generated from the catalogue.

`python -m slm_shared.events.asyncapi` prints it; `docs/asyncapi.json` is the committed copy that integrations read.
Format: https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

import json
import sys
from importlib.metadata import version
from typing import Any

from slm_shared.events.catalogue import CATALOGUE, Event, TelemetryBatch
from slm_shared.events.topology import EVENTS, TELEMETRY

HEADERS = {
    "type": "object",
    "required": ["ce-specversion", "ce-id", "ce-type", "ce-source", "ce-time", "Nats-Msg-Id"],
    "properties": {
        "ce-specversion": {"const": "1.0"},
        "ce-id": {"type": "string", "format": "uuid", "description": "Identity of the event; handle each one once."},
        "ce-type": {"type": "string", "description": "The name of the event, equal to its subject."},
        "ce-source": {"type": "string", "description": "The service that owns the event."},
        "ce-subject": {"type": "string", "format": "uuid", "description": "What the event is about."},
        "ce-time": {"type": "string", "format": "date-time"},
        "Nats-Msg-Id": {"type": "string", "description": "Equal to ce-id."},
        "traceparent": {"type": "string", "description": "W3C trace context."},
    },
}


def document() -> dict[str, Any]:
    """The whole document."""
    events = sorted(CATALOGUE.items())
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "SLM Platform events",
            "version": version("slm-platform"),
            "description": f"CloudEvents 1.0 in binary mode on the JetStream streams {EVENTS} and {TELEMETRY}.",
        },
        "defaultContentType": "application/json",
        "channels": {
            **{subject: _channel(subject, event.__name__) for subject, event in events},
            "telemetry": {
                "address": "telemetry.{experiment_id}",
                "parameters": {"experiment_id": {"description": "The experiment that is being trained."}},
                "messages": {"TelemetryBatch": {"$ref": "#/components/messages/TelemetryBatch"}},
            },
        },
        "operations": {f"publish.{subject}": _operation(subject, event) for subject, event in events},
        "components": {
            "schemas": {"EventHeaders": HEADERS},
            "messages": {
                **{event.__name__: _message(event) for _, event in events},
                "TelemetryBatch": {"payload": _schema(TelemetryBatch)},
            },
        },
    }


def _channel(subject: str, name: str) -> dict[str, Any]:
    return {"address": subject, "messages": {name: {"$ref": f"#/components/messages/{name}"}}}


def _operation(subject: str, event: type[Event]) -> dict[str, Any]:
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{subject}"},
        "summary": f"Published by the {event.owner} service only.",
    }


def _message(event: type[Event]) -> dict[str, Any]:
    summary = (event.__doc__ or "").strip().splitlines()[0]
    return {
        "name": event.subject,
        "summary": summary,
        "headers": {"$ref": "#/components/schemas/EventHeaders"},
        "payload": _schema(event),
    }


def _schema(model: type[Event] | type[TelemetryBatch]) -> dict[str, Any]:
    return model.model_json_schema(ref_template=f"#/components/messages/{model.__name__}/payload/$defs/{{model}}")


def render() -> str:
    """The document as it is committed."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render())
