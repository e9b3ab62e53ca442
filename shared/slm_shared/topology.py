"""Every stream and durable consumer of the platform, and the step that makes the server agree.

Services never create or change them at start: a durable that exists is not updated by subscribing to it, so one
explicit step (`python -m slm_shared.migrate`) owns all of it.
"""

from dataclasses import dataclass

from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import NotFoundError as StreamNotFoundError

from slm_shared.events import (
    CATALOGUE,
    DatasetDeleted,
    DatasetProcessed,
    EvaluationCompleted,
    Event,
    ExperimentCompleted,
    ModelRegistered,
    RunLaunched,
)

EVENTS = "EVENTS"
TELEMETRY = "TELEMETRY"
MAX_DELIVER = 12
MAX_ACK_PENDING = 256
DAY_S = 24 * 3600.0


def durable_name(service: str, event: type[Event]) -> str:
    """The durable of one service for one event, e.g. `registry-experiment-completed`."""
    return f"{service}-{event.subject.replace('.', '-')}"


@dataclass(frozen=True)
class Consumer:
    """One durable pull consumer; `ack_wait_s` is how long a delivered message may stay unacknowledged."""

    durable: str
    subject: str
    stream: str = EVENTS
    ack_wait_s: float = 60.0


def _consumes(service: str, event: type[Event]) -> Consumer:
    return Consumer(durable_name(service, event), event.subject)


CONSUMERS = (
    _consumes("training", DatasetProcessed),
    _consumes("training", DatasetDeleted),
    _consumes("registry", DatasetProcessed),
    _consumes("registry", ExperimentCompleted),
    _consumes("registry", EvaluationCompleted),
    _consumes("evaluation", ModelRegistered),
    Consumer("trainer-default", RunLaunched.subject, ack_wait_s=30.0),
    Consumer("training-telemetry", "telemetry.*", stream=TELEMETRY),
)

STREAMS = (
    StreamConfig(
        name=EVENTS,
        subjects=sorted(CATALOGUE),
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.NEW,
        max_age=14 * DAY_S,
        max_bytes=4 * 1024**3,
        max_msg_size=64 * 1024,
        duplicate_window=600.0,
        deny_delete=True,
        allow_direct=True,
    ),
    StreamConfig(
        name=TELEMETRY,
        subjects=["telemetry.*"],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.OLD,
        max_age=2 * DAY_S,
        max_bytes=1024**3,
        max_msg_size=1024**2,
        duplicate_window=600.0,
        allow_direct=True,
    ),
)


async def migrate_topology(jetstream: JetStreamContext) -> None:
    """Create or update every stream and durable; messages and acknowledgement positions are kept."""
    for stream in STREAMS:
        assert stream.name is not None
        try:
            await jetstream.stream_info(stream.name)
        except StreamNotFoundError:
            await jetstream.add_stream(stream)
        else:
            await jetstream.update_stream(stream)
    for consumer in CONSUMERS:
        await jetstream.add_consumer(
            consumer.stream,
            ConsumerConfig(
                durable_name=consumer.durable,
                filter_subject=consumer.subject,
                ack_policy=AckPolicy.EXPLICIT,
                deliver_policy=DeliverPolicy.ALL,
                ack_wait=consumer.ack_wait_s,
                max_deliver=MAX_DELIVER,
                max_ack_pending=MAX_ACK_PENDING,
            ),
        )
