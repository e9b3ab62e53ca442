"""Background tasks of a process: relay, bus, reaper, work queue. They start with the app and end with it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import structlog

log = structlog.get_logger()
# A task that crashes at once must not keep a core busy.
RESTART_DELAY_S = 1.0
# Longer than a task may take to finish what it has begun.
CANCEL_AGAIN_S = 12.0


class BackgroundTask(Protocol):
    """Something that runs beside the requests.

    `run` works until it is cancelled and rides out outages of what it needs; `problem` is None while all is
    well, or one sentence for `/readyz`.
    """

    name: str

    async def run(self) -> None:
        """Work until cancelled."""

    def problem(self) -> str | None:
        """Why this task is not ready, or None. Nothing depends at any one moment on a task that does not say more."""
        return None


async def _keep_running(task: BackgroundTask) -> None:
    while True:
        try:
            await task.run()
            return
        except Exception:
            log.exception("background.crashed", task=task.name)
            await asyncio.sleep(RESTART_DELAY_S)


def is_wanted() -> bool:
    """Whether the current task has not been cancelled yet.

    For loops in a task of a `TaskGroup`: a library's `wait_for` may lose a cancellation (in Python 3.11), and the group
    cancels its tasks only once.
    """
    task = asyncio.current_task()
    return task is None or not task.cancelling()


@asynccontextmanager
async def running_in_background(
    background: Sequence[BackgroundTask], *, cancel_again_s: float = CANCEL_AGAIN_S
) -> AsyncIterator[None]:
    """Run every task while the block runs; cancel and await them in reverse order at its end."""
    tasks = [asyncio.create_task(_keep_running(each), name=each.name) for each in background]
    try:
        yield
    finally:
        for task in reversed(tasks):
            await _end(task, cancel_again_s)


async def _end(task: "asyncio.Task[None]", cancel_again_s: float) -> None:
    """Cancel a task, again if that was lost in somebody's `wait_for`, and wait for its end."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=cancel_again_s)
