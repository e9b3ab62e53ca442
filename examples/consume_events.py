"""Prints what every finished training cost: an application that consumes the platform's events.

    pip install slm-platform[events]
    python examples/consume_events.py [nats://127.0.0.1:14222]

Stop it, train something, start it again: what happened meanwhile is printed then.
"""

import asyncio
import sys

from faststream import FastStream

from slm_client.events import EventBroker, EventId, ExperimentCompleted, ExperimentFailed

broker = EventBroker(sys.argv[1] if len(sys.argv) > 1 else "nats://127.0.0.1:14222", application="cost-report")


@broker.on(ExperimentCompleted)
async def report_cost(event: ExperimentCompleted, event_id: EventId) -> None:
    """Print a line; a real application would store it under `event_id`, once."""
    print(f"{event_id} {event.run_name}: {event.duration_s:.0f} s", flush=True)


@broker.on(ExperimentFailed)
async def report_failure(event: ExperimentFailed, event_id: EventId) -> None:
    """A training that failed had its cost, too."""
    print(f"{event_id} {event.run_id}: {event.code}, {event.message}", flush=True)


if __name__ == "__main__":
    asyncio.run(FastStream(broker).run())
