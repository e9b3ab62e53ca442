"""The loop of a work queue ends when it is cancelled, whatever becomes of the cancellation."""

import asyncio
import contextlib

from slm_datasets.background.loop import WorkLoop

WORKERS = 2


async def test_work_that_loses_its_cancellation_is_the_last_that_is_claimed() -> None:
    served = 0
    begun = asyncio.Event()

    async def claim() -> str:
        return "work"

    async def serve(_work: str) -> None:
        nonlocal served
        served += 1
        begun.set()
        # As `asyncio.wait_for` of Python 3.11 may, in a library.
        with contextlib.suppress(asyncio.CancelledError) if served <= WORKERS else contextlib.nullcontext():
            await asyncio.Event().wait()

    loop = WorkLoop(claim, serve, poll_s=60)
    running = asyncio.create_task(loop.run(workers=WORKERS))
    await begun.wait()
    running.cancel()
    await asyncio.wait([running], timeout=5)
    ended = running.done()
    running.cancel()
    assert ended
    assert served == WORKERS
