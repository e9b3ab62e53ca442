"""What the resources need of their client, and waiting."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from slm_client.calls import Call, ProgressCallback
from slm_client.waiting import POLL_S, pauses

T = TypeVar("T")


class AsyncSender(Protocol):
    """What a resource needs of its client."""

    async def send(self, call: Call[T]) -> T:
        """Send one request and read its answer."""

    async def save(self, call: Call[Any], target: Path, *, on_progress: ProgressCallback | None = None) -> int:
        """Stream an answer into a file."""

    async def put(self, url: str, data: bytes) -> None:
        """Send bytes to an address outside of the platform."""


async def poll(
    look: Callable[[], Awaitable[T]],
    until: Callable[[T], bool],
    *,
    what: str,
    timeout_s: float,
    poll_s: float = POLL_S,
    on_change: Callable[[T], None] | None = None,
) -> T:
    """Look until what is seen satisfies `until`. Raises the timeout error of `pauses`, which names `what`."""
    for pause_s in pauses(what, timeout_s=timeout_s, poll_s=poll_s):
        seen = await look()
        if on_change:
            on_change(seen)
        if until(seen):
            return seen
        await asyncio.sleep(pause_s)
    raise AssertionError("unreachable")


class AsyncResource:
    """Methods about one kind of thing, sent by an asynchronous client."""

    def __init__(self, client: AsyncSender) -> None:
        self._client = client
