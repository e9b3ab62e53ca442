"""Parts start with their block and end with it, whatever they do with a cancellation."""

import asyncio

from slm_shared.background import running_in_background


class Deaf:
    """Loses the first cancellation, as `asyncio.wait_for` of Python 3.11 may."""

    name = "deaf"

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.lost = 0

    def problem(self) -> str | None:
        """Nothing is ever wrong."""
        return None

    async def run(self) -> None:
        """Wait for ever, and for ever again."""
        while True:
            try:
                self.begun.set()
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.lost += 1
                if self.lost == 2:
                    raise


async def test_a_part_that_loses_a_cancellation_is_cancelled_again() -> None:
    part = Deaf()
    async with asyncio.timeout(10):
        async with running_in_background([part], cancel_again_s=0.01):
            await part.begun.wait()
    assert part.lost == 2
