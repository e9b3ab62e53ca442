"""Every stream and durable consumer of the platform, and the step that creates or updates them.

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

from slm_shared.events.catalogue import (
    CATALOGUE,
    DatasetDeleted,
    DatasetProcessed,
    EvaluationCompleted,
    EvaluationFailed,
    EvaluationRegressed,
    Event,
    ExperimentCancelled,
    ExperimentCompleted,
    ExperimentFailed,
    ExperimentStarted,
    ModelDeleted,
    ModelRegistered,
    RunLaunched,
)

EVENTS = "EVENTS"
TELEMETRY = "TELEMETRY"
TRAINER_WAKE_UP = "trainer-default"
# More than `pulling.MAX_DELIVERIES`: the bus gives a message up first, for the server would keep no dead letter.
MAX_DELIVER = 12
MAX_ACK_PENDING = 256
CHECKED_SETTINGS = (
    "filter_subject",
    "ack_policy",
    "deliver_policy",
    "ack_wait",
    "max_deliver",
    "max_ack_pending",
    "backoff",
)
DAY_S = 24 * 3600.0
EVENTS_MAX_AGE_S = 14 * DAY_S


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

    @property
    def service(self) -> str:
        """The service whose consumer it is."""
        return self.durable.partition("-")[0]

    def config(self) -> ConsumerConfig:
        """What the server is told. `backoff` stays unset: its first entry would take the place of `ack_wait`."""
        return ConsumerConfig(
            durable_name=self.durable,
            filter_subject=self.subject,
            ack_policy=AckPolicy.EXPLICIT,
            # A consumer that is made anew begins with the oldest event; the inbox knows which were handled.
            deliver_policy=DeliverPolicy.ALL,
            ack_wait=self.ack_wait_s,
            max_deliver=MAX_DELIVER,
            max_ack_pending=MAX_ACK_PENDING,
        )

    def differs(self, live: ConsumerConfig) -> str | None:
        """The first setting in which the server's own configuration is another one, or None."""
        wanted = self.config()
        for name in CHECKED_SETTINGS:
            if (getattr(live, name) or None) != (getattr(wanted, name) or None):
                return name
        return None


def _consumers(service: str, *events: type[Event]) -> list[Consumer]:
    return [Consumer(durable_name(service, event), event.subject) for event in events]


CONSUMERS = (
    *_consumers("datasets", RunLaunched, ExperimentCompleted, ExperimentFailed, ExperimentCancelled),
    *_consumers("training", DatasetProcessed, DatasetDeleted),
    *_consumers("registry", DatasetProcessed, ExperimentCompleted, ExperimentStarted, ExperimentFailed, RunLaunched),
    *_consumers("registry", EvaluationCompleted, EvaluationFailed, EvaluationRegressed),
    *_consumers("evaluation", ModelRegistered, ModelDeleted, DatasetProcessed),
    Consumer(TRAINER_WAKE_UP, RunLaunched.subject, ack_wait_s=30.0),
    Consumer("training-telemetry", "telemetry.*", stream=TELEMETRY),
)

STREAMS = (
    StreamConfig(
        name=EVENTS,
        subjects=sorted(CATALOGUE),
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        # Full, it refuses new events, which wait in their outboxes; dropping old ones could lose what nobody has read.
        discard=DiscardPolicy.NEW,
        max_age=EVENTS_MAX_AGE_S,
        max_bytes=4 * 1024**3,
        max_msg_size=64 * 1024,
        # For so long it drops what a relay publishes twice, having died before it noted the first time.
        duplicate_window=600.0,
        deny_delete=True,
        allow_direct=True,
    ),
    StreamConfig(
        name=TELEMETRY,
        subjects=["telemetry.*"],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        # The newest points of a curve are worth more than those of last night.
        discard=DiscardPolicy.OLD,
        max_age=2 * DAY_S,
        max_bytes=1024**3,
        max_msg_size=1024**2,
        duplicate_window=600.0,
        allow_direct=True,
    ),
)


def consumer_named(durable: str) -> Consumer:
    """The consumer of a name. Raises KeyError."""
    return {each.durable: each for each in CONSUMERS}[durable]


def consumers_of(owner: str) -> list[Consumer]:
    """The consumers of a service's events that keep an inbox; workers only take a hint from theirs."""
    subjects = {event.subject for event in CATALOGUE.values() if event.owner == owner}
    return [each for each in CONSUMERS if each.subject in subjects and each.durable != TRAINER_WAKE_UP]


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
        await jetstream.add_consumer(consumer.stream, consumer.config())
