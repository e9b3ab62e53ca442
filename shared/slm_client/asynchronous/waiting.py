"""Waiting until the platform has done something."""

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from slm_client.concurrency import async_sleep
from slm_client.errors import WaitTimeoutError
from slm_client.models import Page

DAY_S = 86_400.0
POLL_S = 0.4

T = TypeVar("T")


async def wait_until(
    look: Callable[[], Awaitable[T]],
    is_done: Callable[[T], bool],
    *,
    what: str,
    timeout_s: float,
    on_change: Callable[[T], None] | None = None,
) -> T:
    """Look every 0.4 s until what is seen satisfies `is_done`, and return that; `on_change` gets every look.

    Raises WaitTimeoutError after `timeout_s` seconds; `what` says what did not happen, e.g. "Run 7 did not end".
    """
    deadline = time.monotonic() + timeout_s
    while (left_s := deadline - time.monotonic()) > 0:
        seen = await look()
        if on_change:
            on_change(seen)
        if is_done(seen):
            return seen
        await async_sleep(min(POLL_S, left_s))
    raise WaitTimeoutError(what, timeout_s=timeout_s)


async def wait_for_first(look: Callable[[], Awaitable[Page[T]]], *, what: str, timeout_s: float) -> T:
    """The first item of a list, once it has one. Raises WaitTimeoutError."""
    page = await wait_until(look, lambda page: bool(page.items), what=what, timeout_s=timeout_s)
    return page.items[0]
