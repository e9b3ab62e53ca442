"""The loop of a work queue: claim, serve, wait until something is committed or some seconds have passed."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import structlog

from slm_shared.background import is_wanted
from slm_shared.errors import UnavailableError

log = structlog.get_logger()

T = TypeVar("T")


class WorkLoop(Generic[T]):
    """Serves what `claim` grants, until it is cancelled: at once when it is woken, else every few seconds."""

    def __init__(
        self, claim: Callable[[], Awaitable[T | None]], serve: Callable[[T], Awaitable[None]], *, poll_s: float
    ) -> None:
        self._claim, self._serve, self._poll_s = claim, serve, poll_s
        self._awake = asyncio.Event()

    def wake(self) -> None:
        """Look at once."""
        self._awake.set()

    async def run(self, *, workers: int) -> None:
        """Serve side by side."""
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(self._work())

    async def _work(self) -> None:
        while is_wanted():
            try:
                work = await self._claim()
                if work is not None:
                    await self._serve(work)
                else:
                    await self._wait()
            except UnavailableError as error:
                log.warning("processing.unavailable", why=error.message)
                await asyncio.sleep(self._poll_s)

    async def _wait(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._poll_s):
                await self._awake.wait()
        # Cleared before the next look, not after it: what is committed during the look wakes it again.
        self._awake.clear()
