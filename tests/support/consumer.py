"""An application of an integrator's: `python consumer.py NATS_URL` writes each deleted dataset as a line of JSON.

It fails once for a dataset named `fails once`, always for one named `fails`, and takes its time for one named `slow`.
"""

import asyncio
import json
import sys

from faststream import FastStream

from slm_client.events import DatasetDeleted, EventBroker, EventId

broker = EventBroker(sys.argv[1], application="audit", from_start="--from-start" in sys.argv)
seen: set[str] = set()


@broker.on(DatasetDeleted)
async def write(event: DatasetDeleted, event_id: EventId) -> None:
    """Write the event."""
    is_new = event.name not in seen
    seen.add(event.name)
    if event.name == "fails" or (event.name == "fails once" and is_new):
        raise RuntimeError("as told")
    if event.name == "slow":
        print(json.dumps({"begun": event.name}), flush=True)  # noqa: T201
        await asyncio.sleep(2)
    print(json.dumps({"name": event.name, "event_id": str(event_id)}), flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(FastStream(broker).run())
