"""Messages of the processes of a training, until the driver fetches them."""

import asyncio
from typing import Any

MAX_QUEUED = 16


class Mailbox:
    """An actor on the driver's own node, so that it is lost with the driver and not with a node that trains.

    It holds at most 16 messages, each with at most one piece of a file; senders wait until there is room.
    """

    def __init__(self) -> None:
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue(MAX_QUEUED)
        self._drain = asyncio.Event()

    async def put(self, message: dict[str, Any]) -> None:
        """Leave a message; returns once there is room for it."""
        await self._messages.put(message)

    async def take(self, timeout_s: float) -> list[dict[str, Any]]:
        """All messages there are, in order; waits up to `timeout_s` for the first."""
        try:
            async with asyncio.timeout(timeout_s):
                found = [await self._messages.get()]
        except TimeoutError:
            return []
        while not self._messages.empty():
            found.append(self._messages.get_nowait())
        return found

    async def request_drain(self) -> None:
        """Ask the training to stop at its next checkpoint."""
        self._drain.set()

    async def drain_requested(self) -> bool:
        """Returns when that was asked."""
        return await self._drain.wait()
