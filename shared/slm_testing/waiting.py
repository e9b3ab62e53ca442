"""Waiting for a condition, with a deadline."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

DEADLINE_S = 60.0
POLL_S = 0.03

T = TypeVar("T")


async def eventually(check: Callable[[], Awaitable[T | None]], *, timeout_s: float = DEADLINE_S) -> T:
    """Ask `check` until it gives something true, and return that. Raises TimeoutError after `timeout_s`."""
    async with asyncio.timeout(timeout_s):
        while not (found := await check()):  # noqa: ASYNC110  what is waited for may lie in another process
            await asyncio.sleep(POLL_S)
        return found
